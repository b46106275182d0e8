//! The floors of the house: who may stand on whom (ARCHITECTURE.md).

use std::collections::BTreeMap;
use std::path::Path;

/// Folders of `crates/`, and the floors that each may stand on.
const FLOORS: [(&str, &[&str]); 6] = [
    ("pure", &["pure"]),
    ("host", &["host"]),
    ("mail", &["pure", "host", "mail"]),
    ("serve", &["pure", "host", "mail"]),
    ("operate", &["pure", "host", "mail", "serve", "operate", "dev"]),
    ("dev", &["pure", "host", "mail", "serve", "operate", "dev"]),
];

/// Heavy dependencies and the one door to each.
const DOORS: [(&str, &[&str]); 15] = [
    ("rusqlite", &["storage"]),
    ("zstd", &["storage"]),
    ("ruzstd", &["attachments"]),
    ("blake3", &["storage"]),
    ("rustls", &["tls"]),
    ("tokio-rustls", &["tls"]),
    ("rcgen", &["tls"]),
    ("hickory-resolver", &["dns"]),
    ("hickory-net", &["dns"]),
    ("hickory-proto", &["dns"]),
    ("dns-update", &["provision"]),
    ("hyper", &["web"]),
    ("regex", &["sieve", "spam"]),
    ("clap", &["mailstead", "bench", "powercut"]),
    ("anyhow", &["mailstead", "bench", "xtask", "testkit", "powercut", "scenarios"]),
];

/// Words that say nothing of what is in a crate or a file.
const BANNED_NAMES: [&str; 8] = ["common", "util", "utils", "core", "misc", "helper", "helpers", "manager"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut manifests = BTreeMap::new();
    for file in crate::files(&root.join("crates"), &["Cargo.toml"])? {
        let folder = file.parent().unwrap_or(root);
        let floor =
            folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        manifests.insert(name, (floor, std::fs::read_to_string(&file)?));
    }
    let mut faults = Vec::new();
    for (name, (floor, manifest)) in &manifests {
        let Some((_, below)) = FLOORS.iter().find(|(known, _)| known == floor) else {
            faults.push(format!("crates/{floor}/{name}: no such floor"));
            continue;
        };
        for dependency in dependencies(manifest) {
            if let Some((stands_on, _)) = manifests.get(dependency)
                && !below.contains(&stands_on.as_str())
            {
                faults.push(format!("{name} ({floor}) stands on {dependency} ({stands_on})"));
            }
            if let Some((_, doors)) = DOORS.iter().find(|(heavy, _)| *heavy == dependency)
                && !doors.contains(&name.as_str())
            {
                faults.push(format!("{name} depends on {dependency}, whose door is {}", doors[0]));
            }
        }
    }
    for file in crate::files(&root.join("crates"), &[".rs"])? {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if BANNED_NAMES.contains(&stem.as_str()) {
            faults.push(format!("{}: a name that says nothing", file.display()));
        }
    }
    Ok(faults)
}

/// The names under `[dependencies]`; what tests alone use may come from anywhere.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .split("\n[")
        .filter(|section| section.starts_with("dependencies]"))
        .flat_map(|section| section.lines().skip(1))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_dependencies_count() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nserde.workspace = true\nsmtp = { path = \"x\" }\n\n[dev-dependencies]\nmta.workspace = true\n";
        assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["serde", "smtp"]);
    }
}
