//! The one door to SQLite: how databases are opened, migrated, bounded and made durable.
//!
//! Account indexes are opened as [`Durability::Derived`] (the log replays what a power cut takes), the
//! directory and the queue as [`Durability::Durable`].

use crate::error::StorageError;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Heap of all SQLite connections together: the part of the memory budget that is SQLite's. Beyond it page
/// caches reuse their pages instead of growing.
const HEAP_OCTETS_MAX: i64 = 64 << 20;

/// The WAL file is cut to this after a checkpoint, so that one large change does not keep its space.
const WAL_OCTETS_KEPT: i64 = 4 << 20;

/// Pages in the WAL after which a durable database checkpoints by itself (SQLite's own default: 4 MiB).
const DURABLE_CHECKPOINT_PAGES: i64 = 1000;

/// How long a connection waits for another one's lock. Our writers take turns by themselves; this is for
/// the operator's sqlite3 shell and for the moment a checkpoint takes.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Prepared statements kept for each connection. Each takes a few KiB.
const STATEMENTS_MAX: usize = 64;

/// Complaints read from an integrity check: enough to see what kind of damage it is.
const COMPLAINTS_MAX: usize = 100;

/// How much a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// WAL, synchronous=NORMAL, no checkpoints by themselves: a commit may be lost in a power cut, never
    /// torn. For state that the log can replay. The owner calls [`Database::checkpoint`].
    Derived,
    /// WAL, synchronous=FULL: a commit is on disk when it returns.
    Durable,
}

/// Bounds of one connection's page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheBudget {
    /// 512 KiB: one of many (an account's index).
    Small,
    /// 4 MiB: one of few.
    Large,
}

impl CacheBudget {
    fn kibioctets(self) -> i64 {
        match self {
            CacheBudget::Small => 512,
            CacheBudget::Large => 4096,
        }
    }
}

/// What [`Database::checkpoint`] reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalCheckpoint {
    /// Everything committed is in the database file, and synced.
    Complete,
    /// A reader of an old snapshot, or another writer, held a part back: try again later.
    Partial,
}

/// One open SQLite database. `Send`, not `Sync`: one writer owns it, readers open their own.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
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
        if let Some(directory) = path.parent() {
            platform::durable::create_directories(directory)
                .map_err(|error| StorageError::io("create", directory, error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut database = Database::connect(path, flags, budget)?;
        database.make_writable(durability)?;
        let migrated = database.migrate(migrations)?;
        if migrated && durability == Durability::Durable {
            database.sync_names()?;
        }
        Ok(database)
    }

    /// Opens an existing database for reading alone.
    pub fn open_reader(path: &Path, budget: CacheBudget) -> Result<Database, StorageError> {
        Database::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, budget)
    }

    fn connect(path: &Path, flags: OpenFlags, budget: CacheBudget) -> Result<Database, StorageError> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Of the whole process, not of this connection; setting it again changes nothing.
        connection.pragma_update(None, "soft_heap_limit", HEAP_OCTETS_MAX)?;
        connection.pragma_update(None, "cache_size", -budget.kibioctets())?;
        // Pages read through mmap would fault on a bad disk and kill the process.
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        Ok(Database { connection, path: path.to_owned() })
    }

    fn make_writable(&mut self, durability: Durability) -> Result<(), StorageError> {
        let (synchronous, checkpoint_pages) = match durability {
            Durability::Derived => ("NORMAL", 0),
            Durability::Durable => ("FULL", DURABLE_CHECKPOINT_PAGES),
        };
        let connection = &self.connection;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            let what = format!("SQLite keeps the journal mode {mode} instead of WAL");
            return Err(StorageError::Corrupt { place: self.path.display().to_string(), what });
        }
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "wal_autocheckpoint", checkpoint_pages)?;
        connection.pragma_update(None, "journal_size_limit", WAL_OCTETS_KEPT)?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        Ok(())
    }

    /// Whether anything had to be done.
    fn migrate(&mut self, migrations: &[&str]) -> Result<bool, StorageError> {
        let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
        let found: u32 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(StorageError::Newer { path: self.path.clone(), found, known });
        }
        for (version, migration) in (1..=known).zip(migrations).skip(found as usize) {
            let transaction = self.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(found < known)
    }

    /// The connection: use `prepare_cached` for everything that runs more than once.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A writing transaction (BEGIN IMMEDIATE); rolled back unless committed.
    pub fn transaction(&mut self) -> Result<Transaction<'_>, StorageError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Moves the WAL into the database file and syncs it, and makes the file's directory entries durable:
    /// on [`WalCheckpoint::Complete`], everything committed survives a power cut.
    pub fn checkpoint(&self) -> Result<WalCheckpoint, StorageError> {
        // PASSIVE waits for nobody; once all is moved and no reader is left, the next writer begins the WAL
        // anew by itself.
        let (is_busy, in_wal, moved): (i64, i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if is_busy != 0 || in_wal != moved {
            return Ok(WalCheckpoint::Partial);
        }
        self.sync_names()?;
        Ok(WalCheckpoint::Complete)
    }

    /// What `PRAGMA quick_check` complains about (at most 100 lines); empty when sound.
    pub fn quick_check(&self) -> Result<Vec<String>, StorageError> {
        match self.complaints() {
            Ok(complaints) if complaints.first().is_some_and(|first| first == "ok") => Ok(Vec::new()),
            // Damage to the root of things ends the check itself.
            Err(StorageError::Corrupt { what, .. }) => Ok(vec![what]),
            complaints => complaints,
        }
    }

    fn complaints(&self) -> Result<Vec<String>, StorageError> {
        let mut statement = self.connection.prepare(&format!("PRAGMA quick_check({COMPLAINTS_MAX})"))?;
        let complaints = statement.query_map([], |row| row.get(0))?;
        Ok(complaints.take(COMPLAINTS_MAX).collect::<Result<_, _>>()?)
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the directory that names the file. Cheap when nothing has changed there.
    fn sync_names(&self) -> Result<(), StorageError> {
        let Some(directory) = self.path.parent() else { return Ok(()) };
        platform::durable::sync_directory(directory)
            .map_err(|error| StorageError::io("sync", directory, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE flag (uid INTEGER PRIMARY KEY, bits INTEGER NOT NULL) WITHOUT ROWID;";
    const SECOND: &str = "ALTER TABLE flag ADD COLUMN keyword TEXT;";

    fn open(path: &Path, migrations: &[&str]) -> Result<Database, StorageError> {
        Database::open(path, Durability::Derived, CacheBudget::Small, migrations)
    }

    fn pragma(database: &Database, name: &str) -> i64 {
        database.connection().pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_schema_is_brought_up_to_date_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts/7/index.db");
        open(&path, &[FIRST]).unwrap();
        for _ in 0..2 {
            let mut database = open(&path, &[FIRST, SECOND]).unwrap();
            assert_eq!(pragma(&database, "user_version"), 2);
            let transaction = database.transaction().unwrap();
            transaction.execute("INSERT OR REPLACE INTO flag VALUES (1, 2, 'x')", []).unwrap();
            transaction.commit().unwrap();
        }
        let refused = open(&path, &[FIRST]).unwrap_err();
        assert!(matches!(refused, StorageError::Newer { found: 2, known: 1, .. }));
    }

    #[test]
    fn a_failed_migration_leaves_the_version_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.db");
        assert!(open(&path, &[FIRST, "CREATE TABLE half (a); nonsense"]).is_err());
        let database = open(&path, &[FIRST]).unwrap();
        assert_eq!(pragma(&database, "user_version"), 1);
        assert!(database.connection().prepare("SELECT * FROM half").is_err());
    }

    #[test]
    fn durability_and_memory_are_as_promised() {
        let directory = tempfile::tempdir().unwrap();
        let derived = open(&directory.path().join("a.db"), &[FIRST]).unwrap();
        assert_eq!((pragma(&derived, "synchronous"), pragma(&derived, "wal_autocheckpoint")), (1, 0));
        let path = directory.path().join("b.db");
        let durable = Database::open(&path, Durability::Durable, CacheBudget::Large, &[FIRST]).unwrap();
        assert_eq!((pragma(&durable, "synchronous"), pragma(&durable, "wal_autocheckpoint")), (2, 1000));
        assert_eq!(pragma(&durable, "cache_size"), -4096);
        assert_eq!(pragma(&durable, "soft_heap_limit"), HEAP_OCTETS_MAX);
    }

    #[test]
    fn a_checkpoint_is_partial_while_an_old_reader_needs_the_wal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.db");
        let mut writer = open(&path, &[FIRST]).unwrap();
        let insert = |writer: &mut Database, uid: i64| {
            let transaction = writer.transaction().unwrap();
            transaction.execute("INSERT INTO flag VALUES (?1, 0)", [uid]).unwrap();
            transaction.commit().unwrap();
        };
        insert(&mut writer, 1);
        assert_eq!(writer.checkpoint().unwrap(), WalCheckpoint::Complete);

        let reader = Database::open_reader(&path, CacheBudget::Small).unwrap();
        let count = |reader: &Database| -> i64 {
            reader.connection().query_row("SELECT count(*) FROM flag", [], |row| row.get(0)).unwrap()
        };
        reader.connection().execute_batch("BEGIN").unwrap();
        assert_eq!(count(&reader), 1);
        insert(&mut writer, 2);
        assert_eq!(writer.checkpoint().unwrap(), WalCheckpoint::Partial);
        reader.connection().execute_batch("COMMIT").unwrap();
        assert_eq!(writer.checkpoint().unwrap(), WalCheckpoint::Complete);
        assert_eq!(count(&reader), 2);
    }

    #[test]
    fn damage_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.db");
        let mut database = open(&path, &[FIRST]).unwrap();
        let transaction = database.transaction().unwrap();
        for uid in 0..2000 {
            transaction.execute("INSERT INTO flag VALUES (?1, 0)", [uid]).unwrap();
        }
        transaction.commit().unwrap();
        assert!(database.quick_check().unwrap().is_empty());
        database.checkpoint().unwrap();
        drop(database);

        let mut octets = std::fs::read(&path).unwrap();
        for octet in &mut octets[3 * 4096..4 * 4096] {
            *octet = 0x55;
        }
        std::fs::write(&path, octets).unwrap();
        let database = Database::open_reader(&path, CacheBudget::Small).unwrap();
        assert!(!database.quick_check().unwrap().is_empty());
    }
}
