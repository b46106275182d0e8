//! Mail addresses and the paths of an envelope (RFC 5321 §4.1.2; RFC 6531 §3.3 for UTF-8).

use std::fmt;
use std::str::FromStr;

use crate::domain::{AddressLiteral, DomainError, DomainName};

/// Longest local part in octets that everybody takes (RFC 5321 §4.5.3.1.1): the most that names of ours have.
pub const LOCAL_PART_OCTETS_MAX: usize = 64;
/// Longest address with a longer local part: between its angle brackets it fills a path (RFC 5321 §4.5.3.1.3). List
/// servers that name the recipient in the sender, and forwarders that name both, write them.
pub const ADDRESS_OCTETS_MAX: usize = 256 - 2;

/// Why a text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// No `@` that parts a local part from a domain.
    #[error("an address is local-part@domain")]
    NoAt,
    /// The local part is empty or has characters that need quoting and lack it.
    #[error("the part before the @ is empty or badly quoted")]
    BadLocalPart,
    /// More octets than a path has, and more than [`LOCAL_PART_OCTETS_MAX`] before the `@`.
    #[error("an address has at most {ADDRESS_OCTETS_MAX} octets")]
    TooLong,
    /// The part after the `@`.
    #[error(transparent)]
    BadDomain(#[from] DomainError),
}

/// What stands after an address's `@`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AddressDomain {
    /// A domain name.
    Name(DomainName),
    /// An IP address in brackets.
    Literal(AddressLiteral),
}

/// `user@domain`. The local part is kept unquoted and in the case it came in; the domain is canonical.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local_part: Box<str>,
    domain: AddressDomain,
}

impl Address {
    /// Reads an address as typed or as it stands inside `<…>`: dot-string or quoted string, `@`, domain or literal.
    ///
    /// # Errors
    /// [`AddressError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = split(text)?;
        let local_part = read_local_part(local).ok_or(AddressError::BadLocalPart)?;
        let domain = if domain.starts_with('[') {
            AddressDomain::Literal(AddressLiteral::parse(domain)?)
        } else {
            AddressDomain::Name(DomainName::parse(domain)?)
        };
        Self::new(&local_part, domain)
    }

    /// An address from its parts; the local part unquoted.
    ///
    /// # Errors
    /// [`AddressError::BadLocalPart`] for an empty local part or control characters in it, [`AddressError::TooLong`].
    pub fn new(local_part: &str, domain: AddressDomain) -> Result<Self, AddressError> {
        if local_part.is_empty() || local_part.chars().any(char::is_control) {
            return Err(AddressError::BadLocalPart);
        }
        let address = Self { local_part: local_part.into(), domain };
        let fits = address.is_taken_everywhere() || address.octets() <= ADDRESS_OCTETS_MAX;
        fits.then_some(address).ok_or(AddressError::TooLong)
    }

    /// Whether the local part is no longer than every host has to take (RFC 5321 §4.5.3.1.1).
    #[must_use]
    pub fn is_taken_everywhere(&self) -> bool {
        self.local_part.len() <= LOCAL_PART_OCTETS_MAX
    }

    /// Octets of the whole, but for quotes.
    fn octets(&self) -> usize {
        let domain = match &self.domain {
            AddressDomain::Name(name) => name.as_str().len(),
            AddressDomain::Literal(literal) => literal.to_string().len(),
        };
        self.local_part.len() + 1 + domain
    }

    /// The local part without quotes, in the case it came in.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &AddressDomain {
        &self.domain
    }

    /// The domain name, where it is one.
    #[must_use]
    pub fn domain_name(&self) -> Option<&DomainName> {
        match &self.domain {
            AddressDomain::Name(name) => Some(name),
            AddressDomain::Literal(_) => None,
        }
    }

    /// Whether the address needs SMTPUTF8 on the wire (RFC 6531): its local part is not ASCII.
    #[must_use]
    pub fn is_international(&self) -> bool {
        !self.local_part.is_ascii()
    }

    /// The address with its local part in lower case: the form by which accounts and aliases are found.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        Self { local_part: self.local_part.to_lowercase().into(), domain: self.domain.clone() }
    }
}

/// Parts at the last `@` outside a quoted string.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    let at = if text.starts_with('"') {
        closing_quote(text).filter(|&at| text.as_bytes().get(at) == Some(&b'@'))
    } else {
        text.rfind('@')
    };
    let at = at.ok_or(AddressError::NoAt)?;
    Ok((&text[..at], &text[at + 1..]))
}

/// The index just behind the quoted string that `text` starts with.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, octet) in text.bytes().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn read_local_part(text: &str) -> Option<String> {
    let local = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => unquote(quoted)?,
        None if is_dot_string(text) => text.to_owned(),
        None => return None,
    };
    (!local.is_empty()).then_some(local)
}

fn unquote(quoted: &str) -> Option<String> {
    let mut local = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        let char = if char == '\\' { chars.next()? } else { char };
        if char.is_control() {
            return None;
        }
        local.push(char);
    }
    Some(local)
}

/// Dot-string of RFC 5321 §4.1.2, but with stray dots allowed: real addresses have them (`first..last@`, `name.@`).
fn is_dot_string(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| is_atom_char(char) || char == '.')
}

/// An `atext` of RFC 5322 §3.2.3, or any UTF-8 beyond ASCII (RFC 6531 §3.3).
fn is_atom_char(char: char) -> bool {
    if char.is_ascii() {
        char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char)
    } else {
        !char.is_control() && !char.is_whitespace()
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local_part) {
            f.write_str(&self.local_part)?;
        } else {
            f.write_str("\"")?;
            for char in self.local_part.chars() {
                if matches!(char, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{char}")?;
            }
            f.write_str("\"")?;
        }
        match &self.domain {
            AddressDomain::Name(name) => write!(f, "@{name}"),
            AddressDomain::Literal(literal) => write!(f, "@{literal}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Who a message came from, on the envelope (RFC 5321 §3.3): every match must say what a bounce does (§4.5.5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReversePath {
    /// `<>`: a report about mail, never to be answered by another.
    Null,
    /// A sender who can be told.
    Address(Address),
}

impl fmt::Display for ReversePath {
    /// Without the angle brackets: empty for the null path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// Whom a message goes to, on the envelope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain: the server's own (RFC 5321 §4.5.1).
    Postmaster,
    /// An address.
    Address(Address),
}

impl fmt::Display for ForwardPath {
    /// Without the angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("Postmaster"),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in [
            "ann@example.org",
            "\"ann smith\"@example.org",
            "\"a\\\"b\\\\c\"@example.org",
            "\"a@b\"@example.org",
            "ann@[192.0.2.1]",
            "ann@[IPv6:2001:db8::1]",
            "jürgen@example.org",
            "first..last@example.org",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("\"ann\"@example.org").unwrap().to_string(), "ann@example.org");
    }

    #[test]
    fn an_address_fills_a_path_and_no_more() {
        let local_part = ADDRESS_OCTETS_MAX - "@example.org".len();
        for (octets, fits) in [(local_part - 1, true), (local_part, true), (local_part + 1, false)] {
            for (text, domain) in [
                (format!("{}@example.org", "a".repeat(octets)), "example.org"),
                // Quotes do not count: what they protect may be written with more of them or fewer.
                (format!("\"{}\"@example.org", "a".repeat(octets)), "example.org"),
                (format!("{}@[192.0.2.1]", "a".repeat(octets)), "[192.0.2.1]"),
            ] {
                assert_eq!(domain.len(), "example.org".len());
                let read = Address::parse(&text);
                assert_eq!(read.is_ok(), fits, "{text}");
                assert!(fits || read == Err(AddressError::TooLong), "{text}");
            }
        }
    }

    #[test]
    fn the_longest_local_part_that_everybody_takes_goes_with_every_domain() {
        let label = "x".repeat(62);
        let domain = format!("{label}x.{label}.{label}.{label}x");
        assert_eq!(domain.len(), crate::DOMAIN_OCTETS_MAX);
        for octets in [LOCAL_PART_OCTETS_MAX - 1, LOCAL_PART_OCTETS_MAX, LOCAL_PART_OCTETS_MAX + 1] {
            let read = Address::parse(&format!("{}@{domain}", "a".repeat(octets)));
            assert_eq!(read.is_ok(), octets <= LOCAL_PART_OCTETS_MAX);
            let short = Address::parse(&format!("{}@example.org", "a".repeat(octets))).unwrap();
            assert_eq!(short.is_taken_everywhere(), octets <= LOCAL_PART_OCTETS_MAX);
        }
    }

    #[test]
    fn bad_addresses_are_refused() {
        for text in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "a b@example.org",
            "\"a@example.org",
            "a\r\n@example.org",
            "\"a\r\n\"@example.org",
            "<a@example.org>",
            "a@b@example.org",
            "\"\"@example.org",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }
}
