//! One rule that fired: its name, what it weighs, and why in words for people.

use std::borrow::Cow;

/// Octets of a rule's name; what is behind them is cut off. SpamAssassin's longest has 40.
pub const HIT_NAME_OCTETS_MAX: usize = 64;

/// Octets of a hit's words; what is behind them is cut off.
pub const HIT_WORDS_OCTETS_MAX: usize = 200;

/// No rule weighs more than this, either way: what decides by itself decides, and the sum stays a number.
pub const POINTS_MAX: f32 = 1_000.0;

/// A rule that fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    name: Cow<'static, str>,
    points: f32,
    words: String,
}

impl Hit {
    /// A hit within bounds: a name of letters, digits and `_`, finite points, words without control characters.
    pub fn new(name: &str, points: f32, words: &str) -> Hit {
        Hit { name: Cow::Owned(rule_name(name)), points: bounded(points), words: plain(words) }
    }

    /// The same of a name that the catalogue has.
    pub(crate) fn of_catalogue(name: &'static str, points: f32, words: &str) -> Hit {
        Hit { name: Cow::Borrowed(name), points: bounded(points), words: plain(words) }
    }

    /// The rule's name, in capitals: letters, digits and `_`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it weighs: above zero speaks for unwanted.
    pub fn points(&self) -> f32 {
        self.points
    }

    /// Why it fired, for people; may be empty.
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// Anything that asks for points has some within bounds; what is no number weighs nothing.
pub(crate) fn bounded(points: f32) -> f32 {
    if points.is_finite() { points.clamp(-POINTS_MAX, POINTS_MAX) } else { 0.0 }
}

/// A name as it may stand in a header field, whatever was given.
pub(crate) fn rule_name(name: &str) -> String {
    let name = name.get(..name.floor_char_boundary(HIT_NAME_OCTETS_MAX)).unwrap_or_default();
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
    if name.is_empty() { "UNNAMED".to_owned() } else { name.chars().map(kept).collect() }
}

/// Words of strangers are shown to people and written into header fields: no control characters, no marks of direction, not long.
pub(crate) fn plain(words: &str) -> String {
    let mut plain = String::with_capacity(words.len().min(HIT_WORDS_OCTETS_MAX));
    for c in words.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        let is_hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if is_hidden || (c == ' ' && (plain.is_empty() || plain.ends_with(' '))) {
            continue;
        }
        if plain.len() + c.len_utf8() > HIT_WORDS_OCTETS_MAX {
            break;
        }
        plain.push(c);
    }
    plain.truncate(plain.trim_end().len());
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_given_may_stand_in_a_field() {
        let hit = Hit::new("x\r\nBcc: é", f32::NAN, " a\r\nBcc: b\u{202e}\u{7}  c ");
        assert_eq!((hit.name(), hit.points(), hit.words()), ("X__BCC___", 0.0, "a Bcc: b c"));
        assert_eq!(Hit::new("", 1e9, "").points(), POINTS_MAX);
    }

    #[test]
    fn names_and_words_are_bounded() {
        for (octets, kept) in [
            (HIT_NAME_OCTETS_MAX - 1, HIT_NAME_OCTETS_MAX - 1),
            (HIT_NAME_OCTETS_MAX, HIT_NAME_OCTETS_MAX),
            (HIT_NAME_OCTETS_MAX + 1, HIT_NAME_OCTETS_MAX),
        ] {
            assert_eq!(Hit::new(&"A".repeat(octets), 1.0, "").name().len(), kept);
        }
        for (octets, kept) in [
            (HIT_WORDS_OCTETS_MAX - 1, HIT_WORDS_OCTETS_MAX - 1),
            (HIT_WORDS_OCTETS_MAX, HIT_WORDS_OCTETS_MAX),
            (HIT_WORDS_OCTETS_MAX + 1, HIT_WORDS_OCTETS_MAX),
        ] {
            assert_eq!(Hit::new("A", 1.0, &"w".repeat(octets)).words().len(), kept);
        }
    }
}
