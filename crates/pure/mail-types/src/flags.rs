//! Flags and keywords of messages (RFC 9051 §2.3.2).

use std::fmt;

/// A flag that the standard defines, one bit each in stored sets: never renumber.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`
    Seen = 1,
    /// `\Answered`
    Answered = 2,
    /// `\Flagged`
    Flagged = 4,
    /// `\Deleted`
    Deleted = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// Every system flag, in the order we show them.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    /// The name on the wire, with its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
        }
    }

    /// Reads a name with its backslash, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.name().eq_ignore_ascii_case(name))
    }
}

/// How many different keywords one mailbox can hold: the bits of a [`KeywordSet`].
pub const KEYWORDS_MAX: usize = 128;
/// Longest keyword in octets: generous beside what clients use, and bounded.
const KEYWORD_OCTETS_MAX: usize = 255;

/// Why a text is no keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeywordError {
    /// Empty or longer than 255 octets.
    #[error("a keyword has 1 to 255 octets")]
    BadLength,
    /// A character that no atom has (RFC 9051 §9 flag-keyword).
    #[error("a keyword has no spaces, brackets, quotes, wildcards or control characters")]
    BadCharacter,
}

/// A flag that a client or person named: `$Junk`, `$Forwarded`, `NonJunk`. Compared without regard to case.
#[derive(Clone, Debug)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// Reads an atom (RFC 9051 §9 `flag-keyword = atom`).
    ///
    /// # Errors
    /// [`KeywordError`] for what is no atom.
    pub fn parse(text: &str) -> Result<Self, KeywordError> {
        if text.is_empty() || text.len() > KEYWORD_OCTETS_MAX {
            return Err(KeywordError::BadLength);
        }
        let is_atom = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet);
        if text.bytes().all(is_atom) { Ok(Self(text.into())) } else { Err(KeywordError::BadCharacter) }
    }

    /// The name in the case it was first given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}
impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of a mailbox's keywords a message has, by their numbers in that mailbox's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct KeywordSet(pub u128);

/// A message's flags: system flags and keyword numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags {
    /// Bits of [`SystemFlag`].
    pub system: u8,
    /// Numbers in the mailbox's keyword table.
    pub keywords: KeywordSet,
}

impl Flags {
    /// No flags at all.
    pub const NONE: Self = Self { system: 0, keywords: KeywordSet(0) };

    /// Whether the system flag is set.
    #[must_use]
    pub const fn has(self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// These flags and one more.
    #[must_use]
    pub const fn with(mut self, flag: SystemFlag) -> Self {
        self.system |= flag as u8;
        self
    }

    /// All flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { system: self.system | other.system, keywords: KeywordSet(self.keywords.0 | other.keywords.0) }
    }

    /// These flags but for the other's.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self {
            system: self.system & !other.system,
            keywords: KeywordSet(self.keywords.0 & !other.keywords.0),
        }
    }
}

impl KeywordSet {
    /// Whether the keyword with this number is in the set; numbers from [`KEYWORDS_MAX`] on never are.
    #[must_use]
    pub const fn contains(self, number: usize) -> bool {
        number < KEYWORDS_MAX && self.0 & (1 << number) != 0
    }

    /// The numbers in the set, ascending.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        // One step for each keyword that is set: most messages have none, and lists of messages ask a hundred thousand times.
        let mut left = self.0;
        std::iter::from_fn(move || {
            let number = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_atoms_without_case() {
        assert_eq!(Keyword::parse("$Junk").unwrap(), Keyword::parse("$JUNK").unwrap());
        for text in ["", "a b", "a(b", "\\Seen", "a]", "ü", "a%", "a*", "a\"b"] {
            assert!(Keyword::parse(text).is_err(), "{text}");
        }
        assert!(Keyword::parse(&"a".repeat(255)).is_ok());
        assert!(Keyword::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn system_flags_are_known_in_any_case() {
        assert_eq!(SystemFlag::parse("\\sEEN"), Some(SystemFlag::Seen));
        assert_eq!(SystemFlag::parse("\\Recent"), None);
    }

    #[test]
    fn flags_join_and_part() {
        let flags =
            Flags::NONE.with(SystemFlag::Seen).union(Flags { system: 0, keywords: KeywordSet(0b101) });
        assert!(flags.has(SystemFlag::Seen));
        assert_eq!(flags.keywords.numbers().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(flags.without(Flags::NONE.with(SystemFlag::Seen)).system, 0);
        assert!(!flags.keywords.contains(KEYWORDS_MAX));
        let all = KeywordSet(u128::MAX);
        assert!(all.numbers().eq(0..KEYWORDS_MAX));
        assert_eq!(KeywordSet::default().numbers().next(), None);
    }
}
