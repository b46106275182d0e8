//! Who may connect and who may try a password: counts by address, delays that grow, blocks that end.
//!
//! All doors share one [`Guard`]. Memory is constant: tables are bounded, the least recently seen leave first.
//! IPv6 peers are counted by /64, the smallest block a household gets (RFC 6177).
//!
//! Three rules keep guessing slow without locking anyone out of their own account: failures of an *address* delay
//! it and in the end block it; failures of an *account* (a guess from each of a thousand addresses) only delay;
//! and an address from which the account's owner has logged in does not feel the account's delay.

mod failures;
mod recent;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::metrics::{Counter, Gauge, GaugeHold, Metrics};
use crate::network::Network;

use failures::{Failures, Hash};

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
    /// Failures from one address that block it.
    pub failures_before_block: u32,
    /// How long after the last one failures are forgotten.
    pub failures_window: Duration,
    /// How long a block lasts.
    pub block: Duration,
    /// Networks that are neither counted nor blocked (a webmail host, a monitor).
    pub trusted: Vec<Network>,
}

/// Watches peers. Clones share the tables.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Post>);

#[derive(Debug)]
struct Post {
    clock: Clock,
    /// Account names are kept as keyed hashes: of one length, and nobody can make two of them meet.
    hasher: RandomState,
    state: Mutex<State>,
    counts: Counts,
}

#[derive(Debug)]
struct State {
    settings: GuardSettings,
    connections: usize,
    by_address: HashMap<Network, usize>,
    failures: Failures,
}

#[derive(Debug)]
struct Counts {
    connections: Gauge,
    server_full: Counter,
    address_full: Counter,
    blocked: Counter,
    failures: Counter,
    blocks: Counter,
}

/// Why a connection is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The server, or this listener, has as many connections as it may have.
    ServerFull,
    /// This address has as many connections as it may have.
    AddressFull,
    /// This address failed too often and is blocked for now.
    Blocked,
}

/// A connection's place among those admitted; given back when dropped.
#[derive(Debug)]
pub struct Visit {
    post: Arc<Post>,
    counted: Option<Network>,
    _open: GaugeHold,
}

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
        let state =
            State { settings, connections: 0, by_address: HashMap::new(), failures: Failures::default() };
        Self(Arc::new(Post {
            clock,
            hasher: RandomState::new(),
            state: Mutex::new(state),
            counts: Counts::new(metrics),
        }))
    }

    /// Takes new settings; counts stay.
    pub fn reconfigure(&self, settings: GuardSettings) {
        self.0.state.lock().settings = settings;
    }

    /// Admits a connection. `None` is a Unix socket: only the total counts.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, peer: Option<IpAddr>) -> Result<Visit, Refusal> {
        let counts = &self.0.counts;
        let counted =
            self.0.state.lock().admit(peer, &self.0.clock).inspect_err(|refusal| match refusal {
                Refusal::ServerFull => counts.server_full.increment(),
                Refusal::AddressFull => counts.address_full.increment(),
                Refusal::Blocked => counts.blocked.increment(),
            })?;
        Ok(Visit { post: Arc::clone(&self.0), counted, _open: counts.connections.hold() })
    }

    /// Whether `peer` may try a password for `account` (the name as typed, normalised by the caller).
    #[must_use]
    pub fn attempt(&self, peer: Option<IpAddr>, account: &str) -> Attempt {
        let account = self.hash(account);
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        let address = state.judged(peer);
        let State { settings, failures, .. } = &mut *state;
        failures.attempt(address, account, settings, now)
    }

    /// A password was wrong.
    pub fn failed(&self, peer: Option<IpAddr>, account: &str) {
        let account = self.hash(account);
        let now = self.0.clock.monotonic();
        self.0.counts.failures.increment();
        let mut state = self.0.state.lock();
        let address = state.judged(peer);
        let State { settings, failures, .. } = &mut *state;
        if let (Some(address), true) = (address, failures.failed(address, account, settings, now)) {
            self.0.counts.blocks.increment();
            let seconds = settings.block.as_secs();
            drop(state);
            tracing::warn!(%address, seconds, "blocked after too many failed passwords");
        }
    }

    /// A password was right: the typing errors before it are forgiven, and the account's delay no longer concerns
    /// this address. What an address failed with other accounts stays, or a guesser could wash himself with an
    /// account of his own.
    pub fn succeeded(&self, peer: Option<IpAddr>, account: &str) {
        let account = self.hash(account);
        let mut state = self.0.state.lock();
        let address = state.judged(peer);
        state.failures.succeeded(address, account);
    }

    fn hash(&self, account: &str) -> Hash {
        Hash(self.0.hasher.hash_one(account))
    }
}

impl State {
    /// Counts a connection in; tells under which block of addresses.
    fn admit(&mut self, peer: Option<IpAddr>, clock: &Clock) -> Result<Option<Network>, Refusal> {
        let address = self.judged(peer);
        if address.is_some_and(|address| self.failures.is_blocked(address, clock.monotonic())) {
            return Err(Refusal::Blocked);
        }
        if self.connections >= self.settings.connections_max {
            return Err(Refusal::ServerFull);
        }
        if let Some(address) = address {
            // As many entries as connections at most.
            let connections = self.by_address.entry(address).or_insert(0);
            if *connections >= self.settings.connections_per_address_max {
                // An entry made just now, by a limit of zero, must not stay.
                if *connections == 0 {
                    self.by_address.remove(&address);
                }
                return Err(Refusal::AddressFull);
            }
            *connections += 1;
        }
        self.connections += 1;
        Ok(address)
    }

    fn leave(&mut self, address: Option<Network>) {
        self.connections -= 1;
        let Some(address) = address else { return };
        if let Some(connections) = self.by_address.get_mut(&address) {
            *connections -= 1;
            if *connections == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// The block of addresses that a peer counts as: none for trusted networks and Unix sockets.
    fn judged(&self, peer: Option<IpAddr>) -> Option<Network> {
        let is_trusted = |address| self.settings.trusted.iter().any(|trusted| trusted.contains(address));
        peer.filter(|address| !is_trusted(*address)).map(block_of)
    }
}

/// What counts as one peer: an IPv4 address, an IPv6 /64.
fn block_of(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(v4) => Network::single(v4.into()),
        IpAddr::V6(v6) => Network::household(v6),
    }
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        let refused = |reason| {
            metrics.counter(
                "mailstead_connections_refused_total",
                "Connections turned away, by reason.",
                &[("reason", reason)],
            )
        };
        Self {
            connections: metrics.gauge("mailstead_connections_open", "Connections open now.", &[]),
            server_full: refused("server_full"),
            address_full: refused("address_full"),
            blocked: refused("blocked"),
            failures: metrics.counter("mailstead_login_failures_total", "Wrong passwords.", &[]),
            blocks: metrics.counter("mailstead_address_blocks_total", "Addresses blocked.", &[]),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.post.state.lock().leave(self.counted);
    }
}

#[cfg(test)]
mod tests;
