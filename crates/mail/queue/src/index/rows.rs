//! Messages in the tables: written, read and removed whole.

use std::collections::BTreeSet;

use mail_types::QueueId;
use mailstore::TenantEntry;
use mailstore::varint::Reader;
use platform::clock::Timestamp;
use storage::rusqlite::{Connection, OptionalExtension, Row, params};
use storage::{BlobRef, PackId, StorageError};

use super::{MessageRow, NEVER, RecipientRow, damaged, number, unsigned};
use crate::destination::Destination;
use crate::message::{NewMessage, RecipientNumber};
use crate::note::{self, Queued};
use crate::schedule::Deadlines;
use crate::settings::Settings;
use crate::state::{Hold, MessageState, RecipientState};

/// Writes a message that the index does not have yet.
pub(super) fn insert(
    connection: &Connection,
    settings: &Settings,
    entry: &TenantEntry<'_>,
    queued: &Queued,
    touched: &mut BTreeSet<i64>,
) -> Result<(), StorageError> {
    let Some(blob) = entry.blob else { return Err(damaged("a queued message without octets")) };
    let mut envelope = Vec::new();
    note::put_message(&mut envelope, &queued.message);
    let hold = queued.message.hold_until.map_or(Hold::None, Hold::Until);
    let (hold_number, hold_until) = hold_columns(hold);
    let sql = "INSERT INTO messages(id, pack, offset, in_log, octets, first_pack, last_pack, arrived, hold, \
               hold_until, changed, waiting, envelope) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, 0, ?10, ?11)";
    connection.prepare_cached(sql)?.execute(params![
        number(queued.id.0),
        blob.pack.0,
        number(blob.offset),
        number(entry.in_log()),
        number(queued.octets),
        entry.position.pack.0,
        queued.message.arrived.unix_millis(),
        hold_number,
        hold_until,
        queued.message.recipients.len() as i64,
        envelope,
    ])?;
    let (report, is_strict) = Deadlines::of(&queued.message, settings).next(false);
    let due = due_at(queued.message.arrived, hold);
    let destinations: BTreeSet<&Destination> =
        queued.message.recipients.iter().map(|recipient| &recipient.destination).collect();
    for destination in destinations {
        let destination = destination_id(connection, &destination.key())?;
        let sql = "INSERT OR IGNORE INTO parcels(destination, message, due, attempts, rank, tried, report, is_strict) \
                   VALUES(?1, ?2, ?3, 0, ?4, NULL, ?5, ?6)";
        let rank = -i64::from(queued.message.priority.value());
        connection.prepare_cached(sql)?.execute(params![
            destination,
            number(queued.id.0),
            due,
            rank,
            report.unix_millis(),
            is_strict
        ])?;
        touched.insert(destination);
    }
    Ok(())
}

/// When a parcel that rests until `from` may go.
pub(super) fn due_at(from: Timestamp, hold: Hold) -> i64 {
    match hold {
        Hold::None => from.unix_millis(),
        Hold::Until(until) if hold.state() != MessageState::Held => from.max(until).unix_millis(),
        Hold::Operator | Hold::Submitter | Hold::Until(_) => NEVER,
    }
}

fn destination_id(connection: &Connection, key: &str) -> Result<i64, StorageError> {
    let found = find_destination(connection, key)?;
    if let Some(id) = found {
        return Ok(id);
    }
    let sql = "INSERT INTO destinations(key, due, not_before, attempts) VALUES(?1, ?2, 0, 0)";
    connection.prepare_cached(sql)?.execute(params![key, NEVER])?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn find_destination(connection: &Connection, key: &str) -> Result<Option<i64>, StorageError> {
    let mut statement = connection.prepare_cached("SELECT id FROM destinations WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Removes a message.
pub(super) fn remove(
    connection: &Connection,
    id: QueueId,
    touched: &mut BTreeSet<i64>,
) -> Result<(), StorageError> {
    touched.extend(destinations_of(connection, id)?);
    for sql in [
        "DELETE FROM parcels WHERE message = ?1",
        "DELETE FROM recipients WHERE message = ?1",
        "DELETE FROM messages WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([number(id.0)])?;
    }
    Ok(())
}

pub(super) fn destinations_of(connection: &Connection, id: QueueId) -> Result<Vec<i64>, StorageError> {
    let mut statement = connection.prepare_cached("SELECT destination FROM parcels WHERE message = ?1")?;
    Ok(statement.query_map([number(id.0)], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Brings destinations' own times up to their parcels'. Those without any go.
pub(super) fn reschedule(connection: &Connection, touched: &BTreeSet<i64>) -> Result<(), StorageError> {
    for destination in touched {
        let mut statement =
            connection.prepare_cached("SELECT min(due) FROM parcels WHERE destination = ?1")?;
        let due: Option<i64> = statement.query_row([destination], |row| row.get(0))?;
        match due {
            Some(due) => connection
                .prepare_cached("UPDATE destinations SET due = max(not_before, ?2) WHERE id = ?1")?
                .execute([*destination, due])?,
            None => connection
                .prepare_cached("DELETE FROM destinations WHERE id = ?1")?
                .execute([*destination])?,
        };
    }
    Ok(())
}

const COLUMNS: &str = "id, pack, offset, octets, first_pack, last_pack, hold, hold_until, changed, envelope";

/// Reads a message.
pub(crate) fn read(connection: &Connection, id: QueueId) -> Result<Option<MessageRow>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([number(id.0)], raw_row).optional()?;
    let Some((mut row, envelope)) = found else { return Ok(None) };
    row.message = envelope_of(&envelope)?;
    let waiting = RecipientRow { state: RecipientState::Waiting, is_warned: false, last: None };
    row.recipients = vec![waiting; row.message.recipients.len()];
    let sql = "SELECT number, state, is_warned, last FROM recipients WHERE message = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([number(id.0)])?;
    while let Some(found) = rows.next()? {
        let place = usize::from(found.get::<_, u16>(0)?);
        let state =
            RecipientState::from_number(found.get(1)?).ok_or_else(|| damaged("a recipient's state"))?;
        let last: Option<Vec<u8>> = found.get(3)?;
        let last = last.map(|last| note::decode_diagnostic(&last)).transpose();
        let last = last.map_err(|_| damaged("a diagnostic"))?;
        if let Some(recipient) = row.recipients.get_mut(place) {
            *recipient = RecipientRow { state, is_warned: found.get(2)?, last };
        }
    }
    Ok(Some(row))
}

pub(crate) fn envelope_of(envelope: &[u8]) -> Result<NewMessage, StorageError> {
    note::message(&mut Reader::new(envelope)).map_err(|_| damaged("an envelope"))
}

fn raw_row(row: &Row<'_>) -> Result<(MessageRow, Vec<u8>), storage::rusqlite::Error> {
    let hold = hold_of(row.get(6)?, row.get(7)?);
    let envelope: Vec<u8> = row.get(9)?;
    let read = MessageRow {
        id: QueueId(unsigned(row, 0)?),
        blob: BlobRef { pack: PackId(row.get(1)?), offset: unsigned(row, 2)? },
        octets: unsigned(row, 3)?,
        first_pack: PackId(row.get(4)?),
        last_pack: PackId(row.get(5)?),
        hold,
        changed: unsigned(row, 8)?,
        message: NewMessage::empty(),
        recipients: Vec::new(),
    };
    Ok((read, envelope))
}

pub(crate) fn hold_of(number: i64, until: i64) -> Hold {
    match number {
        0 => Hold::None,
        2 => Hold::Until(Timestamp::from_unix_millis(until)),
        3 => Hold::Submitter,
        _ => Hold::Operator,
    }
}

pub(super) fn hold_columns(hold: Hold) -> (i64, i64) {
    match hold {
        Hold::None => (0, 0),
        Hold::Operator => (1, 0),
        Hold::Until(until) => (2, until.unix_millis()),
        Hold::Submitter => (3, 0),
    }
}

/// Writes a recipient's state.
pub(super) fn set_state(
    connection: &Connection,
    id: QueueId,
    recipient: RecipientNumber,
    state: RecipientState,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO recipients(message, number, state, is_warned) VALUES(?1, ?2, ?3, 0) \
               ON CONFLICT(message, number) DO UPDATE SET state = ?3";
    connection.prepare_cached(sql)?.execute(params![number(id.0), recipient.0, state.number()])?;
    Ok(())
}

/// Notes that a recipient's sender was told of the delay.
pub(super) fn set_warned(
    connection: &Connection,
    id: QueueId,
    recipient: RecipientNumber,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO recipients(message, number, state, is_warned) VALUES(?1, ?2, 0, 1) \
               ON CONFLICT(message, number) DO UPDATE SET is_warned = 1";
    connection.prepare_cached(sql)?.execute(params![number(id.0), recipient.0])?;
    Ok(())
}
