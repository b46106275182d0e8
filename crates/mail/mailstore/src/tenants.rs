//! The appliers of tenants: a thread for each, which brings durable notes into the tenant's picture of the log.
//!
//! It waits a while for more, as long as nobody waits for it: what is noted and soon done with then costs the picture
//! nothing. A picture that fails keeps its notes here and tries again; one that is damaged is made anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use storage::{
    BlobRef, Committed, LogPosition, NewEntry, Note, PackKind, PackStore, StorageError, WalCheckpoint,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::StoreError;
use crate::index::is_damage;
use crate::tenant::{NewNote, Tenant, TenantEntry};

/// Notes in one transaction.
const BATCH_MAX: usize = 8_192;

/// How long the first note of a batch waits for others: longer than a message takes that is sent on at once.
const GATHER: Duration = Duration::from_millis(300);

/// How long until a picture that failed is tried again by itself.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a picture is checkpointed whose readers hold old pages back, before the mark stays where it is for now.
const CHECKPOINTS_MAX: usize = 3;

/// The tenants of a store.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    houses: Vec<House>,
}

/// One tenant and the way to its thread, which ends when this is dropped.
#[derive(Debug)]
struct House {
    tenant: Arc<dyn Tenant>,
    queue: Mutex<mpsc::Sender<Work>>,
    /// From where it has to catch up, if its picture fails.
    behind: Arc<Mutex<Option<LogPosition>>>,
}

enum Work {
    Job(Job),
    /// Everything sent before this has been applied, or has failed, when the answer comes.
    Barrier(mpsc::Sender<()>),
    /// The picture is to be made anew.
    Rebuild(mpsc::Sender<Result<(), StorageError>>),
}

/// A durable note on its way into the picture.
struct Job {
    position: LogPosition,
    blob: Option<BlobRef>,
    note: Vec<u8>,
    /// Its share of the backlog, given back when it is applied.
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Job {
    fn entry(&self) -> TenantEntry<'_> {
        TenantEntry { position: self.position, blob: self.blob, note: &self.note }
    }
}

impl Tenants {
    /// Starts the threads. The tenants have applied the log.
    pub(crate) fn start(tenants: Vec<Arc<dyn Tenant>>, packs: &PackStore) -> Result<Self, StoreError> {
        let house = |tenant: Arc<dyn Tenant>| {
            let (sender, receiver) = mpsc::channel();
            let behind = Arc::new(Mutex::new(None));
            let applier = Applier {
                tenant: Arc::clone(&tenant),
                packs: packs.clone(),
                behind: Arc::clone(&behind),
                jobs: Vec::new(),
            };
            std::thread::Builder::new()
                .name("applier-tenant".to_owned())
                .spawn(move || applier.run(&receiver))
                .map_err(|error| StoreError::io("no thread for an applier", error))?;
            Ok(House { tenant, queue: Mutex::new(sender), behind })
        };
        Ok(Self { houses: tenants.into_iter().map(house).collect::<Result<_, StoreError>>()? })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn Tenant>> {
        self.houses.iter().map(|house| &house.tenant)
    }

    pub(crate) fn of(&self, owner: u32) -> Option<&Arc<dyn Tenant>> {
        self.all().find(|tenant| tenant.owner() == owner)
    }

    /// Hands a durable note on. Runs on the committer thread.
    pub(crate) fn send(&self, note: NewNote, committed: &Committed, room: Option<Arc<OwnedSemaphorePermit>>) {
        if let Some(tell) = note.written {
            tell(Ok(committed));
        }
        if let Some(house) = self.houses.iter().find(|house| house.tenant.owner() == note.owner) {
            let (position, blob) = (committed.position, committed.blob);
            // An applier ends only after its queue is dropped.
            let _ =
                house.queue.lock().send(Work::Job(Job { position, blob, note: note.octets, _room: room }));
        }
    }

    /// Waits until everything sent so far is applied, or has failed. Blocking.
    pub(crate) fn wait(&self) {
        let (sender, receiver) = mpsc::channel();
        for house in &self.houses {
            let _ = house.queue.lock().send(Work::Barrier(sender.clone()));
        }
        drop(sender);
        for () in receiver {}
    }

    /// Makes every tenant's picture anew. Blocking.
    pub(crate) fn rebuild(&self) -> Result<(), StoreError> {
        for house in &self.houses {
            let (sender, receiver) = mpsc::channel();
            let _ = house.queue.lock().send(Work::Rebuild(sender));
            receiver.recv().unwrap_or(Err(StorageError::Closed))?;
        }
        Ok(())
    }

    pub(crate) fn furthest_behind(&self) -> Option<LogPosition> {
        self.houses.iter().filter_map(|house| *house.behind.lock()).min()
    }

    /// Makes durable what was applied. Everything up to `upto` was handed on and waited for.
    pub(crate) fn checkpoint(&self, upto: LogPosition) -> Result<(), StoreError> {
        for house in &self.houses {
            if house.behind.lock().is_some() {
                // The mark stays before it; it is made durable once it has caught up.
                continue;
            }
            checkpoint(house.tenant.as_ref(), upto)?;
        }
        Ok(())
    }
}

pub(crate) fn checkpoint(tenant: &dyn Tenant, upto: LogPosition) -> Result<(), StoreError> {
    for _ in 0..CHECKPOINTS_MAX {
        if tenant.checkpoint(upto)? == WalCheckpoint::Complete {
            return Ok(());
        }
    }
    Err(StoreError::Busy)
}

/// What a tenant's thread works with.
struct Applier {
    tenant: Arc<dyn Tenant>,
    packs: PackStore,
    behind: Arc<Mutex<Option<LogPosition>>>,
    /// Not applied yet.
    jobs: Vec<Job>,
}

/// Who waits for a batch.
#[derive(Default)]
struct Waiting {
    barriers: Vec<mpsc::Sender<()>>,
    rebuilds: Vec<mpsc::Sender<Result<(), StorageError>>>,
}

impl Applier {
    fn run(mut self, queue: &mpsc::Receiver<Work>) {
        loop {
            let first = if self.jobs.is_empty() {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(AGAIN)
            };
            let mut waiting = Waiting::default();
            match first {
                Ok(first) => self.collect(queue, first, &mut waiting),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.work();
            for asked in waiting.rebuilds {
                // Who asked may have gone.
                let _ = asked.send(rebuild(self.tenant.as_ref(), &self.packs));
            }
            // Answers to barriers come by the senders' drop.
            drop(waiting.barriers);
        }
    }

    /// Takes what has come, and what comes in a moment as long as nobody waits for any of it.
    fn collect(&mut self, queue: &mpsc::Receiver<Work>, first: Work, waiting: &mut Waiting) {
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Job(job) => self.jobs.push(job),
                Work::Barrier(sender) => waiting.barriers.push(sender),
                Work::Rebuild(sender) => waiting.rebuilds.push(sender),
            }
            let is_awaited = !waiting.barriers.is_empty() || !waiting.rebuilds.is_empty();
            next = match queue.try_recv() {
                Ok(work) => Some(work),
                Err(_) if is_awaited || self.jobs.len() >= BATCH_MAX => None,
                Err(_) => queue.recv_timeout(GATHER.saturating_sub(begun.elapsed())).ok(),
            };
        }
    }

    fn work(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let jobs = std::mem::take(&mut self.jobs);
        let entries: Vec<TenantEntry<'_>> = jobs.iter().map(Job::entry).collect();
        // A bug that panics here costs the picture a delay, not the tenant its applier.
        let applied = catch_unwind(AssertUnwindSafe(|| {
            apply(self.tenant.as_ref(), &self.packs, &entries)?;
            self.tenant.publish(&entries);
            Ok(())
        }));
        match applied.unwrap_or_else(|_| Err(panicked())) {
            Ok(()) => *self.behind.lock() = None,
            Err(error) => {
                self.jobs = jobs;
                tracing::error!(owner = self.tenant.owner(), %error, cause = ?std::error::Error::source(&error),
                    "a tenant's index failed");
                let applied = self.tenant.applied().ok().flatten().unwrap_or_else(|| self.packs.mark());
                *self.behind.lock() = Some(applied);
            }
        }
    }
}

fn panicked() -> StorageError {
    StorageError::Io {
        doing: "apply a note to",
        path: "a tenant's index".into(),
        source: Arc::new(std::io::Error::other("panicked")),
    }
}

/// Applies entries; a picture that proves damaged is made anew.
pub(crate) fn apply(
    tenant: &dyn Tenant,
    packs: &PackStore,
    entries: &[TenantEntry<'_>],
) -> Result<(), StorageError> {
    let write = |note| write(packs, tenant.owner(), note);
    let mut outcome = tenant.apply(entries, &write);
    // What the log took on a full disk, the picture must take too.
    if matches!(outcome, Err(StorageError::Full)) && packs.give_up_reserve() {
        outcome = tenant.apply(entries, &write);
    }
    match outcome {
        Err(error) if is_damage(&error) => {
            tracing::error!(owner = tenant.owner(), %error, "a tenant's index is damaged");
            rebuild(tenant, packs)?;
            tenant.apply(entries, &write)
        }
        outcome => outcome,
    }
}

/// Makes a tenant's picture anew from all packs.
pub(crate) fn rebuild(tenant: &dyn Tenant, packs: &PackStore) -> Result<(), StorageError> {
    let upto = packs.durable();
    let owner = tenant.owner();
    tenant.rebuild(upto, &|visit| read(packs, owner, visit), &|note| write(packs, owner, note))?;
    tracing::info!(owner, "a tenant's index was made anew from the log");
    Ok(())
}

pub(crate) fn write(packs: &PackStore, owner: u32, note: Vec<u8>) -> Result<(), StorageError> {
    packs.commit(NewEntry { blob: None, notes: vec![Note { owner, octets: note }] }).map(drop)
}

/// Reads all of a tenant's entries from the packs, past damaged places.
pub(crate) fn read(
    packs: &PackStore,
    owner: u32,
    visit: &mut dyn FnMut(&TenantEntry<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    for pack in packs.packs()?.iter().filter(|pack| pack.kind == PackKind::Log) {
        for entry in packs.entries(pack.id)? {
            let entry = match entry {
                // The log itself tells where it is damaged; what can be read counts.
                Err(StorageError::Corrupt { .. }) => continue,
                entry => entry?,
            };
            for note in entry.notes.iter().filter(|note| note.owner == owner) {
                let blob = entry.blob.map(|blob| blob.at);
                visit(&TenantEntry { position: entry.position, blob, note: &note.octets })?;
            }
        }
    }
    Ok(())
}
