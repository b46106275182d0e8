//! From a change to the log and on into the index: what all accounts of a store share.
//!
//! A change is submitted under its account's lock, so the log has it in the order in which identifiers and
//! mod-sequences were given. When the committer says that it is durable, it goes, in the log's order, to the
//! applier of its account, which changes the index, publishes the new state to readers and ends the wait.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mail_types::AccountId;
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::workers::Workers;
use storage::{
    BlobRef, Committed, LogPosition, NewEntry, Note, PackId, PackStore, PreparedBlob, StorageError,
};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::apply::Appliers;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::note::{self, Record};
use crate::open_account::{OpenAccount, Reservation};
use crate::settings::Settings;
use crate::tenant::NewNote;
use crate::tenants::Tenants;

/// Digests that may wait for the index, in KiB: what bounds the memory between log and index when mail comes
/// faster than it is indexed.
const BACKLOG_KIB_MAX: u32 = 32 * 1024;

/// What the accounts of a store share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) packs: PackStore,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    /// For reading indexes and messages, and opening accounts.
    pub(crate) readers: Workers,
    /// For messages that arrive.
    pub(crate) writers: Workers,
    pub(crate) appliers: Appliers,
    pub(crate) tenants: Tenants,
    /// The places of larger messages on their way in.
    pub(crate) large_intakes: Arc<Semaphore>,
    backlog: Arc<Semaphore>,
    progress: Mutex<Progress>,
}

/// How far the log is handed on.
#[derive(Debug, Default)]
struct Progress {
    /// Every durable entry up to here has been handed to the appliers.
    dispatched: Option<LogPosition>,
    /// Accounts whose index changed since its last checkpoint.
    dirty: HashSet<AccountId>,
    /// Accounts whose index could not follow the log.
    behind: HashMap<AccountId, Behind>,
    /// Packs of one large message each that the log has named since the store was opened. Others of this time
    /// belong to messages still on their way.
    blob_packs: HashSet<PackId>,
}

/// How an index fell behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Behind {
    /// The index surely has everything up to here.
    pub(crate) applied: LogPosition,
    /// It is damaged and has to be made anew.
    pub(crate) is_damaged: bool,
}

/// An entry on its way into the log.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) blob: Option<PreparedBlob>,
    pub(crate) digest: Option<Arc<Digest>>,
    pub(crate) shares: Vec<Share>,
    /// What it means to a tenant.
    pub(crate) note: Option<NewNote>,
}

/// What an entry means to one account.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) core: Arc<OpenAccount>,
    pub(crate) records: Vec<Record>,
    pub(crate) reservations: Vec<Reservation>,
}

/// What waits for a change.
#[derive(Debug)]
pub(crate) enum Then {
    /// Somebody is told when the change is durable.
    Durable(oneshot::Sender<Result<(), StoreError>>),
    /// Somebody is told when every reader sees the change; until then no other change of the kind begins.
    Applied(Done),
}

/// The end of a wait for the index.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) sender: oneshot::Sender<Result<Turn, StoreError>>,
    pub(crate) turn: Turn,
}

/// The right to change an account's existing mail; handed on from change to change, free when dropped. It
/// travels with the change, so a caller who goes away does not let the next one in too early.
#[derive(Debug)]
pub(crate) struct Turn {
    _guard: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    pub(crate) fn of(guard: OwnedMutexGuard<()>) -> Self {
        Self { _guard: Some(guard) }
    }

    /// For changes that take nothing away from existing mail.
    pub(crate) fn none() -> Self {
        Self { _guard: None }
    }
}

/// Work for an applier: a durable entry, as far as it concerns one account.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) core: Arc<OpenAccount>,
    pub(crate) position: LogPosition,
    pub(crate) blob: Option<BlobRef>,
    pub(crate) records: Vec<Record>,
    pub(crate) digest: Option<Arc<Digest>>,
    pub(crate) reservations: Vec<Reservation>,
    /// Its share of the backlog, given back when it is applied.
    _room: Option<Arc<OwnedSemaphorePermit>>,
    pub(crate) done: Option<Done>,
}

impl Engine {
    pub(crate) fn new(
        packs: PackStore,
        clock: Clock,
        settings: Settings,
        (readers, writers): (Workers, Workers),
        appliers: Appliers,
        tenants: Tenants,
    ) -> Self {
        Self {
            packs,
            clock,
            settings,
            readers,
            writers,
            appliers,
            tenants,
            large_intakes: Arc::new(Semaphore::new(crate::pieces::LARGE_MAX)),
            backlog: Arc::new(Semaphore::new(BACKLOG_KIB_MAX as usize)),
            progress: Mutex::default(),
        }
    }

    /// Waits until the index has kept up so far that a digest of this many octets may join the queue.
    pub(crate) async fn room_for(
        &self,
        digest_octets: usize,
    ) -> Result<Arc<OwnedSemaphorePermit>, StoreError> {
        let kib = u32::try_from(digest_octets / 1024 + 1).unwrap_or(u32::MAX).min(BACKLOG_KIB_MAX);
        let permit = Arc::clone(&self.backlog).acquire_many_owned(kib).await;
        permit.map(Arc::new).map_err(|_| StoreError::Busy)
    }

    /// Submits entries that become durable all together. The caller holds the locks of all accounts concerned.
    pub(crate) fn submit(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        room: Option<Arc<OwnedSemaphorePermit>>,
        then: Then,
    ) {
        let mut new_entries = Vec::with_capacity(entries.len());
        let mut jobs = Vec::with_capacity(entries.len());
        let mut tenants_notes = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let of_share =
                |share: &Share| Note { owner: share.core.id.0, octets: note::encode(&share.records) };
            let mut notes: Vec<Note> = entry.shares.iter().map(of_share).collect();
            if let Some(note) = entry.note {
                notes.push(Note { owner: note.owner, octets: note.octets.clone() });
                tenants_notes.push((number, note, room.clone()));
            }
            new_entries.push(NewEntry { notes, blob: entry.blob });
            for share in entry.shares {
                share.core.in_flight.fetch_add(1, Ordering::AcqRel);
                let digest = entry.digest.clone();
                jobs.push((number, Pending { share: Some(share), digest, room: room.clone() }));
            }
        }
        let engine = Arc::clone(self);
        self.packs.submit_all(
            new_entries,
            Box::new(move |result| match result {
                Ok(committed) => {
                    for (number, note, room) in tenants_notes {
                        if let Some(committed) = committed.get(number) {
                            engine.tenants.send(note, committed, room);
                        }
                    }
                    engine.dispatch(&committed, jobs, then);
                }
                Err(error) => {
                    for tell in tenants_notes.into_iter().filter_map(|(_, note, _)| note.written) {
                        tell(Err(&error));
                    }
                    // Nothing was written: identifiers given are skipped, reservations go with the jobs.
                    drop(jobs);
                    then.fail(error.into());
                }
            }),
        );
    }

    /// Runs on the committer thread, in the log's order.
    fn dispatch(&self, committed: &[Committed], pending: Vec<(usize, Pending)>, then: Then) {
        let (durable, mut done) = match then {
            Then::Durable(sender) => (Some(sender), None),
            Then::Applied(done) => (None, Some(done)),
        };
        let count = pending.len();
        for (at, (number, pending)) in pending.into_iter().enumerate() {
            let Some(committed) = committed.get(number) else { continue };
            let done = if at + 1 == count { done.take() } else { None };
            if let Some(job) = pending.into_job(committed, done) {
                self.appliers.send(job);
            }
        }
        if let Some(last) = committed.last() {
            let mut progress = self.progress.lock();
            progress.dispatched = progress.dispatched.max(Some(last.position));
            let own = committed.iter().filter_map(|entry| Some((entry.blob?.pack, entry.position.pack)));
            progress.blob_packs.extend(own.filter(|(blob, entry)| blob != entry).map(|(blob, _)| blob));
        }
        if let Some(sender) = durable {
            // Who asked may have gone; the mail is filed all the same.
            let _ = sender.send(Ok(()));
        }
    }

    /// The indexes have everything up to here: the log was replayed.
    pub(crate) fn begin_at(&self, position: LogPosition) {
        self.progress.lock().dispatched = Some(position);
    }

    /// Every durable entry up to here has been handed to the appliers.
    pub(crate) fn dispatched(&self) -> Option<LogPosition> {
        self.progress.lock().dispatched
    }

    /// The packs of large messages that the log has named since the store was opened.
    pub(crate) fn named_blob_packs(&self) -> HashSet<PackId> {
        self.progress.lock().blob_packs.clone()
    }

    pub(crate) fn forget_blob_pack(&self, pack: PackId) {
        self.progress.lock().blob_packs.remove(&pack);
    }

    pub(crate) fn mark_dirty(&self, account: AccountId) {
        self.progress.lock().dirty.insert(account);
    }

    pub(crate) fn take_dirty(&self) -> HashSet<AccountId> {
        std::mem::take(&mut self.progress.lock().dirty)
    }

    pub(crate) fn mark_behind(&self, account: AccountId, behind: Behind) {
        let mut progress = self.progress.lock();
        let known = progress.behind.entry(account).or_insert(behind);
        known.applied = known.applied.min(behind.applied);
        known.is_damaged |= behind.is_damaged;
    }

    pub(crate) fn behind(&self, account: AccountId) -> Option<Behind> {
        self.progress.lock().behind.get(&account).copied()
    }

    pub(crate) fn caught_up(&self, account: AccountId) {
        self.progress.lock().behind.remove(&account);
    }

    /// Accounts whose index could not follow the log.
    pub(crate) fn accounts_behind(&self) -> Vec<AccountId> {
        self.progress.lock().behind.keys().copied().collect()
    }

    /// The position from which some index has to catch up, if any has.
    pub(crate) fn furthest_behind(&self) -> Option<LogPosition> {
        let accounts = self.progress.lock().behind.values().map(|behind| behind.applied).min();
        accounts.into_iter().chain(self.tenants.furthest_behind()).min()
    }

    /// Waits until everything durable so far is applied, or has failed. Blocking.
    pub(crate) fn wait_applied(&self) {
        self.appliers.wait();
        self.tenants.wait();
    }
}

/// A share that waits for the log. Counted as under way until it is applied, or dropped.
#[derive(Debug)]
struct Pending {
    share: Option<Share>,
    digest: Option<Arc<Digest>>,
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Pending {
    fn into_job(mut self, committed: &Committed, done: Option<Done>) -> Option<Job> {
        let share = self.share.take()?;
        share.core.note_dispatched(committed.position);
        Some(Job {
            core: share.core,
            position: committed.position,
            blob: committed.blob,
            records: share.records,
            digest: self.digest.take(),
            reservations: share.reservations,
            _room: self.room.take(),
            done,
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.core.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Then {
    fn fail(self, error: StoreError) {
        // Who asked may have gone: then nobody has to be told.
        match self {
            Self::Durable(sender) => drop(sender.send(Err(error))),
            Self::Applied(done) => drop(done.sender.send(Err(error))),
        }
    }
}

impl Done {
    pub(crate) fn tell(self, result: Result<(), StoreError>) {
        // Who asked may have gone; the turn then ends here.
        drop(self.sender.send(result.map(|()| self.turn)));
    }
}

/// What a wait ends with when the sender vanished: the store is being taken down.
pub(crate) fn received<T>(
    result: Result<Result<T, StoreError>, oneshot::error::RecvError>,
) -> Result<T, StoreError> {
    result.unwrap_or(Err(StoreError::Busy))
}

/// Storage's word for what an index that cannot be opened is.
pub(crate) fn log_index_failure(account: AccountId, error: &StorageError) {
    tracing::error!(%account, %error, cause = ?std::error::Error::source(error), "an account's index failed");
}
