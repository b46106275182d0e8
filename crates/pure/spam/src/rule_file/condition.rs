//! Conditions of rule files (`if`, `ifplugin`): answered as a SpamAssassin would that has all its plugins. What a plugin's function
//! would judge is then said to be skipped, instead of being replaced in silence by an older way.

use super::expression::{Expression, Span, parse};

/// The version that conditions are answered for.
const VERSION: f64 = 4.000_001;

/// The version of Perl likewise.
const PERL_VERSION: f64 = 5.036;

/// Whether the lines behind a condition count; an error for what is no condition.
pub(super) fn holds(condition: &str) -> Result<bool, String> {
    let expression: Expression<String> = parse(&without_calls(condition))?;
    let value = expression.value(&mut |name: &String| match name.as_str() {
        "version" => Span::exactly(VERSION),
        "perl_version" => Span::exactly(PERL_VERSION),
        "true" => Span::YES,
        // Local tests only, and whatever else there may be.
        _ => Span::NO,
    });
    Ok(value.is_true())
}

/// A condition with its questions for plugins and features answered.
fn without_calls(condition: &str) -> String {
    let mut rest = condition;
    let mut plain = String::with_capacity(condition.len());
    while let Some(at) = rest.find('(') {
        let (before, behind) = rest.split_at(at);
        let word = before
            .trim_end()
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        let end = behind.find(')');
        match end.filter(|_| matches!(word, "can" | "has" | "plugin")) {
            Some(end) => {
                let asked = behind.get(1..end).unwrap_or_default();
                let before = before.trim_end();
                plain.push_str(before.get(..before.len() - word.len()).unwrap_or_default());
                plain.push_str(if is_there(asked) { "1" } else { "0" });
                rest = behind.get(end + 1..).unwrap_or_default();
            }
            None => {
                plain.push_str(before);
                plain.push('(');
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// All plugins and features, but for ways of old that have to be asked for.
fn is_there(asked: &str) -> bool {
    !asked.contains("compat_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_answered() {
        for (condition, answer) in [
            ("(version >= 3.004000)", true),
            ("version < 3.3", false),
            ("plugin(Mail::SpamAssassin::Plugin::DKIM)", true),
            ("!plugin ( Mail::SpamAssassin::Plugin::DKIM )", false),
            ("can(Mail::SpamAssassin::Conf::feature_x) && (version >= 4)", true),
            ("!can(Mail::SpamAssassin::Conf::compat_welcomelist_blocklist)", true),
            ("local_tests_only", false),
        ] {
            assert_eq!(holds(condition), Ok(answer), "{condition}");
        }
        assert!(holds("(version").is_err());
    }
}
