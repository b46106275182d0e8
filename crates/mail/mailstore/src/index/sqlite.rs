//! The account index in a SQLite file: opening, and the short reads.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use mail_types::{
    AnnotationName, EmailId, Keyword, MailboxId, MailboxName, ModSeq, ScriptName, SpecialUse, ThreadId, Uid,
    UidSet, UidValidity,
};
use platform::clock::Timestamp;
use storage::rusqlite::config::DbConfig;
use storage::rusqlite::{self, Connection, OptionalExtension, Row as SqlRow};
use storage::{BlobRef, CacheBudget, Database, Durability, LogPosition, PackId, StorageError, WalCheckpoint};

use super::batch::Batch;
use super::schema::MIGRATIONS;
use super::{
    AccountIndex, AccountRow, Applied, EmailPlace, MailboxRow, Move, Order, StoredEmail, ToApply, Vanished,
    VisitHeader, annotations, places, question, scripts,
};
use crate::annotations::{Annotations, Place, Value};
use crate::fetch::{Row, Want};
use crate::note::{MailboxState, Record};
use crate::scripts::{Script, ScriptList};
use crate::search::HeaderField;
use crate::view::Snapshot;

/// An account's index in a file. One writes, others of their own read.
#[derive(Debug)]
pub(crate) struct SqliteIndex {
    pub(super) database: Database,
}

impl SqliteIndex {
    /// Opens the file, making it if missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Database::open(path, Durability::Derived, CacheBudget::Small, MIGRATIONS)?;
        // Closing one of many accounts must not cost a sync: the checkpointer does that for all of them.
        database.connection().set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Self { database })
    }

    /// Opens an existing file for reading.
    pub(crate) fn open_reader(path: &Path) -> Result<Self, StorageError> {
        Ok(Self { database: Database::open_reader(path, CacheBudget::Small)? })
    }

    /// Makes durable what was applied so far.
    pub(crate) fn checkpoint(&self) -> Result<WalCheckpoint, StorageError> {
        self.database.checkpoint()
    }

    pub(super) fn connection(&self) -> &Connection {
        self.database.connection()
    }
}

/// Whether an error means that the file is not a sound index and has to be made anew.
#[must_use]
pub fn is_damage(error: &StorageError) -> bool {
    let StorageError::Database(error) = error else { return matches!(error, StorageError::Corrupt { .. }) };
    let is_code = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => true,
        // Our statements are right, so a statement that is wrong finds other tables than ours.
        Some(rusqlite::ErrorCode::Unknown) => {
            error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_ERROR)
        }
        _ => false,
    };
    // A row that is not what we write: a missing column, a name that is no name.
    is_code
        || matches!(
            **error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::SqlInputError { .. }
        )
}

impl AccountIndex for SqliteIndex {
    fn apply(&mut self, order: Order, entries: &[ToApply<'_>]) -> Result<Applied, StorageError> {
        let transaction = self.database.transaction()?;
        let mut batch = Batch::begin(&transaction, order)?;
        for entry in entries {
            batch.entry(entry)?;
        }
        let applied = batch.finish()?;
        transaction.commit()?;
        Ok(applied)
    }

    fn account(&self) -> Result<AccountRow, StorageError> {
        Ok(account_row(self.connection())?)
    }

    fn mailboxes(&self) -> Result<Vec<MailboxRow>, StorageError> {
        let sql = format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes ORDER BY id");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let rows = statement.query_map([], mailbox_row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn subscriptions(&self) -> Result<Vec<MailboxName>, StorageError> {
        let sql = "SELECT name FROM subscriptions WHERE is_subscribed = 1 ORDER BY name";
        let mut statement = self.connection().prepare_cached(sql)?;
        let names = statement.query_map([], |row| name_column(row, 0))?.collect::<Result<_, _>>()?;
        Ok(names)
    }

    fn scripts(&self) -> Result<ScriptList, StorageError> {
        scripts::list(self.connection())
    }

    fn script(&self, name: &ScriptName) -> Result<Option<Script>, StorageError> {
        scripts::script(self.connection(), name)
    }

    fn annotations(&self) -> Result<Annotations, StorageError> {
        annotations::list(self.connection())
    }

    fn annotation(&self, place: Place, name: &AnnotationName) -> Result<Option<Value>, StorageError> {
        annotations::value(self.connection(), place, name)
    }

    fn snapshot(&self, mailbox: MailboxId) -> Result<Option<Snapshot>, StorageError> {
        question::snapshot(self.connection(), mailbox)
    }

    fn rows(&self, mailbox: MailboxId, uids: &UidSet, want: Want) -> Result<Vec<Row>, StorageError> {
        question::rows(self.connection(), mailbox, uids, want)
    }

    fn email(&self, email: EmailId) -> Result<Option<EmailPlace>, StorageError> {
        let sql = "SELECT pack, offset, octets, thread FROM emails WHERE id = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let place = statement.query_row([number(email.0)], |row| {
            Ok(EmailPlace {
                blob: BlobRef { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? },
                octets: unsigned(row, 2)?,
                thread: ThreadId(unsigned(row, 3)?),
            })
        });
        Ok(place.optional()?)
    }

    fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StorageError> {
        question::vanished_since(self.connection(), mailbox, since)
    }

    fn headers(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        field: HeaderField,
        visit: VisitHeader<'_>,
    ) -> Result<(), StorageError> {
        question::headers(self.connection(), mailbox, uids, field, visit)
    }

    fn forget_expunged(&mut self, before: Timestamp) -> Result<u64, StorageError> {
        let transaction = self.database.transaction()?;
        let forgotten = places::forget_expunged(&transaction, before)?;
        transaction.commit()?;
        Ok(forgotten)
    }

    fn still_needed(&self, record: &Record, blob: Option<BlobRef>) -> Result<Option<Record>, StorageError> {
        places::still_needed(self, record, blob)
    }

    fn emails_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<StoredEmail>, StorageError> {
        let sql =
            "SELECT pack, offset, stored FROM emails WHERE pack BETWEEN ?1 AND ?2 ORDER BY pack, offset";
        let mut statement = self.connection().prepare_cached(sql)?;
        let email = |row: &SqlRow<'_>| {
            let blob = BlobRef { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? };
            Ok(StoredEmail { blob, in_log: unsigned(row, 2)? })
        };
        let emails =
            statement.query_map([packs.start().0, packs.end().0], email)?.collect::<Result<_, _>>()?;
        Ok(emails)
    }

    fn move_emails(&mut self, moves: &[Move]) -> Result<(), StorageError> {
        let transaction = self.database.transaction()?;
        places::move_emails(&transaction, moves)?;
        transaction.commit()?;
        Ok(())
    }
}

pub(super) fn account_row(connection: &Connection) -> Result<AccountRow, rusqlite::Error> {
    let sql = "SELECT pack, offset, modseq_last, mailbox_last, uid_validity_last, is_removed FROM account";
    let row = connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(AccountRow {
            applied: LogPosition { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? },
            modseq_last: ModSeq(unsigned(row, 2)?),
            mailbox_last: MailboxId(row.get(3)?),
            uid_validity_last: row.get(4)?,
            is_removed: row.get(5)?,
        })
    });
    Ok(row.optional()?.unwrap_or(AccountRow::NEW))
}

pub(super) const MAILBOX_COLUMNS: &str = "id, state_modseq, name, uid_validity, special_use, keywords, uid_next, \
     highest_modseq, messages, unseen, deleted, octets, deleted_at";

pub(super) fn mailbox_row(row: &SqlRow<'_>) -> Result<MailboxRow, rusqlite::Error> {
    Ok(MailboxRow {
        state: MailboxState {
            id: MailboxId(row.get(0)?),
            modseq: ModSeq(unsigned(row, 1)?),
            name: name_column(row, 2)?,
            uid_validity: UidValidity(row.get(3)?),
            special_use: SpecialUse::from_number(row.get(4)?),
            keywords: keywords_column(row, 5)?,
        },
        uid_next: Uid(row.get(6)?),
        highest_modseq: ModSeq(unsigned(row, 7)?),
        messages: unsigned(row, 8)?,
        unseen: unsigned(row, 9)?,
        deleted: unsigned(row, 10)?,
        octets: unsigned(row, 11)?,
        deleted_at: row.get::<_, Option<i64>>(12)?.map(Timestamp::from_unix_millis),
    })
}

fn name_column(row: &SqlRow<'_>, column: usize) -> Result<MailboxName, rusqlite::Error> {
    MailboxName::parse(row.get_ref(column)?.as_str()?).map_err(|error| conversion(column, error))
}

/// Keywords are atoms, so a space can part them.
pub(super) fn keywords_text(keywords: &[Keyword]) -> String {
    keywords.iter().map(Keyword::as_str).collect::<Vec<_>>().join(" ")
}

fn keywords_column(row: &SqlRow<'_>, column: usize) -> Result<Vec<Keyword>, rusqlite::Error> {
    let text = row.get_ref(column)?.as_str()?;
    let keywords = text.split(' ').filter(|keyword| !keyword.is_empty()).map(Keyword::parse);
    keywords.collect::<Result<_, _>>().map_err(|error| conversion(column, error))
}

pub(super) fn conversion(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// SQLite's integers are signed: ids and offsets keep their bits, and none of ours reaches the sign.
pub(super) fn number(value: u64) -> i64 {
    value as i64
}

pub(super) fn unsigned(row: &SqlRow<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    Ok(row.get::<_, i64>(column)? as u64)
}

pub(crate) fn shared_keywords(keywords: &[Keyword]) -> Arc<[Keyword]> {
    keywords.iter().cloned().collect()
}
