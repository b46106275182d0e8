//! How source files read: a first line that says their duty, a length for one sitting, nothing left undone.

use std::path::Path;

/// Longest file, tests left out. A longer one hides a name.
const FILE_LINES_MAX: usize = 600;
/// Longest function. A longer one hides a name too.
const FUNCTION_LINES_MAX: usize = 90;
/// Files that are one table, read row by row and not in one sitting.
const TABLES: [&str; 1] = ["settings/table.rs"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut files = crate::files(&root.join("crates"), &[".rs"])?;
    files.extend(crate::files(&root.join("tests"), &[".rs"])?);
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let place = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        faults.extend(check_file(&place, &text));
    }
    Ok(faults)
}

fn check_file(place: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") && !text.starts_with("#!") {
        faults.push(format!("{place}: the first line does not say the file's duty"));
    }
    let is_test = place.starts_with("tests/") || place.contains("/tests/") || place.ends_with("/tests.rs");
    let code: Vec<&str> = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").collect();
    if !is_test && code.len() > FILE_LINES_MAX && !TABLES.iter().any(|table| place.ends_with(table)) {
        faults.push(format!("{place}: {} lines before the tests; at most {FILE_LINES_MAX}", code.len()));
    }
    if !is_test {
        faults.extend(long_functions(place, &code));
    }
    for (index, line) in text.lines().enumerate() {
        let undone = ["TODO", "FIXME", "XXX:", "#[ignore", "#[should_panic"];
        if !place.contains("xtask") && undone.iter().any(|word| line.contains(word)) {
            faults.push(format!("{place}:{}: {}", index + 1, line.trim()));
        }
        if line.contains("unsafe ") && !line.trim_start().starts_with("//") && !line.contains("\"") {
            let above = text
                .lines()
                .skip(index.saturating_sub(6))
                .take(7)
                .any(|line| line.contains("SAFETY") || line.contains("Safety"));
            if !above {
                faults.push(format!("{place}:{}: unsafe without a SAFETY comment that proves it", index + 1));
            }
        }
    }
    faults
}

fn long_functions(place: &str, code: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for (start, line) in code.iter().enumerate() {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        let words: Vec<&str> = body.split_whitespace().take(5).collect();
        let is_function = words.contains(&"fn") && !body.starts_with("//") && body.contains('(');
        if !is_function {
            continue;
        }
        let end = format!("{indent}}}");
        let length = code.iter().skip(start).position(|line| *line == end).map_or(0, |lines| lines + 1);
        if length > FUNCTION_LINES_MAX {
            faults.push(format!(
                "{place}:{}: a function of {length} lines; at most {FUNCTION_LINES_MAX}",
                start + 1
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found() {
        let long = format!("//! Duty.\nfn long() {{\n{}}}\n", "    x();\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(check_file("a.rs", &long).len(), 1);
        assert_eq!(check_file("a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(check_file("a.rs", "//! Duty.\n// TODO\n").len(), 1);
        assert!(check_file("a.rs", "//! Duty.\nfn f() {}\n").is_empty());
    }
}
