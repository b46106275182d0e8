//! The operator's view of the queue: which messages wait, why, and for how long.

use mail_types::{AccountId, Address, QueueId, ReversePath};
use platform::clock::Timestamp;
use storage::StorageError;
use storage::rusqlite::{OptionalExtension, params};

use crate::destination::Destination;
use crate::index::{Index, LoadedParcel, MessageRow, NEVER, number, unsigned, waiting};
use crate::message::{Diagnostic, MessageKind, NewMessage, Recipient, RecipientNumber};
use crate::schedule::Deadlines;
use crate::state::{MessageState, RecipientState};

/// Messages in one page of a listing at most.
pub const LISTED_MAX: usize = 1_000;

/// Which messages are meant: all that fit every given condition. Where `destination` or `recipient` is given, verbs that
/// can be about some of a message's recipients are about those alone ([`Queue::retry`](crate::Queue::retry),
/// [`Queue::drop_recipients`](crate::Queue::drop_recipients)).
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
    /// That this account has submitted.
    pub submitter: Option<AccountId>,
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

/// Messages looked at for one page: a filter that fits few of a million gives short pages, not long waits.
const LOOKED_AT_MAX: usize = 20_000;

impl Index {
    /// A page of the messages that fit.
    pub(crate) fn list(
        &self,
        filter: &Filter,
        after: Option<QueueId>,
        count: usize,
    ) -> Result<Page, StorageError> {
        let count = count.clamp(1, LISTED_MAX);
        let ids = self.candidates(filter, after)?;
        let is_last = ids.len() < LOOKED_AT_MAX;
        let mut page = Page::default();
        for id in &ids {
            if page.messages.len() >= count {
                return Ok(page);
            }
            page.next = Some(*id);
            let Some(row) = self.message(*id)? else { continue };
            if filter.fits(&row) {
                page.messages.push(self.listed(&row)?);
            }
        }
        if is_last {
            page.next = None;
        }
        Ok(page)
    }

    /// Ids among which those that fit are.
    fn candidates(&self, filter: &Filter, after: Option<QueueId>) -> Result<Vec<QueueId>, StorageError> {
        let connection = self.database.connection();
        let after = number(after.map_or(0, |after| after.0));
        let most = LOOKED_AT_MAX as i64;
        if let Some(id) = filter.id {
            return Ok(if number(id.0) > after { vec![id] } else { Vec::new() });
        }
        let id = |row: &storage::rusqlite::Row<'_>| unsigned(row, 0).map(QueueId);
        if let Some(destination) = &filter.destination {
            let Some(row) = self.destination(&destination.key())? else { return Ok(Vec::new()) };
            let sql = "SELECT message FROM parcels WHERE destination = ?1 AND message > ?2 ORDER BY message LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            return Ok(statement.query_map(params![row.id, after, most], id)?.collect::<Result<_, _>>()?);
        }
        let sql = match filter.state {
            Some(MessageState::Held) => {
                "SELECT id FROM messages WHERE hold <> 0 AND id > ?1 ORDER BY id LIMIT ?2"
            }
            _ => "SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
        };
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_map(params![after, most], id)?.collect::<Result<_, _>>()?)
    }

    fn listed(&self, row: &MessageRow) -> Result<Listed, StorageError> {
        let parcels = self.parcels_of(row.id)?;
        let mut next_try: Option<Timestamp> = None;
        for (parcel, key) in &parcels {
            next_try = [next_try, self.next_try(parcel, key)?].into_iter().flatten().min();
        }
        let waits = |recipient: &&crate::index::RecipientRow| recipient.state == RecipientState::Waiting;
        let mut last = row.recipients.iter().filter(waits).find_map(|recipient| recipient.last.clone());
        for (_, key) in &parcels {
            if last.is_none() {
                last = self.destination(key)?.and_then(|destination| destination.last);
            }
        }
        Ok(Listed {
            id: row.id,
            arrived: row.message.arrived,
            reverse_path: row.message.reverse_path.clone(),
            kind: row.message.kind,
            octets: row.octets,
            state: row.hold.state(),
            recipients_waiting: waiting(row).count(),
            next_try,
            last,
        })
    }

    fn next_try(&self, parcel: &LoadedParcel, key: &str) -> Result<Option<Timestamp>, StorageError> {
        if parcel.due.unix_millis() == NEVER {
            return Ok(None);
        }
        let not_before = self.destination(key)?.map(|destination| destination.not_before);
        Ok(Some(not_before.map_or(parcel.due, |not_before| not_before.max(parcel.due))))
    }

    /// One message in full.
    pub(crate) fn shown(&self, id: QueueId) -> Result<Option<Shown>, StorageError> {
        let Some(row) = self.message(id)? else { return Ok(None) };
        let listed = self.listed(&row)?;
        let parcels = self.parcels_of(id)?;
        let mut recipients = Vec::with_capacity(row.recipients.len());
        for ((recipient, found), place) in row.message.recipients.iter().zip(&row.recipients).zip(0_u16..) {
            let key = recipient.destination.key();
            let parcel = parcels.iter().find(|(_, other)| *other == key).map(|(parcel, _)| parcel);
            let parcel = parcel.filter(|_| found.state == RecipientState::Waiting);
            recipients.push(ShownRecipient {
                number: RecipientNumber(place),
                state: found.state,
                attempts: parcel.map_or(0, |parcel| parcel.attempts),
                next_try: match parcel {
                    Some(parcel) => self.next_try(parcel, &key)?,
                    None => None,
                },
                last: match (&found.last, parcel) {
                    (None, Some(_)) => self.destination(&key)?.and_then(|destination| destination.last),
                    (last, _) => last.clone(),
                },
            });
        }
        let expires = Deadlines::of(&row.message, &self.settings).expire;
        Ok(Some(Shown { listed, message: row.message, expires, recipients }))
    }

    /// The queue in numbers, as far as the index knows them.
    pub(crate) fn count(&self) -> Result<QueueStats, StorageError> {
        let connection = self.database.connection();
        let one = |sql: &str| -> Result<u64, StorageError> {
            Ok(connection.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0))?)
        };
        let oldest = "SELECT arrived FROM messages ORDER BY id LIMIT 1";
        let oldest: Option<i64> =
            connection.prepare_cached(oldest)?.query_row([], |row| row.get(0)).optional()?;
        Ok(QueueStats {
            messages: one("SELECT count(*) FROM messages")?,
            held: one("SELECT count(*) FROM messages WHERE hold <> 0")?,
            deferred: one("SELECT count(*) FROM parcels WHERE attempts > 0")?,
            octets: one("SELECT coalesce(sum(octets), 0) FROM messages")?,
            destinations: one("SELECT count(*) FROM destinations")?,
            destinations_unreachable: one("SELECT count(*) FROM destinations WHERE attempts > 0")?,
            oldest: oldest.map(Timestamp::from_unix_millis),
            ..QueueStats::default()
        })
    }
}

impl Filter {
    /// The recipients of a message that fits who wait and are meant, with their destinations.
    pub(crate) fn meant<'a>(
        &'a self,
        row: &'a MessageRow,
    ) -> impl Iterator<Item = (RecipientNumber, &'a Destination)> {
        waiting(row).filter(|(number, there)| {
            let recipient = row.message.recipients.get(usize::from(number.0));
            let is_to = |address: &Address| recipient.is_some_and(|recipient| is_for(recipient, address));
            self.destination.as_ref().is_none_or(|destination| destination == *there)
                && self.recipient.as_ref().is_none_or(is_to)
        })
    }

    /// Whether a message fits.
    fn fits(&self, row: &MessageRow) -> bool {
        let recipients = &row.message.recipients;
        let is_to = |address: &Address| recipients.iter().any(|recipient| is_for(recipient, address));
        let is_there = |destination: &Destination| waiting(row).any(|(_, waiting)| waiting == destination);
        self.id.is_none_or(|id| id == row.id)
            && self.destination.as_ref().is_none_or(is_there)
            && self.sender.as_ref().is_none_or(|sender| *sender == row.message.reverse_path)
            && self.recipient.as_ref().is_none_or(is_to)
            && self.before.is_none_or(|before| row.message.arrived < before)
            && self.state.is_none_or(|state| state == row.hold.state())
            && self.submitter.is_none_or(|submitter| row.message.submitter == Some(submitter))
    }
}

/// Whether a recipient has this address, or was named by it.
fn is_for(recipient: &Recipient, address: &Address) -> bool {
    recipient.forward_path == *address || recipient.expanded_from.as_ref() == Some(address)
}
