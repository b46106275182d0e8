//! Domain names and address literals (RFC 5321 §4.1.2, §4.1.3; RFC 5890 for internationalised names).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest domain name in octets, written with dots and without the final one (RFC 5321 §4.5.3.1.2, RFC 1035 §2.3.4).
pub const DOMAIN_OCTETS_MAX: usize = 253;
/// Longest label in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// Why a text is no domain name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DomainError {
    /// Nothing there, or a label with nothing in it.
    #[error("a domain name has no empty parts")]
    Empty,
    /// Longer than DNS can carry.
    #[error("a domain name is at most 253 octets, each part at most 63")]
    TooLong,
    /// A character that no host name has.
    #[error("a domain name has letters, digits and hyphens, no hyphen first or last in a part")]
    BadCharacter,
    /// Not a valid internationalised name (RFC 5891).
    #[error("not a valid internationalised domain name")]
    BadInternational,
    /// Not an address literal of RFC 5321 §4.1.3.
    #[error("not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]")]
    BadLiteral,
}

/// Any DNS name of a mail domain or host: lower-case A-labels, no final dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Reads a name typed or received in either form, U-labels included.
    ///
    /// # Errors
    /// [`DomainError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_ascii() {
            check_ascii(text)?;
            let name = text.to_ascii_lowercase();
            if name.split('.').any(|label| label.starts_with("xn--"))
                && idna::domain_to_unicode(&name).1.is_err()
            {
                return Err(DomainError::BadInternational);
            }
            return Ok(Self(name.into()));
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError::BadInternational)?;
        check_ascii(&ascii)?;
        Ok(Self(ascii.into()))
    }

    /// The name in A-labels, as it goes on the wire and into DNS.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people read it, with U-labels.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }
}

fn check_ascii(text: &str) -> Result<(), DomainError> {
    if text.len() > DOMAIN_OCTETS_MAX {
        return Err(DomainError::TooLong);
    }
    for label in text.split('.') {
        check_label(label.as_bytes())?;
    }
    Ok(())
}

fn check_label(label: &[u8]) -> Result<(), DomainError> {
    match label {
        [] => Err(DomainError::Empty),
        [b'-', ..] | [.., b'-'] => Err(DomainError::BadCharacter),
        _ if label.len() > LABEL_OCTETS_MAX => Err(DomainError::TooLong),
        // Underscores are no host name's, but real hosts greet with them; refusing such mail helps nobody.
        _ if label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) => {
            Ok(())
        }
        _ => Err(DomainError::BadCharacter),
    }
}

impl FromStr for DomainName {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainName({})", self.0)
    }
}

/// An IP address where a domain may stand: `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AddressLiteral(pub IpAddr);

impl AddressLiteral {
    /// Reads a literal with its brackets.
    ///
    /// # Errors
    /// [`DomainError::BadLiteral`] for anything else; general address literals have no use and are refused.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let inner =
            text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(DomainError::BadLiteral)?;
        let tagged =
            inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|_| inner.get(5..));
        let address = match tagged {
            Some(six) => six.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        };
        address.map(Self).ok_or(DomainError::BadLiteral)
    }
}

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(four) => write!(f, "[{four}]"),
            IpAddr::V6(six) => write!(f, "[IPv6:{six}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_one_form() {
        assert_eq!(DomainName::parse("Example.ORG.").unwrap().as_str(), "example.org");
        assert_eq!(DomainName::parse("bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        assert_eq!(DomainName::parse("xn--bcher-kva.example").unwrap().to_unicode(), "bücher.example");
    }

    #[test]
    fn bad_names_are_refused() {
        let label = "a".repeat(63);
        assert!(DomainName::parse(&label).is_ok());
        assert_eq!(DomainName::parse(&format!("{label}a")), Err(DomainError::TooLong));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), DOMAIN_OCTETS_MAX);
        assert!(DomainName::parse(&longest).is_ok());
        assert_eq!(DomainName::parse(&format!("{longest}a")), Err(DomainError::TooLong));
        for text in ["", ".", "a..b", "-a.b", "a-.b", "a b", "a\0b", "[1.2.3.4]", "xn--a"] {
            assert!(DomainName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn literals_read_back_as_written() {
        for text in ["[192.0.2.1]", "[IPv6:2001:db8::1]"] {
            assert_eq!(AddressLiteral::parse(text).unwrap().to_string(), text);
        }
        for text in ["192.0.2.1", "[2001:db8::1]", "[x-tag:1]", "[]", "[é]"] {
            assert!(AddressLiteral::parse(text).is_err(), "{text}");
        }
    }
}
