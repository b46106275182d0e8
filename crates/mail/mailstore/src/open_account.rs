//! One open account from inside: its state, its index, and the way a change takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mail_types::{AccountId, MailboxId};
use parking_lot::{Mutex, MutexGuard};
use storage::{LogPosition, StorageError};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::engine::{Behind, Done, Engine, Entry, Share, Then, Turn, log_index_failure, received};
use crate::error::StoreError;
use crate::index::{Applied, SqliteIndex, is_damage};
use crate::note::Record;
use crate::open_mailbox::OpenMailbox;
use crate::quota::{QuotaLimit, QuotaUsage};
use crate::state::AccountState;
use crate::view::View;

/// Connections kept for reading one account's index: as many as there are reading threads.
const READERS_KEPT_MAX: usize = 2;

/// How often a mailbox is read again when changes came faster than it could be read.
const READINGS_MAX: usize = 3;

/// An open account.
#[derive(Debug)]
pub(crate) struct OpenAccount {
    pub(crate) id: AccountId,
    pub(crate) engine: Arc<Engine>,
    path: PathBuf,
    state: Mutex<AccountState>,
    /// Held from before a change of existing mail is decided until readers see it: see [`Turn`].
    turns: Arc<tokio::sync::Mutex<()>>,
    /// Held while a mailbox is read for its first session.
    reading: tokio::sync::Mutex<()>,
    pub(crate) writer: Mutex<SqliteIndex>,
    readers: Mutex<Vec<SqliteIndex>>,
    reserved_octets: AtomicU64,
    reserved_messages: AtomicU64,
    /// Changes submitted and not yet applied.
    pub(crate) in_flight: AtomicUsize,
    /// How far the log has durable changes of this account that were handed on to be applied.
    dispatched: Mutex<Option<LogPosition>>,
    changes: watch::Sender<u64>,
    failure: Mutex<Option<StoreError>>,
}

/// Room in an account's quota for something under way. Given back when it is published, or has failed.
#[derive(Debug)]
pub(crate) struct Reservation {
    core: Arc<OpenAccount>,
    octets: u64,
    messages: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.core.reserved_octets.fetch_sub(self.octets, Ordering::AcqRel);
        self.core.reserved_messages.fetch_sub(self.messages, Ordering::AcqRel);
    }
}

impl OpenAccount {
    pub(crate) fn new(
        id: AccountId,
        engine: Arc<Engine>,
        path: PathBuf,
        state: AccountState,
        index: SqliteIndex,
    ) -> Self {
        Self {
            id,
            engine,
            path,
            state: Mutex::new(state),
            turns: Arc::default(),
            reading: tokio::sync::Mutex::default(),
            writer: Mutex::new(index),
            readers: Mutex::default(),
            reserved_octets: AtomicU64::new(0),
            reserved_messages: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            dispatched: Mutex::default(),
            changes: watch::Sender::new(0),
            failure: Mutex::new(None),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, AccountState> {
        self.state.lock()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn applied(&self) -> LogPosition {
        self.state().applied()
    }

    /// Notes that a change is durable. The committer calls it before anybody is told.
    pub(crate) fn note_dispatched(&self, position: LogPosition) {
        let mut dispatched = self.dispatched.lock();
        *dispatched = (*dispatched).max(Some(position));
    }

    /// Waits until what is durable now can be read: whoever was told 250 finds the message, a moment that is over in
    /// a few milliseconds.
    pub(crate) async fn settle(&self) {
        let Some(goal) = *self.dispatched.lock() else { return };
        let mut changes = self.watch();
        while self.applied() < goal && self.check().is_ok() {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Says why the account can no longer be used, if so: it has to be opened anew.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    /// From now on nothing is asked of this account's index through this core.
    pub(crate) fn fail(&self, error: StoreError) {
        self.failure.lock().get_or_insert(error);
        self.changes.send_modify(|number| *number += 1);
    }

    pub(crate) fn usage(&self) -> QuotaUsage {
        let usage = self.state().usage();
        self.with_reserved(usage)
    }

    fn with_reserved(&self, usage: QuotaUsage) -> QuotaUsage {
        QuotaUsage {
            octets: usage.octets.saturating_add(self.reserved_octets.load(Ordering::Acquire)),
            messages: usage.messages.saturating_add(self.reserved_messages.load(Ordering::Acquire)),
        }
    }

    /// Takes room in the quota. The caller holds the state's lock, so nobody else takes the same room.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        state: &AccountState,
        added: QuotaUsage,
        limit: QuotaLimit,
    ) -> Result<Reservation, StoreError> {
        let usage = self.with_reserved(state.usage());
        let wanted = QuotaUsage {
            octets: usage.octets.saturating_add(added.octets),
            messages: usage.messages.saturating_add(added.messages),
        };
        if !wanted.is_within(limit) {
            return Err(StoreError::OverQuota);
        }
        self.reserved_octets.fetch_add(added.octets, Ordering::AcqRel);
        self.reserved_messages.fetch_add(added.messages, Ordering::AcqRel);
        Ok(Reservation { core: Arc::clone(self), octets: added.octets, messages: added.messages })
    }

    /// Waits for the right to change existing mail.
    pub(crate) async fn turn(&self) -> Result<Turn, StoreError> {
        self.check()?;
        let guard = Arc::clone(&self.turns).lock_owned().await;
        self.check()?;
        Ok(Turn::of(guard))
    }

    /// Decides on a change and submits it in one hold of the state's lock, then waits until readers see it. No
    /// records are no change.
    pub(crate) async fn change<T>(
        self: &Arc<Self>,
        turn: Turn,
        decide: impl FnOnce(&mut AccountState) -> Result<Decided<T>, StoreError>,
    ) -> Result<(T, Turn), StoreError> {
        let (receiver, result) = {
            let mut state = self.state();
            self.check()?;
            let decided = decide(&mut state)?;
            if decided.records.is_empty() {
                return Ok((decided.result, turn));
            }
            let share = Share {
                core: Arc::clone(self),
                records: decided.records,
                reservations: decided.reservation.into_iter().collect(),
            };
            let entry = Entry { blob: None, digest: None, shares: vec![share], note: None };
            (self.submit_applied(vec![entry], None, turn), decided.result)
        };
        Ok((result, received(receiver.await)?))
    }

    /// Submits entries; the answer comes when readers see them. The caller holds the state's lock.
    pub(crate) fn submit_applied(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        room: Option<Arc<OwnedSemaphorePermit>>,
        turn: Turn,
    ) -> oneshot::Receiver<Result<Turn, StoreError>> {
        let (sender, receiver) = oneshot::channel();
        self.engine.submit(entries, room, Then::Applied(Done { sender, turn }));
        receiver
    }

    /// Lets readers see what was applied, and wakes who watches.
    pub(crate) fn publish<'a>(&self, applied: &Applied, records: impl Iterator<Item = &'a Record> + Clone) {
        self.state().publish(applied, records);
        self.changes.send_modify(|number| *number += 1);
    }

    /// Asks the index on a reading thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&SqliteIndex) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.check()?;
        let core = Arc::clone(self);
        self.engine.readers.run(move || core.read_here(question)).await?
    }

    /// Asks the index on this thread.
    pub(crate) fn read_here<T>(
        &self,
        question: impl FnOnce(&SqliteIndex) -> Result<T, StorageError>,
    ) -> Result<T, StoreError> {
        let kept = self.readers.lock().pop();
        let index = match kept {
            Some(index) => index,
            None => SqliteIndex::open_reader(&self.path)?,
        };
        let answer = question(&index).inspect_err(|error| self.note_failure(error))?;
        let mut readers = self.readers.lock();
        if readers.len() < READERS_KEPT_MAX {
            readers.push(index);
        }
        Ok(answer)
    }

    /// A damaged index is made anew when the account is opened again; until then nothing more is asked of it.
    fn note_failure(&self, error: &StorageError) {
        log_index_failure(self.id, error);
        if is_damage(error) {
            self.engine.mark_behind(self.id, Behind { applied: self.applied(), is_damaged: true });
            self.fail(error.clone().into());
        }
    }

    /// The mailbox now; read from the index for the first session that opens it.
    pub(crate) async fn open_mailbox(self: &Arc<Self>, mailbox: MailboxId) -> Result<View, StoreError> {
        self.check()?;
        if let Some(view) = self.view(mailbox)? {
            return Ok(view);
        }
        let _reading = self.reading.lock().await;
        for _ in 0..READINGS_MAX {
            if let Some(view) = self.view(mailbox)? {
                return Ok(view);
            }
            self.state().mailbox_mut(mailbox)?.begin_reading();
            let stop = StopReading { core: self, mailbox };
            let snapshot =
                self.read(move |index| crate::index::AccountIndex::snapshot(index, mailbox)).await?;
            let snapshot = snapshot.ok_or(StoreError::NoSuchMailbox)?;
            let mut state = self.state();
            let opened = state.mailbox_mut(mailbox)?;
            if opened.finish_reading(snapshot)
                && let Some((snapshot, open)) = opened.opened(|| self.opening(mailbox))
            {
                drop(state);
                drop(stop);
                return Ok(View::new(snapshot, open));
            }
        }
        Err(StoreError::Busy)
    }

    fn view(self: &Arc<Self>, mailbox: MailboxId) -> Result<Option<View>, StoreError> {
        let mut state = self.state();
        let opened = state.mailbox_mut(mailbox)?.opened(|| self.opening(mailbox));
        drop(state);
        Ok(opened.map(|(snapshot, open)| View::new(snapshot, open)))
    }

    fn opening(self: &Arc<Self>, mailbox: MailboxId) -> OpenMailbox {
        OpenMailbox::new(Arc::downgrade(self), mailbox)
    }

    /// The last view of a mailbox was dropped.
    pub(crate) fn close_mailbox(&self, mailbox: MailboxId) {
        if let Ok(mailbox) = self.state().mailbox_mut(mailbox) {
            mailbox.close();
        }
    }
}

/// What a change consists of.
pub(crate) struct Decided<T> {
    pub(crate) records: Vec<Record>,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) result: T,
}

impl<T> Decided<T> {
    pub(crate) fn new(records: Vec<Record>, result: T) -> Self {
        Self { records, reservation: None, result }
    }
}

/// Ends the keeping of changes for a reading that was given up.
struct StopReading<'a> {
    core: &'a OpenAccount,
    mailbox: MailboxId,
}

impl Drop for StopReading<'_> {
    fn drop(&mut self) {
        if let Ok(mailbox) = self.core.state().mailbox_mut(self.mailbox) {
            mailbox.stop_reading();
        }
    }
}
