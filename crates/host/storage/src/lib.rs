//! Bytes that survive: the packs (one append-only log for all mail), the one door to SQLite, and the
//! data directory's lock. Knows nothing of mail; `mailstore`, `directory` and `queue` stand on it.
//!
//! The on-disk format, the order of writes and the crash points are written down in
//! `docs/internals/store-format.md`.

mod blob_reader;
mod blob_writer;
mod check;
mod compression;
mod database;
mod entry;
mod error;
mod lock;
mod packs;
mod position;
mod scratch;

pub use blake3::{self, Hash};
pub use blob_reader::BlobReader;
pub use blob_writer::{BlobWriter, PreparedBlob};
pub use check::{CheckReport, Finding, check};
pub use database::{CacheBudget, Database, Durability, WalCheckpoint};
pub use entry::{Committed, LogEntry, NewEntry, Note, StoredBlob};
pub use error::StorageError;
pub use lock::DataLock;
pub use packs::free_octets;
pub use packs::record;
pub use packs::{
    BatchCompletion, Completion, Entries, Keep, PackInfo, PackKind, PackSettings, PackStatistics, PackStore,
    Replay, RewriteSummary, Rewritten,
};
pub use position::{BlobRef, LogPosition, PackId};
pub use rusqlite;
pub use scratch::{Scratch, ScratchReader};
