//! Tenants: others than accounts who keep notes and octets in the log, such as the outbound queue.
//!
//! A tenant's picture of the log is brought up by an applier of its own, in the log's order, and takes part in
//! replay, checkpoints, purges and verification as account indexes do (docs/internals/account-index.md).

use std::fmt;
use std::ops::RangeInclusive;

use storage::{BlobRef, Committed, LogPosition, PackId, StorageError, WalCheckpoint};

/// Owners from here on are tenants; no account has such a number.
pub const TENANTS_FROM: u32 = u32::MAX - 255;

/// One entry of the log as far as it concerns a tenant.
#[derive(Clone, Copy, Debug)]
pub struct TenantEntry<'a> {
    /// Just after the entry in the log.
    pub position: LogPosition,
    /// Where the entry's octets lie, if it has any.
    pub blob: Option<BlobRef>,
    /// The tenant's note.
    pub note: &'a [u8],
}

/// Octets in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TenantBlob {
    /// Where they lie.
    pub at: BlobRef,
    /// How many octets of their pack the entry takes; 0 for a blob pack of their own.
    pub in_log: u64,
}

/// What a purge keeps of a tenant's share of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// This note, without the entry's octets.
    Note(Vec<u8>),
    /// This note and the entry's octets.
    NoteAndBlob(Vec<u8>),
}

/// An entry that a purge has written again.
#[derive(Clone, Copy, Debug)]
pub struct TenantMove<'a> {
    /// The note as it was.
    pub note: &'a [u8],
    /// Where its octets were, if it had any that were kept.
    pub from: Option<BlobRef>,
    /// Where they are now.
    pub to: Option<BlobRef>,
    /// The log pack that has the note now.
    pub pack: PackId,
}

impl TenantEntry<'_> {
    /// How many octets of the log the entry takes with its octets; 0 if these lie in a pack of their own.
    #[must_use]
    pub fn in_log(&self) -> u64 {
        let offset = self.blob.filter(|blob| blob.pack == self.position.pack).map(|blob| blob.offset);
        offset.map_or(0, |offset| self.position.offset.saturating_sub(offset))
    }
}

/// Writes a further note of the tenant's, durably, before it returns.
pub type WriteNote<'a> = &'a dyn Fn(Vec<u8>) -> Result<(), StorageError>;

/// What is called when an entry is durable, on the committer's thread and in the log's order, or has failed: hand over
/// and return. An entry that is refused at once fails on the thread that submits it.
pub type OnWritten = Box<dyn FnOnce(Result<&Committed, &StorageError>) + Send + Sync>;

/// A tenant's note on its way into the log.
pub struct NewNote {
    /// The tenant.
    pub owner: u32,
    /// The note.
    pub octets: Vec<u8>,
    /// Whom to tell.
    pub written: Option<OnWritten>,
}

impl fmt::Debug for NewNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewNote({}, {} octets)", self.owner, self.octets.len())
    }
}

/// Calls back with every entry of the tenant's in the log, in the log's order. May be called several times.
pub type ReadLog<'a> =
    &'a dyn Fn(&mut dyn FnMut(&TenantEntry<'_>) -> Result<(), StorageError>) -> Result<(), StorageError>;

/// One who keeps notes in the log beside the accounts. All calls may block; none may wait for the store.
pub trait Tenant: Send + Sync + fmt::Debug {
    /// Its number in the log: [`TENANTS_FROM`] or more.
    fn owner(&self) -> u32;

    /// How far its picture has followed the log; `None` if it is new, lost or damaged.
    ///
    /// # Errors
    /// What the disk says, damage excepted.
    fn applied(&self) -> Result<Option<LogPosition>, StorageError>;

    /// Brings entries into the picture, durably only at the next checkpoint; those up to the applied position are
    /// skipped. What `write` writes comes before the picture changes.
    ///
    /// # Errors
    /// What the disk says: the same entries are offered again, or the picture is made anew if it is damaged.
    fn apply(&self, entries: &[TenantEntry<'_>], write: WriteNote<'_>) -> Result<(), StorageError>;

    /// These entries, committed while the store is open, are now in the picture. Each is told once.
    fn publish(&self, entries: &[TenantEntry<'_>]);

    /// Makes the picture durable. It has everything of the tenant's up to `upto`.
    ///
    /// # Errors
    /// What the disk says.
    fn checkpoint(&self, upto: LogPosition) -> Result<WalCheckpoint, StorageError>;

    /// Makes the picture anew from all that the log has, which is up to `upto` at least: entries beyond may be among
    /// what is read, and are applied again later.
    ///
    /// # Errors
    /// What the disk says.
    fn rebuild(&self, upto: LogPosition, log: ReadLog<'_>, write: WriteNote<'_>) -> Result<(), StorageError>;

    /// The octets it needs in a run of packs.
    ///
    /// # Errors
    /// What the disk says.
    fn blobs_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<TenantBlob>, StorageError>;

    /// What must be kept of an entry. `has_pack` tells whether any log pack of a run still exists.
    ///
    /// # Errors
    /// What the disk says, or a note that cannot be read: the pack stays.
    fn still_needed(
        &self,
        entry: &TenantEntry<'_>,
        has_pack: &dyn Fn(RangeInclusive<PackId>) -> bool,
    ) -> Result<Kept, StorageError>;

    /// Entries were written again: the picture must point to the copies.
    ///
    /// # Errors
    /// What the disk says: the pack stays.
    fn moved(&self, moves: &[TenantMove<'_>], write: WriteNote<'_>) -> Result<(), StorageError>;

    /// Compares the picture with one made anew from the log, and says what differs. What the log has beyond the
    /// picture's position is to be passed over.
    ///
    /// # Errors
    /// What the disk says.
    fn verify(&self, log: ReadLog<'_>) -> Result<Vec<String>, StorageError>;
}
