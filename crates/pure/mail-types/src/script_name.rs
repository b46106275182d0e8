//! Names of Sieve scripts (RFC 5804 §1.6): UTF-8 as the client wrote it, told apart octet by octet.

use std::fmt;

/// Longest name in octets of UTF-8: RFC 5804 §1.6 asks for 128 characters, which take no more than this.
pub const SCRIPT_NAME_OCTETS_MAX: usize = 512;

/// Why a text names no script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScriptNameError {
    /// No name at all; the protocol uses it for "no script".
    #[error("a script's name is not empty")]
    Empty,
    /// Over 512 octets.
    #[error("a script's name has at most 512 octets")]
    TooLong,
    /// Control characters and separators of lines and paragraphs.
    #[error("a script's name has no control characters")]
    BadCharacter,
}

/// The name of a script.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptName(Box<str>);

impl ScriptName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`ScriptNameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, ScriptNameError> {
        if text.is_empty() {
            return Err(ScriptNameError::Empty);
        }
        if text.len() > SCRIPT_NAME_OCTETS_MAX {
            return Err(ScriptNameError::TooLong);
        }
        if text.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
            return Err(ScriptNameError::BadCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptName({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_written() {
        for text in ["a", "Main script.sieve", "fil\u{e9}", "../x", "\u{1f4ec}", " "] {
            assert_eq!(ScriptName::parse(text).unwrap().as_str(), text);
        }
        assert_ne!(ScriptName::parse("a"), ScriptName::parse("A"));
    }

    #[test]
    fn bad_names_are_refused() {
        assert_eq!(ScriptName::parse(""), Err(ScriptNameError::Empty));
        for text in ["a\0b", "a\r\nb", "a\tb", "\u{7f}", "\u{80}", "\u{9f}", "a\u{2028}", "\u{2029}"] {
            assert_eq!(ScriptName::parse(text), Err(ScriptNameError::BadCharacter), "{text:?}");
        }
        for (octets, fits) in [(511, true), (512, true), (513, false)] {
            assert_eq!(ScriptName::parse(&"a".repeat(octets)).is_ok(), fits, "{octets}");
        }
        let widest = "\u{10ffff}".repeat(128);
        assert!(ScriptName::parse(&widest).is_ok());
    }
}
