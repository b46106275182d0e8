//! Where a recipient's mail goes next: what connections, back-off and concurrency are counted by.

use std::fmt;
use std::net::Ipv4Addr;

use mail_types::{AddressLiteral, DomainName};

/// Longest key of a destination in octets: two names, a port and words.
pub const DESTINATION_KEY_OCTETS_MAX: usize = 640;

/// One way for mail to leave by. Equal destinations share connections.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Destination {
    /// The mail exchangers of a domain (RFC 5321 §5.1).
    Domain(DomainName),
    /// A host by its address, from `user@[192.0.2.1]`.
    Literal(AddressLiteral),
    /// A server that takes all mail, or some domains' (a smart host).
    Relay(Relay),
    /// A server that takes mail for good, over LMTP (RFC 2033).
    Lmtp(LmtpServer),
}

/// A server that relays for us.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Relay {
    /// Its name, which its certificate has to show, or its address.
    pub host: RelayHost,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: RelayTls,
    /// Under which name its user and password stand in the settings.
    pub credentials: Option<CredentialsName>,
}

/// The host of a [`Relay`] or an LMTP server: its own addresses are asked for, not mail exchangers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RelayHost {
    /// By name.
    Name(DomainName),
    /// By address.
    Address(AddressLiteral),
}

/// Protection of a connection to a relay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RelayTls {
    /// None.
    Plain,
    /// If it is offered, unverified (RFC 7435).
    Opportunistic,
    /// STARTTLS, verified.
    StartTls,
    /// From the first octet, verified (RFC 8314).
    Implicit,
}

/// The name of a credentials entry in the settings: 1 to 64 of `a-z 0-9 - _`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CredentialsName(Box<str>);

/// A server that speaks LMTP.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LmtpServer {
    /// Over TCP.
    Tcp {
        /// Where.
        host: RelayHost,
        /// Its port.
        port: u16,
    },
    /// Over a Unix socket: an absolute path of at most [`SOCKET_PATH_OCTETS_MAX`] octets.
    Unix(Box<str>),
}

/// Longest path of a Unix socket: what the system's address has room for.
pub const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// Longest [`CredentialsName`] in octets.
pub const CREDENTIALS_NAME_OCTETS_MAX: usize = 64;

impl CredentialsName {
    /// Checks a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_sound = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let fits = (1..=CREDENTIALS_NAME_OCTETS_MAX).contains(&text.len()) && text.bytes().all(is_sound);
        fits.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Destination {
    /// The destination as one text, in logs, in listings and in `queue.db`: equal for equal destinations only.
    #[must_use]
    pub fn key(&self) -> String {
        self.to_string()
    }

    /// Reads what [`Self::key`] wrote.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        if key.len() > DESTINATION_KEY_OCTETS_MAX {
            return None;
        }
        let Some((kind, rest)) = key.split_once(' ') else {
            return if key.starts_with('[') {
                AddressLiteral::parse(key).ok().map(Self::Literal)
            } else {
                DomainName::parse(key).ok().map(Self::Domain)
            };
        };
        match kind {
            "relay" => Relay::from_key(rest).map(Self::Relay),
            "lmtp" if rest.starts_with('/') => {
                (rest.len() <= SOCKET_PATH_OCTETS_MAX).then(|| Self::Lmtp(LmtpServer::Unix(rest.into())))
            }
            "lmtp" => {
                let (host, port) = host_and_port(rest)?;
                Some(Self::Lmtp(LmtpServer::Tcp { host, port }))
            }
            _ => None,
        }
    }
}

impl Relay {
    fn from_key(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (host, port) = host_and_port(words.next()?)?;
        let tls = RelayTls::from_word(words.next()?)?;
        let credentials = match words.next() {
            Some(name) => Some(CredentialsName::parse(name)?),
            None => None,
        };
        words.next().is_none().then_some(Self { host, port, tls, credentials })
    }
}

fn host_and_port(text: &str) -> Option<(RelayHost, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if host.starts_with('[') {
        RelayHost::Address(AddressLiteral::parse(host).ok()?)
    } else if let Ok(address) = host.parse::<Ipv4Addr>() {
        // People write it without the brackets, and no name looks like one (RFC 1123 §2.1).
        RelayHost::Address(AddressLiteral(address.into()))
    } else {
        RelayHost::Name(DomainName::parse(host).ok()?)
    };
    Some((host, port.parse().ok()?))
}

impl RelayTls {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Plain, "plain"),
        (Self::Opportunistic, "opportunistic"),
        (Self::StartTls, "starttls"),
        (Self::Implicit, "implicit"),
    ];

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == word).map(|(tls, _)| tls)
    }

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(tls, _)| *tls == self).map_or("plain", |(_, word)| word)
    }
}

impl fmt::Display for RelayHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => fmt::Display::fmt(name, f),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => fmt::Display::fmt(name, f),
            Self::Literal(address) => fmt::Display::fmt(address, f),
            Self::Relay(Relay { host, port, tls, credentials }) => {
                write!(f, "relay {host}:{port} {}", tls.word())?;
                credentials.as_ref().map_or(Ok(()), |name| write!(f, " {}", name.as_str()))
            }
            Self::Lmtp(LmtpServer::Tcp { host, port }) => write!(f, "lmtp {host}:{port}"),
            Self::Lmtp(LmtpServer::Unix(path)) => write!(f, "lmtp {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_read_back_from_their_keys() {
        for key in [
            "example.org",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
            "relay smtp.example.net:465 implicit main-1",
            "relay [IPv6:2001:db8::1]:25 opportunistic",
            "relay smtp.example.net:25 plain",
            "relay smtp.example.net:587 starttls a_b",
            "lmtp localhost:24",
            "lmtp [192.0.2.1]:24",
            "lmtp /run/lmtp socket",
        ] {
            let destination = Destination::from_key(key).unwrap();
            assert_eq!(destination.key(), key);
        }
    }

    #[test]
    fn an_address_needs_no_brackets() {
        for (text, key) in [
            ("lmtp 127.0.0.1:24", "lmtp [127.0.0.1]:24"),
            ("relay 192.0.2.1:25 plain", "relay [192.0.2.1]:25 plain"),
        ] {
            assert_eq!(Destination::from_key(text).unwrap().key(), key);
        }
    }

    #[test]
    fn other_texts_are_no_destinations() {
        for key in [
            "",
            " ",
            "a b",
            "relay x",
            "relay x:25",
            "relay x:25 tls",
            "relay x:70000 plain",
            "relay x:25 plain A",
            "relay x:25 plain a b",
            "lmtp ",
            "lmtp x",
            "[192.0.2.1",
        ] {
            assert_eq!(Destination::from_key(key), None, "{key:?}");
        }
    }

    #[test]
    fn names_and_paths_have_bounds() {
        let name = "a".repeat(CREDENTIALS_NAME_OCTETS_MAX);
        assert!(CredentialsName::parse(&name).is_some());
        assert_eq!(CredentialsName::parse(&format!("{name}a")), None);
        let path = format!("/{}", "a".repeat(SOCKET_PATH_OCTETS_MAX - 1));
        assert!(Destination::from_key(&format!("lmtp {path}")).is_some());
        assert_eq!(Destination::from_key(&format!("lmtp {path}a")), None);
        assert_eq!(Destination::from_key(&format!("lmtp /{}", "a".repeat(DESTINATION_KEY_OCTETS_MAX))), None);
    }
}
