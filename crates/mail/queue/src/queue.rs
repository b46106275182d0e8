//! The queue's front door.

use std::path::Path;
use std::sync::Arc;

use mail_types::QueueId;
use mailstore::{Arriving, Filed, Filing, Store, StoreError, Tenant, WritingEntry};
use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::workers::{WorkError, Workers, WorkersSettings};

use crate::error::QueueError;
use crate::keeper;
use crate::lease::Lease;
use crate::message::NewMessage;
use crate::metrics::QueueMetrics;
use crate::note::Queued;
use crate::overdue::Overdue;
use crate::settings::Settings;
use crate::shared::Shared;

/// Requests of the operator's that may wait.
const WAITING_MAX: usize = 64;

/// The outbound queue; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles hold. The store holds `shared`, not this, so that neither keeps the other alive.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    /// For the operator's questions and the keeper's rounds on demand.
    pub(crate) workers: Workers,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The keeper ends when it finds nobody left.
        self.shared.wake_keeper();
    }
}

/// A queue whose index is open, but not its log: the store has to be opened with it.
#[derive(Debug)]
pub struct Unattached {
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// Proof that a message is durably in the queue: a 250 for it can be built from this alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    id: QueueId,
}

impl Accepted {
    /// The message's id in the queue.
    #[must_use]
    pub fn id(self) -> QueueId {
        self.id
    }
}

/// One of several messages that are taken together.
#[derive(Debug)]
pub struct NewEntry {
    /// Its octets.
    pub message: Arriving,
    /// Whom it goes to elsewhere, if it does.
    pub queued: Option<NewMessage>,
    /// Where it is filed here.
    pub filings: Vec<Filing>,
}

impl Unattached {
    /// The queue as the store knows it, for `Store::open_with`.
    #[must_use]
    pub fn tenant(&self) -> Arc<dyn Tenant> {
        Arc::clone(&self.shared) as Arc<dyn Tenant>
    }

    /// The store is open: the queue begins to work.
    ///
    /// # Errors
    /// What the disk says, or the system when it gives us no thread.
    pub fn attach(self, store: &Store) -> Result<Queue, QueueError> {
        self.shared.learn()?;
        let settings = WorkersSettings { threads: 1, queue_max: WAITING_MAX };
        let workers = Workers::start("queue-work", settings, &self.metrics).map_err(no_thread)?;
        let inner = Arc::new(Inner { shared: self.shared, store: store.clone(), workers });
        let (shared, weak) = (Arc::clone(&inner.shared), Arc::downgrade(&inner));
        std::thread::Builder::new()
            .name("queue-keeper".to_owned())
            .spawn(move || keeper::run(&shared, &weak))
            .map_err(no_thread)?;
        Ok(Queue { inner })
    }
}

fn no_thread(source: std::io::Error) -> QueueError {
    QueueError::Store(StoreError::Io { doing: "no threads for the queue", source: Arc::new(source) })
}

pub(crate) fn not_worked(error: WorkError) -> QueueError {
    StoreError::from(error).into()
}

impl Queue {
    /// Opens the queue's index under `data` (made if missing). Blocking; the caller holds the data directory's lock.
    ///
    /// # Errors
    /// What the disk says. A damaged index is made anew when the store is opened.
    pub fn open(
        data: &Path,
        settings: Settings,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Unattached, QueueError> {
        let instruments = QueueMetrics::new(metrics);
        let shared = Shared::new(data.join("queue.db"), settings, clock, instruments)?;
        Ok(Unattached { shared: Arc::new(shared), metrics: metrics.clone() })
    }

    /// Queues a message and files it for local recipients with one durable write. Answers when it is on disk; the
    /// answers for `filings` are those of `Store::deliver`.
    ///
    /// # Errors
    /// Nothing was queued nor filed: [`QueueError::Full`], [`QueueError::Busy`], [`QueueError::Invalid`] for a
    /// message that breaks a bound, or what the disk says.
    pub async fn accept(
        &self,
        message: Arriving,
        new: NewMessage,
        filings: Vec<Filing>,
    ) -> Result<(Accepted, Vec<Result<Filed, StoreError>>), QueueError> {
        new.check().map_err(QueueError::Invalid)?;
        let (id, entry) = self.inner.entry(message, new, filings);
        let mut answers = self.inner.store.write(vec![entry]).await?.durable().await?;
        Ok((Accepted { id }, answers.pop().unwrap_or_default()))
    }

    /// Takes several messages with one durable write, all or none: each is queued, filed, or both. Answers as
    /// [`Self::accept`] does, for each of them in their order.
    ///
    /// # Errors
    /// Those of [`Self::accept`].
    pub async fn accept_all(
        &self,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<(Option<Accepted>, Vec<Result<Filed, StoreError>>)>, QueueError> {
        let bad = entries.iter().filter_map(|entry| entry.queued.as_ref()?.check().err()).next();
        if let Some(bound) = bad {
            return Err(QueueError::Invalid(bound));
        }
        let mut accepted = Vec::with_capacity(entries.len());
        let mut writing = Vec::with_capacity(entries.len());
        for NewEntry { message, queued, filings } in entries {
            let Some(new) = queued else {
                accepted.push(None);
                writing.push(WritingEntry { message: Some(message), filings, note: None });
                continue;
            };
            let (id, entry) = self.inner.entry(message, new, filings);
            accepted.push(Some(Accepted { id }));
            writing.push(entry);
        }
        let answers = self.inner.store.write(writing).await?.durable().await?;
        Ok(accepted.into_iter().zip(answers).collect())
    }

    /// Waits until some destination is due and may have another connection. Any number may wait.
    pub async fn lease(&self) -> Lease {
        let wanted = self.inner.shared.spool(|spool| Arc::clone(&spool.lease_wanted));
        loop {
            if let Some((destination, given)) = self.inner.shared.spool(|spool| spool.take_lease()) {
                return Lease::new(Arc::clone(&self.inner), destination, given);
            }
            // One permit is kept, so what happens between the look and the wait is not missed.
            wanted.notified().await;
        }
    }

    /// Waits until some sender has to be told something.
    pub async fn overdue(&self) -> Overdue {
        let wanted = self.inner.shared.spool(|spool| Arc::clone(&spool.overdue_wanted));
        loop {
            if let Some(overdue) = Overdue::take(&self.inner) {
                return overdue;
            }
            wanted.notified().await;
        }
    }

    /// Looks at the clock now: what is due by it is handed out at once. The queue does so by itself every second;
    /// this is for who has set the clock.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn look(&self) -> Result<(), QueueError> {
        self.inner.store.wait_applied().await?;
        let inner = Arc::clone(&self.inner);
        let looked = self.inner.workers.run(move || keeper::look(&inner.shared, &inner.store)).await;
        Ok(looked.map_err(not_worked)??)
    }

    /// Gives out nothing more: those who wait for a lease or an overdue message wait on. Settling goes on. When the
    /// last lease has ended, [`Self::look`] writes down what was tried in its last second; then the store can be
    /// closed.
    pub fn stop(&self) {
        self.inner.shared.spool(|spool| spool.is_stopped = true);
    }
}

impl Inner {
    /// The entry of the log by which a message is queued.
    pub(crate) fn entry(
        &self,
        message: Arriving,
        new: NewMessage,
        filings: Vec<Filing>,
    ) -> (QueueId, WritingEntry) {
        let id = self.shared.spool(|spool| spool.next_id());
        let queued = Queued { id, is_copy: false, octets: message.octets(), message: new };
        let note = Some(self.shared.queued_note(queued));
        (id, WritingEntry { message: Some(message), filings, note })
    }
}
