//! Destinations in memory: who may have another connection, and for how long one that cannot be reached is left alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use platform::clock::Timestamp;

use super::connections::{Given, Life, Pace, Standing};
use super::{Rank, Site, Spool};
use crate::destination::Destination;
use crate::index::DestinationRow;
use crate::lease::ConnectionEnd;
use crate::message::Diagnostic;
use crate::schedule::{mixed, retry_after, throttled_for};
use crate::state::Event;

/// What one destination may have in memory: parcels that are ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    /// With fewer it gets more.
    pub(crate) few: usize,
    /// No more are brought from the index.
    pub(crate) most: usize,
}

/// Enough that the index need not be asked for each connection's next message.
const ROOM: Room = Room { few: 64, most: 256 };

/// What is slow or cannot be reached needs few at a time; the mail for it waits in the index, fresh or not, so that
/// many of its kind do not fill the memory.
const ROOM_TROUBLED: Room = Room { few: 8, most: 32 };

/// A destination's key as a number.
pub(crate) fn hash_of(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| mixed(hash ^ u64::from(octet)))
}

impl Spool {
    /// The destination, begun if it is not in memory.
    pub(crate) fn site(&mut self, destination: &Destination) -> &mut Site {
        let (troubled, window) = (&self.troubled, self.settings.destination_connections_first.max(1));
        let (wishes, paces) = (&mut self.wishes, &self.paces);
        self.sites.entry(destination.clone()).or_insert_with(|| {
            // What the index says about back-off has to be asked only if it says anything.
            let is_known = troubled.is_empty() || !troubled.contains(&hash_of(&destination.key()));
            wishes.look |= !is_known;
            Site {
                ready: BTreeSet::new(),
                leases: 0,
                connecting: 0,
                idle: 0,
                window,
                pace: paces.of(destination),
                attempts: 0,
                not_before: Timestamp::from_unix_millis(0),
                tried: None,
                last: None,
                is_known,
                has_more: false,
                is_in_line: false,
                is_unflushed: false,
                parcels: 0,
                arrived: Arc::default(),
            }
        })
    }

    /// What the index knows of a destination, or that it knows nothing.
    pub(crate) fn know(&mut self, destination: &Destination, row: Option<&DestinationRow>) {
        let now = self.clock.now();
        let Some(site) = self.sites.get_mut(destination) else { return };
        if !site.is_known {
            site.is_known = true;
            if let Some(row) = row {
                site.attempts = row.attempts;
                site.not_before = row.not_before;
                site.tried = row.tried;
                site.last.clone_from(&row.last);
            }
            if site.not_before > now {
                self.rest_all(destination);
            }
        }
        self.line_up(destination);
    }

    /// Lets a destination wait for a connection, if it wants one.
    pub(crate) fn line_up(&mut self, destination: &Destination) {
        let now = self.clock.now();
        let may_have_more = self.may_try_more();
        let Some(site) = self.sites.get_mut(destination) else { return };
        let is_asking_too_much = site.leases > 0 && site.standing() == Standing::Unknown && !may_have_more;
        if site.is_in_line || is_asking_too_much || !site.wants_connection(now) {
            return;
        }
        site.is_in_line = true;
        self.lines.push(site.standing(), destination.clone());
        self.lease_wanted.notify_one();
    }

    /// A connection has got its first parcel, or got none.
    pub(crate) fn connected(&mut self, destination: &Destination) {
        if let Some(site) = self.sites.get_mut(destination) {
            site.connecting = site.connecting.saturating_sub(1);
        }
        self.line_up(destination);
    }

    /// A connection is over. `given` is what the lease was given with, but for the standing, which may have changed.
    pub(crate) fn end_lease(&mut self, destination: &Destination, given: Given, how: Option<ConnectionEnd>) {
        if given.life != Life::GaveWay {
            self.connections.end(given.standing);
        }
        let attempts = given.attempts;
        let (now, salt) = (self.clock.now(), self.salt ^ hash_of(&destination.key()));
        if let Some(site) = self.sites.get_mut(destination) {
            site.leases = site.leases.saturating_sub(1);
            match how {
                Some(ConnectionEnd::Reached) => {
                    if !given.has_widened {
                        site.window = (site.window + 1).min(self.settings.destination_connections_max);
                    }
                    if site.attempts > 0 || site.last.is_some() {
                        site.recovered();
                    }
                }
                Some(ConnectionEnd::Unreachable(last)) => {
                    site.window = (site.window / 2).max(1);
                    // Connections that were under way together have failed once, together.
                    if site.attempts <= attempts {
                        site.attempts = attempts.saturating_add(1);
                        site.not_before =
                            now.saturating_add(retry_after(&self.settings, site.attempts, salt));
                    }
                    site.failed(last, now);
                    site.pace = None;
                    self.paces.forget(destination);
                    self.to_sweep.insert(destination.clone());
                }
                Some(ConnectionEnd::Throttled(last)) => {
                    site.window = (site.window / 2).max(1);
                    site.not_before = now.saturating_add(throttled_for(&self.settings, salt));
                    site.failed(last, now);
                }
                Some(ConnectionEnd::GaveWay) | None => {}
            }
        }
        if self.sites.get(destination).is_some_and(|site| site.not_before > now) {
            self.rest_all(destination);
        }
        self.line_up(destination);
        self.forget_site_if_idle(destination);
        // A connection is free for somebody else.
        self.lease_wanted.notify_one();
    }

    /// Nothing goes there for a while: its mail waits in the index, not in memory.
    fn rest_all(&mut self, destination: &Destination) {
        let Some(site) = self.sites.get_mut(destination) else { return };
        let ready = std::mem::take(&mut site.ready);
        self.rest_those(destination, ready);
    }

    /// It has turned out to be slow: what is beyond its room waits in the index.
    pub(super) fn rest_beyond_room(&mut self, destination: &Destination) {
        let Some(site) = self.sites.get_mut(destination) else { return };
        let Some(first) = site.ready.iter().nth(site.room().most).copied() else { return };
        let beyond = site.ready.split_off(&first);
        site.has_more = true;
        self.rest_those(destination, beyond);
    }

    fn rest_those(&mut self, destination: &Destination, ready: BTreeSet<Rank>) {
        for Rank { id, .. } in ready {
            if let Some(message) = self.messages.get_mut(&id)
                && let Some(number) = message.place_of(destination)
            {
                message.advance(number, Event::Deferred);
            }
            self.forget_if_known(id);
        }
    }

    /// The back-off is over, by the operator's word.
    pub(crate) fn forgive(&mut self, destination: &Destination) {
        if let Some(site) = self.sites.get_mut(destination) {
            site.not_before = Timestamp::from_unix_millis(0);
            site.is_unflushed |= site.attempts > 0;
        }
        self.line_up(destination);
    }

    /// Lets those wait for a connection whose back-off has ended.
    pub(crate) fn line_up_all(&mut self) {
        let waiting: Vec<Destination> = self
            .sites
            .iter()
            .filter(|(_, site)| !site.is_in_line && !site.ready.is_empty())
            .map(|(destination, _)| destination.clone())
            .collect();
        waiting.iter().for_each(|destination| self.line_up(destination));
    }

    pub(crate) fn forget_site_if_idle(&mut self, destination: &Destination) {
        let is_idle = self.sites.get(destination).is_some_and(|site| {
            site.parcels == 0 && site.leases == 0 && !site.is_unflushed && !site.is_in_line && !site.has_more
        });
        if is_idle {
            self.sites.remove(destination);
        }
    }
}

impl Site {
    pub(super) fn wants_connection(&self, now: Timestamp) -> bool {
        self.is_known
            && self.leases < self.window
            && self.ready.len() > self.connecting + self.idle
            && (self.not_before <= now)
    }

    /// What is to be expected of a connection there.
    pub(super) fn standing(&self) -> Standing {
        match self.pace {
            _ if self.attempts > 0 => Standing::Troubled,
            Some(Pace::Slow) => Standing::Troubled,
            Some(Pace::Quick) => Standing::Well,
            None => Standing::Unknown,
        }
    }

    fn room(&self) -> Room {
        if self.standing() == Standing::Troubled { ROOM_TROUBLED } else { ROOM }
    }

    /// It is to get more from the index, if that has more.
    pub(crate) fn runs_low(&self) -> bool {
        self.ready.len() < self.room().few
    }

    /// Nothing waits here.
    pub(crate) fn has_run_out(&self) -> bool {
        self.ready.is_empty()
    }

    /// How many more it may get from the index.
    pub(crate) fn room_left(&self) -> usize {
        self.room().most.saturating_sub(self.ready.len())
    }

    /// Whether fresh mail for it waits in the index, too.
    pub(super) fn is_full_of_slow(&self) -> bool {
        self.standing() == Standing::Troubled && self.room_left() == 0
    }

    fn recovered(&mut self) {
        self.attempts = 0;
        self.not_before = Timestamp::from_unix_millis(0);
        self.last = None;
        self.is_unflushed = true;
    }

    fn failed(&mut self, last: Diagnostic, now: Timestamp) {
        self.last = Some(last.bounded());
        self.tried = Some(now);
        self.is_unflushed = true;
    }
}
