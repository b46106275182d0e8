//! Which messages were taught as what, so that nothing is learned twice and who changes their mind is heard, and what each
//! account thinks of their authors: `DATA/spam/lessons.db`.

use std::path::Path;

use mail_types::{AccountId, Address, DomainName};
use parking_lot::Mutex;
use platform::network::Network;
use spam::Class;
use storage::rusqlite::{OptionalExtension as _, params};
use storage::{CacheBudget, Database, Durability, StorageError};

/// Lessons remembered for one account; beyond, the oldest are forgotten.
const KEPT_PER_ACCOUNT_MAX: i64 = 20_000;
/// Days after which a lesson is forgotten: who moves such a message again teaches it anew.
const KEPT_DAYS: u32 = 400;
/// How often one account may change its mind about one message.
const TURNS_MAX: u32 = 6;
/// Authors of whom one account has an opinion; beyond, the oldest are forgotten.
const AUTHORS_PER_ACCOUNT_MAX: i64 = 5_000;
/// An opinion of an author goes no further, either way: as many messages turn it.
pub(crate) const LEANING_MAX: i32 = 3;
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
    CREATE INDEX lesson_day ON lesson (account, day);
    CREATE TABLE author (
        account INTEGER NOT NULL,
        author BLOB NOT NULL,
        leaning INTEGER NOT NULL,
        day INTEGER NOT NULL,
        PRIMARY KEY (account, author)
    ) WITHOUT ROWID;
    CREATE INDEX author_day ON author (account, day);"];

/// Lessons that are no account's: of who runs the server, and of what mail surely is. No account has this number.
pub(crate) const NOBODY: AccountId = AccountId(0);

/// What a message is known by, wherever it lies.
pub(crate) type MessageKey = [u8; 16];

/// The key of a message: of what came from outside, without the fields that we put in front.
pub(crate) fn message_key(octets: &[u8]) -> MessageKey {
    let mut key = [0; 16];
    storage::blake3::Hasher::new().update(octets).finalize_xof().fill(&mut key);
    key
}

/// The key of an author.
pub(crate) fn author_key(author: &Address) -> MessageKey {
    message_key(author.to_string().to_lowercase().as_bytes())
}

/// The key of all authors of a domain.
pub(crate) fn domain_key(domain: &DomainName) -> MessageKey {
    message_key(format!("@{domain}").as_bytes())
}

/// The key of whoever brings mail: an IPv4 address, an IPv6 /64.
pub(crate) fn client_key(client: Network) -> MessageKey {
    message_key(format!("[{client}]").as_bytes())
}

/// Whom a lesson is about.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Subjects<'a> {
    pub(crate) author: Option<&'a MessageKey>,
    /// One that was proven to be the author's.
    pub(crate) domain: Option<&'a MessageKey>,
    /// Who brought it.
    pub(crate) client: Option<&'a MessageKey>,
}

/// What of an account's opinions a lesson has changed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    pub(crate) domain: bool,
    pub(crate) client: bool,
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

    /// What an account has said of a message.
    pub(crate) fn said(
        &self,
        account: AccountId,
        message: &MessageKey,
    ) -> Result<Option<Class>, StorageError> {
        Ok(self.0.lock().find(account, message)?.map(|(class, _)| class))
    }

    /// What an account thinks of an author: above zero for unwanted, a message each.
    pub(crate) fn leaning(&self, account: AccountId, author: &MessageKey) -> Result<i32, StorageError> {
        self.0.lock().leaning(account, author)
    }

    /// Remembers it, and what it says of those whom it is about; whether it has changed what the account thinks of them.
    pub(crate) fn note(
        &self,
        account: AccountId,
        message: &MessageKey,
        about: Subjects<'_>,
        class: Class,
        day: u32,
    ) -> Result<Moved, StorageError> {
        let mut state = self.0.lock();
        let unwanted = class == Class::Unwanted;
        // Who changes their mind takes the former lesson back, too.
        let step = if state.find(account, message)?.is_some() { 2 } else { 1 };
        let step = if unwanted { step } else { -step };
        let lean =
            |whom: Option<&MessageKey>| whom.map_or(Ok(false), |whom| state.lean(account, whom, step, day));
        lean(about.author)?;
        let moved = Moved { domain: lean(about.domain)?, client: lean(about.client)? };
        state.database.connection().execute(
            "INSERT INTO lesson (account, message, unwanted, turns, day) VALUES (?1, ?2, ?3, 0, ?4)
             ON CONFLICT (account, message) DO UPDATE SET unwanted = ?3, turns = turns + 1, day = ?4",
            params![account.0, message, unwanted, day],
        )?;
        state.noted += 1;
        if state.noted.is_multiple_of(TIDY_EVERY) {
            state.tidy(account, day)?;
        }
        Ok(moved)
    }

    /// Forgets all of an account's.
    pub(crate) fn forget(&self, account: AccountId) -> Result<(), StorageError> {
        let state = self.0.lock();
        let connection = state.database.connection();
        connection.execute("DELETE FROM lesson WHERE account = ?1", params![account.0])?;
        connection.execute("DELETE FROM author WHERE account = ?1", params![account.0])?;
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

    fn leaning(&self, account: AccountId, author: &MessageKey) -> Result<i32, StorageError> {
        let leaning = self
            .database
            .connection()
            .prepare_cached("SELECT leaning FROM author WHERE account = ?1 AND author = ?2")?
            .query_row(params![account.0, author], |row| row.get(0))
            .optional()?;
        Ok(leaning.unwrap_or_default())
    }

    /// Takes what an account thinks of an author a step further, up to the bound; whether that is further.
    fn lean(
        &self,
        account: AccountId,
        author: &MessageKey,
        step: i32,
        day: u32,
    ) -> Result<bool, StorageError> {
        let before = self.leaning(account, author)?;
        let leaning = (before + step).clamp(-LEANING_MAX, LEANING_MAX);
        self.database.connection().execute(
            "INSERT INTO author (account, author, leaning, day) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, author) DO UPDATE SET leaning = ?3, day = ?4",
            params![account.0, author, leaning, day],
        )?;
        Ok(leaning != before)
    }

    fn tidy(&self, account: AccountId, day: u32) -> Result<(), StorageError> {
        let connection = self.database.connection();
        for (table, key, kept_max) in
            [("lesson", "message", KEPT_PER_ACCOUNT_MAX), ("author", "author", AUTHORS_PER_ACCOUNT_MAX)]
        {
            let old = format!("DELETE FROM {table} WHERE day < ?1");
            connection.execute(&old, params![day.saturating_sub(KEPT_DAYS)])?;
            let beyond = format!(
                "DELETE FROM {table} WHERE account = ?1 AND {key} IN
                 (SELECT {key} FROM {table} WHERE account = ?1 ORDER BY day DESC LIMIT -1 OFFSET ?2)"
            );
            connection.execute(&beyond, params![account.0, kept_max])?;
        }
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
        lessons.note(ann, &key, Subjects::default(), Class::Unwanted, 10).unwrap();
        assert!(!is_new(ann, Class::Unwanted) && is_new(ann, Class::Wanted) && is_new(bob, Class::Unwanted));
        lessons.note(ann, &key, Subjects::default(), Class::Wanted, 10).unwrap();
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
                lessons.note(AccountId(1), &key, Subjects::default(), class, 1).unwrap();
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
            lessons
                .note(AccountId(1), &key(number), Subjects::default(), Class::Wanted, number * KEPT_DAYS)
                .unwrap();
        }
        lessons.0.lock().tidy(AccountId(1), 3 * KEPT_DAYS).unwrap();
        let known: Vec<bool> = (0..4)
            .map(|number| !lessons.is_new(AccountId(1), &key(number), Class::Wanted).unwrap())
            .collect();
        assert_eq!(known, [false, false, true, true]);
    }

    #[test]
    fn what_is_thought_of_an_author_is_bounded_and_can_be_turned() {
        let place = tempfile::tempdir().unwrap();
        let lessons = Lessons::open(&place.path().join("lessons.db")).unwrap();
        let (ann, author) = (AccountId(1), author_key(&Address::parse("Eve@a.example").unwrap()));
        assert_eq!(author, author_key(&Address::parse("eve@a.example").unwrap()));
        let note = |number: u32, class| {
            let key = message_key(&number.to_le_bytes());
            lessons
                .note(ann, &key, Subjects { author: Some(&author), ..Subjects::default() }, class, 1)
                .unwrap();
            lessons.leaning(ann, &author).unwrap()
        };
        let leanings: Vec<i32> = (0..5).map(|number| note(number, Class::Unwanted)).collect();
        assert_eq!(leanings, [1, 2, LEANING_MAX, LEANING_MAX, LEANING_MAX]);
        assert_eq!((note(4, Class::Wanted), note(9, Class::Wanted)), (1, 0));
        assert_eq!(lessons.leaning(AccountId(2), &author).unwrap(), 0);
    }

    #[test]
    fn an_account_moves_a_domain_so_far_and_no_further() {
        let place = tempfile::tempdir().unwrap();
        let lessons = Lessons::open(&place.path().join("lessons.db")).unwrap();
        let domain = domain_key(&DomainName::parse("bank.example").unwrap());
        let client = client_key("11.0.0.7/32".parse().unwrap());
        let note = |account, number: u32| {
            let key = message_key(&number.to_le_bytes());
            let about = Subjects { author: None, domain: Some(&domain), client: Some(&client) };
            let moved = lessons.note(AccountId(account), &key, about, Class::Unwanted, 1).unwrap();
            assert_eq!(moved.domain, moved.client);
            moved.domain
        };
        let moved: Vec<bool> = (0..5).map(|number| note(1, number)).collect();
        assert_eq!(moved, [true, true, true, false, false]);
        assert!(note(2, 0), "others have their say");
    }
}
