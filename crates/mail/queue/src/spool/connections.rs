//! Who gets the connections there are: destinations that answer soon may have all of them, others a part.
//!
//! A host that lets connections vanish holds one for half a minute, one that accepts and says nothing for minutes. So
//! destinations that failed or were slow share half of the connections, with those of which nothing is known they share
//! seven eighths: the rest is enough for those who answer soon. Who shows no sign of life for [`STALL_AFTER`] counts as
//! slow until one comes; and if more than that half hang, those of them that have no mail under way give way to who
//! waits. So one of which nothing is known holds up others for a moment at most. A connection that only waits for more
//! mail, or has had its turn, makes room, too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Spool;
use super::sites::hash_of;
use crate::destination::Destination;

/// A destination that takes longer for a message than this, connecting included, is slow.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// A connection that shows no sign of life for so long counts as one to a slow destination until it does. Names are
/// found, connections made and mail taken in less on most ways; it bounds how long one of which nothing is known can
/// hold up others.
pub(crate) const STALL_AFTER: Duration = Duration::from_secs(1);

/// One in so many connections is kept free, so that a new one need not wait until an idle one has said good-bye.
const FREE_SHARE: usize = 16;

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
    /// It shows no sign of life, or has given way because of that.
    pub(crate) life: Life,
}

/// Whether a connection gets on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// It does, as far as is known.
    GetsOn,
    /// It has shown no sign of life for a while, and counts as slow.
    Stalled,
    /// It is given up in favour of others, and counts no more.
    GaveWay,
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
    /// Those that are over but for their outcomes, which wait for the disk. They count among none of the others.
    flushing: usize,
    /// Tells one that waits for more mail to make room.
    pub(crate) room_wanted: Arc<Notify>,
    /// Lets one that shows no sign of life look whether it has to give way.
    pub(crate) way_wanted: Arc<Notify>,
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

    /// The outcomes of one that is over are on disk.
    pub(crate) fn flushed(&mut self) {
        self.flushing = self.flushing.saturating_sub(1);
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
        self.line_mut(standing).push_back((number, destination));
    }

    fn line_mut(&mut self, standing: Standing) -> &mut VecDeque<(u64, Destination)> {
        match standing {
            Standing::Well => &mut self.well,
            Standing::Unknown => &mut self.unknown,
            Standing::Troubled => &mut self.troubled,
        }
    }

    fn line(&self, standing: Standing) -> &VecDeque<(u64, Destination)> {
        match standing {
            Standing::Well => &self.well,
            Standing::Unknown => &self.unknown,
            Standing::Troubled => &self.troubled,
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

/// Of so many connections, those that slow and unreachable destinations may have.
fn troubled_max(connections_max: usize) -> usize {
    (connections_max / 2).max(1)
}

/// Those that they may have together with destinations of which nothing is known.
fn doubtful_max(connections_max: usize) -> usize {
    (connections_max * 7).div_ceil(8).max(1)
}

impl Spool {
    /// Gives out a connection, if one may be made now.
    pub(crate) fn take_lease(&mut self) -> Option<(Destination, Given)> {
        if self.is_stopped || self.is_behind() {
            return None;
        }
        let given = self.next_given();
        self.ask_for_room();
        given
    }

    fn next_given(&mut self) -> Option<(Destination, Given)> {
        let now = self.clock.now();
        loop {
            let line = self.next_line(None)?;
            let (_, destination) = self.lines.line_mut(line).pop_front()?;
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
            let given = Given { attempts: site.attempts, standing, has_widened: false, life: Life::GetsOn };
            *self.connections.of(standing) += 1;
            self.line_up(&destination);
            if self.lines.count() > 0 {
                // Others that wait may have one, too.
                self.lease_wanted.notify_one();
            }
            return Some((destination, given));
        }
    }

    /// The line whose first may have a connection, if one that counts as `ended` were over.
    fn next_line(&self, ended: Option<Standing>) -> Option<Standing> {
        let most = self.settings.connections_max;
        let of = |standing, count: usize| count.saturating_sub(usize::from(ended == Some(standing)));
        let troubled = of(Standing::Troubled, self.connections.troubled);
        let doubtful = of(Standing::Unknown, self.connections.unknown) + troubled;
        if of(Standing::Well, self.connections.well) + doubtful >= most {
            return None;
        }
        let may_be_unknown = doubtful < doubtful_max(most);
        let may_be_troubled = may_be_unknown && troubled < troubled_max(most);
        let Lines { well, unknown, troubled, .. } = &self.lines;
        [
            (Standing::Well, well.front()),
            (Standing::Unknown, unknown.front().filter(|_| may_be_unknown)),
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

    /// Whether some other destination could have a connection only if one to this, which counts as that, ended.
    pub(crate) fn is_crowded(&self, destination: &Destination, counted_as: Standing) -> bool {
        let waits = |line| self.lines.line(line).iter().take(2).any(|(_, other)| other != destination);
        self.next_line(None).is_none() && self.next_line(Some(counted_as)).is_some_and(waits)
    }

    /// Lets some that do nothing, or get nowhere, make room for who waits and for who will come next.
    fn ask_for_room(&mut self) {
        let most = self.settings.connections_max;
        let crowding = (self.connections.count() + most / FREE_SHARE).saturating_sub(most);
        let is_full = self.connections.count() >= most && self.next_line(Some(Standing::Well)).is_some();
        let waiting = if is_full { self.lines.count() } else { 0 };
        let wanted = crowding.max(waiting).min(self.connections.resting);
        for _ in self.connections.leaving..wanted {
            self.connections.leaving += 1;
            self.connections.room_wanted.notify_one();
        }
        for _ in 0..self.way_wanted() {
            // Who has waited longest is nearest to its answer.
            self.connections.way_wanted.notify_last();
        }
    }

    /// How many stalled connections have to give way: of those beyond their half as many as others wait that do not
    /// hang, and that idle ones make no room for.
    fn way_wanted(&self) -> usize {
        let most = self.settings.connections_max;
        let beyond = self.connections.troubled.saturating_sub(troubled_max(most));
        let (well, unknown) = (self.lines.well.len(), self.lines.unknown.len());
        let waiting = if self.connections.count() >= most {
            (well + unknown).saturating_sub(self.connections.resting)
        } else if self.connections.unknown + self.connections.troubled >= doubtful_max(most) {
            unknown
        } else {
            0
        };
        beyond.min(waiting)
    }

    /// A connection has shown no sign of life for a while. If nothing was known of its destination, this is.
    pub(crate) fn stall(&mut self, destination: &Destination, given: &mut Given) {
        if given.life != Life::GetsOn {
            return;
        }
        given.life = Life::Stalled;
        if self.sites.get(destination).is_some_and(|site| site.pace.is_none()) {
            self.note_pace(destination, Pace::Slow);
        }
        self.count_as(destination, given, Standing::Troubled);
    }

    /// Gives a stalled connection up, if others need what it counts as. The destination waits among the slow ones: there
    /// it gets its time.
    pub(crate) fn give_way(&mut self, destination: &Destination, given: &mut Given) -> bool {
        if given.life != Life::Stalled || self.way_wanted() == 0 {
            return false;
        }
        given.life = Life::GaveWay;
        self.connections.end(given.standing);
        self.note_pace(destination, Pace::Slow);
        self.lease_wanted.notify_one();
        true
    }

    fn note_pace(&mut self, destination: &Destination, pace: Pace) {
        let Some(site) = self.sites.get_mut(destination) else { return };
        if site.pace.replace(pace) != Some(pace) {
            self.paces.remember(destination, pace);
            if pace == Pace::Slow {
                self.rest_beyond_room(destination);
            }
        }
    }

    /// A connection counts as something else from now on.
    fn count_as(&mut self, destination: &Destination, given: &mut Given, standing: Standing) {
        if given.standing == standing || given.life == Life::GaveWay {
            return;
        }
        self.connections.end(given.standing);
        *self.connections.of(standing) += 1;
        given.standing = standing;
        // It may have more now, and others may have what it counted as.
        self.lease_wanted.notify_one();
        self.line_up(destination);
    }

    /// One that is over gives its place to others before its outcomes are on disk, if not as many do that already as there
    /// are connections: what a crash would send again stays bounded.
    pub(crate) fn begin_flush(&mut self) -> bool {
        let may_begin = self.connections.flushing < self.settings.connections_max;
        self.connections.flushing += usize::from(may_begin);
        may_begin
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
        self.note_pace(destination, pace);
        let standing = match pace {
            Pace::Quick => Standing::Well,
            Pace::Slow => Standing::Troubled,
        };
        if given.life == Life::Stalled {
            given.life = Life::GetsOn;
        }
        self.count_as(destination, given, standing);
    }
}
