//! DNS names as this crate takes and gives them (RFC 1035 §2.3, §3.1): lower case, no final dot, the root is `.`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest name in octets, written with dots and without the final one (RFC 1035 §2.3.4: 255 on the wire).
pub const NAME_OCTETS_MAX: usize = 253;
/// Longest label in octets (RFC 1035 §2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;

/// A DNS name: lower case, no final dot. Any printable ASCII may stand in a label but a dot, a backslash and blanks:
/// names with such octets exist on the wire, and are never needed to send mail or to serve it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is no DNS name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// An empty text or an empty label.
    #[error("a DNS name has no empty parts")]
    Empty,
    /// Longer than [`NAME_OCTETS_MAX`], or a label longer than [`LABEL_OCTETS_MAX`].
    #[error("a DNS name is at most 253 octets, each part at most 63")]
    TooLong,
    /// An octet that is not printable ASCII, or a backslash.
    #[error("a DNS name here has printable ASCII only; write international names in A-labels")]
    BadCharacter,
}

impl Name {
    /// Reads a name, with or without its final dot; `.` is the root. Names are always taken as complete: there are no
    /// search domains.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > NAME_OCTETS_MAX {
            return Err(NameError::TooLong);
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameError::Empty);
            }
            if label.len() > LABEL_OCTETS_MAX {
                return Err(NameError::TooLong);
            }
            if !label.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\') {
                return Err(NameError::BadCharacter);
            }
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The root of all names, written `.`.
    #[must_use]
    pub fn root() -> Self {
        Self(".".into())
    }

    /// Whether this is the root: what a null MX names (RFC 7505 §3).
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "."
    }

    /// The name in lower case without a final dot; the root is `.`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which an address's host name is found (RFC 1035 §3.5, RFC 3596 §2.5).
    #[must_use]
    pub fn reverse(address: IpAddr) -> Self {
        let text = match address.to_canonical() {
            IpAddr::V4(four) => {
                let [a, b, c, d] = four.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(six) => {
                let mut text = String::with_capacity(72);
                for octet in six.octets().iter().rev() {
                    text.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
                }
                text + "ip6.arpa"
            }
        };
        Self(text.into())
    }

    /// The name of the TLSA records of a TCP port of a host (RFC 6698 §3).
    ///
    /// # Errors
    /// [`NameError::TooLong`] when the host's name leaves no room for the prefix.
    pub fn tlsa(port: u16, host: &Self) -> Result<Self, NameError> {
        Self::parse(&format!("_{port}._tcp.{host}"))
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        assert_eq!(Name::parse("MX.Example.ORG.").unwrap().as_str(), "mx.example.org");
        assert_eq!(Name::parse("_25._tcp.mx.example.org").unwrap().as_str(), "_25._tcp.mx.example.org");
        assert!(Name::parse(".").unwrap().is_root());
    }

    #[test]
    fn what_dns_cannot_carry_is_refused() {
        for (text, error) in [
            ("", NameError::Empty),
            ("..", NameError::Empty),
            (".org", NameError::Empty),
            ("a..org", NameError::Empty),
            ("a b.org", NameError::BadCharacter),
            ("a\\.org", NameError::BadCharacter),
            ("münchen.example", NameError::BadCharacter),
            ("a\0.org", NameError::BadCharacter),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn labels_and_names_have_their_longest() {
        let label = |octets: usize| "a".repeat(octets);
        assert!(Name::parse(&label(LABEL_OCTETS_MAX - 1)).is_ok());
        assert!(Name::parse(&label(LABEL_OCTETS_MAX)).is_ok());
        assert_eq!(Name::parse(&label(LABEL_OCTETS_MAX + 1)), Err(NameError::TooLong));
        let name = |octets: usize| {
            let mut text = "a.".repeat(NAME_OCTETS_MAX / 2 + 2);
            text.truncate(octets - 1);
            text.replace("..", ".a") + "b"
        };
        for (octets, fits) in
            [(NAME_OCTETS_MAX - 1, true), (NAME_OCTETS_MAX, true), (NAME_OCTETS_MAX + 1, false)]
        {
            let text = name(octets);
            assert_eq!(text.len(), octets);
            assert_eq!(Name::parse(&text).is_ok(), fits, "{octets}");
        }
    }

    #[test]
    fn addresses_are_looked_up_backwards() {
        let reverse = |text: &str| Name::reverse(text.parse().unwrap()).to_string();
        assert_eq!(reverse("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(reverse("::ffff:192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(
            reverse("2001:db8::567:89ab"),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
