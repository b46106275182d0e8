//! What we stand on is free for everyone: no copyleft among the dependencies (the same list as deny.toml).

use std::path::Path;
use std::process::Command;

use anyhow::Context;

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let allowed = allowed(&std::fs::read_to_string(root.join("deny.toml"))?);
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or("none"));
        if !is_allowed(licence, &allowed) {
            faults.push(format!("dependency {name} has licence {licence}"));
        }
    }
    Ok(faults)
}

fn allowed(deny: &str) -> Vec<String> {
    let list = deny.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether one of the alternatives of an SPDX expression needs only allowed licences.
fn is_allowed(licence: &str, allowed: &[String]) -> bool {
    let plain = licence.replace(['(', ')'], "").replace('/', " OR ");
    // `A AND (B OR C)` becomes alternatives that are too lenient only where one side alone is allowed, which is
    // checked by hand when a dependency is added.
    plain
        .split(" OR ")
        .any(|alternative| alternative.split(" AND ").all(|one| allowed.iter().any(|a| a == one.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        let allowed = vec!["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0".to_owned()];
        for (licence, fine) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("ISC AND (Apache-2.0 OR ISC)", true),
            ("MIT AND GPL-2.0", false),
        ] {
            assert_eq!(is_allowed(licence, &allowed), fine, "{licence}");
        }
    }
}
