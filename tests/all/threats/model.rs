//! The threat model's word is kept: each class has its row, each test that it names exists, and so does each file.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Classes that must be tried, since the code they need is here: mail coming in and its senders, reading, login, TLS,
/// names, the store, filters.
const TRIED: [u32; 22] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 23, 24, 25, 28];

#[test]
fn what_the_threat_model_names_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project")?;
    let model = std::fs::read_to_string(root.join("docs/internals/threat-model.md"))?;
    let mut named = 0;
    for word in model.split('`').skip(1).step_by(2) {
        let (path, test) = word.split_once("::").map_or((word, None), |(path, test)| (path, Some(test)));
        let is_path = ["crates/", "tests/", "docs/", "fuzz/"].iter().any(|folder| path.starts_with(folder));
        let path = match path.strip_suffix(".rs") {
            Some(name) if !name.contains('/') => root.join("fuzz/fuzz_targets").join(path),
            _ if is_path => root.join(path),
            _ => continue,
        };
        ensure!(path.exists(), "{word}: there is no such file");
        if let Some(test) = test {
            let source = std::fs::read_to_string(&path)?;
            ensure!(source.contains(&format!("fn {test}(")), "{word}: there is no such test");
            named += 1;
        }
    }
    ensure!(named > 60, "only {named} tests are named");
    for class in 1..=28 {
        let row = model.lines().find(|line| line.starts_with(&format!("| {class} |")));
        let row = row.with_context(|| format!("class {class} has no row"))?;
        ensure!(!TRIED.contains(&class) || row.contains("::"), "class {class} has no test");
    }
    Ok(())
}
