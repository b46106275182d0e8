//! What the queue's handles, its keeper and the store's threads share: the index, the spool, and the wish to be
//! looked after. Lock order: index → spool.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_types::QueueId;
use mailstore::{Kept, NewNote, OnWritten, ReadLog, Tenant, TenantBlob, TenantEntry, TenantMove, WriteNote};
use parking_lot::{Condvar, Mutex, MutexGuard};
use platform::clock::Clock;
use storage::{BlobRef, LogPosition, PackId, StorageError, WalCheckpoint};

use crate::index::{Batch, Index, build, differences, remove_database};
use crate::metrics::QueueMetrics;
use crate::note::{self, Queued, Record};
use crate::settings::Settings;
use crate::spool::Spool;

/// The queue's number in the log, the last of those that no account has (`mailstore::TENANTS_FROM`).
pub(crate) const OWNER: u32 = u32::MAX;

/// How often the log is read for a comparison while a purge moves what is read.
const VERIFICATIONS_MAX: usize = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    index: Mutex<Index>,
    spool: Mutex<Spool>,
    /// `DATA/queue.db`.
    pub(crate) path: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) metrics: QueueMetrics,
    /// Whether the keeper is wanted.
    wanted: Mutex<bool>,
    wake: Condvar,
}

impl Shared {
    pub(crate) fn new(
        path: PathBuf,
        settings: Settings,
        clock: Clock,
        metrics: QueueMetrics,
    ) -> Result<Self, StorageError> {
        // What a crash left of an index that was being made.
        for name in ["queue.new.db", "queue.none.db", "queue.verify.db"] {
            remove_database(&path.with_file_name(name))?;
        }
        let index = Index::open(&path, &settings)?;
        let spool = Spool::new(settings.clone(), clock.clone());
        Ok(Self {
            index: Mutex::new(index),
            spool: Mutex::new(spool),
            path,
            settings,
            clock,
            metrics,
            wanted: Mutex::new(false),
            wake: Condvar::new(),
        })
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    /// Works on the spool, and wakes the keeper if that left wishes.
    pub(crate) fn spool<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> T {
        let mut spool = self.spool.lock();
        let done = work(&mut spool);
        let is_wanted = std::mem::take(&mut spool.wishes.look);
        drop(spool);
        if is_wanted {
            self.wake_keeper();
        }
        done
    }

    pub(crate) fn wake_keeper(&self) {
        *self.wanted.lock() = true;
        self.wake.notify_one();
    }

    /// Waits until the keeper is wanted, or so long.
    pub(crate) fn wait_wanted(&self, at_most: std::time::Duration) {
        let mut wanted = self.wanted.lock();
        if !*wanted {
            self.wake.wait_for(&mut wanted, at_most);
        }
        *wanted = false;
    }

    /// A note that is counted as under way; taken back, or kept for another try, if the log does not take it.
    pub(crate) fn note(self: &Arc<Self>, records: Vec<Record>, if_failed: IfFailed) -> NewNote {
        let octets = note::encode(&records);
        self.spool(|spool| spool.expect(&records));
        let expected = Expected { shared: Arc::clone(self), records: Some(records), if_failed };
        let written: OnWritten = Box::new(move |result| {
            if result.is_ok() {
                expected.written();
            }
        });
        NewNote { owner: OWNER, octets, written: Some(written) }
    }

    /// The note by which a message is queued: it is ready to be sent the moment it is durable.
    pub(crate) fn queued_note(self: &Arc<Self>, queued: Queued) -> NewNote {
        let record = Record::Queued(queued);
        let octets = note::encode([&record]);
        let shared = Arc::clone(self);
        let written: OnWritten = Box::new(move |result| {
            let (Ok(committed), Record::Queued(queued)) = (result, record) else { return };
            shared.metrics.accepted.increment();
            if let Some(blob) = committed.blob {
                shared.spool(|spool| spool.committed(queued, committed.position, blob));
            }
        });
        NewNote { owner: OWNER, octets, written: Some(written) }
    }

    /// Where a message's octets are now.
    pub(crate) fn place(&self, id: QueueId) -> Result<Option<BlobRef>, StorageError> {
        if let Some(blob) = self.spool(|spool| spool.messages.get(&id).map(|message| message.blob)) {
            return Ok(Some(blob));
        }
        self.index().place(id)
    }

    /// What is in the index is known to the spool: destinations that could not be reached, and the last id.
    pub(crate) fn learn(&self) -> Result<(), StorageError> {
        let index = self.index();
        let mut troubled = std::collections::HashSet::new();
        index.unreachable(|key| {
            troubled.insert(crate::spool::hash_of(key));
        })?;
        let last_id = index.last_id()?;
        self.spool(|spool| {
            spool.troubled.extend(troubled);
            spool.last_id = spool.last_id.max(last_id);
        });
        Ok(())
    }

    fn rebuild_beside(
        &self,
        fresh: &Path,
        upto: LogPosition,
        log: ReadLog<'_>,
        write: WriteNote<'_>,
    ) -> Result<(), StorageError> {
        remove_database(fresh)?;
        let mut index = Index::open_sound(fresh, &self.settings)?;
        build(&mut index, upto, None, log, write)?;
        if index.database.checkpoint()? == WalCheckpoint::Partial {
            return Err(StorageError::Busy);
        }
        Ok(())
    }

    fn compare(&self, log: ReadLog<'_>) -> Result<Vec<String>, StorageError> {
        let path = self.path.with_file_name("queue.verify.db");
        let there = Index::open_reader(&self.path, &self.settings)?;
        // What it shows stays the same from here on.
        there.database.connection().execute_batch("BEGIN")?;
        let until = there.applied()?.unwrap_or(LogPosition::START);
        remove_database(&path)?;
        let mut anew = Index::open_sound(&path, &self.settings)?;
        let built = build(&mut anew, until, Some(until), log, &|_| Ok(()));
        let found = built.and_then(|()| differences(there.database.connection(), anew.database.connection()));
        drop(anew);
        remove_database(&path)?;
        found
    }
}

/// Records that are counted as under way. Dropped before they are written, also because somebody was cancelled, they
/// are so no longer.
struct Expected {
    shared: Arc<Shared>,
    records: Option<Vec<Record>>,
    if_failed: IfFailed,
}

impl Expected {
    fn written(mut self) {
        self.records = None;
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let Some(records) = self.records.take() else { return };
        self.shared.spool(|spool| match self.if_failed {
            IfFailed::WriteLater => spool.not_written(note::encode(&records)),
            IfFailed::TakeBack => spool.taken_back(&records),
        });
    }
}

/// What happens to a note that the log does not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IfFailed {
    /// What it says happened: it is written again later.
    WriteLater,
    /// What it says did not happen.
    TakeBack,
}

impl Tenant for Shared {
    fn owner(&self) -> u32 {
        OWNER
    }

    fn applied(&self) -> Result<Option<LogPosition>, StorageError> {
        self.index().applied()
    }

    fn apply(&self, entries: &[TenantEntry<'_>], write: WriteNote<'_>) -> Result<(), StorageError> {
        let mut index = self.index();
        index.check()?;
        let settings = index.settings.clone();
        let after = index.applied()?.unwrap_or(LogPosition::START);
        index.transaction(|connection| Batch::new(connection, &settings, write).apply(entries, after))
    }

    fn publish(&self, entries: &[TenantEntry<'_>]) {
        // A few at a time: who sends needs the spool, too.
        for some in entries.chunks(64) {
            let records: Vec<Record> =
                some.iter().flat_map(|entry| note::decode(entry.note).unwrap_or_default()).collect();
            self.spool(|spool| spool.published(&records));
        }
    }

    fn checkpoint(&self, upto: LogPosition) -> Result<WalCheckpoint, StorageError> {
        let index = self.index();
        index.reach(upto)?;
        index.database.checkpoint()
    }

    fn rebuild(&self, upto: LogPosition, log: ReadLog<'_>, write: WriteNote<'_>) -> Result<(), StorageError> {
        let fresh = self.path.with_file_name("queue.new.db");
        self.rebuild_beside(&fresh, upto, log, write)?;
        let mut index = self.index();
        // The old one has to be closed before its name is taken: closing removes what lies beside a file of that name.
        let nothing = self.path.with_file_name("queue.none.db");
        *index = Index::nothing(&nothing, &self.settings)?;
        remove_database(&self.path)?;
        let directory = self.path.parent();
        std::fs::rename(&fresh, &self.path)
            .and_then(|()| directory.map_or(Ok(()), platform::durable::sync_directory))
            .map_err(|source| StorageError::Io {
                doing: "put in place",
                path: self.path.clone(),
                source: Arc::new(source),
            })?;
        remove_database(&fresh)?;
        *index = Index::open_sound(&self.path, &self.settings)?;
        drop(index);
        remove_database(&nothing)?;
        self.learn()
    }

    fn blobs_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<TenantBlob>, StorageError> {
        self.index().blobs_in(packs)
    }

    fn still_needed(
        &self,
        entry: &TenantEntry<'_>,
        has_pack: &dyn Fn(RangeInclusive<PackId>) -> bool,
    ) -> Result<Kept, StorageError> {
        self.index().still_needed(entry, has_pack)
    }

    fn moved(&self, moves: &[TenantMove<'_>], write: WriteNote<'_>) -> Result<(), StorageError> {
        let mut index = self.index();
        let places = index.moved(moves, write)?;
        self.spool(|spool| {
            for (id, blob, pack) in places {
                spool.moved(id, blob, pack);
            }
        });
        Ok(())
    }

    fn verify(&self, log: ReadLog<'_>) -> Result<Vec<String>, StorageError> {
        for _ in 1..VERIFICATIONS_MAX {
            match self.compare(log) {
                // A purge took a pack away while it was being read.
                Err(StorageError::Gone(_)) => {}
                found => return found,
            }
        }
        self.compare(log)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use mail_types::Address;
    use platform::clock::Timestamp;
    use platform::metrics::Metrics;

    use super::*;
    use crate::destination::Destination;
    use crate::message::{NewMessage, Notify, Recipient, RecipientNumber};
    use crate::state::RecipientState;

    struct Scene {
        shared: Shared,
        written: RefCell<Vec<Record>>,
        _data: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_700_000_000));
        let metrics = QueueMetrics::new(&Metrics::default());
        let path = data.path().join("queue.db");
        let shared = Shared::new(path, Settings::default(), clock, metrics).unwrap();
        Scene { shared, written: RefCell::default(), _data: data }
    }

    impl Scene {
        fn apply(&self, position: LogPosition, record: Record) {
            let blob = matches!(record, Record::Queued(_)).then(|| blob(position));
            let note = note::encode(&[record]);
            let entry = TenantEntry { position, blob, note: &note };
            self.shared.apply(&[entry], &|note| self.write(&note)).unwrap();
        }

        fn moved(&self, from: LogPosition, to: LogPosition) {
            let note = note::encode(&[queued(true)]);
            let (from, to, pack) = (Some(blob(from)), Some(blob(to)), to.pack);
            let moves = [TenantMove { note: &note, from, to, pack }];
            self.shared.moved(&moves, &|note| self.write(&note)).unwrap();
        }

        fn write(&self, note: &[u8]) -> Result<(), StorageError> {
            self.written.borrow_mut().extend(note::decode(note).unwrap());
            Ok(())
        }

        fn count(&self) -> u64 {
            self.shared.index().count().unwrap().messages
        }
    }

    fn at(pack: u32, offset: u64) -> LogPosition {
        LogPosition { pack: PackId(pack), offset }
    }

    fn blob(position: LogPosition) -> BlobRef {
        BlobRef { pack: position.pack, offset: position.offset - 100 }
    }

    fn queued(is_copy: bool) -> Record {
        let recipient = |text: &str| {
            let forward_path = Address::parse(text).unwrap();
            let destination = Destination::Domain(forward_path.domain_name().unwrap().clone());
            Recipient::plain(forward_path, destination, Notify::Default)
        };
        let recipients = vec![recipient("a@one.example"), recipient("b@two.example")];
        let message = NewMessage { recipients, ..NewMessage::empty() };
        Record::Queued(Queued { id: QueueId(7), is_copy, octets: 50, message })
    }

    fn done(first: u32, last: u32) -> Record {
        Record::Done { id: QueueId(7), first: PackId(first), last: PackId(last) }
    }

    #[test]
    fn a_copy_of_a_finished_message_is_finished() {
        let scene = scene();
        scene.apply(at(1, 500), queued(false));
        scene.apply(at(2, 500), done(1, 1));
        assert_eq!(scene.count(), 0);
        // The purge had judged before.
        scene.moved(at(1, 500), at(3, 500));
        assert_eq!(scene.written.take(), [done(3, 3)]);
        // Or a crash came in between, and the copy is read at the start.
        scene.apply(at(3, 600), queued(true));
        assert_eq!(scene.written.take(), [done(3, 3)]);
        assert_eq!(scene.count(), 0);
    }

    #[test]
    fn an_end_that_names_the_old_place_is_completed() {
        let scene = scene();
        scene.apply(at(1, 500), queued(false));
        scene.moved(at(1, 500), at(3, 500));
        assert_eq!(scene.shared.place(QueueId(7)).unwrap(), Some(blob(at(3, 500))));
        scene.apply(at(4, 500), done(1, 1));
        assert_eq!(scene.written.take(), [done(1, 3)]);
        assert_eq!(scene.count(), 0);
    }

    #[test]
    fn the_last_two_that_settle_at_once_leave_an_end_behind() {
        let scene = scene();
        scene.apply(at(1, 500), queued(false));
        for number in [0, 1] {
            let recipients = vec![(RecipientNumber(number), RecipientState::Relayed)];
            scene.apply(at(2, 500 + u64::from(number)), Record::Settled { id: QueueId(7), recipients });
        }
        assert_eq!(scene.written.take(), [done(1, 1)]);
        assert_eq!(scene.count(), 0);
    }

    #[test]
    fn an_end_is_kept_while_a_pack_of_its_message_is_there() {
        let scene = scene();
        let note = note::encode(&[done(2, 4)]);
        let entry = TenantEntry { position: at(5, 500), blob: None, note: &note };
        let needed = |packs: RangeInclusive<u32>| {
            let has_pack =
                |run: RangeInclusive<PackId>| packs.clone().any(|pack| run.contains(&PackId(pack)));
            scene.shared.still_needed(&entry, &has_pack).unwrap() != Kept::Nothing
        };
        assert!(needed(1..=2) && needed(3..=3) && needed(4..=9));
        assert!(!needed(1..=1) && !needed(5..=9));
    }

    #[test]
    fn queued_and_finished_in_one_batch_costs_the_tables_nothing() {
        let scene = scene();
        let notes = [note::encode(&[queued(false)]), note::encode(&[done(1, 1)])];
        let entries = [
            TenantEntry { position: at(1, 500), blob: Some(blob(at(1, 500))), note: &notes[0] },
            TenantEntry { position: at(1, 600), blob: None, note: &notes[1] },
        ];
        scene.shared.apply(&entries, &|note| scene.write(&note)).unwrap();
        assert_eq!(scene.shared.index().database.connection().total_changes(), 1, "the position alone");
        assert_eq!(scene.shared.applied().unwrap(), Some(at(1, 600)));
        assert_eq!(scene.shared.index().last_id().unwrap(), QueueId(7));
    }
}
