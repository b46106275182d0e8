//! What a name can have: record types and their data (RFC 1035 §3.2.2 and its successors).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::name::Name;

/// The types of records that may be asked for, by their registered mnemonics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Dnskey,
    Ds,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Tlsa,
    Txt,
}

/// Every type with its mnemonic.
const MNEMONICS: [(RecordType, &str); 13] = [
    (RecordType::A, "A"),
    (RecordType::Aaaa, "AAAA"),
    (RecordType::Caa, "CAA"),
    (RecordType::Cname, "CNAME"),
    (RecordType::Dnskey, "DNSKEY"),
    (RecordType::Ds, "DS"),
    (RecordType::Mx, "MX"),
    (RecordType::Ns, "NS"),
    (RecordType::Ptr, "PTR"),
    (RecordType::Soa, "SOA"),
    (RecordType::Srv, "SRV"),
    (RecordType::Tlsa, "TLSA"),
    (RecordType::Txt, "TXT"),
];

impl RecordType {
    /// Every type that may be asked for.
    pub fn all() -> impl Iterator<Item = Self> {
        MNEMONICS.iter().map(|(kind, _)| *kind)
    }

    /// The registered mnemonic, in capitals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        MNEMONICS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, mnemonic)| mnemonic)
    }
}

/// A text that names no [`RecordType`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a record type we ask for: A, AAAA, CAA, CNAME, DNSKEY, DS, MX, NS, PTR, SOA, SRV, TLSA or TXT")]
pub struct UnknownType;

impl FromStr for RecordType {
    type Err = UnknownType;
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        MNEMONICS
            .iter()
            .find(|(_, mnemonic)| mnemonic.eq_ignore_ascii_case(text))
            .map(|(kind, _)| *kind)
            .ok_or(UnknownType)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mail exchanger (RFC 5321 §5.1). The root as `exchange` says that the domain takes no mail (RFC 7505 §3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailExchanger {
    /// Lower is tried first.
    pub preference: u16,
    /// The host.
    pub exchange: Name,
}

/// A TLSA record's four fields as they stand (RFC 6698 §2.1); which of them are usable the caller decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TlsaRecord {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE (RFC 7218 §2.1).
    pub usage: u8,
    /// 0 the certificate, 1 its public key (RFC 7218 §2.2).
    pub selector: u8,
    /// 0 the octets themselves, 1 SHA-256, 2 SHA-512 (RFC 7218 §2.3).
    pub matching: u8,
    /// What to compare with.
    pub data: Vec<u8>,
}

/// Where a service of a domain is (RFC 2782).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceHost {
    /// Lower is tried first.
    pub priority: u16,
    /// Share among those of equal priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root says that there is no such service.
    pub host: Name,
}

/// Who may issue certificates for a domain (RFC 8659 §4.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Authorization {
    /// Whoever does not understand the tag must not issue.
    pub is_critical: bool,
    /// `issue`, `issuewild`, `iodef` or another, in lower case.
    pub tag: String,
    /// What the tag says. Any octets.
    pub value: Vec<u8>,
}

/// One record's data.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RecordData {
    /// A or AAAA.
    Address(IpAddr),
    /// MX.
    Mx(MailExchanger),
    /// TXT: its character-strings joined, as SPF, DKIM and their kin read it (RFC 7208 §3.3). Any octets.
    Text(Vec<u8>),
    /// TLSA.
    Tlsa(TlsaRecord),
    /// SRV.
    Service(ServiceHost),
    /// CAA.
    Authorization(Authorization),
    /// CNAME, NS or PTR: another name.
    Name(RecordType, Name),
    /// DNSKEY, DS or SOA: the data in presentation form (RFC 1035 §5.1), for people.
    Other(RecordType, String),
}

impl RecordData {
    /// An IPv4 or IPv6 address.
    #[must_use]
    pub fn address(address: impl Into<IpAddr>) -> Self {
        Self::Address(address.into())
    }

    /// The type of record this is the data of.
    #[must_use]
    pub fn kind(&self) -> RecordType {
        match self {
            Self::Address(IpAddr::V4(_)) => RecordType::A,
            Self::Address(IpAddr::V6(_)) => RecordType::Aaaa,
            Self::Mx(_) => RecordType::Mx,
            Self::Text(_) => RecordType::Txt,
            Self::Tlsa(_) => RecordType::Tlsa,
            Self::Service(_) => RecordType::Srv,
            Self::Authorization(_) => RecordType::Caa,
            Self::Name(kind, _) | Self::Other(kind, _) => *kind,
        }
    }

    /// Octets this takes in memory, about.
    pub(crate) fn octets(&self) -> usize {
        let beyond = match self {
            Self::Address(_) => 0,
            Self::Mx(exchanger) => exchanger.exchange.as_str().len(),
            Self::Text(text) => text.len(),
            Self::Tlsa(tlsa) => tlsa.data.len(),
            Self::Service(service) => service.host.as_str().len(),
            Self::Authorization(authorization) => authorization.tag.len() + authorization.value.len(),
            Self::Name(_, name) => name.as_str().len(),
            Self::Other(_, text) => text.len(),
        };
        size_of::<Self>() + beyond
    }
}

impl fmt::Display for RecordData {
    /// In presentation form (RFC 1035 §5.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Mx(MailExchanger { preference, exchange }) => {
                write!(f, "{preference} {}", dotted(exchange))
            }
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::Tlsa(tlsa) => {
                write!(f, "{} {} {} ", tlsa.usage, tlsa.selector, tlsa.matching)?;
                tlsa.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Service(ServiceHost { priority, weight, port, host }) => {
                write!(f, "{priority} {weight} {port} {}", dotted(host))
            }
            Self::Authorization(Authorization { is_critical, tag, value }) => {
                write!(f, "{} {tag} \"{}\"", if *is_critical { 128 } else { 0 }, value.escape_ascii())
            }
            Self::Name(_, name) => f.write_str(&dotted(name)),
            Self::Other(_, text) => f.write_str(text),
        }
    }
}

/// A name with its final dot, as zone files have it.
fn dotted(name: &Name) -> String {
    if name.is_root() { ".".to_owned() } else { format!("{name}.") }
}

impl From<Ipv4Addr> for RecordData {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for RecordData {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_mnemonics() {
        for kind in RecordType::all() {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.as_str().to_ascii_lowercase().parse(), Ok(kind));
        }
        assert_eq!("ANY".parse::<RecordType>(), Err(UnknownType));
    }

    #[test]
    fn records_read_as_in_a_zone_file() {
        let name = |text: &str| Name::parse(text).unwrap();
        let mx = |exchange: &str| RecordData::Mx(MailExchanger { preference: 10, exchange: name(exchange) });
        assert_eq!(mx("mx.example.org").to_string(), "10 mx.example.org.");
        assert_eq!(mx(".").to_string(), "10 .");
        assert_eq!(RecordData::Text(b"v=spf1 \"-all\"\n".to_vec()).to_string(), r#""v=spf1 \"-all\"\n""#);
        let tlsa = TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![0xab, 0x01] };
        assert_eq!(RecordData::Tlsa(tlsa).to_string(), "3 1 1 ab01");
        assert_eq!(RecordData::from(Ipv4Addr::LOCALHOST).kind(), RecordType::A);
        assert_eq!(RecordData::from(Ipv6Addr::LOCALHOST).kind(), RecordType::Aaaa);
    }
}
