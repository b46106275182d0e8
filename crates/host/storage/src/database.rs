//! The one door to SQLite.

use crate::error::StorageError;
use rusqlite::{Connection, Transaction};
use std::path::Path;

/// How much a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// WAL, synchronous=NORMAL, no checkpoints by themselves: a commit may be lost in a power cut, never
    /// torn. For state that the log can replay. The owner calls [`Database::checkpoint`].
    Derived,
    /// WAL, synchronous=FULL: a commit is on disk when it returns.
    Durable,
}

/// Bounds of SQLite's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheBudget {
    /// 512 KiB: one of many (an account's index).
    Small,
    /// 4 MiB: one of few.
    Large,
}

/// What [`Database::checkpoint`] reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalCheckpoint {
    /// Everything committed is in the database file, and synced.
    Complete,
    /// A reader of an old snapshot held a part back: try again later.
    Partial,
}

/// One open SQLite database. `Send`, not `Sync`: one writer owns it, readers open their own.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens (creating the file and its directory if missing) and brings the schema up to date:
    /// `migrations[n]` leads from user_version n to n + 1, each in its own transaction.
    pub fn open(
        path: &Path,
        durability: Durability,
        budget: CacheBudget,
        migrations: &[&str],
    ) -> Result<Database, StorageError> {
        let _ = (path, durability, budget, migrations);
        todo!()
    }

    /// Opens an existing database for reading alone.
    pub fn open_reader(path: &Path, budget: CacheBudget) -> Result<Database, StorageError> {
        let _ = (path, budget);
        todo!()
    }

    /// The connection: use `prepare_cached` for everything that runs more than once.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A writing transaction (BEGIN IMMEDIATE); rolled back unless committed.
    pub fn transaction(&mut self) -> Result<Transaction<'_>, StorageError> {
        todo!()
    }

    /// Moves the WAL into the database file and syncs it, and makes the file's directory entries durable:
    /// on [`WalCheckpoint::Complete`], everything committed survives a power cut.
    pub fn checkpoint(&self) -> Result<WalCheckpoint, StorageError> {
        todo!()
    }

    /// What `PRAGMA quick_check` complains about (at most 100 lines); empty when sound.
    pub fn quick_check(&self) -> Result<Vec<String>, StorageError> {
        todo!()
    }
}
