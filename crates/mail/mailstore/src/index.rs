//! The account index: what is known of an account's mail, derived from the log, asked in words of mail.
//!
//! [`AccountIndex`] is the border behind which another engine fits. It has one way in, [`AccountIndex::apply`], which
//! takes what the log already holds, and questions. `SqliteIndex` keeps it in a file; `ModelIndex` in plain maps, for
//! tests that compare the two.

mod annotations;
mod batch;
mod check;
mod emails;
#[cfg(test)]
mod model;
mod places;
mod question;
mod schema;
mod scripts;
mod sqlite;
#[cfg(test)]
mod tests;
mod tombstones;

use std::ops::{ControlFlow, RangeInclusive};

use mail_types::{
    AnnotationName, EmailId, MailboxId, MailboxName, ModSeq, ScriptName, ThreadId, Uid, UidSet,
};
use platform::clock::Timestamp;
use storage::{BlobRef, LogPosition, PackId, StorageError};

use crate::annotations::{Annotations, Place, Value};
use crate::digest::Digest;
use crate::fetch::{Row, Want};
use crate::note::{MailboxState, Record};
use crate::scripts::{Script, ScriptList};
use crate::search::HeaderField;
use crate::view::Snapshot;

#[cfg(test)]
pub(crate) use model::ModelIndex;
pub use sqlite::is_damage;
pub(crate) use sqlite::{SqliteIndex, shared_keywords};

/// One entry of the log, as far as it concerns one account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToApply<'a> {
    pub(crate) position: LogPosition,
    pub(crate) blob: Option<BlobRef>,
    pub(crate) records: &'a [Record],
    /// What the scan of the entry's octets found; needed for a `Stored` that the index does not know yet.
    pub(crate) digest: Option<&'a Digest>,
}

/// In which order entries come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// The log's: entries up to the applied position have been applied.
    Log,
    /// Whatever order a purge has left, in an index made anew, phase after phase.
    Rebuild(Phase),
}

/// What one reading of all packs takes from them when an index is made anew: messages need their mailboxes,
/// changes need their messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Mailboxes,
    Messages,
    Changes,
}

/// What is known about a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MailboxRow {
    pub(crate) state: MailboxState,
    pub(crate) uid_next: Uid,
    pub(crate) highest_modseq: ModSeq,
    pub(crate) messages: u64,
    pub(crate) unseen: u64,
    pub(crate) deleted: u64,
    pub(crate) octets: u64,
    /// When the mailbox itself was deleted; its row stays while its messages are recoverable.
    pub(crate) deleted_at: Option<Timestamp>,
}

/// What is known about the account as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AccountRow {
    /// Everything in the log up to here is in the index.
    pub(crate) applied: LogPosition,
    pub(crate) modseq_last: ModSeq,
    pub(crate) mailbox_last: MailboxId,
    pub(crate) uid_validity_last: u32,
    pub(crate) is_removed: bool,
}

impl AccountRow {
    pub(crate) const NEW: Self = Self {
        applied: LogPosition::START,
        modseq_last: ModSeq(0),
        mailbox_last: MailboxId(0),
        uid_validity_last: 0,
        is_removed: false,
    };
}

/// What applying a batch changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Applied {
    pub(crate) account: AccountRow,
    /// The new rows of the mailboxes that changed, deleted ones included.
    pub(crate) mailboxes: Vec<MailboxRow>,
}

/// Who vanished from a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Vanished {
    Exactly(UidSet),
    /// Too long ago: the tombstones are no longer kept.
    Unknown,
}

/// Where an email's octets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EmailPlace {
    pub(crate) blob: BlobRef,
    pub(crate) octets: u64,
    pub(crate) thread: ThreadId,
}

/// Takes a message's folded header text, if it has that header; says whether to go on.
pub(crate) type VisitHeader<'a> = &'a mut dyn FnMut(Uid, Option<&[u8]>) -> ControlFlow<()>;

/// An account's mail, indexed.
pub(crate) trait AccountIndex {
    /// Takes entries of the log, all or none of them.
    fn apply(&mut self, order: Order, entries: &[ToApply<'_>]) -> Result<Applied, StorageError>;

    fn account(&self) -> Result<AccountRow, StorageError>;

    /// Every mailbox, deleted ones included.
    fn mailboxes(&self) -> Result<Vec<MailboxRow>, StorageError>;

    fn subscriptions(&self) -> Result<Vec<MailboxName>, StorageError>;

    /// Every script, without what it says, and which one is active.
    fn scripts(&self) -> Result<ScriptList, StorageError>;

    /// What a script says; `None` if there is none of that name.
    fn script(&self, name: &ScriptName) -> Result<Option<Script>, StorageError>;

    /// Every annotation, without what it says.
    fn annotations(&self) -> Result<Annotations, StorageError>;

    /// What an annotation says; `None` if there is none of that name at that place.
    fn annotation(&self, place: Place, name: &AnnotationName) -> Result<Option<Value>, StorageError>;

    /// The mailbox as it is now; `None` if it does not exist.
    fn snapshot(&self, mailbox: MailboxId) -> Result<Option<Snapshot>, StorageError>;

    /// Those of `uids` that exist, ascending.
    fn rows(&self, mailbox: MailboxId, uids: &UidSet, want: Want) -> Result<Vec<Row>, StorageError>;

    fn email(&self, email: EmailId) -> Result<Option<EmailPlace>, StorageError>;

    fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StorageError>;

    /// Visits the folded headers of those of `uids` that exist, ascending, until told to stop.
    fn headers(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        field: HeaderField,
        visit: VisitHeader<'_>,
    ) -> Result<(), StorageError>;

    /// Forgets messages expunged before a time, and emails that have no place any more; says how many messages.
    fn forget_expunged(&mut self, before: Timestamp) -> Result<u64, StorageError>;

    /// What of a record a purge must keep: the record, a part of it, or nothing.
    fn still_needed(&self, record: &Record, blob: Option<BlobRef>) -> Result<Option<Record>, StorageError>;

    /// The emails whose octets lie in a run of packs, ascending.
    fn emails_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<StoredEmail>, StorageError>;

    /// A purge copied an email's octets to another place.
    fn move_emails(&mut self, moves: &[Move]) -> Result<(), StorageError>;
}

/// Where an email's octets lie, and how much of the log they take.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StoredEmail {
    pub(crate) blob: BlobRef,
    pub(crate) in_log: u64,
}

/// Octets on their way from one pack to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) email: EmailId,
    pub(crate) from: BlobRef,
    pub(crate) to: BlobRef,
}
