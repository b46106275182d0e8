//! What of the queue is in memory: messages that are fresh, due or being sent, and their destinations.
//!
//! One short lock, never held across I/O. A message stays in memory as long as the index does not know all about it;
//! so whatever is not in memory can be read from the index, and is current there. What is in memory is bounded by
//! [`WEIGHT_MAX`]; the rest waits in the index.

mod connections;
mod overdue;
mod parcels;
mod sites;
mod unwritten;

pub(crate) use connections::{Given, Pace, STALL_AFTER, TURN};
pub(crate) use overdue::{OVERDUE_MAX, Told};
pub(crate) use parcels::Taken;
pub(crate) use sites::hash_of;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mail_types::QueueId;
use platform::clock::{Clock, Timestamp};
use storage::{BlobRef, LogPosition, PackId};
use tokio::sync::Notify;

use crate::destination::Destination;
use crate::index::{LoadedParcel, MessageRow, RecipientRow};
use crate::message::{Diagnostic, NewMessage, RecipientNumber};
use crate::note::{Queued, Record};
use crate::overdue::OverdueKind;
use crate::schedule::Deadlines;
use crate::settings::Settings;
use crate::state::{Event, Hold, Phase, RecipientState};
use connections::{Connections, Lines, Paces};
use unwritten::Unwritten;

/// Messages in memory, each with one more for each recipient: about 30 MiB, at 2.5 KiB measured for a message to one.
/// Fresh mail beyond it goes by way of the index.
pub(crate) const WEIGHT_MAX: usize = 24_000;

/// What is read from the index leaves this share of the memory to fresh mail.
pub(crate) const WEIGHT_LOADED_MAX: usize = WEIGHT_MAX / 2;

/// Messages in memory, by destination.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) messages: HashMap<QueueId, Message>,
    pub(crate) sites: HashMap<Destination, Site>,
    /// Destinations that wait for another connection.
    lines: Lines,
    /// How soon destinations answered that are not in memory any more.
    paces: Paces,
    /// Destinations that the index says could not be reached, by a hash of their keys.
    pub(crate) troubled: HashSet<u64>,
    pub(crate) connections: Connections,
    pub(crate) weight: usize,
    pub(crate) last_id: QueueId,
    /// Changes under way of messages that are not in memory.
    foreign: HashMap<QueueId, u32>,
    unwritten: Unwritten,
    pub(crate) overdue: VecDeque<(QueueId, Destination, OverdueKind)>,
    /// Destinations to be looked through for overdue mail.
    pub(crate) to_sweep: BTreeSet<Destination>,
    pub(crate) wishes: Wishes,
    pub(crate) is_stopped: bool,
    /// Spreads retries differently in every run.
    pub(crate) salt: u64,
    pub(crate) lease_wanted: Arc<Notify>,
    pub(crate) overdue_wanted: Arc<Notify>,
}

/// What the keeper is to do before its next round.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wishes {
    /// Look for what is due.
    pub(crate) look: bool,
}

/// A message in memory.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) message: Arc<NewMessage>,
    pub(crate) blob: BlobRef,
    pub(crate) octets: u64,
    pub(crate) first_pack: PackId,
    pub(crate) last_pack: PackId,
    pub(crate) hold: Hold,
    pub(crate) changed: u64,
    pub(crate) recipients: Vec<RecipientRow>,
    pub(crate) waiting: usize,
    pub(crate) parcels: Vec<ParcelState>,
    pub(crate) deadlines: Deadlines,
    /// The index has it.
    pub(crate) is_indexed: bool,
    /// Notes about it on their way into the index.
    pub(crate) pending: u32,
}

/// A message at one destination.
#[derive(Debug)]
pub(crate) struct ParcelState {
    pub(crate) destination: Destination,
    pub(crate) phase: Phase,
    pub(crate) due: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) tried: Option<Timestamp>,
    /// The index does not know of the last try yet.
    pub(crate) is_unflushed: bool,
}

/// A destination in memory.
#[derive(Debug)]
pub(crate) struct Site {
    ready: BTreeSet<Rank>,
    pub(crate) leases: usize,
    /// Leases that have not taken a parcel yet: each will want one.
    connecting: usize,
    /// Leases that wait for more mail.
    pub(crate) idle: usize,
    /// Connections it may have.
    window: usize,
    /// How soon it answered last, once it has.
    pace: Option<Pace>,
    pub(crate) attempts: u32,
    pub(crate) not_before: Timestamp,
    pub(crate) tried: Option<Timestamp>,
    pub(crate) last: Option<Diagnostic>,
    /// Its back-off was read from the index.
    pub(crate) is_known: bool,
    /// The index has more that is due.
    pub(crate) has_more: bool,
    is_in_line: bool,
    pub(crate) is_unflushed: bool,
    /// Parcels in memory, in whatever phase: those finished, too, until the index has heard of it.
    pub(crate) parcels: usize,
    pub(crate) arrived: Arc<Notify>,
}

/// The order in which a destination's mail goes: higher priority first, fresh before old, then as it came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    below: i8,
    is_old: bool,
    id: QueueId,
}

impl Spool {
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            settings,
            clock,
            messages: HashMap::new(),
            sites: HashMap::new(),
            lines: Lines::default(),
            paces: Paces::default(),
            troubled: HashSet::new(),
            connections: Connections::default(),
            weight: 0,
            last_id: QueueId(0),
            foreign: HashMap::new(),
            unwritten: Unwritten::default(),
            overdue: VecDeque::new(),
            to_sweep: BTreeSet::new(),
            wishes: Wishes::default(),
            is_stopped: false,
            salt: 0,
            lease_wanted: Arc::default(),
            overdue_wanted: Arc::default(),
        }
    }

    /// An id that was never given: by the clock, so that it stays so even if everything else is lost.
    pub(crate) fn next_id(&mut self) -> QueueId {
        let by_clock = u64::try_from(self.clock.now().unix_millis()).unwrap_or(0) << 20;
        self.last_id = QueueId(by_clock.max(self.last_id.0.saturating_add(1)));
        self.last_id
    }

    /// A message became durable. Runs on the committer's thread, before the index hears of it.
    pub(crate) fn committed(&mut self, queued: Queued, position: LogPosition, blob: BlobRef) {
        let now = self.clock.now();
        let weight = 1 + queued.message.recipients.len();
        let hold = queued.message.hold_until.map_or(Hold::None, Hold::Until);
        if self.weight + weight > WEIGHT_MAX || !hold.is_over(now) {
            return;
        }
        let row = MessageRow {
            id: queued.id,
            blob,
            octets: queued.octets,
            first_pack: position.pack,
            last_pack: position.pack,
            hold,
            changed: 0,
            recipients: vec![
                RecipientRow { state: RecipientState::Waiting, is_warned: false, last: None };
                queued.message.recipients.len()
            ],
            message: queued.message,
        };
        self.insert(row, false, &[]);
        for number in 0..self.parcels_of(queued.id) {
            self.due(queued.id, number);
        }
    }

    /// Takes a message into memory, all parcels resting.
    pub(crate) fn insert(&mut self, row: MessageRow, is_indexed: bool, known: &[(LoadedParcel, String)]) {
        let id = row.id;
        let destinations: BTreeSet<Destination> =
            crate::index::waiting(&row).map(|(_, destination)| destination.clone()).collect();
        let parcel = |destination: Destination| {
            let key = destination.key();
            let known = known.iter().find(|(_, known)| *known == key).map(|(parcel, _)| parcel);
            ParcelState {
                destination,
                phase: Phase::Resting,
                due: known.map_or(row.message.arrived, |parcel| parcel.due),
                attempts: known.map_or(0, |parcel| parcel.attempts),
                tried: known.and_then(|parcel| parcel.tried),
                is_unflushed: false,
            }
        };
        let parcels: Vec<ParcelState> = destinations.into_iter().map(parcel).collect();
        for parcel in &parcels {
            self.site(&parcel.destination).parcels += 1;
        }
        self.weight += 1 + row.recipients.len();
        let waiting = crate::index::waiting(&row).count();
        let deadlines = Deadlines::of(&row.message, &self.settings);
        let message = Message {
            message: Arc::new(row.message),
            blob: row.blob,
            octets: row.octets,
            first_pack: row.first_pack,
            last_pack: row.last_pack,
            hold: row.hold,
            changed: row.changed,
            recipients: row.recipients,
            waiting,
            parcels,
            deadlines,
            is_indexed,
            pending: 0,
        };
        self.messages.insert(id, message);
    }

    fn parcels_of(&self, id: QueueId) -> usize {
        self.messages.get(&id).map_or(0, |message| message.parcels.len())
    }

    /// Counts notes about messages that are on their way into the index.
    pub(crate) fn expect(&mut self, records: &[Record]) {
        for record in records.iter().filter(|record| !matches!(record, Record::Queued(_))) {
            match self.messages.get_mut(&record.id()) {
                Some(message) => message.pending += 1,
                None => *self.foreign.entry(record.id()).or_default() += 1,
            }
        }
    }

    /// Such a note is in the index, or will never be.
    fn arrived(&mut self, id: QueueId) {
        if let Some(count) = self.foreign.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.foreign.remove(&id);
            }
        } else if let Some(message) = self.messages.get_mut(&id) {
            message.pending = message.pending.saturating_sub(1);
        }
    }

    /// Notes that are taken back: nothing of them happened.
    pub(crate) fn taken_back(&mut self, records: &[Record]) {
        for record in records.iter().filter(|record| !matches!(record, Record::Queued(_))) {
            self.arrived(record.id());
            self.forget_if_known(record.id());
        }
    }

    /// The index has these records.
    pub(crate) fn published(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Queued(queued) => match self.messages.get_mut(&queued.id) {
                    Some(message) => message.is_indexed = true,
                    // It came when memory was full, or is to be sent later.
                    None => self.wishes.look = true,
                },
                Record::Changed { id, sequence, hold } => {
                    self.arrived(*id);
                    self.change(*id, *sequence, *hold);
                    self.wishes.look = true;
                }
                Record::Done { id, .. } => {
                    self.arrived(*id);
                    self.finish_all(*id, RecipientState::Dropped);
                }
                Record::Settled { id, recipients } => {
                    self.arrived(*id);
                    // Whoever sent them knows that; of those that the operator took out nobody has heard here yet.
                    for (number, state) in recipients {
                        self.finish(*id, *number, *state);
                    }
                    self.finish_parcels(*id);
                }
                Record::Warned { id, .. } => self.arrived(*id),
            }
            self.forget_if_known(record.id());
        }
    }

    /// Lets a message go from memory if the index knows all about it and nobody needs it here.
    pub(crate) fn forget_if_known(&mut self, id: QueueId) {
        let Some(message) = self.messages.get(&id) else { return };
        let rests = |parcel: &ParcelState| match parcel.phase {
            Phase::Resting => !parcel.is_unflushed,
            Phase::Finished => true,
            Phase::Ready | Phase::Leased | Phase::Overdue => false,
        };
        let is_known = message.is_indexed && message.pending == 0;
        if !is_known || !message.parcels.iter().all(rests) {
            return;
        }
        let Some(message) = self.messages.remove(&id) else { return };
        self.weight = self.weight.saturating_sub(1 + message.recipients.len());
        for parcel in &message.parcels {
            self.leave_site(&parcel.destination);
        }
    }

    /// A parcel is no longer in memory.
    fn leave_site(&mut self, destination: &Destination) {
        if let Some(site) = self.sites.get_mut(destination) {
            site.parcels = site.parcels.saturating_sub(1);
        }
        self.forget_site_if_idle(destination);
    }

    /// Holds or releases a message here, if it is the latest word.
    pub(crate) fn change(&mut self, id: QueueId, sequence: u64, hold: Hold) {
        let now = self.clock.now();
        let Some(message) = self.messages.get_mut(&id) else { return };
        if sequence <= message.changed {
            return;
        }
        message.changed = sequence;
        message.hold = hold;
        if hold.is_over(now) {
            message.parcels.iter_mut().for_each(|parcel| parcel.due = parcel.due.min(now));
        } else {
            for number in 0..self.parcels_of(id) {
                self.rest(id, number);
            }
        }
    }

    /// The messages' octets lie elsewhere now.
    pub(crate) fn moved(&mut self, id: QueueId, blob: BlobRef, pack: PackId) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.blob = blob;
            message.last_pack = message.last_pack.max(pack);
        }
    }
}

impl Message {
    /// The recipients of one parcel that wait.
    pub(crate) fn waiting_at(&self, destination: &Destination) -> Vec<RecipientNumber> {
        let all = self.message.recipients.iter().zip(&self.recipients).zip(0_u16..);
        let waiting = all.filter(|((recipient, row), _)| {
            row.state == RecipientState::Waiting && recipient.destination == *destination
        });
        waiting.map(|(_, number)| RecipientNumber(number)).collect()
    }

    pub(crate) fn place_of(&self, destination: &Destination) -> Option<usize> {
        self.parcels.iter().position(|parcel| parcel.destination == *destination)
    }

    /// Moves a parcel on in the state table; what the table does not know does not happen.
    pub(crate) fn advance(&mut self, number: usize, event: Event) -> bool {
        let Some(parcel) = self.parcels.get_mut(number) else { return false };
        let Some(after) = parcel.phase.after(event) else { return false };
        parcel.phase = after;
        true
    }
}
