//! The longer questions to the SQLite index: a whole mailbox, rows, tombstones, headers.

use mail_types::{EmailId, Flags, MailboxId, ModSeq, ThreadId, Uid, UidSet};
use platform::clock::Timestamp;
use storage::StorageError;
use storage::rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::batch::whole;
use super::sqlite::{MAILBOX_COLUMNS, mailbox_row, number, shared_keywords, unsigned};
use super::{Vanished, VisitHeader};
use crate::digest;
use crate::fetch::{Row, Want};
use crate::search::HeaderField;
use crate::view::{Draft, Entry, Snapshot};

pub(super) fn snapshot(
    connection: &Connection,
    mailbox: MailboxId,
) -> Result<Option<Snapshot>, StorageError> {
    // One transaction, so that UIDNEXT and the messages are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let sql = format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE id = ?1 AND deleted_at IS NULL");
    let row = transaction.prepare_cached(&sql)?.query_row([mailbox.0], mailbox_row).optional()?;
    let Some(row) = row else { return Ok(None) };
    let mut draft = Draft::new(
        mailbox,
        row.state.uid_validity,
        row.uid_next,
        row.highest_modseq,
        shared_keywords(&row.state.keywords),
    );
    let sql =
        "SELECT uid, flags, modseq, keywords, keywords_high FROM messages WHERE mailbox = ?1 ORDER BY uid";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut messages = statement.query([mailbox.0])?;
    while let Some(message) = messages.next()? {
        draft.push(Entry {
            uid: Uid(message.get(0)?),
            flags: Flags { system: message.get(1)?, keywords: whole(message.get(3)?, message.get(4)?) },
            modseq: ModSeq(unsigned(message, 2)?),
        });
    }
    Ok(Some(draft.finish()))
}

pub(super) fn rows(
    connection: &Connection,
    mailbox: MailboxId,
    uids: &UidSet,
    want: Want,
) -> Result<Vec<Row>, StorageError> {
    let summary = match want {
        Want::Facts => "NULL",
        Want::Summaries => "e.summary",
    };
    let sql = format!(
        "SELECT m.uid, m.internal_date, m.save_date, m.octets, m.email, e.thread, {summary} \
         FROM messages m JOIN emails e ON e.id = m.email \
         WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = Vec::new();
    for &(first, last) in uids.ranges() {
        for row in statement.query_map(params![mailbox.0, first, last], message_row)? {
            rows.push(row?);
        }
    }
    Ok(rows)
}

fn message_row(row: &SqlRow<'_>) -> Result<Row, storage::rusqlite::Error> {
    Ok(Row {
        uid: Uid(row.get(0)?),
        internal_date: Timestamp::from_unix_millis(row.get(1)?),
        save_date: Timestamp::from_unix_millis(row.get(2)?),
        octets: unsigned(row, 3)?,
        email: EmailId(unsigned(row, 4)?),
        thread: ThreadId(unsigned(row, 5)?),
        summary: row.get_ref(6)?.as_blob_or_null()?.map(Into::into),
    })
}

pub(super) fn vanished_since(
    connection: &Connection,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<Vanished, StorageError> {
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT vanished_known_from FROM mailboxes WHERE id = ?1";
    let known_from: Option<i64> =
        transaction.prepare_cached(sql)?.query_row([mailbox.0], |row| row.get(0)).optional()?;
    if known_from.is_some_and(|from| since.0 < from as u64) {
        return Ok(Vanished::Unknown);
    }
    let sql = "SELECT first, last FROM tombstones WHERE mailbox = ?1 AND modseq > ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let ranges: Vec<(u32, u32)> = statement
        .query_map(params![mailbox.0, number(since.0.min(ModSeq::MAX.0))], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Vanished::Exactly(UidSet::from_ranges(ranges)))
}

pub(super) fn headers(
    connection: &Connection,
    mailbox: MailboxId,
    uids: &UidSet,
    field: HeaderField,
    visit: VisitHeader<'_>,
) -> Result<(), StorageError> {
    let sql = "SELECT m.uid, h.folded FROM messages m JOIN headers h ON h.email = m.email \
               WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid";
    let mut statement = connection.prepare_cached(sql)?;
    for &(first, last) in uids.ranges() {
        let mut rows = statement.query(params![mailbox.0, first, last])?;
        while let Some(row) = rows.next()? {
            let folded = row.get_ref(1)?.as_blob().map_err(storage::rusqlite::Error::from)?;
            if visit(Uid(row.get(0)?), digest::header(folded, field)).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}
