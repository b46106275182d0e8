//! Who gets the connections there are: destinations that answer soon may have all of them, others a part.
//!
//! A host that lets connections vanish holds one for half a minute, one that accepts and says nothing for minutes. So
//! destinations that failed or were slow share half of the connections, with those of which nothing is known they share
//! seven eighths: the rest is enough for those who answer soon. And a connection that only waits for more mail, or has had its turn, makes room for who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Spool;
use super::sites::hash_of;
use crate::destination::Destination;

/// A destination that takes longer for a message than this, connecting included, is slow.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How long a connection goes on sending while others wait for one. Long enough that its handshake was worth it.
pub(crate) const TURN: Duration = Duration::from_secs(5);

/// Destinations whose pace is remembered beyond their mail: about half a MiB.
const PACES_MAX: usize = 16_384;

/// How soon a destination answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    Quick,
    Slow,
}

impl Pace {
    /// Of a message that took so long.
    pub(crate) fn of(time: Duration) -> Self {
        if time > SLOW_AFTER { Self::Slow } else { Self::Quick }
    }
}

/// What is to be expected of a connection to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It answered soon last time.
    Well,
    /// Nothing is known of it.
    Unknown,
    /// It could not be reached, or was slow.
    Troubled,
}

/// What a lease was given with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    /// How often in a row the destination was unreachable.
    pub(crate) attempts: u32,
    /// As what the connection counts.
    pub(crate) standing: Standing,
    /// Its first success has earned the destination another connection.
    pub(crate) has_widened: bool,
}

/// Connections given out, by what was to be expected of them.
#[derive(Default, Debug)]
pub(crate) struct Connections {
    well: usize,
    unknown: usize,
    troubled: usize,
    /// Those that wait for more mail.
    resting: usize,
    /// Of these, those that were told to make room and have not ended yet.
    leaving: usize,
    /// Tells one that waits for more mail to make room.
    pub(crate) room_wanted: Arc<Notify>,
}

impl Connections {
    pub(crate) fn count(&self) -> usize {
        self.well + self.unknown + self.troubled
    }

    fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Well => &mut self.well,
            Standing::Unknown => &mut self.unknown,
            Standing::Troubled => &mut self.troubled,
        }
    }

    pub(super) fn end(&mut self, standing: Standing) {
        let count = self.of(standing);
        *count = count.saturating_sub(1);
    }

    /// One begins to wait for more mail.
    pub(crate) fn rest(&mut self) {
        self.resting += 1;
    }

    /// One waits no longer.
    pub(crate) fn rested(&mut self) {
        self.resting = self.resting.saturating_sub(1);
    }

    /// One that was told to make room has ended, or has got mail after all.
    pub(crate) fn left(&mut self) {
        self.leaving = self.leaving.saturating_sub(1);
    }
}

/// Destinations that wait for a connection, by their standing when they began to wait. Each has a number: among those
/// that may have one, who came first is first.
#[derive(Default, Debug)]
pub(crate) struct Lines {
    well: VecDeque<(u64, Destination)>,
    unknown: VecDeque<(u64, Destination)>,
    troubled: VecDeque<(u64, Destination)>,
    last: u64,
}

impl Lines {
    pub(super) fn push(&mut self, standing: Standing, destination: Destination) {
        self.last += 1;
        let number = self.last;
        self.of(standing).push_back((number, destination));
    }

    fn of(&mut self, standing: Standing) -> &mut VecDeque<(u64, Destination)> {
        match standing {
            Standing::Well => &mut self.well,
            Standing::Unknown => &mut self.unknown,
            Standing::Troubled => &mut self.troubled,
        }
    }

    fn count(&self) -> usize {
        self.well.len() + self.unknown.len() + self.troubled.len()
    }
}

/// The pace of destinations, by a hash of their keys. Forgotten all at once when there are too many: then they are as
/// good as new.
#[derive(Default, Debug)]
pub(crate) struct Paces(HashMap<u64, Pace>);

impl Paces {
    pub(super) fn of(&self, destination: &Destination) -> Option<Pace> {
        if self.0.is_empty() { None } else { self.0.get(&hash_of(&destination.key())).copied() }
    }

    fn remember(&mut self, destination: &Destination, pace: Pace) {
        if self.0.len() >= PACES_MAX {
            self.0.clear();
        }
        self.0.insert(hash_of(&destination.key()), pace);
    }

    pub(super) fn forget(&mut self, destination: &Destination) {
        self.0.remove(&hash_of(&destination.key()));
    }
}

impl Spool {
    /// Gives out a connection, if one may be made now.
    pub(crate) fn take_lease(&mut self) -> Option<(Destination, Given)> {
        if self.is_stopped {
            return None;
        }
        let now = self.clock.now();
        if self.connections.count() >= self.settings.connections_max {
            self.ask_for_room();
            return None;
        }
        loop {
            let line = self.next_line()?;
            let (_, destination) = self.lines.of(line).pop_front()?;
            let Some(site) = self.sites.get_mut(&destination) else { continue };
            site.is_in_line = false;
            if !site.wants_connection(now) {
                self.forget_site_if_idle(&destination);
                continue;
            }
            let standing = site.standing();
            if standing != line {
                // What was learned of it meanwhile counts.
                self.line_up(&destination);
                continue;
            }
            site.leases += 1;
            site.connecting += 1;
            let given = Given { attempts: site.attempts, standing, has_widened: false };
            *self.connections.of(standing) += 1;
            self.line_up(&destination);
            if self.lines.count() > 0 {
                // Others that wait may have one, too.
                self.lease_wanted.notify_one();
            }
            return Some((destination, given));
        }
    }

    /// The line whose first may have the next free connection.
    fn next_line(&self) -> Option<Standing> {
        let most = self.settings.connections_max;
        let doubtful = self.connections.unknown + self.connections.troubled;
        let has_room = doubtful < (most * 7).div_ceil(8).max(1);
        let may_be_troubled = has_room && self.connections.troubled < (most / 2).max(1);
        let Lines { well, unknown, troubled, .. } = &self.lines;
        [
            (Standing::Well, well.front()),
            (Standing::Unknown, unknown.front().filter(|_| has_room)),
            (Standing::Troubled, troubled.front().filter(|_| may_be_troubled)),
        ]
        .into_iter()
        .filter_map(|(standing, first)| Some((first?.0, standing)))
        .min_by_key(|(number, _)| *number)
        .map(|(_, standing)| standing)
    }

    /// Whether a destination of which nothing is known may have a connection beside its first: it could be a hole.
    pub(super) fn may_try_more(&self) -> bool {
        let doubtful = self.connections.unknown + self.connections.troubled;
        doubtful <= self.settings.connections_max.div_ceil(2)
    }

    /// Whether all connections are taken, and somebody waits for one.
    pub(crate) fn is_crowded(&self) -> bool {
        self.connections.count() >= self.settings.connections_max && self.next_line().is_some()
    }

    /// Lets as many that only wait for more mail make room as others wait for one.
    fn ask_for_room(&mut self) {
        if self.next_line().is_none() {
            return;
        }
        let wanted = self.lines.count().min(self.connections.resting);
        for _ in self.connections.leaving..wanted {
            self.connections.leaving += 1;
            self.connections.room_wanted.notify_one();
        }
    }

    /// The first success of a connection earns its destination another one.
    pub(crate) fn widen(&mut self, destination: &Destination, given: &mut Given) {
        if std::mem::replace(&mut given.has_widened, true) {
            return;
        }
        if let Some(site) = self.sites.get_mut(destination) {
            site.window = (site.window + 1).min(self.settings.destination_connections_max);
        }
        self.line_up(destination);
    }

    /// A destination has answered about a message: its connection counts as what it proves to be.
    pub(crate) fn answered(&mut self, destination: &Destination, given: &mut Given, pace: Pace) {
        let Some(site) = self.sites.get_mut(destination) else { return };
        if site.pace != Some(pace) {
            site.pace = Some(pace);
            self.paces.remember(destination, pace);
        }
        let standing = match pace {
            Pace::Quick => Standing::Well,
            Pace::Slow => Standing::Troubled,
        };
        if given.standing != standing {
            self.connections.end(given.standing);
            *self.connections.of(standing) += 1;
            given.standing = standing;
            // It may have more now, and others may have what it counted as.
            self.lease_wanted.notify_one();
            self.line_up(destination);
        }
    }
}
