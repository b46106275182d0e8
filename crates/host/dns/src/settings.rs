//! How the resolver works: whom it asks, from which address, whom it trusts, and its bounds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::dnssec::TrustAnchors;
use platform::network::Network;

use crate::frames::RESPONSE_RECORDS_MAX;
use crate::name::Name;

/// Octets of answers that are kept unless told otherwise: the share of memory that DNS may have.
pub const CACHE_OCTETS_DEFAULT: usize = 8 * 1024 * 1024;
/// Most octets of answers that may be set.
pub const CACHE_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Messages that the library keeps below our cache, twice: mostly keys and delegations of upper zones. A message has at
/// most 256 records and 16 KiB (see `frames`), but commonly less than 1 KiB.
pub(crate) const ANSWERS_BELOW_MAX: u64 = 128;
/// Zones whose servers the library remembers.
pub(crate) const ZONES_BELOW_MAX: usize = 512;

/// NSEC3 iterations beyond which a zone counts as unsigned, and beyond which it counts as an attack (RFC 9276 §3.2,
/// CVE-2023-50868).
pub(crate) const NSEC3_ITERATIONS: (u16, u16) = (50, 150);
/// Verified signatures that the library remembers, about 300 octets each.
pub(crate) const PROOFS_BELOW_MAX: usize = 2048;

/// What the resolver needs to know. [`Settings::default`] is a recursive resolver for a host on the Internet.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom it asks.
    pub mode: Mode,
    /// The keys that everything is proven from (RFC 4033 §2). Empty: no validation, every answer is insecure. The
    /// root's keys by default.
    pub trust_anchors: Vec<TrustAnchor>,
    /// Queries to IPv4 servers leave from this address; the system chooses when it is `None`.
    pub bind_v4: Option<Ipv4Addr>,
    /// Queries to IPv6 servers leave from this address; the system chooses when it is `None`.
    pub bind_v6: Option<Ipv6Addr>,
    /// Address families over which this host reaches others: servers of other families are not asked.
    pub families: Families,
    /// Name servers inside these networks are asked although no server of the Internet is there (loopback, private
    /// and documentation networks). Root hints and forwarders may always be asked.
    pub allowed_servers: Vec<Network>,
    /// Port of the name servers that delegations name: 53, but in a test internet without privileges.
    pub server_port: u16,
    /// Limits of work and memory.
    pub bounds: Bounds,
}

/// Whom the resolver asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The name servers of the world, from the root down (RFC 1034 §5.3.3). Empty: the Internet's root servers.
    Recursive {
        /// Where root servers answer.
        root_hints: Vec<RootHint>,
    },
    /// Resolvers that answer for all the world; a secure answer is validated here all the same.
    Forward(Vec<Forwarder>),
}

/// Where a root server answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootHint(pub SocketAddr);

/// A resolver that takes questions for us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forwarder {
    /// Where it answers.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub transport: ForwarderTransport,
}

/// How a forwarder is spoken to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ForwarderTransport {
    /// UDP, and TCP for what does not fit (RFC 7766).
    Plain,
    /// DNS over TLS (RFC 7858); the certificate must be for this name.
    Tls(Name),
}

/// A key from which the rest is proven (RFC 4033 §2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrustAnchor {
    /// The root's keys as IANA publishes them: those of 2017 and of 2024.
    Internet,
    /// A DNSKEY record of the root, as its data in presentation form: `257 3 13 mdsswUyr3D…` (RFC 4034 §2.2).
    RootKey(String),
}

/// Address families.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Families {
    /// IPv4 and IPv6.
    Both,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

impl Families {
    /// Whether `address` is of one of these.
    #[must_use]
    pub fn contain(self, address: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }
}

/// Limits of work and memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Octets of answers that are kept; [`CACHE_OCTETS_MAX`] at most.
    pub cache_octets_max: usize,
    /// Longest time an answer is kept, whatever its TTL says (RFC 8767 §4 advises days, not weeks).
    pub answer_kept_max: Duration,
    /// How long an answer may be used beyond its time when no server answers (RFC 8767 §5: one to three days).
    pub stale_max: Duration,
    /// Longest time an absence is kept (RFC 2308 §5: one to three hours).
    pub absence_kept_max: Duration,
    /// How long a failure is remembered, that a broken domain is not asked for every message (RFC 9520 §3.2: from
    /// one second to five minutes).
    pub failure_kept: Duration,
    /// Longest time that one question may take, all its queries included.
    pub question_time_max: Duration,
    /// Time that one server may take for one query before another is asked.
    pub query_time_max: Duration,
    /// Questions that may be open at once; further ones wait.
    pub questions_open_max: usize,
    /// Questions that may wait; further ones hear [`LookupError::Busy`](crate::LookupError::Busy).
    pub questions_waiting_max: usize,
    /// Queries to servers that one question may cost, everything that its proof needs included (RFC 1034 §5.3.3). Down to
    /// a signed zone of four labels, with nothing known, it takes about twenty; backwards from an IPv6 address, fifty.
    pub question_queries_max: usize,
    /// Queries to servers that may be open at once, for all questions together (RFC 9520, NXNS attack).
    pub queries_open_max: usize,
    /// Records of one type in one answer that are passed on.
    pub records_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            cache_octets_max: CACHE_OCTETS_DEFAULT,
            answer_kept_max: Duration::from_secs(24 * 3600),
            stale_max: Duration::from_secs(24 * 3600),
            absence_kept_max: Duration::from_secs(3600),
            failure_kept: Duration::from_secs(5),
            question_time_max: Duration::from_secs(20),
            query_time_max: Duration::from_secs(2),
            questions_open_max: 128,
            questions_waiting_max: 1024,
            question_queries_max: 200,
            queries_open_max: 512,
            records_max: RESPONSE_RECORDS_MAX,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Recursive { root_hints: Vec::new() },
            trust_anchors: vec![TrustAnchor::Internet],
            bind_v4: None,
            bind_v6: None,
            families: Families::Both,
            allowed_servers: Vec::new(),
            server_port: 53,
            bounds: Bounds::default(),
        }
    }
}

impl Settings {
    /// Forwards to one server over UDP and TCP and validates nothing: what a test with a small name server needs.
    #[must_use]
    pub fn forward_to(address: SocketAddr) -> Self {
        Self {
            mode: Mode::Forward(vec![Forwarder { address, transport: ForwarderTransport::Plain }]),
            trust_anchors: Vec::new(),
            ..Self::default()
        }
    }
}

impl Settings {
    /// The trust anchors in the library's form; `None` when there are none and nothing is validated.
    pub(crate) fn anchors(&self) -> Result<Option<TrustAnchors>, SettingsError> {
        if self.trust_anchors.is_empty() {
            return Ok(None);
        }
        let mut all = TrustAnchors::empty();
        for anchor in &self.trust_anchors {
            let keys = match anchor {
                TrustAnchor::Internet => TrustAnchors::default(),
                TrustAnchor::RootKey(data) => {
                    let broken = || SettingsError::TrustAnchor(data.clone());
                    let keys = TrustAnchors::from_str(&format!(". 3600 IN DNSKEY {data}\n"))
                        .map_err(|_| broken())?;
                    if keys.is_empty() { Err(broken()) } else { Ok(keys) }?
                }
            };
            for key in (0..keys.len()).filter_map(|at| keys.get(at)) {
                all.insert(key);
            }
        }
        Ok(Some(all))
    }
}

/// Why a resolver cannot be made from settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Forwarding, but to nobody.
    #[error("no forwarder is named")]
    NoForwarder,
    /// No root hint or forwarder has an address of a family that this host has.
    #[error("no root server or forwarder can be reached over this host's address families")]
    NoFamily,
    /// A trust anchor cannot be read.
    #[error("trust anchor {0:?} is no DNSKEY record's data")]
    TrustAnchor(String),
    /// The DNS library refused.
    #[error("the resolver cannot be set up: {0}")]
    Library(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_anchors_are_read_or_refused() {
        let anchors =
            |anchors: Vec<TrustAnchor>| Settings { trust_anchors: anchors, ..Settings::default() }.anchors();
        assert!(anchors(Vec::new()).unwrap().is_none());
        assert_eq!(anchors(vec![TrustAnchor::Internet]).unwrap().unwrap().len(), 2);
        // The example key of RFC 6605 §6.1.
        let key = "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";
        let own = || TrustAnchor::RootKey(key.to_owned());
        assert_eq!(anchors(vec![own(), own()]).unwrap().unwrap().len(), 1);
        assert_eq!(anchors(vec![own(), TrustAnchor::Internet]).unwrap().unwrap().len(), 3);
        for text in ["", "257 3 13", "257 3 13 ???", "no key"] {
            let refused = anchors(vec![TrustAnchor::RootKey(text.to_owned())]);
            assert!(matches!(refused, Err(SettingsError::TrustAnchor(_))), "{text:?}");
        }
    }
}
