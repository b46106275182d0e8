//! The packs: one append-only log in numbered files, written by one committer, read by everyone.
//!
//! In a message's path: the intake writes octets through [`crate::BlobWriter`], delivery submits an entry with
//! its notes, and the entry's completion is the only ground on which anyone may say 250.
//! Format, order of writes and crash points: `docs/internals/store-format.md`.

mod committer;
pub(crate) mod file_header;
pub(crate) mod files;
mod log_file;
mod mark;
mod queue;
pub mod record;
mod recovery;
mod rewrite;
mod scan;
mod space;
mod start;

pub use rewrite::{Keep, RewriteSummary, Rewritten};
pub use scan::{Entries, Replay};

use crate::blob_reader::BlobReader;
use crate::blob_writer::{BlobWriter, Content, PreparedBlob};
use crate::entry::{Committed, NewEntry};
use crate::error::StorageError;
use crate::position::{BlobRef, LogPosition, PackId};
use crate::scratch::Scratch;
use file_header::FILE_HEADER_OCTETS;
use files::{OpenPack, PackFiles};
use mark::Mark;
use parking_lot::Mutex;
use queue::{Job, Queue, Room};
use record::StoreKey;
use space::Space;
pub use space::free_octets;
use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// Offset of a pack's first record.
pub(crate) const FIRST_RECORD_AT: u64 = FILE_HEADER_OCTETS as u64;

/// Later packs that are asked where a pack ended; more than one only if headers are damaged.
const SUCCESSORS_MAX: usize = 4;

/// What is called when an entry is durable, or has failed. Runs on the committer thread: hand over and return.
pub type Completion = Box<dyn FnOnce(Result<Committed, StorageError>) + Send>;

/// The same for a batch; the results are in the order of its entries.
pub type BatchCompletion = Box<dyn FnOnce(Result<Vec<Committed>, StorageError>) + Send>;

/// How the packs are kept.
#[derive(Clone, Debug)]
pub struct PackSettings {
    /// A pack is sealed when it reaches this length. Default 64 MiB.
    pub pack_octets: u64,
    /// Entries with octets are refused when the file system has less free than this. Default 256 MiB.
    pub free_octets_min: u64,
    /// Length of the `reserve` file that is given up so that deletions work on a full disk. Default 8 MiB.
    pub reserve_octets: u64,
    /// Octets that may wait in the queue. Default 32 MiB.
    pub queue_octets_max: u64,
    /// Pack files kept open for reading. Default 128.
    pub open_packs_max: usize,
}

impl Default for PackSettings {
    fn default() -> Self {
        PackSettings {
            pack_octets: 64 << 20,
            free_octets_min: 256 << 20,
            reserve_octets: 8 << 20,
            queue_octets_max: 32 << 20,
            open_packs_max: 128,
        }
    }
}

/// Whether a pack holds the log, or one large blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackKind {
    /// Entries: `<n>.pack`.
    Log,
    /// One large blob, named by an entry of the log: `<n>.blob`.
    Blob,
}

/// One pack file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// Its number.
    pub id: PackId,
    /// What it holds.
    pub kind: PackKind,
    /// Its length.
    pub octets: u64,
    /// Nothing more will be written into it.
    pub sealed: bool,
}

/// Numbers for telemetry, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackStatistics {
    /// Entries made durable.
    pub entries: u64,
    /// Groups, each one write and one sync.
    pub groups: u64,
    /// Octets written to the log.
    pub octets: u64,
    /// Groups that failed.
    pub failures: u64,
    /// Entries waiting now.
    pub waiting_entries: u64,
    /// Octets waiting now.
    pub waiting_octets: u64,
}

/// The packs of one data directory. Cheap to clone; the last clone's drop waits for what is queued.
#[derive(Clone, Debug)]
pub struct PackStore {
    handle: Arc<Handle>,
}

impl PackStore {
    /// Opens (or founds) the packs in `directory` (`DATA/packs`), cuts a torn tail, starts the committer.
    /// The caller holds the [`crate::DataLock`].
    pub fn open(directory: &Path, settings: PackSettings) -> Result<(PackStore, Replay), StorageError> {
        start::open(directory, settings)
    }

    /// Begins a blob. [`StorageError::Full`] when the disk is short.
    pub fn new_blob(&self) -> Result<BlobWriter, StorageError> {
        self.shared().check_space()?;
        Ok(BlobWriter::new(Arc::clone(self.shared())))
    }

    /// A place for octets that are to become a blob later.
    ///
    /// # Errors
    /// [`StorageError::Full`] when the disk is short, or what it says.
    pub fn new_scratch(&self) -> Result<Scratch, StorageError> {
        self.shared().check_space()?;
        Scratch::create(Arc::clone(self.shared()))
    }

    /// Queues an entry; never blocks on the disk. Log order is the order of the calls. `done` runs on the
    /// committer thread in log order once the entry is durable or has failed; when the queue is full or
    /// closed, or the entry too large, it runs at once on the calling thread with Busy, Closed, TooLarge.
    ///
    /// Entries with octets fail with Full when the disk is short; those with notes alone are taken as long
    /// as anything can be written at all.
    pub fn submit(&self, entry: NewEntry, done: Completion) {
        let done: BatchCompletion = Box::new(move |result| {
            done(result.and_then(|committed| committed.first().copied().ok_or(StorageError::Closed)));
        });
        self.submit_all(vec![entry], done);
    }

    /// Queues several entries that are durable all together or not at all, also across a power cut.
    /// The results are in the order of the entries.
    pub fn submit_all(&self, entries: Vec<NewEntry>, done: BatchCompletion) {
        self.shared().queue.push(Job { entries, room: Room::Ordinary, done });
    }

    /// [`PackStore::submit`] and wait. Blocking.
    pub fn commit(&self, entry: NewEntry) -> Result<Committed, StorageError> {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |result| {
            // The receiver waits below.
            let _ = sender.send(result);
        });
        self.submit(entry, done);
        receiver.recv().unwrap_or(Err(StorageError::Closed))
    }

    /// Opens a blob for reading. Blocking. A small blob is read, unpacked and compared with its hash here.
    pub fn read(&self, blob: BlobRef) -> Result<BlobReader, StorageError> {
        let pack = self.open_pack(blob.pack)?.ok_or(StorageError::Gone(blob))?;
        BlobReader::open(pack, blob)
    }

    /// Opens a blob that no entry has named yet. Blocking, as [`Self::read`] is.
    pub fn read_prepared(&self, blob: &PreparedBlob) -> Result<BlobReader, StorageError> {
        match &blob.content {
            Content::Own { at, .. } => self.read(*at),
            Content::Inline { codec, stored } => {
                BlobReader::of_inline(*codec, stored, blob.octets(), blob.hash())
            }
        }
    }

    /// The position after the last durable entry.
    pub fn durable(&self) -> LogPosition {
        self.shared().log.lock().durable
    }

    /// The mark: replay after a crash begins here.
    pub fn mark(&self) -> LogPosition {
        self.shared().mark.lock().position
    }

    /// Moves the mark, durably: the caller promises that everything up to `upto` is applied and synced
    /// elsewhere. Going back, or beyond [`PackStore::durable`], changes nothing.
    pub fn checkpoint(&self, upto: LogPosition) -> Result<(), StorageError> {
        let durable = self.durable();
        let mut mark = self.shared().mark.lock();
        if upto <= mark.position || upto > durable {
            return Ok(());
        }
        self.shared().replace_mark(&mut mark, |mark| mark.position = upto)
    }

    /// The entries of a pack, up to what is durable now. A blob pack has one, without notes.
    /// [`StorageError::Gone`] when there is no such pack.
    pub fn entries(&self, pack: PackId) -> Result<Entries, StorageError> {
        let at = BlobRef { pack, offset: FIRST_RECORD_AT };
        let open = self.open_pack(pack)?.ok_or(StorageError::Gone(at))?;
        let end = self.shared().end_of(&open)?;
        Ok(Entries::new(open, FIRST_RECORD_AT, end))
    }

    /// Gives up the reserve that deletions live on when the disk is full, for those who must write what belongs to a
    /// deletion outside the log. Whether there was one to give; it is made again when room returns.
    #[must_use]
    pub fn give_up_reserve(&self) -> bool {
        self.shared().space.release_reserve()
    }

    /// [`StorageError::Full`] when the disk is too short for new mail: for those whose notes are as long as mail.
    pub fn check_room(&self) -> Result<(), StorageError> {
        self.shared().check_space()
    }

    /// Numbers for telemetry.
    pub fn statistics(&self) -> PackStatistics {
        let (waiting_entries, waiting_octets) = self.shared().queue.waiting();
        PackStatistics { waiting_entries, waiting_octets, ..*self.shared().statistics.lock() }
    }

    /// Takes no more entries, waits until the queued ones are durable, stops the committer. Blocking.
    pub fn close(&self) {
        self.handle.close();
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    fn open_pack(&self, pack: PackId) -> Result<Option<Arc<OpenPack>>, StorageError> {
        self.shared().open_pack(pack)
    }
}

/// Owns the committer thread.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    fn close(&self) {
        self.shared.queue.close();
        let Some(committer) = self.committer.lock().take() else { return };
        // A completion may hold the last handle: the committer cannot wait for itself.
        if committer.thread().id() != std::thread::current().id() && committer.join().is_err() {
            tracing::error!("the committer thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// What all handles, writers and the committer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) files: PackFiles,
    pub(crate) key: StoreKey,
    settings: PackSettings,
    queue: Queue,
    space: Space,
    log: Mutex<Log>,
    /// Held while the mark file is written, so that marks reach the disk in order.
    mark: Mutex<Mark>,
    next_pack: AtomicU32,
    statistics: Mutex<PackStatistics>,
}

/// What the log consists of.
#[derive(Debug)]
struct Log {
    /// Four octets for each 64 MiB of log.
    packs: BTreeSet<PackId>,
    current: Option<PackId>,
    durable: LogPosition,
}

impl Shared {
    /// [`StorageError::Full`] when the disk is too short for new mail.
    pub(crate) fn check_space(&self) -> Result<(), StorageError> {
        self.space.check()
    }

    /// A pack number that was never used and will not be used again.
    pub(crate) fn spend_pack_number(&self) -> Result<PackId, StorageError> {
        self.next_pack
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |next| next.checked_add(1))
            .map(PackId)
            .map_err(|_| {
                let spent = io::Error::other("all 4,294,967,295 pack numbers are spent");
                StorageError::io("add a pack to", self.files.directory(), spent)
            })
    }

    fn open_pack(&self, pack: PackId) -> Result<Option<Arc<OpenPack>>, StorageError> {
        self.files.open(pack, &self.key)
    }

    /// How many octets of a pack count.
    fn end_of(&self, open: &OpenPack) -> Result<u64, StorageError> {
        if open.kind == PackKind::Log {
            let log = self.log.lock();
            if log.current == Some(open.pack) {
                // Positions of later packs would not come before this one is sealed.
                let is_begun = log.durable.pack == open.pack;
                return Ok(if is_begun { log.durable.offset } else { FIRST_RECORD_AT });
            }
        }
        let octets = open.octets()?;
        Ok(self.end_stated_after(open)?.map_or(octets, |stated| stated.min(octets)))
    }

    /// Where a log pack ended, as its successor's header says.
    fn end_stated_after(&self, open: &OpenPack) -> Result<Option<u64>, StorageError> {
        if open.kind == PackKind::Blob {
            return Ok(None);
        }
        let later = (Bound::Excluded(open.pack), Bound::Unbounded);
        let later: Vec<PackId> = self.log.lock().packs.range(later).take(SUCCESSORS_MAX).copied().collect();
        for successor in later {
            let header = self.open_pack(successor)?.and_then(|successor| successor.header.clone());
            if let Some(header) = header {
                return Ok((header.previous == open.pack).then_some(header.previous_octets));
            }
        }
        Ok(None)
    }

    /// Before a pack goes, what its header says about the pack before it must hold without it.
    fn cut_predecessor(&self, open: &OpenPack) -> Result<(), StorageError> {
        let Some(header) = &open.header else { return Ok(()) };
        let Some(previous) = self.open_pack(header.previous)? else { return Ok(()) };
        if previous.kind == PackKind::Log && previous.octets()? > header.previous_octets {
            std::fs::OpenOptions::new()
                .write(true)
                .open(&previous.path)
                .and_then(|file| file.set_len(header.previous_octets).and_then(|()| file.sync_all()))
                .map_err(|error| StorageError::io("cut", &previous.path, error))?;
        }
        Ok(())
    }

    /// Makes sure that a pack's number is not used again once the pack is gone.
    fn keep_numbers_spent(&self, pack: PackId) -> Result<(), StorageError> {
        let mut mark = self.mark.lock();
        if pack.0 < mark.next_pack {
            return Ok(());
        }
        self.replace_mark(&mut mark, |_| {})
    }

    fn replace_mark(&self, mark: &mut Mark, change: impl FnOnce(&mut Mark)) -> Result<(), StorageError> {
        let mut next = Mark { next_pack: self.next_pack.load(Ordering::Relaxed), ..*mark };
        change(&mut next);
        next.write(self.files.directory())?;
        *mark = next;
        Ok(())
    }

    fn is_current(&self, pack: PackId) -> bool {
        self.log.lock().current == Some(pack)
    }

    fn begin_pack(&self, pack: PackId) {
        let mut log = self.log.lock();
        log.packs.insert(pack);
        log.current = Some(pack);
    }

    fn forget_pack(&self, pack: PackId) {
        self.log.lock().packs.remove(&pack);
    }

    fn set_durable(&self, position: LogPosition) {
        self.log.lock().durable = position;
    }

    fn count(&self, change: impl FnOnce(&mut PackStatistics)) {
        change(&mut self.statistics.lock());
    }
}
