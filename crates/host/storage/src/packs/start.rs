//! Opening the packs: find the key, the mark and the end of the log; cut what was never acknowledged; start
//! the committer. Everything here can be interrupted and done again.

use super::committer::Committer;
use super::files::{OpenPack, PackFiles};
use super::log_file::LogFile;
use super::mark::Mark;
use super::queue::Queue;
use super::record::StoreKey;
use super::recovery::{Tail, find_tail};
use super::scan::{Replay, Window};
use super::space::Space;
use super::{
    FIRST_RECORD_AT, Handle, Log, PackInfo, PackKind, PackSettings, PackStatistics, PackStore, Shared,
};
use crate::error::StorageError;
use crate::position::{LogPosition, PackId};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// How the log stands after recovery.
struct Recovered {
    durable: LogPosition,
    /// The pack to go on in, if the last one can be used.
    log: Option<LogFile>,
    /// The last pack otherwise, and how many of its octets count.
    previous: (PackId, u64),
}

pub(super) fn open(directory: &Path, settings: PackSettings) -> Result<(PackStore, Replay), StorageError> {
    platform::durable::create_directories(directory)
        .map_err(|error| StorageError::io("create", directory, error))?;
    let files = PackFiles::new(directory, settings.open_packs_max);
    files.remove_temporaries()?;
    let listed = files.list()?;
    let mark = match Mark::read(directory)? {
        Some(mark) => mark,
        None => found_mark(&files, &listed)?,
    };
    let mut packs: BTreeSet<PackId> =
        listed.iter().filter(|pack| pack.kind == PackKind::Log).map(|pack| pack.id).collect();
    let newest = listed.last().map_or(0, |pack| pack.id.0).max(mark.position.pack.0);
    let next_pack = newest.saturating_add(1).max(mark.next_pack);

    let recovered = recover(&files, &mut packs, &mark, &settings)?;
    let shared = Arc::new(Shared {
        key: mark.key,
        queue: Queue::new(settings.queue_octets_max),
        space: Space::new(directory, &settings),
        log: Mutex::new(Log {
            packs,
            current: recovered.log.as_ref().map(|log| log.pack),
            durable: recovered.durable,
        }),
        mark: Mutex::new(mark),
        next_pack: AtomicU32::new(next_pack),
        statistics: Mutex::new(PackStatistics::default()),
        files,
        settings,
    });
    let replay = Replay::new(Arc::clone(&shared), mark.position, recovered.durable);
    let committer = Committer::new(Arc::clone(&shared), recovered.log, recovered.previous);
    let thread = std::thread::Builder::new()
        .name("pack-committer".to_owned())
        .spawn(move || committer.run())
        .map_err(|error| StorageError::io("start the committer for", directory, error))?;
    let handle = Handle { shared, committer: Mutex::new(Some(thread)) };
    Ok((PackStore { handle: Arc::new(handle) }, replay))
}

/// Writes a first mark: for a new store with a new key, for one that has lost its mark with the key its
/// packs carry.
fn found_mark(files: &PackFiles, listed: &[PackInfo]) -> Result<Mark, StorageError> {
    let mut key = None;
    for pack in listed.iter().rev() {
        let open = files.open(pack.id, &StoreKey([0; 32]))?;
        key = open.and_then(|open| open.header.as_ref().map(|header| header.key));
        if key.is_some() {
            break;
        }
    }
    let key = match key {
        Some(key) => key,
        None => new_key(files.directory())?,
    };
    // Packs opened above may have been remembered with a wrong key.
    let mark = Mark { position: LogPosition::START, next_pack: 1, key };
    files.forget_open();
    mark.write(files.directory())?;
    Ok(mark)
}

fn new_key(directory: &Path) -> Result<StoreKey, StorageError> {
    let mut key = [0; 32];
    let mut filled = 0;
    while filled < key.len() {
        let rest = key.get_mut(filled..).unwrap_or_default();
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| StorageError::io("draw a random key for", directory, error.into()))?;
    }
    Ok(StoreKey(key))
}

/// Finds the end of the log and cuts off what is behind it.
fn recover(
    files: &PackFiles,
    packs: &mut BTreeSet<PackId>,
    mark: &Mark,
    settings: &PackSettings,
) -> Result<Recovered, StorageError> {
    let Some(open) = last_pack(files, packs, mark)? else {
        return Ok(Recovered { durable: mark.position, log: None, previous: (PackId(0), 0) });
    };
    let octets = open.octets()?;
    let tail = read_tail(&open, octets, mark)?;
    let found = LogPosition { pack: open.pack, offset: tail.end };
    // Positions must only grow, whatever has happened to the files: indexes remember how far they have come.
    let is_behind_mark = found < mark.position;
    if is_behind_mark {
        tracing::error!(end = %found, mark = %mark.position, "the log ends before its checkpoint mark: packs are missing or cut");
    }
    let is_sound = open.header.is_some() && tail.damage.is_empty() && !is_behind_mark;
    let log = if is_sound {
        cut(&open, octets, tail.end)?;
        (tail.end < settings.pack_octets)
            .then(|| LogFile::reopen(&open.path, open.pack, tail.end))
            .transpose()?
    } else {
        None
    };
    Ok(Recovered { durable: found.max(mark.position), log, previous: (open.pack, tail.end) })
}

/// The last log pack whose founding was completed. One that was not holds nothing, and would hide where the
/// pack before it ends.
fn last_pack(
    files: &PackFiles,
    packs: &mut BTreeSet<PackId>,
    mark: &Mark,
) -> Result<Option<Arc<OpenPack>>, StorageError> {
    while let Some(last) = packs.last().copied() {
        let Some(open) = files.open(last, &mark.key)? else {
            packs.remove(&last);
            continue;
        };
        let is_founded =
            open.header.is_some() || open.octets()? > FIRST_RECORD_AT || last <= mark.position.pack;
        if is_founded {
            return Ok(Some(open));
        }
        tracing::info!(path = %open.path.display(), "removed a pack whose founding was interrupted");
        files.remove(PackKind::Log, last)?;
        packs.remove(&last);
    }
    Ok(None)
}

fn read_tail(open: &Arc<OpenPack>, octets: u64, mark: &Mark) -> Result<Tail, StorageError> {
    let marked = mark.position.offset;
    let is_marked_here = mark.position.pack == open.pack && (FIRST_RECORD_AT..=octets).contains(&marked);
    let from = if is_marked_here { marked } else { FIRST_RECORD_AT };
    let tail = find_tail(&mut Window::new(Arc::clone(open), octets), from.min(octets))?;
    if open.header.is_none() && octets > 0 {
        let damage = open.corrupt(0, "the pack's header is damaged");
        tracing::error!(%damage, "the pack is read with the store's key, and not written on");
    }
    for (offset, fault) in &tail.damage {
        let damage = open.corrupt(*offset, fault);
        tracing::error!(%damage, "the log's last pack is damaged before its end, and not written on");
    }
    Ok(tail)
}

/// Cuts the file to what counts, durably: otherwise a later power cut could bring back what is behind.
fn cut(open: &OpenPack, octets: u64, end: u64) -> Result<(), StorageError> {
    if octets <= end {
        return Ok(());
    }
    tracing::info!(path = %open.path.display(), octets = octets - end, "cut what was never acknowledged, or zeros, off the log");
    OpenOptions::new()
        .write(true)
        .open(&open.path)
        .and_then(|file| file.set_len(end).and_then(|()| file.sync_all()))
        .map_err(|error| StorageError::io("cut", &open.path, error))
}
