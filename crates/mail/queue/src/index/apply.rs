//! Bringing notes of the log into the tables.

use std::collections::{BTreeSet, HashSet};

use mail_types::QueueId;
use mailstore::{TenantEntry, WriteNote};
use storage::rusqlite::{Connection, OptionalExtension, params};
use storage::{LogPosition, PackId, StorageError};

use super::rows::{self, due_at, hold_columns, set_state, set_warned};
use super::{MessageRow, damaged, number, set_applied, unsigned};
use crate::note::{self, Queued, Record};
use crate::schedule::Deadlines;
use crate::settings::Settings;
use crate::state::RecipientState;

/// One transaction's worth of notes.
pub(crate) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) settings: &'a Settings,
    pub(super) write: WriteNote<'a>,
    /// Destinations whose times may have changed.
    pub(super) touched: BTreeSet<i64>,
    pub(super) last_id: QueueId,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(connection: &'a Connection, settings: &'a Settings, write: WriteNote<'a>) -> Self {
        Self { connection, settings, write, touched: BTreeSet::new(), last_id: QueueId(0) }
    }

    /// Applies entries in the log's order, from where the index stands.
    pub(crate) fn apply(
        &mut self,
        entries: &[TenantEntry<'_>],
        after: LogPosition,
    ) -> Result<(), StorageError> {
        let mut decoded = Vec::with_capacity(entries.len());
        let (mut begun, mut over) = (HashSet::new(), HashSet::new());
        for entry in entries.iter().filter(|entry| entry.position > after) {
            let Ok(records) = note::decode(entry.note) else {
                tracing::error!(position = %entry.position, "a note of the queue cannot be read");
                continue;
            };
            for record in &records {
                match record {
                    Record::Queued(queued) if !queued.is_copy => drop(begun.insert(queued.id)),
                    Record::Done { id, .. } if begun.contains(id) => drop(over.insert(*id)),
                    _ => {}
                }
            }
            decoded.push((entry, records));
        }
        for (entry, records) in &decoded {
            for record in records {
                self.last_id = self.last_id.max(record.greatest());
                // Queued and done with in one batch: the tables never hear of it.
                if !over.contains(&record.id()) {
                    self.record(entry, record)?;
                }
            }
        }
        let reached = entries.iter().map(|entry| entry.position).max();
        self.finish(reached.max(Some(after)))
    }

    /// Brings times up and notes how far the log is applied.
    pub(super) fn finish(&mut self, position: Option<LogPosition>) -> Result<(), StorageError> {
        rows::reschedule(self.connection, &self.touched)?;
        self.touched.clear();
        set_applied(self.connection, position.unwrap_or(LogPosition::START), self.last_id)
    }

    pub(super) fn record(&mut self, entry: &TenantEntry<'_>, record: &Record) -> Result<(), StorageError> {
        match record {
            Record::Queued(queued) => self.queued(entry, queued),
            Record::Settled { id, recipients } => {
                for (recipient, state) in recipients {
                    self.settle(*id, *recipient, *state)?;
                }
                self.after_settling(*id)
            }
            Record::Changed { id, sequence, hold } => self.changed(*id, *sequence, *hold),
            Record::Warned { id, recipients } => self.warned(*id, recipients),
            Record::Done { id, first, last } => self.done(*id, *first, *last),
        }
    }

    fn queued(&mut self, entry: &TenantEntry<'_>, queued: &Queued) -> Result<(), StorageError> {
        let pack = entry.position.pack;
        match (self.exists(queued.id)?, queued.is_copy) {
            (false, false) => rows::insert(self.connection, self.settings, entry, queued, &mut self.touched),
            // Finished while a purge copied it, just before a crash: the copy must not come back to life.
            (false, true) => self.write_done(queued.id, pack, pack),
            (true, _) => self.seen_again(entry, queued.id),
        }
    }

    fn exists(&self, id: QueueId) -> Result<bool, StorageError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM messages WHERE id = ?1")?;
        Ok(statement.exists([number(id.0)])?)
    }

    /// A copy of a message that is here: the newest copy is the one that stays.
    pub(super) fn seen_again(&mut self, entry: &TenantEntry<'_>, id: QueueId) -> Result<(), StorageError> {
        let Some(blob) = entry.blob else { return Err(damaged("a queued message without octets")) };
        let sql = "UPDATE messages SET pack = ?2, offset = ?3, in_log = ?4 WHERE id = ?1 AND last_pack <= ?5";
        self.connection.prepare_cached(sql)?.execute(params![
            number(id.0),
            blob.pack.0,
            number(blob.offset),
            number(entry.in_log()),
            entry.position.pack.0
        ])?;
        let sql = "UPDATE messages SET first_pack = min(first_pack, ?2), last_pack = max(last_pack, ?2) WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![number(id.0), entry.position.pack.0])?;
        Ok(())
    }

    fn settle(
        &mut self,
        id: QueueId,
        recipient: crate::message::RecipientNumber,
        state: RecipientState,
    ) -> Result<(), StorageError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT state FROM recipients WHERE message = ?1 AND number = ?2")?;
        let before: Option<u8> =
            statement.query_row(params![number(id.0), recipient.0], |row| row.get(0)).optional()?;
        // The first word counts: it was told already.
        if before.is_some_and(|before| before != RecipientState::Waiting.number()) || !self.exists(id)? {
            return Ok(());
        }
        set_state(self.connection, id, recipient, state)?;
        let sql = "UPDATE messages SET waiting = waiting - 1 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute([number(id.0)])?;
        Ok(())
    }

    /// Takes away parcels without a recipient that waits, and a message without a parcel.
    fn after_settling(&mut self, id: QueueId) -> Result<(), StorageError> {
        let Some(row) = rows::read(self.connection, id)? else { return Ok(()) };
        let waiting: BTreeSet<String> = waiting(&row).map(|(_, destination)| destination.key()).collect();
        for destination in rows::destinations_of(self.connection, id)? {
            let mut statement =
                self.connection.prepare_cached("SELECT key FROM destinations WHERE id = ?1")?;
            let key: String = statement.query_row([destination], |row| row.get(0))?;
            if !waiting.contains(&key) {
                let sql = "DELETE FROM parcels WHERE destination = ?1 AND message = ?2";
                self.connection.prepare_cached(sql)?.execute(params![destination, number(id.0)])?;
                self.touched.insert(destination);
            }
        }
        if waiting.is_empty() {
            // Who settled the last one saw another still waiting: nobody has said so yet.
            self.write_done(id, row.first_pack, row.last_pack)?;
            rows::remove(self.connection, id, &mut self.touched)?;
        }
        Ok(())
    }

    fn changed(&mut self, id: QueueId, sequence: u64, hold: crate::state::Hold) -> Result<(), StorageError> {
        let (hold_number, hold_until) = hold_columns(hold);
        let sql =
            "UPDATE messages SET hold = ?3, hold_until = ?4, changed = ?2 WHERE id = ?1 AND changed < ?2";
        let changed = self.connection.prepare_cached(sql)?.execute(params![
            number(id.0),
            number(sequence),
            hold_number,
            hold_until
        ])?;
        if changed == 0 {
            return Ok(());
        }
        let Some(row) = rows::read(self.connection, id)? else { return Ok(()) };
        // Released mail goes at once; its attempts are not forgotten.
        let sql = "UPDATE parcels SET due = ?2 WHERE message = ?1";
        let due = due_at(row.message.arrived, hold);
        self.connection.prepare_cached(sql)?.execute([number(id.0), due])?;
        self.touched.extend(rows::destinations_of(self.connection, id)?);
        Ok(())
    }

    fn warned(
        &mut self,
        id: QueueId,
        recipients: &[crate::message::RecipientNumber],
    ) -> Result<(), StorageError> {
        let Some(row) = rows::read(self.connection, id)? else { return Ok(()) };
        let (report, is_strict) = Deadlines::of(&row.message, self.settings).next(true);
        let mut keys = BTreeSet::new();
        for recipient in recipients {
            set_warned(self.connection, id, *recipient)?;
            let found = row.message.recipients.get(usize::from(recipient.0));
            keys.extend(found.map(|recipient| recipient.destination.key()));
        }
        for key in keys {
            let Some(destination) = rows::find_destination(self.connection, &key)? else { continue };
            let sql =
                "UPDATE parcels SET report = ?3, is_strict = ?4 WHERE destination = ?1 AND message = ?2";
            let values = params![destination, number(id.0), report.unix_millis(), is_strict];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    fn done(&mut self, id: QueueId, first: PackId, last: PackId) -> Result<(), StorageError> {
        let sql = "SELECT first_pack, last_pack FROM messages WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let packs = statement.query_row([number(id.0)], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)));
        let Some((own_first, own_last)) = packs.optional()? else { return Ok(()) };
        if own_first < first.0.into() || own_last > last.0.into() {
            // A purge had moved it when its end was written down: the copy has to be known as done, too.
            let pack = |number: u64| PackId(u32::try_from(number).unwrap_or(u32::MAX));
            self.write_done(id, pack(own_first), pack(own_last))?;
        }
        rows::remove(self.connection, id, &mut self.touched)
    }

    pub(super) fn write_done(&self, id: QueueId, first: PackId, last: PackId) -> Result<(), StorageError> {
        (self.write)(note::encode(&[Record::Done { id, first, last }]))
    }
}

/// The recipients that wait, with their destinations.
pub(crate) fn waiting(
    row: &MessageRow,
) -> impl Iterator<Item = (crate::message::RecipientNumber, &crate::destination::Destination)> {
    let all = row.message.recipients.iter().zip(&row.recipients).zip(0_u16..);
    let waiting = all.filter(|((_, row), _)| row.state == RecipientState::Waiting);
    waiting.map(|((recipient, _), number)| (crate::message::RecipientNumber(number), &recipient.destination))
}
