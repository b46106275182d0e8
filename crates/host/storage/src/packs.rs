//! The packs: one append-only log in numbered files.

use crate::blob_reader::BlobReader;
use crate::blob_writer::{BlobWriter, PreparedBlob};
use crate::entry::{Committed, LogEntry, NewEntry, Note};
use crate::error::StorageError;
use crate::position::{BlobRef, LogPosition, PackId};
use std::path::Path;

/// What is called when an entry is durable, or has failed. Runs on the committer thread: hand over and return.
pub type Completion = Box<dyn FnOnce(Result<Committed, StorageError>) + Send>;

/// How the packs are kept.
#[derive(Clone, Debug)]
pub struct PackSettings {
    /// A pack is sealed when it reaches this length. Default 64 MiB.
    pub pack_octets: u64,
    /// Entries with octets are refused when the file system has less free than this. Default 256 MiB.
    pub free_octets_min: u64,
    /// Length of the `reserve` file that is given up so that deletions work on a full disk. Default 8 MiB.
    pub reserve_octets: u64,
    /// Octets that may wait in the queue. Default 32 MiB.
    pub queue_octets_max: u64,
    /// Pack files kept open for reading. Default 128.
    pub open_packs_max: usize,
}

impl Default for PackSettings {
    fn default() -> Self {
        PackSettings {
            pack_octets: 64 << 20,
            free_octets_min: 256 << 20,
            reserve_octets: 8 << 20,
            queue_octets_max: 32 << 20,
            open_packs_max: 128,
        }
    }
}

/// Whether a pack holds the log, or one large blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackKind {
    /// Entries: `<n>.pack`.
    Log,
    /// One large blob, named by an entry of the log: `<n>.blob`.
    Blob,
}

/// One pack file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// Its number.
    pub id: PackId,
    /// What it holds.
    pub kind: PackKind,
    /// Its length.
    pub octets: u64,
    /// Nothing more will be written into it.
    pub sealed: bool,
}

/// Numbers for telemetry, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackStatistics {
    /// Entries made durable.
    pub entries: u64,
    /// Groups, each one write and one sync.
    pub groups: u64,
    /// Octets written to the log.
    pub octets: u64,
    /// Groups that failed.
    pub failures: u64,
    /// Entries waiting now.
    pub waiting_entries: u64,
    /// Octets waiting now.
    pub waiting_octets: u64,
}

/// The packs of one data directory. Cheap to clone; the last clone's drop waits for what is queued.
#[derive(Clone, Debug)]
pub struct PackStore {
    _private: (),
}

/// The committed entries after the checkpoint mark, as they were when the store was opened. Damaged
/// places are logged and passed over; an `Err` means that the log could not be read on from there.
#[derive(Debug)]
pub struct Replay {
    _private: (),
}

impl Iterator for Replay {
    type Item = Result<LogEntry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// The entries of one pack, in order. `Err` items name damaged places ([`StorageError::Corrupt`]); the
/// iterator goes on behind them.
#[derive(Debug)]
pub struct Entries {
    _private: (),
}

impl Iterator for Entries {
    type Item = Result<LogEntry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// What a purge keeps of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing of it is needed any more.
    Nothing,
    /// Its octets are dead, but these notes must live on.
    Notes(Vec<Note>),
    /// Its octets live on, with these notes.
    Blob(Vec<Note>),
}

/// An entry that a purge has copied to the log's end, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The entry as it was.
    pub from: LogEntry,
    /// Where it is now. A blob in a pack of its own stays where it was.
    pub to: Committed,
}

impl PackStore {
    /// Opens (or founds) the packs in `directory` (`DATA/packs`), cuts a torn tail, starts the committer.
    /// The caller holds the [`crate::DataLock`].
    pub fn open(directory: &Path, settings: PackSettings) -> Result<(PackStore, Replay), StorageError> {
        let _ = (directory, settings);
        todo!()
    }

    /// Begins a blob. [`StorageError::Full`] when the disk is short.
    pub fn new_blob(&self) -> Result<BlobWriter, StorageError> {
        todo!()
    }

    /// Queues an entry; never blocks on the disk. Log order is the order of the calls. `done` runs on the
    /// committer thread in log order once the entry is durable or has failed; when the queue is full or
    /// closed, or the entry too large, it runs at once on the calling thread with Busy, Closed, TooLarge.
    pub fn submit(&self, entry: NewEntry, done: Completion) {
        let _ = (entry, done);
        todo!()
    }

    /// Queues several entries that are durable all together or not at all, also across a power cut.
    /// The results are in the order of the entries.
    pub fn submit_all(
        &self,
        entries: Vec<NewEntry>,
        done: Box<dyn FnOnce(Result<Vec<Committed>, StorageError>) + Send>,
    ) {
        let _ = (entries, done);
        todo!()
    }

    /// [`PackStore::submit`] and wait. Blocking.
    pub fn commit(&self, entry: NewEntry) -> Result<Committed, StorageError> {
        let _ = entry;
        todo!()
    }

    /// Opens a blob for reading. Blocking. A small blob is read, unpacked and compared with its hash here.
    pub fn read(&self, blob: BlobRef) -> Result<BlobReader, StorageError> {
        let _ = blob;
        todo!()
    }

    /// The position after the last durable entry.
    pub fn durable(&self) -> LogPosition {
        todo!()
    }

    /// The mark: replay after a crash begins here.
    pub fn mark(&self) -> LogPosition {
        todo!()
    }

    /// Moves the mark, durably: the caller promises that everything up to `upto` is applied and synced
    /// elsewhere. Going back, or beyond [`PackStore::durable`], changes nothing.
    pub fn checkpoint(&self, upto: LogPosition) -> Result<(), StorageError> {
        let _ = upto;
        todo!()
    }

    /// All packs, by number. Reads the directory.
    pub fn packs(&self) -> Result<Vec<PackInfo>, StorageError> {
        todo!()
    }

    /// The entries of a pack, up to what is durable now. A blob pack has one, without notes.
    pub fn entries(&self, pack: PackId) -> Result<Entries, StorageError> {
        let _ = pack;
        todo!()
    }

    /// Takes a stored blob as it is (compressed, compared with its checksum), for a further entry.
    /// A blob in a pack of its own is not copied but named again.
    pub fn copy_blob(&self, blob: BlobRef) -> Result<PreparedBlob, StorageError> {
        let _ = blob;
        todo!()
    }

    /// Copies what `keep` wants of a sealed log pack to the log's end and waits until all is durable.
    /// `rewritten` is called for each copied entry, in order, so that the caller can change its rows. The
    /// pack itself stays, and stays readable, until [`PackStore::remove`].
    pub fn rewrite(
        &self,
        pack: PackId,
        keep: impl FnMut(&LogEntry) -> Keep,
        rewritten: impl FnMut(Rewritten),
    ) -> Result<(), StorageError> {
        let _ = (pack, keep, rewritten);
        todo!()
    }

    /// Removes a sealed pack whose entries nobody needs any more. Open readers finish undisturbed. Refused
    /// (with an `Io` error of kind `InvalidInput`) for the current pack and while the mark is before its end.
    pub fn remove(&self, pack: PackId) -> Result<(), StorageError> {
        let _ = pack;
        todo!()
    }

    /// Numbers for telemetry.
    pub fn statistics(&self) -> PackStatistics {
        todo!()
    }

    /// Takes no more entries, waits until the queued ones are durable, stops the committer. Blocking.
    pub fn close(&self) {
        todo!()
    }
}
