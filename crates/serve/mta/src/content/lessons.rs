//! Which messages were taught as what, so that nothing is learned twice and who changes their mind is heard:
//! `DATA/spam/lessons.db`.

use std::path::Path;

use mail_types::AccountId;
use parking_lot::Mutex;
use spam::Class;
use storage::rusqlite::{OptionalExtension as _, params};
use storage::{CacheBudget, Database, Durability, StorageError};

/// Lessons remembered for one account; beyond, the oldest are forgotten.
const KEPT_PER_ACCOUNT_MAX: i64 = 20_000;
/// Days after which a lesson is forgotten: who moves such a message again teaches it anew.
const KEPT_DAYS: u32 = 400;
/// How often one account may change its mind about one message.
const TURNS_MAX: u32 = 6;
/// Lessons between two looks for what can be forgotten.
const TIDY_EVERY: u32 = 256;

const MIGRATIONS: [&str; 1] = ["CREATE TABLE lesson (
        account INTEGER NOT NULL,
        message BLOB NOT NULL,
        unwanted INTEGER NOT NULL,
        turns INTEGER NOT NULL,
        day INTEGER NOT NULL,
        PRIMARY KEY (account, message)
    ) WITHOUT ROWID;
    CREATE INDEX lesson_day ON lesson (account, day);"];

/// The lessons of who runs the server are nobody's.
pub(crate) const OPERATOR: AccountId = AccountId(0);

/// What a message is known by, wherever it lies.
pub(crate) type MessageKey = [u8; 16];

/// The key of a message: of what came from outside, without the fields that we put in front.
pub(crate) fn message_key(octets: &[u8]) -> MessageKey {
    let mut key = [0; 16];
    storage::blake3::Hasher::new().update(octets).finalize_xof().fill(&mut key);
    key
}

/// All that is remembered. Its calls block.
#[derive(Debug)]
pub(crate) struct Lessons(Mutex<State>);

#[derive(Debug)]
struct State {
    database: Database,
    noted: u32,
}

impl Lessons {
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open(path, Durability::Durable, CacheBudget::Small, &MIGRATIONS)?;
        Ok(Self(Mutex::new(State { database, noted: 0 })))
    }

    /// Whether this is something new from this account.
    pub(crate) fn is_new(
        &self,
        account: AccountId,
        message: &MessageKey,
        class: Class,
    ) -> Result<bool, StorageError> {
        let state = self.0.lock();
        let known = state.find(account, message)?;
        Ok(known.is_none_or(|(was, turns)| was != class && turns < TURNS_MAX))
    }

    /// Remembers it.
    pub(crate) fn note(
        &self,
        account: AccountId,
        message: &MessageKey,
        class: Class,
        day: u32,
    ) -> Result<(), StorageError> {
        let mut state = self.0.lock();
        let unwanted = class == Class::Unwanted;
        state.database.connection().execute(
            "INSERT INTO lesson (account, message, unwanted, turns, day) VALUES (?1, ?2, ?3, 0, ?4)
             ON CONFLICT (account, message) DO UPDATE SET unwanted = ?3, turns = turns + 1, day = ?4",
            params![account.0, message, unwanted, day],
        )?;
        state.noted += 1;
        if state.noted.is_multiple_of(TIDY_EVERY) {
            state.tidy(account, day)?;
        }
        Ok(())
    }

    /// Forgets all of an account's.
    pub(crate) fn forget(&self, account: AccountId) -> Result<(), StorageError> {
        let state = self.0.lock();
        state.database.connection().execute("DELETE FROM lesson WHERE account = ?1", params![account.0])?;
        Ok(())
    }
}

impl State {
    fn find(&self, account: AccountId, message: &MessageKey) -> Result<Option<(Class, u32)>, StorageError> {
        let row: Option<(bool, u32)> = self
            .database
            .connection()
            .prepare_cached("SELECT unwanted, turns FROM lesson WHERE account = ?1 AND message = ?2")?
            .query_row(params![account.0, message], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(row.map(|(unwanted, turns)| (if unwanted { Class::Unwanted } else { Class::Wanted }, turns)))
    }

    fn tidy(&self, account: AccountId, day: u32) -> Result<(), StorageError> {
        let connection = self.database.connection();
        connection.execute("DELETE FROM lesson WHERE day < ?1", params![day.saturating_sub(KEPT_DAYS)])?;
        connection.execute(
            "DELETE FROM lesson WHERE account = ?1 AND message IN (SELECT message FROM lesson
             WHERE account = ?1 ORDER BY day DESC LIMIT -1 OFFSET ?2)",
            params![account.0, KEPT_PER_ACCOUNT_MAX],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_counts_once_until_its_account_changes_its_mind() {
        let place = tempfile::tempdir().unwrap();
        let lessons = Lessons::open(&place.path().join("lessons.db")).unwrap();
        let (ann, bob, key) = (AccountId(1), AccountId(2), message_key(b"a letter"));
        let is_new = |account, class| lessons.is_new(account, &key, class).unwrap();
        assert!(is_new(ann, Class::Unwanted));
        lessons.note(ann, &key, Class::Unwanted, 10).unwrap();
        assert!(!is_new(ann, Class::Unwanted) && is_new(ann, Class::Wanted) && is_new(bob, Class::Unwanted));
        lessons.note(ann, &key, Class::Wanted, 10).unwrap();
        assert!(is_new(ann, Class::Unwanted) && !is_new(ann, Class::Wanted));
        lessons.forget(ann).unwrap();
        assert!(is_new(ann, Class::Wanted));
    }

    #[test]
    fn nobody_changes_their_mind_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let lessons = Lessons::open(&place.path().join("lessons.db")).unwrap();
        let key = message_key(b"a letter");
        let mut heard = 0;
        for turn in 0..20 {
            let class = if turn % 2 == 0 { Class::Unwanted } else { Class::Wanted };
            if lessons.is_new(AccountId(1), &key, class).unwrap() {
                lessons.note(AccountId(1), &key, class, 1).unwrap();
                heard += 1;
            }
        }
        assert_eq!(heard, TURNS_MAX + 1);
    }

    #[test]
    fn old_lessons_and_too_many_are_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let lessons = Lessons::open(&place.path().join("lessons.db")).unwrap();
        let key = |number: u32| message_key(&number.to_le_bytes());
        for number in 0..4 {
            lessons.note(AccountId(1), &key(number), Class::Wanted, number * KEPT_DAYS).unwrap();
        }
        lessons.0.lock().tidy(AccountId(1), 3 * KEPT_DAYS).unwrap();
        let known: Vec<bool> = (0..4)
            .map(|number| !lessons.is_new(AccountId(1), &key(number), Class::Wanted).unwrap())
            .collect();
        assert_eq!(known, [false, false, true, true]);
    }
}
