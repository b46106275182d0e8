//! What a host lacks that no single record shows.

use std::net::IpAddr;

use super::Checker;
use crate::finding::Finding;

impl Checker<'_> {
    /// Whether the host can be reached over both families.
    pub(super) fn missing_ipv6(&self, addresses: &[IpAddr]) -> Option<Finding> {
        let host = &self.site.host.name;
        let about = format!("{host} IPv6");
        match (addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6)) {
            (true, false) => Some(Finding::advice(
                &about,
                "the server has no IPv6 address that the world knows",
                "whoever has IPv6 alone does not reach it; all others do",
                "give the host an IPv6 address with a reverse name of its own, then run this again; until then set outbound.families = \"ipv4\"",
            )),
            (false, true) => Some(Finding::wrong(
                &about,
                "the server has no IPv4 address that the world knows",
                "most of the world has IPv4 alone and does not reach it",
                "give the host an IPv4 address",
            )),
            (false, false) => Some(Finding::wrong(
                &about,
                "the world knows no address of the server",
                "nobody reaches it",
                format!(
                    "add to the zone: {host}. IN A and the server's address; name it in dns.public_addresses if no interface has it"
                ),
            )),
            (true, true) => None,
        }
    }
}
