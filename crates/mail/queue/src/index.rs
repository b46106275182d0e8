//! The queue's index, `DATA/queue.db`: a picture of the log, and the schedule, which the log does not know.
//!
//! Attempts, last replies and next times are here alone: a crash may take them, and then a message is tried sooner.
//! Everything else is made anew from the log.

mod apply;
mod load;
mod rebuild;
mod rows;
mod schema;

use std::path::{Path, PathBuf};

use mail_types::QueueId;
use mailstore::is_damage;
use platform::clock::Timestamp;
use storage::rusqlite::{self, OptionalExtension, params};
use storage::{BlobRef, CacheBudget, Database, Durability, LogPosition, PackId, StorageError};

use crate::message::{Diagnostic, NewMessage, RecipientNumber};
use crate::settings::Settings;
use crate::state::{Hold, RecipientState};

pub(crate) use apply::{Batch, waiting};
pub(crate) use load::{DestinationRow, LoadedParcel};
pub(crate) use rebuild::{build, differences};

/// The index in its file.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) database: Database,
    pub(crate) settings: Settings,
    /// It stands in for one that is being put in place.
    is_nothing: bool,
}

/// A message as the index has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MessageRow {
    pub(crate) id: QueueId,
    pub(crate) blob: BlobRef,
    pub(crate) octets: u64,
    pub(crate) first_pack: PackId,
    pub(crate) last_pack: PackId,
    pub(crate) hold: Hold,
    pub(crate) changed: u64,
    pub(crate) message: NewMessage,
    /// In the order of the message's recipients.
    pub(crate) recipients: Vec<RecipientRow>,
}

/// A recipient as the index has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RecipientRow {
    pub(crate) state: RecipientState,
    pub(crate) is_warned: bool,
    pub(crate) last: Option<Diagnostic>,
}

/// What the schedule has to remember of a parcel that was deferred.
#[derive(Clone, Debug)]
pub(crate) struct ParcelUpdate {
    pub(crate) id: QueueId,
    pub(crate) destination: String,
    pub(crate) due: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) tried: Option<Timestamp>,
    pub(crate) last: Vec<(RecipientNumber, Diagnostic)>,
}

/// What it has to remember of a destination.
#[derive(Clone, Debug)]
pub(crate) struct DestinationUpdate {
    pub(crate) destination: String,
    pub(crate) attempts: u32,
    pub(crate) not_before: Timestamp,
    pub(crate) tried: Option<Timestamp>,
    pub(crate) last: Option<Diagnostic>,
}

/// When nothing is ever due.
pub(crate) const NEVER: i64 = i64::MAX;

impl Index {
    /// Opens the file, making it if missing; one that is damaged is put away and begun anew.
    pub(crate) fn open(path: &Path, settings: &Settings) -> Result<Self, StorageError> {
        match Self::open_sound(path, settings) {
            Err(error) if is_damage(&error) => {
                tracing::error!(%error, "the queue's index is damaged");
                remove_database(path)?;
                Self::open_sound(path, settings)
            }
            opened => opened,
        }
    }

    pub(crate) fn open_sound(path: &Path, settings: &Settings) -> Result<Self, StorageError> {
        let database = Database::open(path, Durability::Derived, CacheBudget::Large, schema::MIGRATIONS)?;
        let index = Self { database, settings: settings.clone(), is_nothing: false };
        index.applied()?;
        Ok(index)
    }

    /// For reading beside the one that writes.
    pub(crate) fn open_reader(path: &Path, settings: &Settings) -> Result<Self, StorageError> {
        let database = Database::open_reader(path, CacheBudget::Small)?;
        Ok(Self { database, settings: settings.clone(), is_nothing: false })
    }

    /// What stands in while another is put in place.
    pub(crate) fn nothing(path: &Path, settings: &Settings) -> Result<Self, StorageError> {
        Ok(Self { is_nothing: true, ..Self::open_sound(path, settings)? })
    }

    /// That it is an index.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_nothing { Err(damaged("an index that was not put in place")) } else { Ok(()) }
    }

    /// How far the log is applied; `None` if the index is empty.
    pub(crate) fn applied(&self) -> Result<Option<LogPosition>, StorageError> {
        if self.is_nothing {
            return Ok(None);
        }
        let mut statement = self.database.connection().prepare_cached("SELECT pack, offset FROM queue")?;
        let position = statement
            .query_row([], |row| Ok(LogPosition { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? }));
        Ok(position.optional()?)
    }

    /// The greatest id ever seen.
    pub(crate) fn last_id(&self) -> Result<QueueId, StorageError> {
        let mut statement = self.database.connection().prepare_cached("SELECT last_id FROM queue")?;
        let last = statement.query_row([], |row| unsigned(row, 0)).optional()?;
        Ok(QueueId(last.unwrap_or(0)))
    }

    /// Notes that everything up to here is applied. Only ever forwards.
    pub(crate) fn reach(&self, position: LogPosition) -> Result<(), StorageError> {
        if self.applied()? >= Some(position) {
            return Ok(());
        }
        set_applied(self.database.connection(), position, QueueId(0))?;
        Ok(())
    }

    /// Runs reads and writes in one transaction.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let transaction = self.database.transaction()?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

pub(crate) fn set_applied(
    connection: &rusqlite::Connection,
    position: LogPosition,
    last_id: QueueId,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO queue(id, pack, offset, last_id) VALUES(1, ?1, ?2, ?3) ON CONFLICT(id) DO UPDATE SET \
               pack = ?1, offset = ?2, last_id = max(last_id, ?3)";
    let values = params![position.pack.0, number(position.offset), number(last_id.0)];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// SQLite's integers are signed: ids and offsets keep their bits, and none of ours reaches the sign.
pub(crate) fn number(value: u64) -> i64 {
    value as i64
}

pub(crate) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    Ok(row.get::<_, i64>(column)? as u64)
}

/// What a row that is not what we write is.
pub(crate) fn damaged(what: &'static str) -> StorageError {
    StorageError::Corrupt { place: "queue.db".to_owned(), what: what.to_owned() }
}

/// Removes a database and what SQLite keeps beside it.
pub(crate) fn remove_database(path: &Path) -> Result<(), StorageError> {
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        platform::durable::remove(&file).map_err(|source| StorageError::Io {
            doing: "remove",
            path: file.clone(),
            source: std::sync::Arc::new(source),
        })?;
    }
    Ok(())
}
