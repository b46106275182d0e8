//! The queue's front door.

use std::path::Path;
use std::sync::Arc;

use mail_types::QueueId;
use mailstore::{Arriving, Filed, Filing, Store, StoreError, Tenant};
use platform::clock::Clock;
use platform::metrics::Metrics;

use crate::error::QueueError;
use crate::lease::Lease;
use crate::listing::{Filter, Page, QueueStats, Shown};
use crate::message::NewMessage;
use crate::overdue::Overdue;
use crate::settings::Settings;

/// The outbound queue; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {}

/// A queue whose index is open, but not its log: the store has to be opened with it.
#[derive(Debug)]
pub struct Unattached {}

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

impl Unattached {
    /// The queue as the store knows it, for `Store::open_with`.
    #[must_use]
    pub fn tenant(&self) -> Arc<dyn Tenant> {
        todo!()
    }

    /// The store is open: the queue begins to work.
    ///
    /// # Errors
    /// What the disk says.
    pub fn attach(self, store: &Store) -> Result<Queue, QueueError> {
        let _ = store;
        todo!()
    }
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
        let _ = (data, settings, clock, metrics);
        todo!()
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
        let _ = (message, new, filings);
        todo!()
    }

    /// Waits until some destination is due and may have another connection. Any number may wait.
    pub async fn lease(&self) -> Lease {
        todo!()
    }

    /// Waits until some sender has to be told something.
    pub async fn overdue(&self) -> Overdue {
        todo!()
    }

    /// Looks at the clock now: what is due by it is handed out at once. The queue does so by itself every second;
    /// this is for who has set the clock.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn look(&self) -> Result<(), QueueError> {
        todo!()
    }

    /// A page of the messages that fit, those after `after`, at most `count` ([`crate::LISTED_MAX`]).
    ///
    /// # Errors
    /// What the disk says.
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<QueueId>,
        count: usize,
    ) -> Result<Page, QueueError> {
        let _ = (filter, after, count);
        todo!()
    }

    /// One message in full.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`], or what the disk says.
    pub async fn show(&self, id: QueueId) -> Result<Shown, QueueError> {
        let _ = id;
        todo!()
    }

    /// Makes messages due now, and forgets the back-off of their destinations. Held ones stay held. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn retry(&self, filter: Filter) -> Result<u64, QueueError> {
        let _ = filter;
        todo!()
    }

    /// Holds messages until they are released. A parcel that is being sent is not called back. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn hold(&self, filter: Filter) -> Result<u64, QueueError> {
        let _ = filter;
        todo!()
    }

    /// Releases held messages, those held until a later moment too. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn release(&self, filter: Filter) -> Result<u64, QueueError> {
        let _ = filter;
        todo!()
    }

    /// Takes messages out of the queue without a report. A parcel that is being sent may still arrive. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn drop_messages(&self, filter: Filter) -> Result<u64, QueueError> {
        let _ = filter;
        todo!()
    }

    /// The queue in numbers.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        todo!()
    }

    /// Gives out nothing more: those who wait for a lease or an overdue message wait on. Settling goes on.
    pub fn stop(&self) {
        todo!()
    }
}
