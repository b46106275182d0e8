//! What scripts have to remember beyond one message: who was told that somebody is away, which messages were seen, when an
//! owner was told of a fault. On disk before the message that caused it is answered for.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use mail_types::AccountId;
use parking_lot::Mutex;
use platform::clock::Timestamp;
use storage::rusqlite::{OptionalExtension as _, params};
use storage::{CacheBudget, Database, Durability, StorageError};

/// What is remembered for one account; beyond, what ends first is forgotten.
const KEPT_PER_ACCOUNT_MAX: i64 = 10_000;
/// Marks between two looks for what can be forgotten.
const TIDY_EVERY: u32 = 256;

const MIGRATIONS: [&str; 1] = ["CREATE TABLE kept (
        account INTEGER NOT NULL,
        key BLOB NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID;
    CREATE INDEX kept_until ON kept (until);"];

/// What is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A sender was answered (RFC 5230 §4.2).
    Answered = 1,
    /// A message was seen (RFC 7352).
    Seen = 2,
    /// The owner of a script was told of its faults.
    ToldOfFault = 3,
}

/// The key of something remembered: of one length, however long what it stands for.
pub(crate) type Key = [u8; 32];

/// Something to be remembered: whose it is, what it is, and for how many seconds.
pub(crate) type Marked = (AccountId, Key, u64);

/// The key of something.
pub(crate) fn key(kind: Kind, parts: &[&[u8]]) -> Key {
    let mut hasher = storage::blake3::Hasher::new();
    hasher.update(&[kind as u8]);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The memory of all accounts. Its calls block.
#[derive(Debug)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug)]
struct State {
    database: Database,
    /// What is about to be remembered: two messages at a time must not both be answered.
    claimed: HashSet<(AccountId, Key)>,
    marks: u32,
}

impl Memory {
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open(path, Durability::Durable, CacheBudget::Small, &MIGRATIONS)?;
        Ok(Self(Mutex::new(State { database, claimed: HashSet::new(), marks: 0 })))
    }

    /// Whether it is remembered.
    pub(crate) fn has(&self, account: AccountId, key: &Key, now: Timestamp) -> Result<bool, StorageError> {
        self.0.lock().has(account, key, now)
    }

    /// Takes the right to do what is done once only; `None` if it was done, or is being done.
    pub(crate) fn claim(
        self: &Arc<Self>,
        account: AccountId,
        key: Key,
        seconds: u64,
        now: Timestamp,
    ) -> Result<Option<Claim>, StorageError> {
        let mut state = self.0.lock();
        if state.has(account, &key, now)? || !state.claimed.insert((account, key)) {
            return Ok(None);
        }
        Ok(Some(Claim { memory: Arc::clone(self), account, key, seconds }))
    }

    /// Remembers things, each for some seconds: all of them, with one sync, or none.
    pub(crate) fn remember(
        &self,
        marks: impl Iterator<Item = Marked>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut state = self.0.lock();
        let before = state.marks;
        let (mut last, mut count) = (None, 0);
        let transaction = state.database.transaction()?;
        for (account, key, seconds) in marks {
            let until = now.unix_seconds().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
            transaction.execute(
                "INSERT INTO kept (account, key, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, key) DO UPDATE SET until = ?3",
                params![account.0, key, until],
            )?;
            (last, count) = (Some(account), count + 1);
        }
        transaction.commit()?;
        state.marks = before.wrapping_add(count);
        match last {
            Some(account) if state.marks / TIDY_EVERY != before / TIDY_EVERY => state.tidy(account, now),
            _ => Ok(()),
        }
    }
}

impl State {
    fn has(&self, account: AccountId, key: &Key, now: Timestamp) -> Result<bool, StorageError> {
        let until: Option<i64> = self
            .database
            .connection()
            .prepare_cached("SELECT until FROM kept WHERE account = ?1 AND key = ?2")?
            .query_row(params![account.0, key], |row| row.get(0))
            .optional()?;
        Ok(until.is_some_and(|until| until > now.unix_seconds()))
    }

    fn tidy(&mut self, account: AccountId, now: Timestamp) -> Result<(), StorageError> {
        let transaction = self.database.transaction()?;
        transaction.execute("DELETE FROM kept WHERE until <= ?1", params![now.unix_seconds()])?;
        transaction.execute(
            "DELETE FROM kept WHERE account = ?1 AND key NOT IN
             (SELECT key FROM kept WHERE account = ?1 ORDER BY until DESC LIMIT ?2)",
            params![account.0, KEPT_PER_ACCOUNT_MAX],
        )?;
        transaction.commit()?;
        Ok(())
    }
}

/// The right to do something once. Dropped before it is done, it goes back.
#[derive(Debug)]
pub(crate) struct Claim {
    memory: Arc<Memory>,
    account: AccountId,
    key: Key,
    seconds: u64,
}

impl Claim {
    /// What is to be remembered once it is done.
    pub(crate) fn mark(&self) -> Marked {
        (self.account, self.key, self.seconds)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.memory.0.lock().claimed.remove(&(self.account, self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: AccountId = AccountId(1);
    const BOB: AccountId = AccountId(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn seen(text: &str) -> Key {
        key(Kind::Seen, &[text.as_bytes()])
    }

    #[test]
    fn things_are_remembered_for_their_time_and_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("filters.db");
        let memory = Memory::open(&path).unwrap();
        memory.remember([(ANN, seen("a"), 100)].into_iter(), at(1_000)).unwrap();
        drop(memory);
        let memory = Memory::open(&path).unwrap();
        for (who, what, when, expected) in [
            (ANN, "a", 1_099, true),
            (ANN, "a", 1_100, false),
            (BOB, "a", 1_050, false),
            (ANN, "b", 1_050, false),
        ] {
            assert_eq!(memory.has(who, &seen(what), at(when)).unwrap(), expected, "{what} {when}");
        }
    }

    #[test]
    fn only_one_does_what_is_done_once() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Arc::new(Memory::open(&directory.path().join("filters.db")).unwrap());
        let claim = |when| memory.claim(ANN, seen("a"), 100, at(when)).unwrap();
        let first = claim(0).unwrap();
        assert!(claim(0).is_none(), "somebody is at it");
        drop(first);
        let second = claim(0).unwrap();
        memory.remember([second.mark()].into_iter(), at(0)).unwrap();
        drop(second);
        assert!(claim(99).is_none());
        assert!(claim(100).is_some());
    }

    #[test]
    fn an_account_remembers_so_much_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::open(&directory.path().join("filters.db")).unwrap();
        memory.remember([(BOB, seen("b"), 1)].into_iter(), at(0)).unwrap();
        {
            let mut state = memory.0.lock();
            let transaction = state.database.transaction().unwrap();
            for number in 0..=KEPT_PER_ACCOUNT_MAX {
                transaction
                    .execute(
                        "INSERT INTO kept VALUES (1, ?1, ?2)",
                        params![seen(&number.to_string()), 1_000 + number],
                    )
                    .unwrap();
            }
            transaction.commit().unwrap();
            state.tidy(ANN, at(500)).unwrap();
        }
        assert!(!memory.has(ANN, &seen("0"), at(500)).unwrap(), "what ends first is forgotten");
        assert!(memory.has(ANN, &seen("1"), at(500)).unwrap());
        let kept: i64 = memory
            .0
            .lock()
            .database
            .connection()
            .query_row("SELECT count(*) FROM kept", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, KEPT_PER_ACCOUNT_MAX);
    }
}
