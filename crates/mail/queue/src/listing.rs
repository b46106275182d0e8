//! The operator's view of the queue: which messages wait, why, and for how long.

use mail_types::{Address, QueueId, ReversePath};
use platform::clock::Timestamp;

use crate::destination::Destination;
use crate::message::{Diagnostic, MessageKind, NewMessage, RecipientNumber};
use crate::state::{MessageState, RecipientState};

/// Messages in one page of a listing at most.
pub const LISTED_MAX: usize = 1_000;

/// Which messages are meant: all that fit every given condition.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// This one.
    pub id: Option<QueueId>,
    /// With recipients that still wait there.
    pub destination: Option<Destination>,
    /// From this sender.
    pub sender: Option<ReversePath>,
    /// To this recipient, finished or not.
    pub recipient: Option<Address>,
    /// That came before this moment.
    pub before: Option<Timestamp>,
    /// In this state.
    pub state: Option<MessageState>,
}

/// One message in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its id.
    pub id: QueueId,
    /// When it came.
    pub arrived: Timestamp,
    /// From whom.
    pub reverse_path: ReversePath,
    /// Whose words.
    pub kind: MessageKind,
    /// Its length in octets.
    pub octets: u64,
    /// Whether it is waiting, or held.
    pub state: MessageState,
    /// Recipients not finished.
    pub recipients_waiting: usize,
    /// When the next of them is tried, if none is held; the destination's back-off included.
    pub next_try: Option<Timestamp>,
    /// What the last try of one of them came to.
    pub last: Option<Diagnostic>,
}

/// A page of a listing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Page {
    /// Messages in the order of their ids.
    pub messages: Vec<Listed>,
    /// Where to go on, if there may be more. A page that looked at many messages and found few may be short.
    pub next: Option<QueueId>,
}

/// One message in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// As in a listing.
    pub listed: Listed,
    /// Its envelope.
    pub message: NewMessage,
    /// When it is given up.
    pub expires: Timestamp,
    /// Each recipient, in order.
    pub recipients: Vec<ShownRecipient>,
}

/// One recipient in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownRecipient {
    /// Its place.
    pub number: RecipientNumber,
    /// Its state.
    pub state: RecipientState,
    /// How often it was deferred.
    pub attempts: u32,
    /// When it is tried next.
    pub next_try: Option<Timestamp>,
    /// What its last try came to.
    pub last: Option<Diagnostic>,
}

/// The queue in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct QueueStats {
    /// Messages not finished.
    pub messages: u64,
    /// Of these, held by the operator or until a later moment.
    pub held: u64,
    /// Pairs of message and destination that were deferred at least once.
    pub deferred: u64,
    /// Octets of all messages.
    pub octets: u64,
    /// Destinations with mail.
    pub destinations: u64,
    /// Of these, those that could not be reached the last time.
    pub destinations_unreachable: u64,
    /// Connections now.
    pub connections: u64,
    /// Messages in memory.
    pub in_memory: u64,
    /// When the oldest message came.
    pub oldest: Option<Timestamp>,
}
