//! What can go wrong between the house and its disk, sorted by what the caller can do about it.

use crate::position::BlobRef;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of storage. Cloneable, because one failed sync fails every entry that waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is short: refuse new mail for now (452, `NO [UNAVAILABLE]`). Deletions are still taken.
    #[error("the disk is full, or nearly so")]
    Full,
    /// The bounded queue is full, or another process holds a database: ask the client to come back (451,
    /// `NO [UNAVAILABLE]`).
    #[error("storage is busy")]
    Busy,
    /// Storage is shutting down; nothing was written.
    #[error("storage is closed")]
    Closed,
    /// The entry or blob exceeds a bound of the format: a fault of the caller, or a message too large.
    #[error("too large for the store: {what} of {octets} octets, at most {octets_max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its length.
        octets: u64,
        /// The bound.
        octets_max: u64,
    },
    /// The blob's pack is no longer there: it was moved by a purge. Look the reference up again.
    #[error("no blob at {0}: its pack was removed")]
    Gone(BlobRef),
    /// What is on the disk is not what was written. Tell the operator; this object alone is affected.
    #[error("corrupt: {place}: {what}")]
    Corrupt {
        /// File and offset.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// Another server holds the data directory.
    #[error("the data directory {} is in use by {}", path.display(), holder(*pid))]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it, if it wrote its number down.
        pid: Option<u32>,
    },
    /// The file was written by a newer version of the program.
    #[error("{} has format {found}; this program knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest we know.
        known: u32,
    },
    /// The operating system refused. The operator has to look (permissions, broken disk).
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What we tried, as a verb.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// SQLite refused.
    #[error("database failure")]
    Database(#[source] Arc<rusqlite::Error>),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StorageError {
    /// Wraps what the system said; a full disk (or quota) becomes [`StorageError::Full`].
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> StorageError {
        if is_disk_full(&source) {
            return StorageError::Full;
        }
        StorageError::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Whether the system says that there is no room: ENOSPC, or EDQUOT for a quota.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<rusqlite::Error> for StorageError {
    fn from(source: rusqlite::Error) -> StorageError {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StorageError::Full,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                StorageError::Busy
            }
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                StorageError::Corrupt { place: "a database".to_owned(), what: source.to_string() }
            }
            _ => StorageError::Database(Arc::new(source)),
        }
    }
}
