//! Who may connect and who may try a password: offences counted by address, network and account, delays that grow, bans
//! that end.
//!
//! All doors share one [`Guard`] and tell it what peers do that they should not ([`Offence`]). Memory is constant: tables
//! are bounded, the least recently seen leave first. IPv6 peers are counted by /64, the smallest block a household gets
//! (RFC 6177), and by the /48 around it; IPv4 peers by address and by /24.
//!
//! Five rules keep guessing slow without locking anyone out of their own account: offences of an *address* ban it, for
//! longer each time, and failed passwords delay it before; many offences of a *network* ban all of it, but for addresses
//! from which somebody has logged in; failures of an *account* (a guess from each of a thousand addresses) only delay;
//! where the account's owner has logged in from before, the account's delay is not felt; and the *same* wrong password once
//! more, which no guesser tries, counts for next to nothing.
//!
//! Bans and known places outlive the process where somebody keeps them: [`Guard::take_changes`], [`Guard::restore`].

mod bans;
mod keyed;
mod known;
mod offence;
mod passwords;
mod recent;
mod records;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};
use crate::metrics::{Counter, Gauge, GaugeHold, Metrics};
use crate::network::{Network, is_private};

use bans::Bans;
use known::Known;
use records::{Culprit, Hash, Records};

pub use bans::{Ban, BanError, REASON_OCTETS_MAX, SetBy};
pub use keyed::HashKey;
pub use known::{KNOWN_DAYS, KnownPlace};
pub use offence::{Offence, is_foreign};

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
    /// Points of offences that ban an address; eight times as many ban a network.
    pub points_before_ban: u32,
    /// The time in which so many points drain away, and after which failed passwords are forgotten.
    pub window: Duration,
    /// How long a first ban lasts; each further one lasts four times as long.
    pub ban_first: Duration,
    /// How long a ban lasts at most.
    pub ban_longest: Duration,
    /// Networks that are neither counted nor banned by counting (a webmail host, a monitor).
    pub trusted: Vec<Network>,
    /// Whether addresses of private networks are banned by counting as others are.
    pub bans_private: bool,
}

/// Watches peers. Clones share the tables.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Post>);

#[derive(Debug)]
struct Post {
    clock: Clock,
    state: Mutex<State>,
    counts: Counts,
    /// Woken when a ban has changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    settings: GuardSettings,
    /// Names and places are kept as keyed hashes.
    key: HashKey,
    connections: usize,
    by_address: HashMap<Network, usize>,
    records: Records,
    bans: Bans,
    known: Known,
    /// Until when it is still learning from where people log in.
    learns_until: Option<Timestamp>,
    /// Wrong passwords are known again by this key, which is never kept.
    secret_key: HashKey,
}

#[derive(Debug)]
struct Counts {
    connections: Gauge,
    server_full: Counter,
    address_full: Counter,
    banned: Counter,
    failures: Counter,
    offences: [Counter; Offence::ALL.len()],
    bans: Counter,
    in_force: Gauge,
}

/// Why a connection is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The server, or this listener, has as many connections as it may have.
    ServerFull,
    /// This address has as many connections as it may have.
    AddressFull,
    /// This address, or the network around it, is banned for now.
    Banned,
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
    Banned,
}

/// Where somebody has logged in from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// An address from which this account's owner has logged in before.
    Known,
    /// One from which not yet.
    New,
    /// One from which not yet, as far as is known of these few days: it need not be new.
    Learned,
}

/// How long a guard with an empty memory learns before it calls a place new: at first all are.
const LEARNING: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What has to outlive the process.
#[derive(Clone, Default, Debug)]
pub struct Kept {
    /// The key under which places are hashed; a new one without it.
    pub key: Option<HashKey>,
    /// When that memory began; now, without it.
    pub since: Option<Timestamp>,
    /// Bans, those too that have ended and make the next one longer.
    pub bans: Vec<Ban>,
    /// Places from which owners have logged in, those seen last at the end.
    pub known: Vec<KnownPlace>,
}

/// What has changed of it.
#[derive(Clone, Default, Debug)]
pub struct Changes {
    /// Bans by their network's text; `None` is gone.
    pub bans: Vec<(String, Option<Ban>)>,
    /// Places that were seen.
    pub known: Vec<KnownPlace>,
}

impl Guard {
    /// A guard with empty tables.
    #[must_use]
    pub fn new(settings: GuardSettings, clock: Clock, metrics: &Metrics) -> Self {
        let state = State {
            settings,
            key: HashKey::random(),
            connections: 0,
            by_address: HashMap::new(),
            records: Records::default(),
            bans: Bans::default(),
            known: Known::default(),
            learns_until: None,
            secret_key: HashKey::random(),
        };
        Self(Arc::new(Post {
            clock,
            state: Mutex::new(state),
            counts: Counts::new(metrics),
            changed: Notify::new(),
        }))
    }

    /// Takes new settings; counts stay, and bans that hold no longer, or again, have changed.
    pub fn reconfigure(&self, settings: GuardSettings) {
        self.0.state.lock().settings = settings;
        self.0.changed.notify_one();
    }

    /// Takes up what was kept, before anybody is let in; the answer is the key to keep.
    pub fn restore(&self, kept: Kept) -> HashKey {
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        state.key = kept.key.unwrap_or(state.key);
        state.learns_until = Some(kept.since.unwrap_or(now).saturating_add(LEARNING));
        state.bans.restore(kept.bans, now);
        state.known.restore(kept.known);
        self.0.show(&state.bans);
        state.key
    }

    /// What has changed since this was last asked, for whoever keeps it.
    #[must_use]
    pub fn take_changes(&self) -> Changes {
        let mut state = self.0.state.lock();
        self.0.show(&state.bans);
        Changes { bans: state.bans.take_changed(), known: state.known.take_changed() }
    }

    /// Takes back what could not be kept: it has changed still.
    pub fn give_back(&self, Changes { bans, known }: Changes) {
        let mut state = self.0.state.lock();
        state.bans.give_back(bans.into_iter().map(|(network, _)| network));
        state.known.give_back(known);
    }

    /// Waits until a ban has changed. One such is kept for who comes late.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The bans in force, oldest first: not those of private addresses that were set by counting before these were spared.
    #[must_use]
    pub fn bans(&self) -> Vec<Ban> {
        let state = self.0.state.lock();
        let mut bans = state.bans.in_force(self.0.clock.now());
        bans.retain(|ban| ban.set_by == SetBy::Operator || !state.is_spared(ban.network.address()));
        bans
    }

    /// Bans a network by an operator's word: whoever is in it, known or trusted.
    ///
    /// # Errors
    /// [`BanError`].
    pub fn ban(&self, network: Network, until: Option<Timestamp>, reason: &str) -> Result<(), BanError> {
        let now = self.0.clock.now();
        let ban =
            Ban { network, since: now, until, set_by: SetBy::Operator, reason: reason.into(), times: 0 };
        self.0.state.lock().bans.set(ban, now)?;
        tracing::warn!(%network, reason, "banned by an operator");
        self.0.changed.notify_one();
        Ok(())
    }

    /// Lifts a network's ban, and forgets what led to it. Whether there was one in force.
    #[must_use]
    pub fn lift(&self, network: Network) -> bool {
        let mut state = self.0.state.lock();
        let was_banned = state.bans.lift(network, self.0.clock.now());
        state.records.forget(network);
        drop(state);
        if was_banned {
            tracing::warn!(%network, "ban lifted");
            self.0.changed.notify_one();
        }
        was_banned
    }

    /// Admits a connection. `None` is a Unix socket: only the total counts.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, peer: Option<IpAddr>) -> Result<Visit, Refusal> {
        let counts = &self.0.counts;
        let now = self.0.clock.now();
        let counted = self.0.state.lock().admit(peer, now).inspect_err(|refusal| match refusal {
            Refusal::ServerFull => counts.server_full.increment(),
            Refusal::AddressFull => counts.address_full.increment(),
            Refusal::Banned => counts.banned.increment(),
        })?;
        Ok(Visit { post: Arc::clone(&self.0), counted, _open: counts.connections.hold() })
    }

    /// Whether a peer has been banned since it was admitted.
    #[must_use]
    pub fn is_banned(&self, peer: Option<IpAddr>) -> bool {
        let now = self.0.clock.now();
        self.0.state.lock().is_banned(peer, now)
    }

    /// Connections that are open from an address, or from the block that it is counted in; `None` for those that are not counted.
    #[must_use]
    pub fn connections_of(&self, peer: IpAddr) -> Option<usize> {
        let state = self.0.state.lock();
        let culprit = state.judged(Some(peer))?;
        Some(state.by_address.get(&culprit.address).copied().unwrap_or_default())
    }

    /// A peer did what it should not.
    pub fn offended(&self, peer: Option<IpAddr>, offence: Offence) {
        self.count(self.0.state.lock(), peer, offence, None);
    }

    /// Counts an offence, and bans whom it is one too many of.
    fn count(
        &self,
        mut state: parking_lot::MutexGuard<'_, State>,
        peer: Option<IpAddr>,
        offence: Offence,
        account: Option<Hash>,
    ) {
        let counts = &self.0.counts;
        for (_, counter) in Offence::ALL.iter().zip(&counts.offences).filter(|(kind, _)| **kind == offence) {
            counter.increment();
        }
        let (Some(culprit), Some(peer)) = (state.judged(peer), peer) else { return };
        if offence == Offence::Silence && is_private(peer) {
            // What watches over the server, or balances its load, looks every few seconds whether all ports are open.
            return;
        }
        let (now, calendar) = (self.0.clock.monotonic(), self.0.clock.now());
        let is_spared = state.is_spared(peer);
        let State { settings, records, bans, .. } = &mut *state;
        let mut banned = Vec::new();
        let mut is_told = false;
        for network in records.count(culprit, offence, account, settings, now) {
            if is_spared {
                is_told |= records.is_first_of_day(culprit.address, day_of(calendar));
                continue;
            }
            // What began before a ban may be counted after it: that is no new ban.
            let Some(ban) = bans.count(network, offence.as_str(), settings, calendar) else { continue };
            let seconds = ban.until.unwrap_or(calendar).since(calendar).as_secs();
            banned.push((network, seconds, ban.times));
            records.hold(network, now.saturating_add(Duration::from_secs(seconds)));
        }
        drop(state);
        let peer = peer.to_canonical();
        // Filters outside read these lines: their form is a promise (docs/internals/guard.md).
        tracing::info!(%peer, kind = offence.as_str(), "offence");
        if is_told {
            tracing::warn!(
                %peer,
                kind = offence.as_str(),
                "a private address misbehaves and is slowed, not banned: if a proxy or gateway (Docker's, a load balancer) brings all \
                 connections, let it tell from where they come (listen.proxy_networks) or do without it (Docker: host network); if it is \
                 a program of yours, name it in listen.trusted_networks; if people in that network may be hostile, set bans.private = true"
            );
        }
        for (network, seconds, times) in banned {
            counts.bans.increment();
            tracing::warn!(%network, seconds, times, reason = offence.as_str(), "banned");
            self.0.changed.notify_one();
        }
    }
}

impl Post {
    fn show(&self, bans: &Bans) {
        let in_force = bans.in_force(self.clock.now()).len();
        self.counts.in_force.set(i64::try_from(in_force).unwrap_or(i64::MAX));
    }
}

/// Characters of a name that failures are counted by: as long as an address may be (RFC 5321 §4.5.3.1).
const NAME_CHARACTERS_MAX: usize = 320;

/// The name of an account as failures are counted by it: in one case, and not longer than a name can be.
#[must_use]
pub fn counted_name(user: &str) -> String {
    user.trim().chars().take(NAME_CHARACTERS_MAX).flat_map(char::to_lowercase).collect()
}

/// The network in which addresses are likely to be of one provider's household or office: a /24, a /48.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> Network {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    Network::around(address, prefix).unwrap_or_else(|| Network::single(address))
}

/// The day, counted from the beginning of 1970.
fn day_of(now: Timestamp) -> u32 {
    u32::try_from(now.unix_seconds().div_euclid(24 * 3_600)).unwrap_or(0)
}

impl State {
    /// Counts a connection in; tells under which block of addresses.
    fn admit(&mut self, peer: Option<IpAddr>, now: Timestamp) -> Result<Option<Network>, Refusal> {
        if self.is_banned(peer, now) {
            return Err(Refusal::Banned);
        }
        if self.connections >= self.settings.connections_max {
            return Err(Refusal::ServerFull);
        }
        let address = self.judged(peer).map(|culprit| culprit.address);
        if let Some(address) = address {
            // As many entries as connections at most.
            let most = self.connections_of(address);
            let connections = self.by_address.entry(address).or_insert(0);
            if *connections >= most {
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

    /// How many connections one peer may have. All the world may come by way of a private address: it gets half of what there
    /// is.
    fn connections_of(&self, address: Network) -> usize {
        let GuardSettings { connections_max, connections_per_address_max, .. } = self.settings;
        match self.is_spared(address.address()) {
            true => connections_per_address_max.max(connections_max / 2),
            false => connections_per_address_max,
        }
    }

    /// Whether a peer is not banned by counting: what comes from a private address may come from anywhere, by way of a proxy
    /// or a gateway.
    fn is_spared(&self, peer: IpAddr) -> bool {
        is_private(peer) && !self.settings.bans_private
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

    /// Whether a peer is kept out: by an operator's word, by its own ban, or by its network's, unless somebody has logged
    /// in from there.
    fn is_banned(&mut self, peer: Option<IpAddr>, now: Timestamp) -> bool {
        let Some(peer) = peer else { return false };
        let culprit = self.judged(peer.into());
        let (today, is_spared) = (day_of(now), self.is_spared(peer));
        let State { bans, known, key, .. } = self;
        let mut is_by_network = false;
        for ban in bans.around(peer, now) {
            match (ban.set_by, culprit) {
                (SetBy::Operator, _) => return true,
                (SetBy::Counting, None) => {}
                // It was set when private addresses were still banned.
                (SetBy::Counting, Some(_)) if is_spared => {}
                (SetBy::Counting, Some(culprit)) if culprit.address.covers(&ban.network) => return true,
                (SetBy::Counting, Some(_)) => is_by_network = true,
            }
        }
        is_by_network && culprit.is_some_and(|culprit| !known.is_somebodys(key, culprit.address, today))
    }

    /// What a peer counts as: nothing for trusted networks and Unix sockets.
    fn judged(&self, peer: Option<IpAddr>) -> Option<Culprit> {
        let is_trusted = |address| self.settings.trusted.iter().any(|trusted| trusted.contains(address));
        let peer = peer.filter(|address| !is_trusted(*address))?;
        Some(Culprit { address: block_of(peer), network: neighbourhood(peer) })
    }

    fn hash(&self, account: &str) -> Hash {
        Hash(self.key.hash(&[account.as_bytes()]))
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
        let offences = |offence: Offence| {
            let help = "What peers did that they should not, by kind.";
            metrics.counter("mailstead_offences_total", help, &[("kind", offence.as_str())])
        };
        Self {
            connections: metrics.gauge("mailstead_connections_open", "Connections open now.", &[]),
            server_full: refused("server_full"),
            address_full: refused("address_full"),
            banned: refused("banned"),
            failures: metrics.counter("mailstead_login_failures_total", "Wrong passwords.", &[]),
            offences: Offence::ALL.map(offences),
            bans: metrics.counter("mailstead_bans_total", "Addresses and networks banned by counting.", &[]),
            in_force: metrics.gauge("mailstead_bans_in_force", "Bans in force.", &[]),
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
