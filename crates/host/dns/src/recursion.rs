//! Asking the name servers of the world, from the root down (RFC 1034 §5.3.3), and validating what they say.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::NoRecords;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr;
use hickory_resolver::recursor::{
    DnssecConfig, DnssecPolicy, QNameMinimization, Recursor, RecursorError, RecursorOptions,
};
use hickory_resolver::{TtlBounds, TtlConfig};
use ipnet::IpNet;

use crate::answer::LookupError;
use crate::cache::Outcome;
use crate::name::Name;
use crate::record::RecordType;
use crate::runtime::Connections;
use crate::settings::{
    ANSWERS_BELOW_MAX, NSEC3_ITERATIONS, PROOFS_BELOW_MAX, RootHint, Settings, SettingsError, ZONES_BELOW_MAX,
};
use crate::wire::{BareAbsence, Reading, Validated, kind_out, name_out, reason};

/// Depth of delegations, aliases and the search for servers' addresses, in labels. An IPv6 address read backwards in the
/// longest list of senders has about forty; what it costs is bounded by queries (see `trail`).
const DEPTH_MAX: u8 = 64;
/// The port that servers of the Internet listen at.
const DOMAIN_PORT: u16 = 53;

/// Addresses of the Internet's root servers (IANA's root hints; they change less than once in a year, and one that
/// still answers is enough).
const ROOT_SERVERS: [&str; 26] = [
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
    "2001:503:ba3e::2:30",
    "2801:1b8:10::b",
    "2001:500:2::c",
    "2001:500:2d::d",
    "2001:500:a8::e",
    "2001:500:2f::f",
    "2001:500:12::d0d",
    "2001:500:1::53",
    "2001:7fe::53",
    "2001:503:c27::2:30",
    "2001:7fd::1",
    "2001:500:9f::42",
    "2001:dc3::35",
];

/// Asks from the root down.
pub(crate) struct Recursion {
    recursor: Recursor<Connections>,
    reading: Reading,
}

impl Recursion {
    pub(crate) fn new(settings: &Settings, hints: &[RootHint]) -> Result<Self, SettingsError> {
        let mut hints: Vec<SocketAddr> = hints.iter().map(|hint| hint.0).collect();
        if hints.is_empty() {
            hints = ROOT_SERVERS
                .iter()
                .filter_map(|text| text.parse::<IpAddr>().ok())
                .map(at_domain_port)
                .collect();
        }
        hints.retain(|hint| settings.families.contain(hint.ip()));
        if hints.is_empty() {
            return Err(SettingsError::NoFamily);
        }
        let roots: Vec<IpAddr> = hints.iter().map(SocketAddr::ip).collect();
        let connections = Connections::new(settings, &hints);
        let (policy, validated) = policy(settings)?;
        let recursor = Recursor::new(&roots, policy, None, options(settings, &roots), connections)
            .map_err(|error| SettingsError::Library(reason(&error)))?;
        let reading =
            Reading { validated, bare_absence: BareAbsence::Lame, records_max: settings.bounds.records_max };
        Ok(Self { recursor, reading })
    }

    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        let asked = name_out(name)?;
        let query = Query::query(asked.clone(), kind_out(kind));
        match self.recursor.resolve(query, Instant::now(), false).await {
            Ok(message) => self.reading.answer(&asked, kind, &message.answers),
            Err(error) => Err(self.failure(error, &asked)),
        }
    }

    fn failure(&self, error: RecursorError, asked: &rr::Name) -> LookupError {
        match error {
            RecursorError::Net(error) => self.reading.failure(error),
            RecursorError::Negative(absent) => self.reading.absence(&NoRecords::from(absent)),
            RecursorError::Timeout => LookupError::Timeout,
            error @ (RecursorError::MaxRecordLimitExceeded { .. }
            | RecursorError::RecursionLimitExceeded { .. }
            | RecursorError::QueryBudgetExceeded) => LookupError::Excessive(reason(&error)),
            RecursorError::ForwardNS(_) => {
                LookupError::Unreachable(reason(&format!("servers for {asked} refer to others")))
            }
            error => LookupError::Unreachable(reason(&error)),
        }
    }
}

fn at_domain_port(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, DOMAIN_PORT)
}

fn options(settings: &Settings, roots: &[IpAddr]) -> RecursorOptions {
    let allowed =
        settings.allowed_servers.iter().filter_map(|network| network.to_string().parse::<IpNet>().ok());
    RecursorOptions {
        ns_cache_size: ZONES_BELOW_MAX,
        response_cache_size: ANSWERS_BELOW_MAX,
        recursion_limit: DEPTH_MAX,
        ns_recursion_limit: DEPTH_MAX,
        allow_server: allowed.chain(roots.iter().map(|root| IpNet::from(*root))).collect(),
        // RFC 8020 §2: nothing exists below a name that does not exist.
        qname_minimization: QNameMinimization::Strict,
        cache_policy: kept_below(),
        ..RecursorOptions::default()
    }
}

/// What the library keeps: the ways to zones and what proves them. What zones say is kept by our cache alone, which has
/// a bound in octets and can be asked to look again before an answer ends.
fn kept_below() -> TtlConfig {
    let mut options = ResolverOpts::default();
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    let mut kept = TtlConfig::from_opts(&options);
    for kind in [
        rr::RecordType::NS,
        rr::RecordType::DS,
        rr::RecordType::DNSKEY,
        rr::RecordType::SOA,
        rr::RecordType::RRSIG,
        rr::RecordType::NSEC,
        rr::RecordType::NSEC3,
    ] {
        kept.with_query_type_ttl_bounds(kind, TtlBounds::default());
    }
    kept
}

fn policy(settings: &Settings) -> Result<(DnssecPolicy, Validated), SettingsError> {
    let Some(anchors) = settings.anchors()? else {
        return Ok((DnssecPolicy::SecurityUnaware, Validated::No));
    };
    let mut config = DnssecConfig::default();
    config.trust_anchor = Some(Arc::new(anchors));
    config.nsec3_soft_iteration_limit = Some(NSEC3_ITERATIONS.0);
    config.nsec3_hard_iteration_limit = Some(NSEC3_ITERATIONS.1);
    config.validation_cache_size = Some(PROOFS_BELOW_MAX);
    Ok((DnssecPolicy::ValidateWithStaticKey(config), Validated::Yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_server_has_an_address() {
        let addresses: Vec<IpAddr> = ROOT_SERVERS.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(addresses.iter().filter(|address| address.is_ipv4()).count(), 13);
    }
}
