//! Regular expressions of `:regex`: POSIX extended ones, carried out in time linear in the text.
//!
//! The matching is the `regex` crate's, whose language differs a little: what stands in brackets is rewritten, and what
//! it cannot do in linear time (back-references) is refused. Of several alternatives the first that matches is taken,
//! where POSIX takes the longest.

use regex::bytes::{Regex, RegexBuilder};

/// Deepest groups in groups.
const NESTING_MAX: u32 = 64;

/// Classes of characters that brackets may name.
const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

/// Compiles an expression into at most `octets_max` octets of memory.
pub(crate) fn compile(pattern: &[u8], is_caseless: bool, octets_max: usize) -> Result<Regex, String> {
    let pattern = std::str::from_utf8(pattern).map_err(|_| "it is not valid UTF-8".to_owned())?;
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated)
        .case_insensitive(is_caseless)
        .size_limit(octets_max)
        .dfa_size_limit(octets_max)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => {
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
}

/// What looking for an expression costs for each eight octets of text: all its states may have to be followed at each of
/// them, and what is repeated has its states as often.
pub(crate) fn cost(pattern: &[u8], octets_max: usize) -> u64 {
    /// Octets of memory of one state, at least.
    const STATE_OCTETS: usize = 32;
    let mut states = 1 + pattern.len() as u64;
    for repeated in pattern.split(|&octet| octet == b'{').skip(1) {
        let bounds = repeated.split(|&octet| octet == b'}').next().unwrap_or_default();
        let numbers =
            bounds.split(|&octet| octet == b',').filter_map(|digits| std::str::from_utf8(digits).ok());
        let most = numbers.filter_map(|digits| digits.parse::<u64>().ok()).max();
        states = states.saturating_mul(most.unwrap_or(1).max(1));
    }
    states.min((octets_max / STATE_OCTETS) as u64).max(1) * 4
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut translated = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some('1'..='9') => return Err("back-references are not supported".to_owned()),
                Some('`') => translated.push_str("\\A"),
                Some('\'') => translated.push_str("\\z"),
                Some(escaped @ ('w' | 'W' | 's' | 'S' | 'd' | 'D' | 'b' | 'B' | '<' | '>')) => {
                    translated.extend(['\\', escaped]);
                }
                Some(escaped) => push_literal(escaped, &mut translated),
                None => return Err("it ends with a backslash".to_owned()),
            },
            '[' => bracket(&mut rest, &mut translated)?,
            '(' if rest.peek() == Some(&'?') => {
                return Err("nothing stands before '?' that could be left out".to_owned());
            }
            '{' if rest.peek() == Some(&',') => translated.push_str("{0"),
            '{' if !rest.peek().is_some_and(char::is_ascii_digit) => translated.push_str("\\{"),
            other => translated.push(other),
        }
    }
    Ok(translated)
}

/// `[...]` of POSIX: a backslash is itself, a bracket is itself but before `:`, `=` and `.`.
fn bracket(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    translated: &mut String,
) -> Result<(), String> {
    translated.push('[');
    if rest.next_if_eq(&'^').is_some() {
        translated.push('^');
    }
    if rest.next_if_eq(&']').is_some() {
        translated.push_str("\\]");
    }
    loop {
        match rest.next() {
            None => return Err("a bracket is never closed".to_owned()),
            Some(']') => break,
            Some('[') if matches!(rest.peek(), Some(':' | '=' | '.')) => {
                let Some(mark) = rest.next() else { continue };
                let name = class_name(rest, mark)?;
                match mark {
                    ':' if CLASSES.contains(&name.as_str()) => translated.extend(["[:", &name, ":]"]),
                    ':' => return Err(format!("there is no class of characters '{name}'")),
                    _ => name.chars().for_each(|character| push_literal(character, translated)),
                }
            }
            Some('-') => translated.push_str(if rest.peek() == Some(&']') { "\\-" } else { "-" }),
            Some(other) => push_literal(other, translated),
        }
    }
    translated.push(']');
    Ok(())
}

fn class_name(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, mark: char) -> Result<String, String> {
    let mut name = String::new();
    while let Some(character) = rest.next() {
        if character == mark && rest.next_if_eq(&']').is_some() {
            return Ok(name);
        }
        name.push(character);
    }
    Err("a class of characters is never closed".to_owned())
}

fn push_literal(character: char, translated: &mut String) {
    if character.is_ascii_punctuation() {
        translated.push('\\');
    }
    translated.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        let regex = compile(pattern.as_bytes(), true, 1 << 20).unwrap();
        assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} against {text}");
    }

    #[test]
    fn posix_expressions_mean_what_posix_says() {
        check("^[[:alpha:]]+$", "abc", true);
        check("^[[:digit:].]+$", "1.2", true);
        check("[]x]", "]", true);
        check("[^]x]$", "]", false);
        check("[a\\]", "\\", true);
        check("[[]", "[", true);
        check("^a{,2}$", "aa", true);
        check("a\\.b", "axb", false);
        check("a{", "a{", true);
        check("(frop|friep)", "a FRIEP b", true);
        check("[a-]", "-", true);
        check("[[.-.]a]", "-", true);
        check("a&&b|~~", "a&&b", true);
        check("[a&&b]", "&", true);
    }

    #[test]
    fn expressions_cost_what_their_states_do() {
        assert_eq!(cost(b"abc", 1 << 20), 16);
        assert_eq!(cost(b"a{3}", 1 << 20), 5 * 3 * 4);
        assert_eq!(cost(b"(a{1,20}){x}{,5}", 1 << 20), 17 * 20 * 5 * 4);
        assert_eq!(cost(b"((a{1,999}){1,999}){1,999}", 1 << 20), (1 << 20) / 32 * 4);
        assert_eq!(cost(b"", 0), 4);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for pattern in ["(a)\\1", "[a", "a\\", "(", "(?i)a", "[[:nonsense:]]"] {
            assert!(compile(pattern.as_bytes(), false, 1 << 20).is_err(), "{pattern}");
        }
        assert!(compile(b"((a{1,100}){1,100}){1,100}", false, 1 << 20).is_err());
    }
}
