//! The appliers: threads that bring durable changes into the indexes, many changes in one transaction.
//!
//! Each account belongs to one applier, which gets its changes in the log's order. An index that fails is left
//! behind: its account is closed and catches up from the log when it is opened again. No mail is lost by that.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use mail_types::AccountId;
use parking_lot::Mutex;
use storage::StorageError;

use crate::engine::{Behind, Job, log_index_failure};
use crate::error::StoreError;
use crate::index::{AccountIndex, Order, ToApply, is_damage};
use crate::open_account::OpenAccount;

/// Appliers: one core's worth of SQLite each; accounts are dealt out among them.
const APPLIERS: u32 = 2;

/// Changes in one transaction. More would make the first one wait without saving much.
const BATCH_MAX: usize = 1_024;

/// How long an applier waits for more mail that nobody has asked for yet: two or three syncs of the log.
const WAIT: Duration = Duration::from_millis(4);
/// How often it waits before it goes to work.
const WAITS_MAX: u32 = 3;

/// Hands work to the appliers. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Appliers {
    queues: Vec<Mutex<mpsc::Sender<Work>>>,
}

enum Work {
    Job(Job),
    /// Everything sent before this has been applied when the answer comes.
    Barrier(mpsc::Sender<()>),
}

impl Work {
    /// Whether somebody sits there until it is done. Who reads meanwhile waits for it too, but need not be quick.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Job(job) => job.done.is_some(),
            Self::Barrier(_) => true,
        }
    }
}

impl Appliers {
    pub(crate) fn start() -> Result<Self, StoreError> {
        let queues = (0..APPLIERS).map(|number| {
            let (sender, receiver) = mpsc::channel();
            std::thread::Builder::new()
                .name(format!("applier-{number}"))
                .spawn(move || run(&receiver))
                .map_err(|error| StoreError::io("no thread for an applier", error))?;
            Ok(Mutex::new(sender))
        });
        Ok(Self { queues: queues.collect::<Result<_, StoreError>>()? })
    }

    /// The queue is bounded by the log's own queue and the engine's backlog, not here: the committer must not wait.
    pub(crate) fn send(&self, job: Job) {
        let number = (job.core.id.0 % APPLIERS) as usize;
        if let Some(queue) = self.queues.get(number) {
            // An applier ends only after its queue is dropped.
            let _ = queue.lock().send(Work::Job(job));
        }
    }

    /// Waits until everything sent so far is applied. Blocking.
    pub(crate) fn wait(&self) {
        let (sender, receiver) = mpsc::channel();
        for queue in &self.queues {
            let _ = queue.lock().send(Work::Barrier(sender.clone()));
        }
        drop(sender);
        for () in receiver {}
    }
}

fn run(queue: &mpsc::Receiver<Work>) {
    while let Ok(first) = queue.recv() {
        let work = collect(queue, first);
        let mut jobs: HashMap<AccountId, Vec<Job>> = HashMap::new();
        let mut barriers = Vec::new();
        for work in work {
            match work {
                Work::Job(job) => jobs.entry(job.core.id).or_default().push(job),
                Work::Barrier(sender) => barriers.push(sender),
            }
        }
        for jobs in jobs.into_values() {
            apply(jobs);
        }
        // Answers come by the senders' drop.
        drop(barriers);
    }
}

/// What is to be done together: what has come, and, as long as nobody waits for any of it, what comes in a moment. A
/// transaction writes the same few pages for one message as for ten.
fn collect(queue: &mpsc::Receiver<Work>, first: Work) -> Vec<Work> {
    let mut work = vec![first];
    let mut waits = 0;
    while work.len() < BATCH_MAX {
        let next = match queue.try_recv() {
            Err(mpsc::TryRecvError::Empty) if waits < WAITS_MAX && !work.iter().any(Work::is_awaited) => {
                waits += 1;
                queue.recv_timeout(WAIT).ok()
            }
            next => next.ok(),
        };
        match next {
            Some(next) => work.push(next),
            None => break,
        }
    }
    work
}

/// Applies changes of one account, publishes them, ends the waits.
fn apply(mut jobs: Vec<Job>) {
    let Some(core) = jobs.first().map(|job| Arc::clone(&job.core)) else { return };
    // A bug that panics here costs this account's index a catch-up, not the other accounts their applier.
    let outcome = catch_unwind(AssertUnwindSafe(|| apply_to_index(&core, &jobs))).unwrap_or_else(|_| {
        let (place, what) = (format!("account {}", core.id), "applying a change panicked".to_owned());
        Err(leave_behind(&core, &StorageError::Corrupt { place, what }))
    });
    for job in &mut jobs {
        // Published or not, what was reserved is no longer under way.
        job.reservations.clear();
        core.in_flight.fetch_sub(1, Ordering::AcqRel);
        if let Some(done) = job.done.take() {
            done.tell(outcome.clone());
        }
    }
}

fn apply_to_index(core: &Arc<OpenAccount>, jobs: &[Job]) -> Result<(), StoreError> {
    core.check()?;
    let entries: Vec<ToApply<'_>> = jobs
        .iter()
        .map(|job| ToApply {
            position: job.position,
            blob: job.blob,
            records: &job.records,
            digest: job.digest.as_deref(),
        })
        .collect();
    core.engine.mark_dirty(core.id);
    let mut index = core.writer.lock();
    let mut outcome = index.apply(Order::Log, &entries);
    // What the log took on a full disk, the index must take too, or people could not see what they deleted.
    if matches!(outcome, Err(StorageError::Full)) && core.engine.packs.give_up_reserve() {
        outcome = index.apply(Order::Log, &entries);
    }
    match outcome {
        Ok(applied) => {
            drop(index);
            core.publish(&applied, jobs.iter().flat_map(|job| &job.records));
            Ok(())
        }
        Err(error) => {
            drop(index);
            Err(leave_behind(core, &error))
        }
    }
}

fn leave_behind(core: &OpenAccount, error: &StorageError) -> StoreError {
    log_index_failure(core.id, error);
    let failure = StoreError::from(error.clone());
    let behind = Behind { applied: core.applied(), is_damaged: is_damage(error) };
    core.engine.mark_behind(core.id, behind);
    core.fail(failure.clone());
    failure
}
