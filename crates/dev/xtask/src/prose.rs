//! Documents tell the truth about where things are: each path that a document names exists.

use std::path::Path;

/// Documents whose back-quoted paths are checked.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "DEVELOP.md"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for document in DOCUMENTS {
        let Ok(text) = std::fs::read_to_string(root.join(document)) else {
            faults.push(format!("{document} is missing"));
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            for path in paths(line) {
                if !root.join(path).exists() {
                    faults.push(format!("{document}:{}: {path} does not exist", index + 1));
                }
            }
        }
    }
    Ok(faults)
}

/// What stands in back quotes and looks like a path of this project.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    const TOPS: [&str; 6] = ["crates/", "docs/", "tests/", "scripts/", "fuzz/", "packaging/"];
    line.split('`').skip(1).step_by(2).filter(|text| {
        TOPS.iter().any(|top| text.starts_with(top)) && !text.contains([' ', '*', '<', '{', '…'])
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_told_from_commands() {
        let line = "see `crates/pure/smtp` and `cargo test`, `crates/<floor>`, `scripts/test`";
        assert_eq!(super::paths(line).collect::<Vec<_>>(), ["crates/pure/smtp", "scripts/test"]);
    }
}
