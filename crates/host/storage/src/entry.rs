//! What goes into the log and what comes back: entries of optional octets and notes about them.

use crate::blob_writer::PreparedBlob;
use crate::position::{BlobRef, LogPosition};

/// Octets that mean nothing to storage, kept for one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whose note it is (an account's number).
    pub owner: u32,
    /// What the owner's index wants to remember.
    pub octets: Vec<u8>,
}

/// One entry on its way into the log.
#[derive(Debug)]
pub struct NewEntry {
    /// The octets to keep, if any.
    pub blob: Option<PreparedBlob>,
    /// The notes that go with them.
    pub notes: Vec<Note>,
}

/// Proof that an entry is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Just after the entry in the log.
    pub position: LogPosition,
    /// Where its octets lie, if it had any.
    pub blob: Option<BlobRef>,
}

/// One entry read back from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Just after the entry in the log.
    pub position: LogPosition,
    /// Its octets, if it has any: where they lie (perhaps in a pack of their own), how many, their hash.
    pub blob: Option<StoredBlob>,
    /// Its notes.
    pub notes: Vec<Note>,
    /// Octets that the entry itself takes in its pack (without those of a blob in a pack of its own).
    pub stored_octets: u64,
}

/// What the log knows of a blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Where it lies.
    pub at: BlobRef,
    /// Octets of the original.
    pub octets: u64,
    /// BLAKE3 of the original.
    pub hash: blake3::Hash,
}
