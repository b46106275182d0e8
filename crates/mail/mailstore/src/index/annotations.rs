//! Annotations in the account index: applying their records, and reading them.

use mail_types::{AnnotationName, MailboxId, ModSeq};
use storage::StorageError;
use storage::rusqlite::{self, Connection, OptionalExtension, params};

use super::Order;
use super::batch::{Batch, SqlResult};
use super::sqlite::{conversion, number, unsigned};
use crate::annotations::{AnnotationInfo, Annotations, Place, Value};
use crate::note::AnnotationRecord;

impl Batch<'_> {
    pub(super) fn annotation(&mut self, annotation: &AnnotationRecord) -> SqlResult<()> {
        self.stamp(annotation.modseq);
        let is_log = self.order == Order::Log;
        if let (true, Some(id)) = (is_log, annotation.mailbox)
            && self.mailbox(id)?.is_none_or(|mailbox| mailbox.is_deleted())
        {
            return Ok(());
        }
        let key = column(annotation.mailbox);
        self.statement(
            "INSERT INTO annotations(mailbox, name, modseq, value) VALUES(?1, ?2, ?3, ?4) \
             ON CONFLICT(mailbox, name) DO UPDATE SET modseq = ?3, value = ?4 WHERE modseq < ?3",
        )?
        .execute(params![
            key,
            annotation.name.as_str(),
            number(annotation.modseq.0),
            annotation.value.as_deref()
        ])?;
        // In the log's order nothing older follows that a remembered "gone" would have to hold back.
        if is_log {
            self.statement("DELETE FROM annotations WHERE mailbox = ?1 AND name = ?2 AND value IS NULL")?
                .execute(params![key, annotation.name.as_str()])?;
        }
        Ok(())
    }

    /// A mailbox's annotations go with it. In a rebuild older ones may still follow: they go at its end.
    pub(super) fn drop_annotations(&self, mailbox: MailboxId) -> SqlResult<()> {
        self.statement("DELETE FROM annotations WHERE mailbox = ?1")?.execute([mailbox.0])?;
        Ok(())
    }
}

/// Ends a rebuild: what is gone, or belongs to a mailbox that is gone, need no longer be remembered.
pub(super) const FINISH: &str = "DELETE FROM annotations WHERE value IS NULL OR (mailbox <> 0 AND mailbox NOT IN \
     (SELECT id FROM mailboxes WHERE deleted_at IS NULL));";

/// All annotations without what they say.
pub(super) fn list(connection: &Connection) -> Result<Annotations, StorageError> {
    let sql = "SELECT mailbox, name, modseq, LENGTH(value) FROM annotations WHERE value IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| {
        let place = Some(MailboxId(row.get(0)?)).filter(|mailbox| mailbox.0 != 0);
        let info = AnnotationInfo { modseq: ModSeq(unsigned(row, 2)?), octets: unsigned(row, 3)? };
        Ok(((place, name_column(row, 1)?), info))
    };
    let rows = statement.query_map([], row)?.collect::<Result<_, _>>()?;
    Ok(Annotations { rows })
}

/// What one says.
pub(super) fn value(
    connection: &Connection,
    place: Place,
    name: &AnnotationName,
) -> Result<Option<Value>, StorageError> {
    let sql = "SELECT value FROM annotations WHERE mailbox = ?1 AND name = ?2 AND value IS NOT NULL";
    let key = params![column(place), name.as_str()];
    let value = connection.prepare_cached(sql)?.query_row(key, |row| Ok(row.get_ref(0)?.as_blob()?.into()));
    Ok(value.optional()?)
}

/// The rules by which a purge keeps records: those of scripts, as long as the mailbox is there. Its MailboxDeleted stays
/// and holds back all others.
pub(super) fn is_needed(
    connection: &Connection,
    annotation: &AnnotationRecord,
) -> Result<bool, StorageError> {
    if let Some(mailbox) = annotation.mailbox {
        let sql = "SELECT 1 FROM mailboxes WHERE id = ?1 AND deleted_at IS NULL";
        let found = connection.prepare_cached(sql)?.query_row([mailbox.0], |_| Ok(())).optional()?;
        if found.is_none() {
            return Ok(false);
        }
    }
    let sql = "SELECT modseq FROM annotations WHERE mailbox = ?1 AND name = ?2";
    let key = params![column(annotation.mailbox), annotation.name.as_str()];
    let known = connection.prepare_cached(sql)?.query_row(key, |row| unsigned(row, 0)).optional()?;
    Ok(match annotation.value {
        Some(_) => known == Some(annotation.modseq.0),
        None => known.is_none_or(|known| known <= annotation.modseq.0),
    })
}

/// No mailbox has the number 0.
fn column(place: Place) -> u32 {
    place.map_or(0, |mailbox| mailbox.0)
}

fn name_column(row: &rusqlite::Row<'_>, column: usize) -> Result<AnnotationName, rusqlite::Error> {
    AnnotationName::parse(row.get_ref(column)?.as_str()?).map_err(|error| conversion(column, error))
}
