//! The tag by which a client recognises the answer to its command (RFC 9051 §2.2.1).

use std::fmt;

/// A command's tag: 1 to 255 characters of an atom without `+`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tag(Box<str>);

impl Tag {
    /// Longest tag. The grammar knows no bound; clients use a dozen octets, and we repeat it in each answer.
    pub const OCTETS_MAX: usize = 255;

    /// Reads a tag; `None` for what is none.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let is_tag =
            (1..=Self::OCTETS_MAX).contains(&octets.len()) && octets.iter().copied().all(is_tag_octet);
        if !is_tag {
            return None;
        }
        std::str::from_utf8(octets).ok().map(|text| Self(text.into()))
    }

    /// The tag as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `tag = 1*<any ASTRING-CHAR except "+">`; ASTRING-CHAR allows `]`.
const fn is_tag_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_atoms_without_plus() {
        assert_eq!(Tag::parse(b"a.001]").unwrap().as_str(), "a.001]");
        for octets in [&b""[..], b"+", b"a+", b"*", b"a b", b"a{", b"\xc3\xa9", b"a\0"] {
            assert_eq!(Tag::parse(octets), None);
        }
    }

    #[test]
    fn long_tags_are_none() {
        assert!(Tag::parse(&[b'a'; Tag::OCTETS_MAX]).is_some());
        assert!(Tag::parse(&[b'a'; Tag::OCTETS_MAX + 1]).is_none());
    }
}
