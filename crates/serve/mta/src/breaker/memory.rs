//! What the breaker has to remember: whom accounts have written to, and which of them are stopped. Its calls block.

use std::path::Path;

use mail_types::{AccountId, Address};
use parking_lot::Mutex;
use platform::clock::Timestamp;
use storage::rusqlite::{OptionalExtension as _, Transaction, params};
use storage::{CacheBudget, Database, Durability, StorageError};

use super::{BreakerSettings, RecipientKey, Stopped, TooNew};

/// Addresses remembered for one account; beyond, those written to longest ago are new again.
const RECIPIENTS_KEPT_MAX: i64 = 20_000;
/// How long after the last message an address is known.
const KEPT_SECONDS: i64 = 2 * 365 * DAY_SECONDS;
/// Stops that have ended, kept for one account.
const STOPS_KEPT_MAX: i64 = 20;
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE secret (key BLOB NOT NULL);
    INSERT INTO secret VALUES (randomblob(32));
    CREATE TABLE recipients (account INTEGER NOT NULL, key INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (account, key)) WITHOUT ROWID;
    CREATE INDEX recipients_first ON recipients (account, first);
    CREATE TABLE stops (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, since INTEGER NOT NULL, reason TEXT NOT NULL,
        told INTEGER NOT NULL DEFAULT 0, ended INTEGER);
"];

/// Whether an account has written to a recipient.
const IS_KNOWN: &str = "SELECT 1 FROM recipients WHERE account = ?1 AND key = ?2 AND last > ?3";

/// How new a recipient is to an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Novelty {
    /// Whether it was written to before.
    pub(super) is_known: bool,
    /// New recipients of the last hour.
    pub(super) hour: u32,
    /// Those of the last day.
    pub(super) day: u32,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// Nobody else can tell who was written to without it.
    secret: [u8; 32],
    writer: Mutex<Database>,
    /// A connection of its own: who asks does not wait for the disk.
    reader: Mutex<Database>,
}

impl Memory {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let writer = Database::open(path, Durability::Durable, CacheBudget::Small, &MIGRATIONS)?;
        let secret = writer.connection().query_row("SELECT key FROM secret", [], |row| row.get(0))?;
        let reader = Database::open_reader(path, CacheBudget::Small)?;
        Ok(Self { secret, writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// What stands for a recipient of an account: no list of people can be read from it.
    pub(super) fn key(&self, account: AccountId, to: &Address) -> RecipientKey {
        let mut hasher = storage::blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&account.0.to_le_bytes());
        // Almost nobody tells addresses apart by their case, and thieves would.
        hasher.update(to.to_string().to_lowercase().as_bytes());
        let mut octets = [0; 8];
        hasher.finalize_xof().fill(&mut octets);
        RecipientKey(i64::from_le_bytes(octets))
    }

    pub(super) fn novelty(
        &self,
        account: AccountId,
        key: RecipientKey,
        now: Timestamp,
    ) -> Result<Novelty, StorageError> {
        let reader = self.reader.lock();
        let connection = reader.connection();
        let oldest = now.unix_seconds() - KEPT_SECONDS;
        let is_known = connection.prepare_cached(IS_KNOWN)?.exists(params![account.0, key.0, oldest])?;
        if is_known {
            return Ok(Novelty { is_known: true, hour: 0, day: 0 });
        }
        let (hour, day) = counts(connection, account, now)?;
        Ok(Novelty { is_known: false, hour, day })
    }

    /// Which of these accounts have written to an address.
    pub(super) fn correspondents(
        &self,
        accounts: &[AccountId],
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<AccountId>, StorageError> {
        let reader = self.reader.lock();
        let mut statement = reader.connection().prepare_cached(IS_KNOWN)?;
        let oldest = now.unix_seconds() - KEPT_SECONDS;
        let mut found = Vec::new();
        for &account in accounts {
            if statement.exists(params![account.0, self.key(account, address).0, oldest])? {
                found.push(account);
            }
        }
        Ok(found)
    }

    /// Remembers whom an account writes to, unless too many of them are new.
    pub(super) fn charge(
        &self,
        account: AccountId,
        keys: &[RecipientKey],
        settings: &BreakerSettings,
        now: Timestamp,
    ) -> Result<Result<(), TooNew>, StorageError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        let seconds = now.unix_seconds();
        let (mut new, mut is_changed) = (0_u32, false);
        for key in keys {
            let last: Option<i64> = transaction
                .prepare_cached("SELECT last FROM recipients WHERE account = ?1 AND key = ?2")?
                .query_row(params![account.0, key.0], |row| row.get(0))
                .optional()?;
            // Whoever is written to daily costs the disk one write a day.
            if last.is_some_and(|last| (seconds - last) < DAY_SECONDS) {
                continue;
            }
            is_changed = true;
            let is_new = last.is_none_or(|last| last <= seconds - KEPT_SECONDS);
            new += u32::from(is_new);
            let put = if is_new {
                "INSERT OR REPLACE INTO recipients VALUES (?1, ?2, ?3, ?3)"
            } else {
                "UPDATE recipients SET last = ?3 WHERE account = ?1 AND key = ?2"
            };
            transaction.prepare_cached(put)?.execute(params![account.0, key.0, seconds])?;
        }
        if !is_changed {
            return Ok(Ok(()));
        }
        let (hour, day) = counts(&transaction, account, now)?;
        // They are counted already.
        if new > 0
            && let Err(too_new) = settings.check(hour.saturating_sub(new), day.saturating_sub(new), new)
        {
            return Ok(Err(too_new));
        }
        tidy(&transaction, account)?;
        transaction.commit()?;
        Ok(Ok(()))
    }

    /// Accounts that are stopped, and whether their owners were told.
    pub(super) fn stopped(&self) -> Result<Vec<(AccountId, Stopped, bool)>, StorageError> {
        let reader = self.reader.lock();
        let sql = "SELECT account, since, reason, told FROM stops WHERE ended IS NULL";
        let mut statement = reader.connection().prepare(sql)?;
        let rows = statement.query_map([], |row| {
            let since = Timestamp::from_unix_millis(row.get(1)?);
            let reason: String = row.get(2)?;
            Ok((AccountId(row.get(0)?), Stopped { since, reason: reason.into() }, row.get(3)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn stop(&self, account: AccountId, stopped: &Stopped) -> Result<(), StorageError> {
        self.writer.lock().connection().execute(
            "INSERT INTO stops (account, since, reason) VALUES (?1, ?2, ?3)",
            params![account.0, stopped.since.unix_millis(), &*stopped.reason],
        )?;
        Ok(())
    }

    pub(super) fn told(&self, account: AccountId) -> Result<(), StorageError> {
        let sql = "UPDATE stops SET told = 1 WHERE account = ?1 AND ended IS NULL";
        self.writer.lock().connection().execute(sql, params![account.0])?;
        Ok(())
    }

    pub(super) fn end_stop(&self, account: AccountId, now: Timestamp) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        transaction.execute(
            "UPDATE stops SET ended = ?2 WHERE account = ?1 AND ended IS NULL",
            params![account.0, now.unix_millis()],
        )?;
        transaction.execute(
            "DELETE FROM stops WHERE account = ?1 AND ended IS NOT NULL AND id NOT IN
             (SELECT id FROM stops WHERE account = ?1 ORDER BY id DESC LIMIT ?2)",
            params![account.0, STOPS_KEPT_MAX],
        )?;
        transaction.commit()?;
        Ok(())
    }

    pub(super) fn forget(&self, account: AccountId) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        for table in ["recipients", "stops"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE account = ?1"), params![account.0])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// New recipients of the last hour and of the last day.
fn counts(
    connection: &storage::rusqlite::Connection,
    account: AccountId,
    now: Timestamp,
) -> Result<(u32, u32), StorageError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM recipients WHERE account = ?1 AND first > ?2 AND first <= ?3",
    )?;
    let mut since = |seconds: i64| -> Result<u32, StorageError> {
        let now = now.unix_seconds();
        Ok(statement.query_row(params![account.0, now - seconds, now], |row| row.get(0))?)
    };
    Ok((since(HOUR_SECONDS)?, since(DAY_SECONDS)?))
}

/// Lets go of those written to longest ago, where there are too many.
fn tidy(transaction: &Transaction<'_>, account: AccountId) -> Result<(), StorageError> {
    let count: i64 = transaction
        .prepare_cached("SELECT count(*) FROM recipients WHERE account = ?1")?
        .query_row(params![account.0], |row| row.get(0))?;
    if count > RECIPIENTS_KEPT_MAX {
        // Some more than must be, so that it is not done each time.
        transaction.execute(
            "DELETE FROM recipients WHERE account = ?1 AND key IN
             (SELECT key FROM recipients WHERE account = ?1 ORDER BY last LIMIT ?2)",
            params![account.0, count - RECIPIENTS_KEPT_MAX + RECIPIENTS_KEPT_MAX / 20],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: AccountId = AccountId(1);
    const BOB: AccountId = AccountId(2);

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_640_400 + hours * HOUR_SECONDS)
    }

    fn limits(hour: u32, day: u32) -> BreakerSettings {
        BreakerSettings {
            new_recipients_an_hour: Some(hour),
            new_recipients_a_day: Some(day),
            ..BreakerSettings::default()
        }
    }

    fn keys(range: std::ops::Range<i64>) -> Vec<RecipientKey> {
        range.map(RecipientKey).collect()
    }

    #[test]
    fn who_was_written_to_is_known_and_new_ones_are_counted() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::open(&place.path().join("breaker.db")).unwrap();
        let limits = limits(10, 15);
        assert_eq!(memory.charge(ANN, &keys(0..10), &limits, at(0)).unwrap(), Ok(()));
        assert_eq!(memory.charge(ANN, &keys(0..10), &limits, at(0)).unwrap(), Ok(()), "the same again");
        assert_eq!(memory.charge(ANN, &keys(9..11), &limits, at(0)).unwrap(), Err(TooNew::Hour));
        let novelty = |key, when| memory.novelty(ANN, RecipientKey(key), when).unwrap();
        assert!(novelty(9, at(0)).is_known);
        assert_eq!(
            novelty(10, at(0)),
            Novelty { is_known: false, hour: 10, day: 10 },
            "nothing was kept of it"
        );
        assert_eq!(memory.charge(BOB, &keys(0..10), &limits, at(0)).unwrap(), Ok(()), "others go on");
        assert_eq!(memory.charge(ANN, &keys(10..15), &limits, at(1)).unwrap(), Ok(()));
        assert_eq!(memory.charge(ANN, &keys(15..16), &limits, at(1)).unwrap(), Err(TooNew::Day));
        assert_eq!(memory.charge(ANN, &keys(15..25), &limits, at(24)).unwrap(), Ok(()), "a day later");
        assert!(novelty(0, at(2 * 365 * 24 - 1)).is_known);
        assert!(!novelty(0, at(2 * 365 * 24)).is_known);
    }

    #[test]
    fn what_was_written_outlives_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("breaker.db");
        let to = Address::parse("Bob@elsewhere.example").unwrap();
        let stopped = Stopped { since: at(0), reason: "a reason".into() };
        let key = {
            let memory = Memory::open(&path).unwrap();
            let key = memory.key(ANN, &to);
            assert_eq!(key, memory.key(ANN, &Address::parse("bob@ELSEWHERE.example").unwrap()));
            assert_ne!(key, memory.key(BOB, &to));
            memory.charge(ANN, &[key], &limits(1, 1), at(0)).unwrap().unwrap();
            memory.stop(ANN, &stopped).unwrap();
            memory.stop(BOB, &stopped).unwrap();
            memory.end_stop(BOB, at(1)).unwrap();
            key
        };
        let memory = Memory::open(&path).unwrap();
        assert_eq!(memory.key(ANN, &to), key);
        assert!(memory.novelty(ANN, key, at(0)).unwrap().is_known);
        let known = |to: &str, hours| {
            memory.correspondents(&[BOB, ANN], &Address::parse(to).unwrap(), at(hours)).unwrap()
        };
        assert_eq!(known("bob@Elsewhere.example", 2 * 365 * 24 - 1), [ANN]);
        assert!(known("bob@elsewhere.example", 2 * 365 * 24).is_empty());
        assert!(known("mallory@elsewhere.example", 0).is_empty());
        assert_eq!(memory.stopped().unwrap(), [(ANN, stopped.clone(), false)]);
        memory.told(ANN).unwrap();
        assert_eq!(memory.stopped().unwrap(), [(ANN, stopped, true)]);
        memory.forget(ANN).unwrap();
        assert_eq!(memory.stopped().unwrap(), []);
        assert!(!memory.novelty(ANN, key, at(0)).unwrap().is_known);
    }

    #[test]
    fn recipients_are_bounded() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::open(&place.path().join("breaker.db")).unwrap();
        let limits = BreakerSettings {
            new_recipients_an_hour: None,
            new_recipients_a_day: None,
            ..BreakerSettings::default()
        };
        let known = |key| memory.novelty(ANN, RecipientKey(key), at(100)).unwrap().is_known;
        memory.charge(ANN, &keys(0..RECIPIENTS_KEPT_MAX - 1), &limits, at(0)).unwrap().unwrap();
        memory
            .charge(ANN, &keys(RECIPIENTS_KEPT_MAX..RECIPIENTS_KEPT_MAX + 1), &limits, at(30))
            .unwrap()
            .unwrap();
        assert!(known(0), "at the bound");
        memory.charge(ANN, &keys(-1..0), &limits, at(60)).unwrap().unwrap();
        assert!(known(-1) && known(RECIPIENTS_KEPT_MAX));
        let old = (0..RECIPIENTS_KEPT_MAX - 1).filter(|&key| known(key)).count() as i64;
        assert_eq!(old, RECIPIENTS_KEPT_MAX - 2 - RECIPIENTS_KEPT_MAX / 20);
    }
}
