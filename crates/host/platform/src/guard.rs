//! Who may connect and who may try a password: counts by address, delays that grow, blocks that end.
//!
//! All doors share one [`Guard`]. Memory is constant: tables are bounded, the least recently seen leave first.
//! IPv6 peers are counted by /64, the smallest block a household gets (RFC 6177).

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::network::Network;

/// The guard's bounds.
#[derive(Clone, Debug)]
pub struct GuardSettings {
    /// Connections of all doors together.
    pub connections_max: usize,
    /// Connections from one IPv4 address or one IPv6 /64.
    pub connections_per_address_max: usize,
    /// Failed passwords that cost an honest person nothing.
    pub failures_free: u32,
    /// The delay after the first failure beyond the free ones; doubles with each.
    pub delay_first: Duration,
    /// The longest delay.
    pub delay_max: Duration,
    /// Failures from one address within [`Self::failures_window`] that block it.
    pub failures_before_block: u32,
    /// How long a failure is remembered.
    pub failures_window: Duration,
    /// How long a block lasts.
    pub block: Duration,
    /// Networks that are neither counted nor blocked (a webmail host, a monitor).
    pub trusted: Vec<Network>,
}

/// Watches peers. Clones share the tables.
#[derive(Clone, Debug)]
pub struct Guard {}

/// Why a connection is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The server has as many connections as it may have.
    ServerFull,
    /// This address has as many connections as it may have.
    AddressFull,
    /// This address failed too often and is blocked for now.
    Blocked,
}

/// A connection's place among those admitted; given back when dropped.
#[derive(Debug)]
pub struct Visit {}

/// Whether a password may be tried now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// Try it, after waiting so long (often zero).
    After(Duration),
    /// Too many failures: refuse without looking at the password.
    Blocked,
}

impl Guard {
    /// A guard with empty tables.
    #[must_use]
    pub fn new(settings: GuardSettings, clock: Clock, metrics: &Metrics) -> Self {
        unimplemented!("{settings:?}{clock:?}{metrics:?}")
    }

    /// Takes new settings; counts stay.
    pub fn reconfigure(&self, settings: GuardSettings) {
        unimplemented!("{settings:?}")
    }

    /// Admits a connection. `None` is a Unix socket: only the total counts.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, peer: Option<IpAddr>) -> Result<Visit, Refusal> {
        unimplemented!("{peer:?}")
    }

    /// Whether `peer` may try a password for `account` (the name as typed, normalised by the caller).
    #[must_use]
    pub fn attempt(&self, peer: Option<IpAddr>, account: &str) -> Attempt {
        unimplemented!("{peer:?}{account}")
    }

    /// A password was wrong.
    pub fn failed(&self, peer: Option<IpAddr>, account: &str) {
        unimplemented!("{peer:?}{account}")
    }

    /// A password was right: what was counted against this address with this account is forgiven.
    pub fn succeeded(&self, peer: Option<IpAddr>, account: &str) {
        unimplemented!("{peer:?}{account}")
    }
}
