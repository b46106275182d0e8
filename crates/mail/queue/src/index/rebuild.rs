//! Making the index anew from the log, and comparing one with another.

use mail_types::QueueId;
use mailstore::{ReadLog, WriteNote};
use storage::rusqlite::{Connection, OptionalExtension, params};
use storage::{LogPosition, PackId, StorageError};

use super::{Batch, Index, number, unsigned};
use crate::note::{self, Queued, Record};

/// Differences that are told; an index with more is damaged throughout.
const DIFFERENCES_MAX: usize = 1_000;

/// Fills an empty index from the log: first which messages are done with, then the others, then what became of them.
/// The order in which a purge left the notes does not matter. With `until`, only what an index at that position
/// knows.
pub(crate) fn build(
    index: &mut Index,
    upto: LogPosition,
    until: Option<LogPosition>,
    log: ReadLog<'_>,
    write: WriteNote<'_>,
) -> Result<(), StorageError> {
    let settings = index.settings.clone();
    index.transaction(|connection| {
        connection.execute_batch("CREATE TABLE done(id INTEGER PRIMARY KEY, first INTEGER, last INTEGER)")?;
        let mut batch = Batch::new(connection, &settings, write);
        for pass in [Pass::Done, Pass::Queued, Pass::Changes] {
            log(&mut |entry| {
                // Copies are of what an index at that position knows, wherever they lie.
                let is_later =
                    until.is_some_and(|until| entry.position > until) && !note::is_copy(entry.note);
                let Ok(records) = note::decode(entry.note) else {
                    tracing::error!(position = %entry.position, "a note of the queue cannot be read");
                    return Ok(());
                };
                for record in records.iter().filter(|_| !is_later) {
                    batch.last_id = batch.last_id.max(record.greatest());
                    batch.pass(pass, entry, record)?;
                }
                Ok(())
            })?;
        }
        batch.finish(Some(upto))?;
        connection.execute_batch("DROP TABLE done")?;
        Ok(())
    })
}

/// What one reading of the log takes from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Done,
    Queued,
    Changes,
}

impl Batch<'_> {
    fn pass(
        &mut self,
        pass: Pass,
        entry: &mailstore::TenantEntry<'_>,
        record: &Record,
    ) -> Result<(), StorageError> {
        match (pass, record) {
            (Pass::Done, Record::Done { id, first, last }) => {
                let sql = "INSERT INTO done(id, first, last) VALUES(?1, ?2, ?3) ON CONFLICT(id) DO UPDATE SET \
                           first = min(first, ?2), last = max(last, ?3)";
                self.connection.prepare_cached(sql)?.execute(params![number(id.0), first.0, last.0])?;
                Ok(())
            }
            (Pass::Queued, Record::Queued(queued)) => self.queued_anew(entry, queued),
            (Pass::Changes, Record::Settled { .. } | Record::Changed { .. } | Record::Warned { .. }) => {
                self.record(entry, record)
            }
            _ => Ok(()),
        }
    }

    fn queued_anew(
        &mut self,
        entry: &mailstore::TenantEntry<'_>,
        queued: &Queued,
    ) -> Result<(), StorageError> {
        let pack = entry.position.pack;
        if let Some((first, last)) = self.done_in(queued.id)? {
            if first <= pack && pack <= last {
                return Ok(());
            }
            // A copy that nobody knows to be done.
            return self.write_done(queued.id, pack.min(first), pack.max(last));
        }
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM messages WHERE id = ?1")?;
        if statement.exists([number(queued.id.0)])? {
            return self.seen_again(entry, queued.id);
        }
        super::rows::insert(self.connection, self.settings, entry, queued, &mut self.touched)
    }

    fn done_in(&self, id: QueueId) -> Result<Option<(PackId, PackId)>, StorageError> {
        let mut statement = self.connection.prepare_cached("SELECT first, last FROM done WHERE id = ?1")?;
        let packs = statement.query_row([number(id.0)], |row| Ok((PackId(row.get(0)?), PackId(row.get(1)?))));
        Ok(packs.optional()?)
    }
}

/// What two indexes say differently about the queue, schedules aside.
pub(crate) fn differences(one: &Connection, other: &Connection) -> Result<Vec<String>, StorageError> {
    let (mut ours, mut theirs) = (one.prepare(PICTURE)?, other.prepare(PICTURE)?);
    let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
    let mut found = Vec::new();
    let line = |row: Option<&storage::rusqlite::Row<'_>>| -> Result<Option<(QueueId, String)>, StorageError> {
        row.map(|row| Ok((QueueId(unsigned(row, 0)?), row.get(1)?))).transpose()
    };
    let (mut left, mut right) = (line(ours.next()?)?, line(theirs.next()?)?);
    while found.len() < DIFFERENCES_MAX {
        let text = match (&left, &right) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => {
                (left, right) = (line(ours.next()?)?, line(theirs.next()?)?);
                continue;
            }
            (Some(one), Some(other)) if one.0 == other.0 => {
                let text = format!("queue: message {} is {} and not {}", one.0.to_text(), one.1, other.1);
                (left, right) = (line(ours.next()?)?, line(theirs.next()?)?);
                text
            }
            (Some(one), other) if other.as_ref().is_none_or(|other| one.0 < other.0) => {
                let text = format!("queue: message {} is not in the log", one.0.to_text());
                left = line(ours.next()?)?;
                text
            }
            (_, Some(other)) => {
                let text = format!("queue: message {} is in the log alone", other.0.to_text());
                right = line(theirs.next()?)?;
                text
            }
            (Some(_), None) => break,
        };
        found.push(text);
    }
    Ok(found)
}

/// What the log knows of each message, as one text.
const PICTURE: &str = "SELECT id, 'octets ' || octets || ' hold ' || hold || ' ' || hold_until || ' waiting ' || waiting || \
    ' recipients ' || coalesce((SELECT group_concat(number || ':' || state || is_warned, ' ') FROM \
    (SELECT number, state, is_warned FROM recipients WHERE message = messages.id AND (state <> 0 OR is_warned) \
    ORDER BY number)), '') || ' ' || hex(envelope) FROM messages ORDER BY id";
