//! The file behind the memory of senders: rows by kind and key, bounded and ageing. Its calls block.

use std::path::Path;

use mail_types::AccountId;
use platform::clock::Timestamp;
use storage::rusqlite::{OptionalExtension as _, params};
use storage::{CacheBudget, Database, Durability, StorageError};

use super::{HALF_LIFE, NOBODY, Standing};

/// Writes between two looks for what can be forgotten.
const TIDY_EVERY: u32 = 256;
const DAY: i64 = 24 * 3_600;

pub(super) const MIGRATIONS: [&str; 2] = [
    "CREATE TABLE seen (
        kind INTEGER NOT NULL,
        account INTEGER NOT NULL,
        key BLOB NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        wanted REAL NOT NULL,
        unwanted REAL NOT NULL,
        PRIMARY KEY (kind, account, key)
    ) WITHOUT ROWID;
    CREATE INDEX seen_last ON seen (kind, account, last);
    CREATE INDEX seen_of_kind ON seen (kind, last);
    CREATE TABLE traps (address TEXT PRIMARY KEY) WITHOUT ROWID;",
    // Kind 7: whom accounts wrote to, which is the breaker's to remember.
    "DROP INDEX IF EXISTS seen_last;
    DELETE FROM seen WHERE kind = 7;",
];

/// What a row is about. The numbers stand in files; a number whose kind is gone is never another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// A sender, a recipient and where it came from: somebody was asked to come again.
    Waiting = 1,
    /// The same from anywhere.
    WaitingAnywhere = 2,
    /// Somebody has come again, or brought mail that was taken.
    Allowed = 3,
    /// What an author's domain sent.
    Domain = 4,
    /// What an address sent.
    Address = 5,
    /// What a network sent.
    Network = 6,
    /// An account wrote to somebody.
    Wrote = 8,
    /// A message that our people sent.
    Message = 9,
    /// An address that wrote to a trap.
    TrappedAddress = 10,
    /// A network that wrote to a trap.
    TrappedNetwork = 11,
    /// A message that our people sent to somebody of this domain.
    MessageTo = 12,
}

impl Kind {
    pub(super) const ALL: [Self; 11] = [
        Self::Waiting,
        Self::WaitingAnywhere,
        Self::Allowed,
        Self::Domain,
        Self::Address,
        Self::Network,
        Self::Wrote,
        Self::Message,
        Self::TrappedAddress,
        Self::TrappedNetwork,
        Self::MessageTo,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "asked to come again",
            Self::WaitingAnywhere => "asked to come again, from anywhere",
            Self::Allowed => "known to come again",
            Self::Domain => "domains",
            Self::Address => "addresses",
            Self::Network => "networks",
            Self::Wrote => "accounts that wrote",
            Self::Message => "messages sent",
            Self::TrappedAddress => "addresses that wrote to traps",
            Self::TrappedNetwork => "networks that wrote to traps",
            Self::MessageTo => "domains of messages sent",
        }
    }

    /// How long a row stays that is not seen again.
    pub(super) fn seconds_kept(self) -> i64 {
        match self {
            // Hosts try for five days (RFC 5321 §4.5.4.1); the setting may ask for less.
            Self::Waiting | Self::WaitingAnywhere => 7 * DAY,
            // Newsletters come by the month.
            Self::Allowed => 65 * DAY,
            Self::Domain | Self::Address | Self::Network => 120 * DAY,
            // Reports on delivery come within days.
            Self::Wrote => 7 * DAY,
            Self::Message | Self::MessageTo => 180 * DAY,
            Self::TrappedAddress | Self::TrappedNetwork => 60 * DAY,
        }
    }

    /// How many rows there may be; beyond, those go first that were seen longest ago.
    pub(super) fn rows_max(self) -> i64 {
        match self {
            Self::Message | Self::MessageTo => 500_000,
            _ => 100_000,
        }
    }
}

/// What a row is found by: of one length, however long what it stands for.
pub(super) type Key = [u8; 16];

/// The key of something.
pub(super) fn key(parts: &[&[u8]]) -> Key {
    let mut hasher = storage::blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut key = Key::default();
    hasher.finalize_xof().fill(&mut key);
    key
}

/// A row as it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) wanted: f64,
    pub(super) unwanted: f64,
}

#[derive(Debug)]
pub(super) struct Book {
    database: Database,
    writes: u32,
}

impl Book {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open(path, Durability::Derived, CacheBudget::Large, &MIGRATIONS)?;
        Ok(Self { database, writes: 0 })
    }

    /// A row that is not too old.
    pub(super) fn row(
        &self,
        kind: Kind,
        account: AccountId,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Row>, StorageError> {
        let row = self
            .database
            .connection()
            .prepare_cached(
                "SELECT first, last, wanted, unwanted FROM seen WHERE kind = ?1 AND account = ?2 AND key = ?3",
            )?
            .query_row(params![kind as u8, account.0, key], |row| {
                Ok(Row { first: row.get(0)?, last: row.get(1)?, wanted: row.get(2)?, unwanted: row.get(3)? })
            })
            .optional()?;
        let is_fresh = |row: &Row| now.unix_seconds().saturating_sub(row.last) < kind.seconds_kept();
        Ok(row.filter(is_fresh))
    }

    pub(super) fn has(
        &self,
        kind: Kind,
        account: AccountId,
        key: &Key,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        Ok(self.row(kind, account, key, now)?.is_some())
    }

    pub(super) fn put(
        &mut self,
        kind: Kind,
        account: AccountId,
        key: &Key,
        row: Row,
    ) -> Result<(), StorageError> {
        self.database
            .connection()
            .prepare_cached(
                "INSERT INTO seen (kind, account, key, first, last, wanted, unwanted)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (kind, account, key) DO UPDATE
                 SET first = ?4, last = ?5, wanted = ?6, unwanted = ?7",
            )?
            .execute(params![kind as u8, account.0, key, row.first, row.last, row.wanted, row.unwanted])?;
        self.writes = self.writes.wrapping_add(1);
        Ok(())
    }

    /// Notes that something is seen now.
    pub(super) fn see(
        &mut self,
        kind: Kind,
        account: AccountId,
        key: &Key,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let seconds = now.unix_seconds();
        let known = self.row(kind, account, key, now)?;
        let row = known.map_or(Row::new(now), |row| Row { last: seconds, ..row });
        self.put(kind, account, key, row)
    }

    /// Counts messages up.
    pub(super) fn count(
        &mut self,
        kind: Kind,
        key: &Key,
        wanted: f64,
        unwanted: f64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let known = self.row(kind, NOBODY, key, now)?.unwrap_or(Row::new(now));
        let left = known.left(now);
        let row = Row {
            first: known.first,
            last: now.unix_seconds(),
            wanted: known.wanted * left + wanted,
            unwanted: known.unwanted * left + unwanted,
        };
        self.put(kind, NOBODY, key, row)
    }

    /// What was counted, aged.
    pub(super) fn standing(&self, kind: Kind, key: &Key, now: Timestamp) -> Result<Standing, StorageError> {
        let row = self.row(kind, NOBODY, key, now)?;
        Ok(row.map_or(Standing::default(), |row| {
            let left = row.left(now);
            // Counts of messages: far below what a float cannot tell apart.
            Standing { wanted: (row.wanted * left) as f32, unwanted: (row.unwanted * left) as f32 }
        }))
    }

    pub(super) fn add_trap(&mut self, address: &str, traps_max: usize) -> Result<bool, StorageError> {
        let added = self.database.connection().execute(
            "INSERT OR IGNORE INTO traps (address) SELECT ?1 WHERE (SELECT count(*) FROM traps) < ?2",
            params![address, i64::try_from(traps_max).unwrap_or(i64::MAX)],
        )?;
        self.database.checkpoint()?;
        Ok(added > 0 || self.is_trap(address)?)
    }

    pub(super) fn remove_trap(&mut self, address: &str) -> Result<bool, StorageError> {
        let gone =
            self.database.connection().execute("DELETE FROM traps WHERE address = ?1", params![address])?;
        self.database.checkpoint()?;
        Ok(gone > 0)
    }

    pub(super) fn is_trap(&self, address: &str) -> Result<bool, StorageError> {
        let found = self
            .database
            .connection()
            .prepare_cached("SELECT 1 FROM traps WHERE address = ?1")?
            .exists(params![address])?;
        Ok(found)
    }

    pub(super) fn traps(&self) -> Result<Vec<String>, StorageError> {
        let mut statement =
            self.database.connection().prepare("SELECT address FROM traps ORDER BY address")?;
        let traps = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(traps)
    }

    pub(super) fn counts(&self) -> Result<Vec<(&'static str, u64)>, StorageError> {
        let mut counts = Vec::with_capacity(Kind::ALL.len());
        for kind in Kind::ALL {
            let rows: i64 = self
                .database
                .connection()
                .prepare_cached("SELECT count(*) FROM seen WHERE kind = ?1")?
                .query_row(params![kind as u8], |row| row.get(0))?;
            counts.push((kind.name(), u64::try_from(rows).unwrap_or_default()));
        }
        Ok(counts)
    }

    /// Forgets what is too old or too much, once in a while.
    pub(super) fn tidy_now_and_then(&mut self, now: Timestamp) -> Result<(), StorageError> {
        if self.writes < TIDY_EVERY {
            return Ok(());
        }
        self.writes = 0;
        self.tidy(now)
    }

    pub(super) fn tidy(&mut self, now: Timestamp) -> Result<(), StorageError> {
        let transaction = self.database.transaction()?;
        for kind in Kind::ALL {
            let oldest = now.unix_seconds().saturating_sub(kind.seconds_kept());
            transaction
                .execute("DELETE FROM seen WHERE kind = ?1 AND last <= ?2", params![kind as u8, oldest])?;
            transaction.execute(
                "DELETE FROM seen WHERE kind = ?1 AND (account, key) IN
                 (SELECT account, key FROM seen WHERE kind = ?1 ORDER BY last DESC LIMIT -1 OFFSET ?2)",
                params![kind as u8, kind.rows_max()],
            )?;
        }
        transaction.commit()?;
        self.database.checkpoint()?;
        Ok(())
    }
}

impl Row {
    /// One that is seen for the first time.
    pub(super) fn new(now: Timestamp) -> Self {
        let seconds = now.unix_seconds();
        Self { first: seconds, last: seconds, wanted: 0.0, unwanted: 0.0 }
    }

    /// What is left of what was counted.
    fn left(self, now: Timestamp) -> f64 {
        let age = now.unix_seconds().saturating_sub(self.last).max(0);
        // Ages are days, which floats hold exactly enough.
        0.5_f64.powf(age as f64 / HALF_LIFE.as_secs_f64())
    }
}
