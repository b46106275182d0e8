//! The schedule's side of the tables: what is due, what was tried, what is overdue; and a purge's questions.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use mail_types::QueueId;
use mailstore::{Kept, TenantBlob, TenantEntry, TenantMove, WriteNote};
use platform::clock::Timestamp;
use storage::rusqlite::{Connection, OptionalExtension, Row, params};
use storage::{BlobRef, PackId, StorageError};

use super::rows::{self, hold_of};
use super::{Batch, DestinationUpdate, Index, MessageRow, NEVER, ParcelUpdate, damaged, number, unsigned};
use crate::destination::Destination;
use crate::message::Diagnostic;
use crate::note::{self, Queued, Record};
use crate::state::RecipientState;

/// A destination as the index has it.
#[derive(Clone, Debug)]
pub(crate) struct DestinationRow {
    pub(crate) id: i64,
    pub(crate) destination: Destination,
    pub(crate) not_before: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) tried: Option<Timestamp>,
    pub(crate) last: Option<Diagnostic>,
}

/// A parcel as the index has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedParcel {
    pub(crate) id: QueueId,
    pub(crate) due: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) tried: Option<Timestamp>,
}

const DESTINATION_COLUMNS: &str = "id, key, not_before, attempts, tried, last";
const PARCEL_COLUMNS: &str = "message, due, attempts, tried";

impl Index {
    /// Destinations that are due, those that wait longest first.
    pub(crate) fn due_destinations(
        &self,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<DestinationRow>, StorageError> {
        let sql =
            format!("SELECT {DESTINATION_COLUMNS} FROM destinations WHERE due <= ?1 ORDER BY due LIMIT ?2");
        let mut statement = self.database.connection().prepare_cached(&sql)?;
        let mut found = statement.query(params![now.unix_millis(), count as i64])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(destination_row(row)?);
        }
        Ok(rows)
    }

    pub(crate) fn destination(&self, key: &str) -> Result<Option<DestinationRow>, StorageError> {
        let sql = format!("SELECT {DESTINATION_COLUMNS} FROM destinations WHERE key = ?1");
        let mut statement = self.database.connection().prepare_cached(&sql)?;
        let mut rows = statement.query([key])?;
        rows.next()?.map(destination_row).transpose()
    }

    /// The keys of destinations that could not be reached.
    pub(crate) fn unreachable(&self, mut visit: impl FnMut(&str)) -> Result<(), StorageError> {
        let sql = "SELECT key FROM destinations WHERE attempts > 0";
        let mut statement = self.database.connection().prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(row.get_ref(0)?.as_str().map_err(|_| damaged("a destination"))?);
        }
        Ok(())
    }

    /// Parcels of a destination that are due: fresh ones by priority, then deferred ones as they are due.
    pub(crate) fn due_parcels(
        &self,
        destination: i64,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<LoadedParcel>, StorageError> {
        let fresh = format!(
            "SELECT {PARCEL_COLUMNS} FROM parcels WHERE destination = ?1 AND attempts = 0 AND due <= ?2 \
             ORDER BY rank, message LIMIT ?3"
        );
        let old = format!(
            "SELECT {PARCEL_COLUMNS} FROM parcels WHERE destination = ?1 AND due <= ?2 AND attempts > 0 \
             ORDER BY due LIMIT ?3"
        );
        let mut parcels = self.parcels(&fresh, params![destination, now.unix_millis(), count as i64])?;
        let left = count.saturating_sub(parcels.len());
        if left > 0 {
            parcels.extend(self.parcels(&old, params![destination, now.unix_millis(), left as i64])?);
        }
        Ok(parcels)
    }

    /// Parcels of a destination whose senders were to be told something by now.
    pub(crate) fn late_parcels(
        &self,
        destination: i64,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<LoadedParcel>, StorageError> {
        let sql = format!(
            "SELECT {PARCEL_COLUMNS} FROM parcels WHERE destination = ?1 AND report <= ?2 AND due < {NEVER} \
             ORDER BY report LIMIT ?3"
        );
        self.parcels(&sql, params![destination, now.unix_millis(), count as i64])
    }

    /// Parcels whose senders named the moment themselves, and it has come.
    pub(crate) fn strictly_late_parcels(
        &self,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<LoadedParcel>, StorageError> {
        let sql = format!(
            "SELECT {PARCEL_COLUMNS} FROM parcels WHERE is_strict = 1 AND report <= ?1 AND due < {NEVER} \
             ORDER BY report LIMIT ?2"
        );
        self.parcels(&sql, params![now.unix_millis(), count as i64])
    }

    /// All parcels of a message.
    pub(crate) fn parcels_of(&self, id: QueueId) -> Result<Vec<(LoadedParcel, String)>, StorageError> {
        let sql = "SELECT message, parcels.due, parcels.attempts, parcels.tried, key FROM parcels \
                   JOIN destinations ON destinations.id = destination WHERE message = ?1";
        let mut statement = self.database.connection().prepare_cached(sql)?;
        let rows = statement.query_map([number(id.0)], |row| Ok((parcel_row(row)?, row.get(4)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn parcels(
        &self,
        sql: &str,
        values: impl storage::rusqlite::Params,
    ) -> Result<Vec<LoadedParcel>, StorageError> {
        let mut statement = self.database.connection().prepare_cached(sql)?;
        Ok(statement.query_map(values, parcel_row)?.collect::<Result<_, _>>()?)
    }

    pub(crate) fn message(&self, id: QueueId) -> Result<Option<MessageRow>, StorageError> {
        rows::read(self.database.connection(), id)
    }

    /// Where a message's octets are now.
    pub(crate) fn place(&self, id: QueueId) -> Result<Option<BlobRef>, StorageError> {
        let sql = "SELECT pack, offset FROM messages WHERE id = ?1";
        let mut statement = self.database.connection().prepare_cached(sql)?;
        let place = statement.query_row([number(id.0)], |row| {
            Ok(BlobRef { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? })
        });
        Ok(place.optional()?)
    }

    /// Remembers what was tried. Destinations that are not here are named: they have no mail, or not yet.
    pub(crate) fn remember(
        &mut self,
        parcels: &[ParcelUpdate],
        destinations: &[DestinationUpdate],
    ) -> Result<Vec<String>, StorageError> {
        self.transaction(|connection| {
            let mut touched = BTreeSet::new();
            for parcel in parcels {
                remember_parcel(connection, parcel, &mut touched)?;
            }
            let mut missing = Vec::new();
            for update in destinations {
                match rows::find_destination(connection, &update.destination)? {
                    Some(id) => {
                        remember_destination(connection, id, update)?;
                        touched.insert(id);
                    }
                    None => missing.push(update.destination.clone()),
                }
            }
            rows::reschedule(connection, &touched)?;
            Ok(missing)
        })
    }

    /// Makes parcels due now, and their destinations too. Nothing happens to a held message.
    pub(crate) fn make_due(
        &mut self,
        parcels: &[(QueueId, Destination)],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.transaction(|connection| {
            let mut touched = BTreeSet::new();
            for (id, destination) in parcels {
                let Some(destination) = rows::find_destination(connection, &destination.key())? else { continue };
                let sql = "UPDATE parcels SET due = ?2 WHERE message = ?1 AND destination = ?4 AND due < ?3 AND due > ?2 \
                           AND EXISTS (SELECT 1 FROM messages WHERE id = ?1 AND (hold = 0 OR hold = 2 AND hold_until <= ?2))";
                let values = params![number(id.0), now.unix_millis(), NEVER, destination];
                connection.prepare_cached(sql)?.execute(values)?;
                let sql = "UPDATE destinations SET not_before = 0 WHERE id = ?1";
                connection.prepare_cached(sql)?.execute([destination])?;
                touched.insert(destination);
            }
            rows::reschedule(connection, &touched)
        })
    }

    pub(crate) fn blobs_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<TenantBlob>, StorageError> {
        let sql =
            "SELECT pack, offset, in_log FROM messages WHERE pack BETWEEN ?1 AND ?2 ORDER BY pack, offset";
        let mut statement = self.database.connection().prepare_cached(sql)?;
        let blobs = statement.query_map([packs.start().0, packs.end().0], |row| {
            let at = BlobRef { pack: PackId(row.get(0)?), offset: unsigned(row, 1)? };
            Ok(TenantBlob { at, in_log: unsigned(row, 2)? })
        })?;
        Ok(blobs.collect::<Result<_, _>>()?)
    }

    /// What a purge must keep of an entry.
    pub(crate) fn still_needed(
        &self,
        entry: &TenantEntry<'_>,
        has_pack: &dyn Fn(RangeInclusive<PackId>) -> bool,
    ) -> Result<Kept, StorageError> {
        let records = note::decode(entry.note).map_err(|_| damaged("a note in the log"))?;
        let mut kept = Vec::new();
        let mut is_blob_kept = false;
        for record in records {
            match record {
                Record::Done { first, last, .. } => {
                    kept.extend(has_pack(first..=last).then_some(record));
                }
                Record::Queued(queued) => {
                    // Another copy may have taken its place: then this one is not needed.
                    if self.place(queued.id)?.is_some_and(|place| Some(place) == entry.blob) {
                        is_blob_kept = true;
                        kept.push(Record::Queued(Queued { is_copy: true, ..queued }));
                    }
                }
                Record::Changed { id, sequence, .. } => {
                    let is_latest = self.message(id)?.is_some_and(|row| row.changed == sequence);
                    kept.extend(is_latest.then_some(record));
                }
                Record::Settled { id, .. } | Record::Warned { id, .. } => {
                    kept.extend(self.place(id)?.is_some().then_some(record));
                }
            }
        }
        Ok(match (kept.is_empty(), is_blob_kept) {
            (true, _) => Kept::Nothing,
            (false, true) => Kept::NoteAndBlob(note::encode_copy(&kept)),
            (false, false) => Kept::Note(note::encode_copy(&kept)),
        })
    }

    /// A purge has written entries again. Gives the new places of messages that are here.
    pub(crate) fn moved(
        &mut self,
        moves: &[TenantMove<'_>],
        write: WriteNote<'_>,
    ) -> Result<Vec<(QueueId, BlobRef, PackId)>, StorageError> {
        let settings = self.settings.clone();
        self.transaction(|connection| {
            let batch = Batch::new(connection, &settings, write);
            let mut places = Vec::new();
            for TenantMove { note, from, to, pack } in moves {
                let records = note::decode(note).map_err(|_| damaged("a note in the log"))?;
                for record in records {
                    let (Record::Queued(queued), Some(from), Some(to)) = (record, from, to) else { continue };
                    if !move_message(connection, queued.id, *from, *to, *pack)? {
                        // Finished meanwhile: the copy must be known as done.
                        batch.write_done(queued.id, *pack, *pack)?;
                    } else {
                        places.push((queued.id, *to, *pack));
                    }
                }
            }
            Ok(places)
        })
    }
}

/// Whether the message is here.
fn move_message(
    connection: &Connection,
    id: QueueId,
    from: BlobRef,
    to: BlobRef,
    pack: PackId,
) -> Result<bool, StorageError> {
    let sql = "UPDATE messages SET last_pack = max(last_pack, ?2) WHERE id = ?1";
    if connection.prepare_cached(sql)?.execute(params![number(id.0), pack.0])? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE messages SET pack = ?4, offset = ?5 WHERE id = ?1 AND pack = ?2 AND offset = ?3";
    let values = params![number(id.0), from.pack.0, number(from.offset), to.pack.0, number(to.offset)];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(true)
}

fn remember_parcel(
    connection: &Connection,
    parcel: &ParcelUpdate,
    touched: &mut BTreeSet<i64>,
) -> Result<(), StorageError> {
    let Some(destination) = rows::find_destination(connection, &parcel.destination)? else { return Ok(()) };
    let sql = "SELECT hold, hold_until FROM messages WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let hold = statement.query_row([number(parcel.id.0)], |row| Ok(hold_of(row.get(0)?, row.get(1)?)));
    let Some(hold) = hold.optional()? else { return Ok(()) };
    let sql =
        "UPDATE parcels SET due = ?3, attempts = ?4, tried = ?5 WHERE destination = ?1 AND message = ?2";
    connection.prepare_cached(sql)?.execute(params![
        destination,
        number(parcel.id.0),
        rows::due_at(parcel.due, hold),
        parcel.attempts,
        parcel.tried.map(Timestamp::unix_millis)
    ])?;
    for (recipient, last) in &parcel.last {
        let sql = "INSERT INTO recipients(message, number, state, is_warned, last) VALUES(?1, ?2, ?3, 0, ?4) \
                   ON CONFLICT(message, number) DO UPDATE SET last = ?4";
        let waiting = RecipientState::Waiting.number();
        let values = params![number(parcel.id.0), recipient.0, waiting, note::encode_diagnostic(last)];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    touched.insert(destination);
    Ok(())
}

fn remember_destination(
    connection: &Connection,
    id: i64,
    update: &DestinationUpdate,
) -> Result<(), StorageError> {
    let sql = "UPDATE destinations SET not_before = ?2, attempts = ?3, tried = ?4, last = ?5 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![
        id,
        update.not_before.unix_millis(),
        update.attempts,
        update.tried.map(Timestamp::unix_millis),
        update.last.as_ref().map(note::encode_diagnostic)
    ])?;
    Ok(())
}

fn destination_row(row: &Row<'_>) -> Result<DestinationRow, StorageError> {
    let key = row.get_ref(1)?.as_str().map_err(|_| damaged("a destination"))?;
    let last: Option<Vec<u8>> = row.get(5)?;
    Ok(DestinationRow {
        id: row.get(0)?,
        destination: Destination::from_key(key).ok_or_else(|| damaged("a destination"))?,
        not_before: Timestamp::from_unix_millis(row.get(2)?),
        attempts: row.get(3)?,
        tried: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_unix_millis),
        last: last
            .map(|last| note::decode_diagnostic(&last))
            .transpose()
            .map_err(|_| damaged("a diagnostic"))?,
    })
}

fn parcel_row(row: &Row<'_>) -> Result<LoadedParcel, storage::rusqlite::Error> {
    Ok(LoadedParcel {
        id: QueueId(unsigned(row, 0)?),
        due: Timestamp::from_unix_millis(row.get(1)?),
        attempts: row.get(2)?,
        tried: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_unix_millis),
    })
}
