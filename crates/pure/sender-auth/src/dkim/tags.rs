//! Tag lists, `name=value; name=value`: what signatures, seals and key records are written in (RFC 6376 §3.2).

use std::ops::Range;

use crate::dkim::Fault;

/// Most tags of one list; RFC 6376 and 8617 together know fewer than twenty.
pub(crate) const TAGS_MAX: usize = 64;

/// One tag as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a [u8],
    /// Without the blanks around it.
    pub(crate) value: &'a [u8],
    /// Where everything between `=` and `;` stands in the list, blanks included.
    pub(crate) span: Range<usize>,
}

/// A tag list. No name stands there twice.
#[derive(Clone, Debug)]
pub(crate) struct Tags<'a>(Vec<Tag<'a>>);

impl<'a> Tags<'a> {
    /// Reads a list with its folds.
    pub(crate) fn parse(list: &'a [u8]) -> Result<Self, Fault> {
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut start = 0;
        while let Some(rest) = list.get(start..).filter(|rest| !rest.is_empty()) {
            let octets = memchr::memchr(b';', rest).unwrap_or(rest.len());
            let spec = rest.get(..octets).unwrap_or(rest);
            let is_last = octets == rest.len();
            if is_last && spec.trim_ascii().is_empty() {
                // Only the last `;` may have nothing behind it.
                break;
            }
            let tag = parse_tag(spec, start)?;
            if tags.iter().any(|other| other.name == tag.name) {
                return Err(Fault::DuplicateTag);
            }
            if tags.len() == TAGS_MAX {
                return Err(Fault::TooLong);
            }
            tags.push(tag);
            start += octets + 1;
        }
        if tags.is_empty() { Err(Fault::Malformed) } else { Ok(Self(tags)) }
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.0.iter().find(|tag| tag.name == name.as_bytes())
    }

    /// A tag's value.
    pub(crate) fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.tag(name).map(|tag| tag.value)
    }

    /// The value of a tag that has to be there, with something in it.
    pub(crate) fn require(&self, name: &'static str) -> Result<&'a [u8], Fault> {
        match self.find(name) {
            Some([]) => Err(Fault::BadTag(name)),
            Some(value) => Ok(value),
            None => Err(Fault::MissingTag(name)),
        }
    }

    pub(crate) fn is_first(&self, name: &str) -> bool {
        self.0.first().is_some_and(|tag| tag.name == name.as_bytes())
    }
}

fn parse_tag(spec: &[u8], start: usize) -> Result<Tag<'_>, Fault> {
    let equals = memchr::memchr(b'=', spec).ok_or(Fault::Malformed)?;
    let (name, value) = spec.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    let name = name.trim_ascii();
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'_');
    // RFC 8616 §4 adds UTF-8 to what a value may have.
    let is_value =
        value.iter().all(|octet| !octet.is_ascii_control() || matches!(octet, b'\r' | b'\n' | b'\t'));
    if !is_name || !is_value {
        return Err(Fault::Malformed);
    }
    Ok(Tag { name, value: value.trim_ascii(), span: start + equals + 1..start + spec.len() })
}

/// The entries of a list with colons, blanks around them removed (RFC 6376 §3.5, `h=`, `q=`; §3.6.1).
pub(crate) fn colon_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b':').map(<[u8]>::trim_ascii)
}

/// A decimal number of at most 76 digits (RFC 6376 §3.5, `l=`); one that u64 cannot hold is its greatest.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    /// More digits than this are no number.
    const DIGITS_MAX: usize = 76;
    if value.is_empty() || value.len() > DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        value
            .iter()
            .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart() {
        let list = b" v=1; a =\r\n rsa-sha256 ;b=; c= x y\t;";
        let tags = Tags::parse(list).unwrap();
        assert_eq!(tags.find("v"), Some(&b"1"[..]));
        assert_eq!(tags.find("a"), Some(&b"rsa-sha256"[..]));
        assert_eq!(tags.find("b"), Some(&b""[..]));
        assert_eq!(tags.find("c"), Some(&b"x y"[..]));
        assert_eq!(tags.find("A"), None);
        assert_eq!(list[tags.tag("a").unwrap().span.clone()], b"\r\n rsa-sha256 "[..]);
        assert!(tags.is_first("v"));
        assert_eq!(tags.require("b"), Err(Fault::BadTag("b")));
        assert_eq!(tags.require("d"), Err(Fault::MissingTag("d")));
    }

    #[test]
    fn broken_lists_are_refused() {
        for list in ["", " ", ";", "a", "a=1;;b=2", "=1", "1a=2", "a b=1", "a=\0", "a=1;b", ";a=1"] {
            assert_eq!(Tags::parse(list.as_bytes()).unwrap_err(), Fault::Malformed, "{list:?}");
        }
        assert_eq!(Tags::parse(b"a=1; b=2; a=1").unwrap_err(), Fault::DuplicateTag);
        assert!(Tags::parse(b"a=1; A=1; \r\n\t").is_ok());
    }

    #[test]
    fn tags_are_counted() {
        let list = |tags: usize| (0..tags).map(|tag| format!("t{tag}=1;")).collect::<String>();
        for tags in [TAGS_MAX - 1, TAGS_MAX] {
            assert!(Tags::parse(list(tags).as_bytes()).is_ok());
        }
        assert_eq!(Tags::parse(list(TAGS_MAX + 1).as_bytes()).unwrap_err(), Fault::TooLong);
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"12345"), Some(12_345));
        assert_eq!(number("9".repeat(76).as_bytes()), Some(u64::MAX));
        for text in [&b""[..], b"-1", b"1 2", b"x", "9".repeat(77).as_bytes()] {
            assert_eq!(number(text), None);
        }
    }
}
