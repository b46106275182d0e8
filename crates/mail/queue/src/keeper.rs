//! The keeper: a thread that brings what is due from the index into memory, and what was tried from memory into the
//! index. Fresh mail does not need it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mail_types::QueueId;
use mailstore::{NewNote, OnWritten, Store};
use storage::StorageError;

use crate::destination::Destination;
use crate::index::{DestinationRow, DestinationUpdate, Index, LoadedParcel, ParcelUpdate};
use crate::queue::Inner;
use crate::shared::{OWNER, Shared};
use crate::spool::{OVERDUE_MAX, Spool, WEIGHT_LOADED_MAX, hash_of};

/// How often the clock is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Destinations that are brought into memory because they are due; beyond them others wait in the index.
const DUE_SITES_MAX: usize = 2_048;

/// Messages that are read between two looks at whether somebody else needs the index.
const LOADED_AT_ONCE: usize = 64;

/// Looks after the queue until the store or the queue is gone.
pub(crate) fn run(shared: &Arc<Shared>, inner: &Weak<Inner>) {
    while let Some(held) = inner.upgrade() {
        if let Err(error) = look(shared, &held.store) {
            tracing::warn!(%error, "the queue cannot be looked after for now");
        }
        drop(held);
        shared.wait_wanted(LOOK_INTERVAL);
    }
}

/// One round.
pub(crate) fn look(shared: &Arc<Shared>, store: &Store) -> Result<(), StorageError> {
    write_again(shared, store);
    // On a full disk the index cannot be written and can be read: what is due leaves all the same, and makes room.
    let remembered = remember(shared);
    ask_unknown(shared)?;
    load_due(shared)?;
    refill(shared)?;
    sweep(shared)?;
    shared.spool(|spool| {
        spool.line_up_all();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        shared.metrics.in_memory.set(count(spool.messages.len()));
        shared.metrics.connections.set(count(spool.connections.count()));
    });
    remembered
}

/// Notes that the log did not take.
fn write_again(shared: &Arc<Shared>, store: &Store) {
    for octets in shared.spool(Spool::take_unwritten) {
        let again = Again { shared: Arc::clone(shared), octets: Some(octets.clone()) };
        let written: OnWritten = Box::new(move |result| again.end(result.is_ok()));
        drop(store.write_note(NewNote { owner: OWNER, octets, written: Some(written) }));
    }
}

/// A note that is being written again. If nobody says that it is written, it is not.
struct Again {
    shared: Arc<Shared>,
    octets: Option<Vec<u8>>,
}

impl Again {
    fn end(mut self, is_written: bool) {
        self.octets = self.octets.take().filter(|_| !is_written);
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let refused = self.octets.take();
        self.shared.spool(|spool| spool.written_again(refused));
    }
}

/// Writes what was tried into the index; what it then knows may leave the memory.
fn remember(shared: &Shared) -> Result<(), StorageError> {
    let mut index = shared.index();
    let (parcels, sites) = shared.spool(|spool| (parcel_updates(spool), site_updates(spool)));
    if parcels.is_empty() && sites.is_empty() {
        return Ok(());
    }
    let missing = index.remember(&parcels, &sites)?;
    shared.spool(|spool| {
        for update in &parcels {
            remembered(spool, update);
        }
        for update in &sites {
            site_remembered(spool, update, &missing);
        }
    });
    Ok(())
}

fn parcel_updates(spool: &Spool) -> Vec<ParcelUpdate> {
    let mut updates = Vec::new();
    for (id, message) in spool.messages.iter().filter(|(_, message)| message.is_indexed) {
        for parcel in message.parcels.iter().filter(|parcel| parcel.is_unflushed) {
            let last = message.waiting_at(&parcel.destination).into_iter().filter_map(|number| {
                Some((number, message.recipients.get(usize::from(number.0))?.last.clone()?))
            });
            updates.push(ParcelUpdate {
                id: *id,
                destination: parcel.destination.key(),
                due: parcel.due,
                attempts: parcel.attempts,
                tried: parcel.tried,
                last: last.collect(),
            });
        }
    }
    updates
}

fn site_updates(spool: &Spool) -> Vec<DestinationUpdate> {
    let unflushed = spool.sites.iter().filter(|(_, site)| site.is_unflushed);
    unflushed
        .map(|(destination, site)| DestinationUpdate {
            destination: destination.key(),
            attempts: site.attempts,
            not_before: site.not_before,
            tried: site.tried,
            last: site.last.clone(),
        })
        .collect()
}

fn remembered(spool: &mut Spool, update: &ParcelUpdate) {
    if let Some(message) = spool.messages.get_mut(&update.id) {
        let parcels = message.parcels.iter_mut();
        for parcel in parcels.filter(|parcel| parcel.destination.key() == update.destination) {
            // Tried again meanwhile: the index has to hear of that, too.
            parcel.is_unflushed &= parcel.attempts != update.attempts || parcel.due != update.due;
        }
    }
    spool.forget_if_known(update.id);
}

fn site_remembered(spool: &mut Spool, update: &DestinationUpdate, missing: &[String]) {
    let Some(destination) = Destination::from_key(&update.destination) else { return };
    let Some(site) = spool.sites.get_mut(&destination) else { return };
    let is_same = site.attempts == update.attempts && site.not_before == update.not_before;
    // One without a row has mail here that the index has not seen yet, or none at all.
    let is_missing = missing.contains(&update.destination) && site.parcels > 0;
    site.is_unflushed &= is_missing || !is_same;
    if is_same && !is_missing {
        if update.attempts > 0 {
            spool.troubled.insert(hash_of(&update.destination));
        } else {
            spool.troubled.remove(&hash_of(&update.destination));
        }
    }
    spool.forget_site_if_idle(&destination);
}

/// Destinations with fresh mail of which the index may know something.
fn ask_unknown(shared: &Shared) -> Result<(), StorageError> {
    let index = shared.index();
    let unknown = shared.spool(|spool| {
        let unknown = spool.sites.iter().filter(|(_, site)| !site.is_known);
        unknown.map(|(destination, _)| destination.clone()).collect::<Vec<_>>()
    });
    for destination in unknown {
        let row = index.destination(&destination.key())?;
        shared.spool(|spool| spool.know(&destination, row.as_ref()));
    }
    Ok(())
}

/// Destinations that are due, and their first parcels.
fn load_due(shared: &Shared) -> Result<(), StorageError> {
    let now = shared.clock.now();
    let due = shared.index().due_destinations(now, DUE_SITES_MAX)?;
    for row in due {
        if shared.spool(|spool| spool.weight >= WEIGHT_LOADED_MAX) {
            break;
        }
        let is_served = shared.spool(|spool| {
            let site = spool.sites.get(&row.destination);
            site.is_some_and(|site| site.not_before > now || !site.runs_low())
        });
        if !is_served {
            load(shared, &row)?;
        }
    }
    Ok(())
}

/// Destinations whose parcels in memory run low.
fn refill(shared: &Shared) -> Result<(), StorageError> {
    let low = shared.spool(|spool| {
        let low = spool.sites.iter().filter(|(_, site)| site.has_more && site.runs_low());
        low.map(|(destination, _)| destination.clone()).collect::<Vec<_>>()
    });
    for destination in low {
        // When memory is full, those alone that would stand still otherwise.
        let may_wait = shared.spool(|spool| {
            let has_some = spool.sites.get(&destination).is_some_and(|site| !site.has_run_out());
            spool.weight >= WEIGHT_LOADED_MAX && has_some
        });
        if may_wait {
            continue;
        }
        let row = shared.index().destination(&destination.key())?;
        match row {
            Some(row) => load(shared, &row)?,
            None => shared.spool(|spool| no_more(spool, &destination)),
        }
    }
    Ok(())
}

fn no_more(spool: &mut Spool, destination: &Destination) {
    if let Some(site) = spool.sites.get_mut(destination) {
        site.has_more = false;
        // Whoever waits for the rest learns that there is none.
        site.arrived.notify_waiters();
    }
    spool.forget_site_if_idle(destination);
}

/// Brings due parcels of a destination into memory.
fn load(shared: &Shared, row: &DestinationRow) -> Result<(), StorageError> {
    let now = shared.clock.now();
    let index = shared.index();
    // Those in memory already may be the first that the index names.
    let (room, in_memory) = shared.spool(|spool| {
        spool.site(&row.destination);
        spool.know(&row.destination, Some(row));
        spool.sites.get(&row.destination).map_or((0, 0), |site| (site.room_left(), site.parcels))
    });
    let parcels = index.due_parcels(row.id, now, room + in_memory)?;
    let mut is_all = parcels.len() < room + in_memory;
    let mut index = Some(index);
    'all: for some in parcels.chunks(LOADED_AT_ONCE) {
        // Who applies the log gets a turn in between.
        let held = index.take().unwrap_or_else(|| shared.index());
        for parcel in some {
            if shared
                .spool(|spool| spool.sites.get(&row.destination).is_some_and(|site| site.room_left() == 0))
            {
                is_all = false;
                break 'all;
            }
            bring(shared, &held, parcel)?;
            shared.spool(|spool| spool.wake_due(parcel.id, now));
        }
    }
    shared.spool(|spool| {
        if is_all {
            no_more(spool, &row.destination);
        } else if let Some(site) = spool.sites.get_mut(&row.destination) {
            site.has_more = true;
            site.arrived.notify_waiters();
        }
    });
    Ok(())
}

/// Makes sure that a parcel's message is in memory. The index is held, so what is read is not changed before it is
/// there.
fn bring(shared: &Shared, index: &Index, parcel: &LoadedParcel) -> Result<(), StorageError> {
    if shared.spool(|spool| spool.messages.contains_key(&parcel.id)) {
        return Ok(());
    }
    if let Some(message) = index.message(parcel.id)? {
        let parcels = index.parcels_of(parcel.id)?;
        shared.spool(|spool| {
            if !spool.messages.contains_key(&message.id) {
                spool.insert(message, true, &parcels);
            }
        });
    }
    Ok(())
}

/// Looks for mail whose senders are to be told something: of destinations that failed, and where a sender named the
/// moment.
fn sweep(shared: &Shared) -> Result<(), StorageError> {
    let now = shared.clock.now();
    let room = |spool: &Spool| OVERDUE_MAX.saturating_sub(spool.overdue.len());
    let (destinations, room) = shared.spool(|spool| (std::mem::take(&mut spool.to_sweep), room(spool)));
    let index = shared.index();
    let mut swept = Vec::new();
    let mut late = index.strictly_late_parcels(now, room)?;
    for destination in destinations {
        let left = room.saturating_sub(late.len());
        if left == 0 {
            shared.spool(|spool| spool.to_sweep.insert(destination));
            continue;
        }
        if let Some(row) = index.destination(&destination.key())? {
            shared.spool(|spool| {
                spool.site(&destination);
                spool.know(&destination, Some(&row));
            });
            let found = index.late_parcels(row.id, now, left)?;
            if found.len() == left {
                shared.spool(|spool| spool.to_sweep.insert(destination.clone()));
            }
            late.extend(found);
        }
        swept.push(destination);
    }
    let mut ids: Vec<QueueId> = Vec::new();
    for parcel in &late {
        bring(shared, &index, parcel)?;
        ids.push(parcel.id);
    }
    shared.spool(|spool| {
        for id in ids {
            let count = spool.messages.get(&id).map_or(0, |message| message.parcels.len());
            (0..count).for_each(|number| spool.find_overdue(id, number));
            spool.forget_if_known(id);
        }
        swept.iter().for_each(|destination| spool.forget_site_if_idle(destination));
    });
    Ok(())
}
