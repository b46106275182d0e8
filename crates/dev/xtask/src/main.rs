//! `cargo run -p xtask -- tidy`: the rules of the house that no compiler keeps.

mod floors;
mod licences;
mod prose;
mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let asked = std::env::args().nth(1).unwrap_or_default();
    if asked != "tidy" {
        eprintln!("usage: cargo run -p xtask -- tidy");
        return Ok(ExitCode::from(2));
    }
    let faults = tidy(&root())?;
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    println!("tidy: {} faults", faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn tidy(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = floors::check(root)?;
    faults.extend(source::check(root)?);
    faults.extend(prose::check(root)?);
    faults.extend(licences::check(root)?);
    Ok(faults)
}

/// Every file below `directory` with one of these endings, but for what building leaves behind.
fn files(directory: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.')
                    && !matches!(name.as_str(), "target" | "corpus" | "artifacts" | "data")
                {
                    waiting.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let faults = super::tidy(&super::root()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
