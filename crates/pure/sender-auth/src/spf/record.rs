//! SPF records: their grammar (RFC 7208 §4.5, §4.6.1, §5, §6, §12) as types.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::macro_string::{DomainSpec, MacroError, MacroString};

/// Longest record that is read. RFC 7208 §3.4 wants them to fit into 512 octets; the longest that anybody needs, with
/// all addresses of a large sender written out, have some 4,000. A record is read again for each answer that its check waited for.
pub const RECORD_OCTETS_MAX: usize = 16_384;
/// How much of a term is repeated where it is told what is wrong with it.
pub(super) const TERM_SHOWN_OCTETS_MAX: usize = 100;

/// A record. Its mechanisms stand in their order; where modifiers stand makes no difference (RFC 7208 §6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// What is tried, one after the other.
    pub directives: Vec<Directive>,
    /// Whose record decides where no mechanism matched.
    pub redirect: Option<DomainSpec>,
    /// Where the explanation of a `fail` is found.
    pub explanation: Option<DomainSpec>,
}

/// A mechanism and what it means if it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// What has to match.
    pub mechanism: Mechanism,
}

/// What a match means (RFC 7208 §4.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Qualifier {
    /// `+`, or none.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// What has to match (RFC 7208 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// Always matches.
    All,
    /// Matches where another domain's record says pass.
    Include(DomainSpec),
    /// The addresses of a name; of the domain itself if there is none.
    A(Option<DomainSpec>, DualPrefix),
    /// The addresses of a name's mail exchangers.
    Mx(Option<DomainSpec>, DualPrefix),
    /// Names that the client's address gives itself, below a name.
    Ptr(Option<DomainSpec>),
    /// An IPv4 network.
    Ip4(Ipv4Addr, u8),
    /// An IPv6 network.
    Ip6(Ipv6Addr, u8),
    /// Matches where a name has an IPv4 address.
    Exists(DomainSpec),
}

/// How many leading bits of an address count, for each of the families (`dual-cidr-length`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DualPrefix {
    /// Of IPv4 addresses, 0 to 32.
    pub four: u8,
    /// Of IPv6 addresses, 0 to 128.
    pub six: u8,
}

impl Default for DualPrefix {
    fn default() -> Self {
        Self { four: 32, six: 128 }
    }
}

impl DualPrefix {
    /// Whether two addresses of one family begin alike.
    #[must_use]
    pub fn covers(self, network: IpAddr, address: IpAddr) -> bool {
        match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => covers_four(network, self.four, address),
            (IpAddr::V6(network), IpAddr::V6(address)) => covers_six(network, self.six, address),
            _ => false,
        }
    }
}

fn covers_four(network: Ipv4Addr, prefix: u8, address: Ipv4Addr) -> bool {
    let ignored = 32_u32.saturating_sub(u32::from(prefix));
    let shifted = |address: Ipv4Addr| u32::from(address).checked_shr(ignored);
    shifted(network) == shifted(address)
}

fn covers_six(network: Ipv6Addr, prefix: u8, address: Ipv6Addr) -> bool {
    let ignored = 128_u32.saturating_sub(u32::from(prefix));
    let shifted = |address: Ipv6Addr| u128::from(address).checked_shr(ignored);
    shifted(network) == shifted(address)
}

/// What is wrong with a record: its domain's owner has to mend it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// A character that is not ASCII.
    #[error("the record has characters that are not ASCII")]
    NotAscii,
    /// Beyond [`RECORD_OCTETS_MAX`].
    #[error("the record is longer than {RECORD_OCTETS_MAX} octets")]
    TooLong,
    /// Not a term, or one with a wrong argument.
    #[error("bad term \"{0}\"")]
    BadTerm(String),
    /// `redirect` or `exp` more than once.
    #[error("{0} stands there twice")]
    Twice(&'static str),
}

/// Whether a text is an SPF record: `v=spf1`, then a blank or nothing (RFC 7208 §4.5).
#[must_use]
pub fn is_record(text: &[u8]) -> bool {
    terms_of(text).is_some()
}

/// What stands behind the version.
fn terms_of(text: &[u8]) -> Option<&[u8]> {
    let (version, terms) = text.split_at_checked(b"v=spf1".len())?;
    let ends = matches!(terms, [] | [b' ', ..]);
    (version.eq_ignore_ascii_case(b"v=spf1") && ends).then_some(terms)
}

impl Record {
    /// Reads a record that [`is_record`]. Errors anywhere in it make all of it void (RFC 7208 §4.6).
    ///
    /// # Errors
    /// [`RecordError`] says what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        if text.len() > RECORD_OCTETS_MAX {
            return Err(RecordError::TooLong);
        }
        let bad_version = || RecordError::BadTerm(shown(&String::from_utf8_lossy(text)));
        let terms = terms_of(text).ok_or_else(bad_version)?;
        let terms =
            std::str::from_utf8(terms).ok().filter(|terms| terms.is_ascii()).ok_or(RecordError::NotAscii)?;
        let mut record = Self::default();
        for term in terms.split(' ').filter(|term| !term.is_empty()) {
            match modifier_name(term) {
                Some((name, value)) => record.add_modifier(name, value, term)?,
                None => {
                    let directive =
                        Directive::parse(term).ok_or_else(|| RecordError::BadTerm(shown(term)))?;
                    record.directives.push(directive);
                }
            }
        }
        Ok(record)
    }

    fn add_modifier(&mut self, name: &str, value: &str, term: &str) -> Result<(), RecordError> {
        let bad = |_: MacroError| RecordError::BadTerm(shown(term));
        let (place, name) = if name.eq_ignore_ascii_case("redirect") {
            (&mut self.redirect, "redirect=")
        } else if name.eq_ignore_ascii_case("exp") {
            (&mut self.explanation, "exp=")
        } else {
            // RFC 7208 §6: unknown ones mean nothing, but must be macro strings.
            return MacroString::parse(value).map(drop).map_err(bad);
        };
        match place.replace(DomainSpec::parse(value).map_err(bad)?) {
            None => Ok(()),
            Some(_) => Err(RecordError::Twice(name)),
        }
    }
}

/// A term as it may be shown: short and printable.
pub(super) fn shown(term: &str) -> String {
    let end = term.floor_char_boundary(TERM_SHOWN_OCTETS_MAX);
    let printable = |character: char| match character {
        ' '..='~' => character,
        _ => '?',
    };
    term.get(..end).unwrap_or_default().chars().map(printable).collect()
}

/// The name and value of a modifier: `name=value`.
fn modifier_name(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    is_name.then_some((name, value))
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let (qualifier, rest) = match term.as_bytes().first()? {
            b'+' => (Qualifier::Pass, term.get(1..)?),
            b'-' => (Qualifier::Fail, term.get(1..)?),
            b'~' => (Qualifier::SoftFail, term.get(1..)?),
            b'?' => (Qualifier::Neutral, term.get(1..)?),
            _ => (Qualifier::Pass, term),
        };
        let (name, argument) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
        let mechanism = Mechanism::parse(&name.to_ascii_lowercase(), argument)?;
        Some(Self { qualifier, mechanism })
    }
}

impl Mechanism {
    /// Reads a mechanism from its name and what follows it: nothing, or something that begins with `:` or `/`.
    fn parse(name: &str, argument: &str) -> Option<Self> {
        let spec = |argument: &str| DomainSpec::parse(argument.strip_prefix(':')?).ok();
        Some(match name {
            "all" if argument.is_empty() => Self::All,
            "include" => Self::Include(spec(argument)?),
            "exists" => Self::Exists(spec(argument)?),
            "ptr" if argument.is_empty() => Self::Ptr(None),
            "ptr" => Self::Ptr(Some(spec(argument)?)),
            "a" | "mx" => {
                let (argument, prefix) = split_prefix(argument)?;
                let spec = if argument.is_empty() { None } else { Some(spec(argument)?) };
                if name == "a" { Self::A(spec, prefix) } else { Self::Mx(spec, prefix) }
            }
            "ip4" => {
                let (network, prefix) = network(argument, 32)?;
                Self::Ip4(network.parse().ok()?, prefix)
            }
            "ip6" => {
                let (network, prefix) = network(argument, 128)?;
                Self::Ip6(network.parse().ok()?, prefix)
            }
            _ => return None,
        })
    }
}

/// `:network` or `:network/prefix`.
fn network(argument: &str, prefix_max: u8) -> Option<(&str, u8)> {
    let network = argument.strip_prefix(':')?;
    match network.split_once('/') {
        None => Some((network, prefix_max)),
        Some((network, digits)) => Some((network, prefix(digits, prefix_max)?)),
    }
}

/// Takes `/24`, `//64` or `/24//64` off the end. Slashes elsewhere belong to the `domain-spec`.
fn split_prefix(argument: &str) -> Option<(&str, DualPrefix)> {
    let mut prefixes = DualPrefix::default();
    let Some((head, digits)) = split_digits(argument) else { return Some((argument, prefixes)) };
    let Some(head) = head.strip_suffix('/') else {
        prefixes.four = prefix(digits, prefixes.four)?;
        return Some((head, prefixes));
    };
    prefixes.six = prefix(digits, prefixes.six)?;
    let Some((head, digits)) = split_digits(head) else { return Some((head, prefixes)) };
    prefixes.four = prefix(digits, prefixes.four)?;
    Some((head, prefixes))
}

/// Parts at the last slash if digits follow it, and nothing else.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    text.rsplit_once('/').filter(|(_, digits)| is_number(digits))
}

/// A prefix length without leading zeros (RFC 7208 §5.6 asks so for networks; the published tests for prefixes, too).
fn prefix(digits: &str, max: u8) -> Option<u8> {
    let is_plain =
        digits == "0" || !digits.starts_with('0') && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|prefix| is_plain && *prefix <= max)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        self.directives.iter().try_for_each(|directive| write!(f, " {directive}"))?;
        self.redirect.iter().try_for_each(|spec| write!(f, " redirect={spec}"))?;
        self.explanation.iter().try_for_each(|spec| write!(f, " exp={spec}"))
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qualifier = match self.qualifier {
            Qualifier::Pass => "",
            Qualifier::Fail => "-",
            Qualifier::SoftFail => "~",
            Qualifier::Neutral => "?",
        };
        write!(f, "{qualifier}{}", self.mechanism)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_name = |f: &mut fmt::Formatter<'_>, name: &str, spec: &Option<DomainSpec>| {
            f.write_str(name)?;
            spec.iter().try_for_each(|spec| write!(f, ":{spec}"))
        };
        match self {
            Self::All => f.write_str("all"),
            Self::Include(spec) => write!(f, "include:{spec}"),
            Self::Exists(spec) => write!(f, "exists:{spec}"),
            Self::Ptr(spec) => with_name(f, "ptr", spec),
            Self::A(spec, prefix) => {
                with_name(f, "a", spec)?;
                prefix.fmt(f)
            }
            Self::Mx(spec, prefix) => {
                with_name(f, "mx", spec)?;
                prefix.fmt(f)
            }
            Self::Ip4(network, 32) => write!(f, "ip4:{network}"),
            Self::Ip4(network, prefix) => write!(f, "ip4:{network}/{prefix}"),
            Self::Ip6(network, 128) => write!(f, "ip6:{network}"),
            Self::Ip6(network, prefix) => write!(f, "ip6:{network}/{prefix}"),
        }
    }
}

impl fmt::Display for DualPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.four != 32 {
            write!(f, "/{}", self.four)?;
        }
        if self.six != 128 {
            write!(f, "//{}", self.six)?;
        }
        Ok(())
    }
}

impl Mechanism {
    /// Whether an address lies in the network of `ip4` or `ip6`; no other mechanism has one.
    pub(super) fn has_in_network(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Ip4(network, prefix), IpAddr::V4(address)) => covers_four(*network, *prefix, address),
            (Self::Ip6(network, prefix), IpAddr::V6(address)) => covers_six(*network, *prefix, address),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, RecordError> {
        Record::parse(text.as_bytes()).map(|record| record.to_string())
    }

    #[test]
    fn records_are_told_from_other_texts() {
        for text in ["v=spf1", "v=spf1 ", "V=SPF1 -all", "v=spf1  x"] {
            assert!(is_record(text.as_bytes()), "{text}");
        }
        for text in ["", "v=spf", "v=spf10", "v=spf1\t-all", " v=spf1", "v=spf2.0/pra -all", "spf1"] {
            assert!(!is_record(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn records_are_written_as_they_were_read() {
        for text in [
            "v=spf1",
            "v=spf1 a mx ptr -all",
            "v=spf1 a:a.example/24 ~mx:%{d2}//64 ?a/0//0 ptr:b.example all",
            "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 ip6:2001:db8::/32 ip6:::1 -all",
            "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d} include:c.example redirect=d.example exp=e.example",
            "v=spf1 a:foo:bar/baz.example.com",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(
            read("v=spf1 +A:A.Example/32 EXP=x.y  Moo.cow=%{c}/man  ").unwrap(),
            "v=spf1 a:A.Example exp=x.y"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bad = |term: &str| Err(RecordError::BadTerm(term.to_owned()));
        for term in [
            "all.",
            "all:x",
            "all/8",
            "al",
            "-",
            "ptr/0",
            "ptr:",
            "a:",
            "a/33",
            "a//129",
            "a/24/64",
            "a/24/24",
            "a/",
            "a//",
            "a:x.y/",
            "a:1.2.3.4",
            "mx:x",
            "include",
            "include:",
            "include:x.y/24",
            "exists",
            "exists:x.y/2",
            "ip4",
            "ip4:",
            "ip4:1.2.3",
            "ip4:1.2.3.4/33",
            "ip4:1.2.3.4/032",
            "ip4:1.2.3.4//32",
            "ip4:1.2.3.4:80",
            "ip4:01.2.3.4",
            "ip4:1.2.3.4/+1",
            "ip6:",
            "ip6:::1/129",
            "ip6::CAFE::BABE",
            "redirect:x.y",
            "redirect=",
            "exp=",
            "exp=x",
            "x=%",
            "1x=y",
            "=y",
            "-redirect=x.y",
            "ip6:1.2.3.4",
        ] {
            assert_eq!(read(&format!("v=spf1 {term}")), bad(term));
        }
        assert_eq!(read("v=spf1 a\tmx\r -all"), bad("a?mx?"));
        assert_eq!(read("v=spf1 exp=a.b exp=a.b"), Err(RecordError::Twice("exp=")));
        assert_eq!(read("v=spf1 redirect=a.b Redirect=a.b"), Err(RecordError::Twice("redirect=")));
        assert_eq!(read("v=spf1 a:ä.example"), Err(RecordError::NotAscii));
        assert_eq!(Record::parse(b"v=spf1 \xff"), Err(RecordError::NotAscii));
    }

    #[test]
    fn endless_records_are_not_read() {
        let padded = |octets: usize| format!("v=spf1{}", " ".repeat(octets - 6));
        assert!(read(&padded(RECORD_OCTETS_MAX - 1)).is_ok());
        assert!(read(&padded(RECORD_OCTETS_MAX)).is_ok());
        assert_eq!(read(&padded(RECORD_OCTETS_MAX + 1)), Err(RecordError::TooLong));
        let long = "x".repeat(TERM_SHOWN_OCTETS_MAX + 1);
        let shown = "x".repeat(TERM_SHOWN_OCTETS_MAX);
        assert_eq!(read(&format!("v=spf1 {long}")), Err(RecordError::BadTerm(shown)));
    }

    #[test]
    fn prefixes_cover_what_begins_alike() {
        let covers = |prefix: DualPrefix, network: &str, address: &str| {
            prefix.covers(network.parse().unwrap(), address.parse().unwrap())
        };
        assert!(covers(DualPrefix { four: 0, six: 0 }, "1.1.1.1", "255.0.0.1"));
        assert!(covers(DualPrefix { four: 0, six: 0 }, "::", "ffff::"));
        assert!(!covers(DualPrefix { four: 0, six: 0 }, "::", "1.1.1.1"));
        assert!(covers(DualPrefix { four: 31, six: 127 }, "1.1.1.0", "1.1.1.1"));
        assert!(!covers(DualPrefix { four: 31, six: 127 }, "1.1.1.1", "1.1.1.2"));
        assert!(covers(DualPrefix { four: 31, six: 127 }, "::", "::1"));
        assert!(!covers(DualPrefix::default(), "::", "::1"));
    }
}
