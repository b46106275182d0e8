//! Leases and parcels: the right to send to one destination over one connection, and what is sent.
//!
//! In a message's path: delivery waits in [`crate::Queue::lease`], connects, takes parcels with [`Lease::next`] and
//! says with [`Lease::settle`] what became of each.

mod patience;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mail_types::QueueId;
use mailstore::{Arriving, Filing, MessageReader, StoreError, Writing, WritingEntry};
use platform::clock::Monotonic;

use crate::destination::Destination;
use crate::error::QueueError;
use crate::message::{Diagnostic, NewMessage, Recipient, RecipientNumber};
use crate::note::Record;
use crate::queue::Inner;
use crate::shared::{IfFailed, Shared};
use crate::spool::{Given, Pace, TURN, Taken};
use crate::state::RecipientState;

/// Notes about settled parcels that one lease may have on their way to the disk. A power cut makes at most this many
/// messages of a connection come twice.
pub const SETTLING_MAX: usize = 16;

/// The right to one connection to one destination. When dropped without [`Lease::end`], the connection counts as
/// never made: nothing is learned from it.
pub struct Lease {
    inner: Arc<Inner>,
    destination: Destination,
    given: Given,
    /// When it was given, or its last parcel was settled: from then on the destination takes its time.
    since: Monotonic,
    /// When it was given.
    begun: Monotonic,
    /// It was told to make room for others.
    is_leaving: bool,
    /// Nothing was taken yet: a parcel is kept for it.
    is_connecting: bool,
    /// Outcomes on their way to the disk.
    settling: VecDeque<Writing>,
    /// How it ended, once it has.
    end: Option<ConnectionEnd>,
    /// Its connection counts no more, only its outcomes are on their way to the disk.
    is_closed: bool,
}

/// One message with those of its recipients that are due at one destination. Nobody else has them meanwhile. Dropped
/// without [`Lease::settle`], it counts as not tried and is given out again.
pub struct Parcel {
    inner: Arc<Inner>,
    destination: Destination,
    taken: Taken,
    is_settled: bool,
}

/// What became of a parcel.
#[derive(Debug, Default)]
pub struct ParcelOutcome {
    /// One for each recipient that was tried; those that are not named count as not tried.
    pub recipients: Vec<(RecipientNumber, RecipientOutcome)>,
    /// Reports that are to exist exactly if the outcome is remembered: failures, and successes that were asked for.
    pub reports: Vec<NewReport>,
}

/// What became of one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecipientOutcome {
    /// A server took it that delivers (LMTP) or reports delivery itself (DSN, RFC 3461 §5.2.2).
    Delivered,
    /// A server took it that does neither.
    Relayed,
    /// It will never be taken.
    Failed(Diagnostic),
    /// It was not taken now: this parcel waits, longer each time; the destination does not.
    Deferred(Diagnostic),
}

/// A report about a message (RFC 3464), written with what it reports in one durable piece.
#[derive(Debug)]
pub struct NewReport {
    /// Its octets.
    pub message: Arriving,
    /// Where it goes.
    pub to: ReportTo,
}

/// Where a report goes.
#[derive(Debug)]
pub enum ReportTo {
    /// To a sender elsewhere: its `kind` is [`crate::MessageKind::Report`], its reverse-path null.
    Queue(Box<NewMessage>),
    /// To a sender here.
    Account(Filing),
}

/// How a connection ended, as far as it says something about the destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectionEnd {
    /// The destination took mail, or refused it message by message. Its back-off is over, and it may have one
    /// connection more.
    Reached,
    /// No server of the destination could be reached or greeted us; also when the DNS does not answer. All its mail
    /// waits, longer each time.
    Unreachable(Diagnostic),
    /// A server took some and then wanted less (421, 450 4.7.x at MAIL): fewer connections, and a short wait.
    Throttled(Diagnostic),
    /// It was given up before it came to anything, because others waited ([`Lease::give_way`]): it is tried again when
    /// slow destinations have room.
    GaveWay,
}

impl RecipientOutcome {
    /// The state that it leads to; a deferred recipient waits on.
    pub(crate) fn state(&self) -> RecipientState {
        match self {
            Self::Delivered => RecipientState::Delivered,
            Self::Relayed => RecipientState::Relayed,
            Self::Failed(_) => RecipientState::Failed,
            Self::Deferred(_) => RecipientState::Waiting,
        }
    }
}

impl Lease {
    pub(crate) fn new(inner: Arc<Inner>, destination: Destination, given: Given) -> Self {
        let now = inner.shared.clock.monotonic();
        let (is_connecting, is_leaving) = (true, false);
        let settling = VecDeque::new();
        Self {
            inner,
            destination,
            given,
            since: now,
            begun: now,
            is_leaving,
            is_connecting,
            settling,
            end: None,
            is_closed: false,
        }
    }

    /// Where to connect.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// How many times in a row the destination was unreachable.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.given.attempts
    }

    /// The next message for this connection: higher priority first, fresh before old, then as they came. `None` when
    /// nothing more is due, or others wait for a connection and this one has had its turn: it is to be closed. May be
    /// cancelled.
    pub async fn next(&mut self) -> Option<Parcel> {
        self.next_within(Duration::ZERO).await
    }

    /// The same, waiting up to `patience` for one to come: a connection that is kept open serves the next message
    /// without a handshake. May be cancelled.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Parcel> {
        if self.is_closed {
            return None;
        }
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let seen = self.look();
            if seen.taken.is_some() || seen.is_over {
                return seen.taken.map(|taken| self.parcel(taken));
            }
            if seen.has_more {
                // The index has more: the keeper brings it, or finds that there is none. It is listened to before it is
                // asked, so that its answer is not missed.
                let arrived = seen.arrived.notified();
                self.inner.shared.wake_keeper();
                let _idle = Idle::new(&self.inner.shared, &self.destination);
                // Nothing is lost when the wait is over early: the next look finds what has come.
                let _ = tokio::time::timeout(REFILL_LOOK, arrived).await;
                continue;
            }
            if patience.is_zero() {
                return None;
            }
            let idle = Idle::new(&self.inner.shared, &self.destination);
            let resting = Resting::new(&self.inner.shared);
            let is_over = tokio::select! {
                biased;
                // None of them loses anything: the look below finds what has come, and a word that was not heard goes
                // to another lease.
                () = seen.arrived.notified() => false,
                () = resting.room_wanted.notified() => {
                    self.is_leaving = true;
                    true
                }
                () = tokio::time::sleep_until(deadline) => true,
            };
            drop(resting);
            drop(idle);
            if is_over {
                return self.look().taken.map(|taken| self.parcel(taken));
            }
        }
    }

    fn look(&mut self) -> Seen {
        let was_connecting = std::mem::take(&mut self.is_connecting);
        let now = self.inner.shared.clock.monotonic();
        let has_had_its_turn = !was_connecting && now.since(self.begun) >= TURN;
        let was_leaving = self.is_leaving;
        let seen = self.inner.shared.spool(|spool| {
            let is_crowded = spool.is_crowded(&self.destination, self.given.standing);
            let is_enough = spool.is_behind() || (is_crowded && has_had_its_turn);
            let taken = if is_enough { None } else { spool.take(&self.destination) };
            if was_connecting {
                spool.connected(&self.destination);
            }
            if was_leaving && taken.is_some() {
                spool.connections.left();
            }
            let is_over = spool.is_stopped || is_enough || is_crowded;
            let site = spool.site(&self.destination);
            Seen { taken, is_over, has_more: site.has_more, arrived: Arc::clone(&site.arrived) }
        });
        self.is_leaving &= seen.taken.is_none();
        // Waiting for mail is not the destination's fault.
        self.since = if was_connecting { self.since } else { now };
        seen
    }

    fn parcel(&self, taken: Taken) -> Parcel {
        let (inner, destination) = (Arc::clone(&self.inner), self.destination.clone());
        Parcel { inner, destination, taken, is_settled: false }
    }

    /// Says what became of a parcel. Returns once the outcome is on its way to the log, in memory at once: send on.
    /// Waits for the disk only when [`SETTLING_MAX`] outcomes of this lease are on their way, or there are reports.
    ///
    /// Not to be cancelled when there are reports: the parcel would then count as not tried.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Busy`], [`QueueError::Invalid`] or [`QueueError::Store`] when an outcome
    /// with reports could not be written: failed recipients then count as deferred, to fail again and be reported
    /// later; of the others the outcome is kept, without reports. An outcome without reports that could not be
    /// written is kept and written later; within this run nothing is sent twice.
    pub async fn settle(&mut self, mut parcel: Parcel, outcome: ParcelOutcome) -> Result<(), QueueError> {
        let ParcelOutcome { recipients, reports } = outcome;
        count(&self.inner.shared, &recipients);
        self.note_answer(&recipients);
        if reports.is_empty() {
            if let Some(writing) = parcel.settle(recipients) {
                self.settling.push_back(writing);
            }
        } else {
            let (writing, settled) = settle_with_reports(parcel, recipients, reports).await;
            self.settling.extend(writing);
            settled?;
        }
        while self.settling.front().is_some_and(Writing::is_over) || self.settling.len() > SETTLING_MAX {
            // One that failed is kept and written later: what was sent stays sent.
            let _ = self.settled_first().await;
        }
        Ok(())
    }

    /// Learns from how long the destination took for a message.
    fn note_answer(&mut self, recipients: &[(RecipientNumber, RecipientOutcome)]) {
        if recipients.is_empty() {
            return;
        }
        let now = self.inner.shared.clock.monotonic();
        let pace = Pace::of(now.since(self.since));
        self.since = now;
        let took = |(_, outcome): &(_, RecipientOutcome)| {
            matches!(outcome, RecipientOutcome::Delivered | RecipientOutcome::Relayed)
        };
        let is_success = recipients.iter().any(took);
        self.inner.shared.spool(|spool| {
            spool.answered(&self.destination, &mut self.given, pace);
            if is_success {
                spool.widen(&self.destination, &mut self.given);
            }
        });
    }

    /// Waits until everything settled so far is durable, or has failed and is kept to be written later.
    ///
    /// # Errors
    /// [`QueueError`] of the last outcome that could not be written yet.
    pub async fn flush(&mut self) -> Result<(), QueueError> {
        let mut outcome = Ok(());
        while !self.settling.is_empty() {
            outcome = self.settled_first().await.and(outcome);
        }
        outcome
    }

    async fn settled_first(&mut self) -> Result<(), QueueError> {
        match self.settling.pop_front() {
            Some(writing) => Ok(writing.durable().await.map(drop)?),
            None => Ok(()),
        }
    }

    /// The connection is over. Outcomes may still be on their way to the disk; who wants to know of them has used
    /// [`Self::close`] and [`Self::flush`].
    pub fn end(mut self, how: ConnectionEnd) {
        self.close(how);
    }

    /// The connection is over: somebody else may have its place while its outcomes are on their way to the disk, unless
    /// as many as there are connections wait for that already. It gets no more mail.
    pub fn close(&mut self, how: ConnectionEnd) {
        if matches!(how, ConnectionEnd::Unreachable(_)) {
            self.inner.shared.metrics.unreachable.increment();
        }
        self.end = Some(how);
        if !self.is_closed && self.inner.shared.spool(|spool| spool.begin_flush()) {
            self.is_closed = true;
            self.release();
        }
    }

    fn release(&mut self) {
        let (end, is_connecting, is_leaving) = (self.end.take(), self.is_connecting, self.is_leaving);
        self.inner.shared.spool(|spool| {
            if is_connecting {
                spool.connected(&self.destination);
            }
            if is_leaving {
                spool.connections.left();
            }
            spool.end_lease(&self.destination, self.given, end);
        });
    }
}

/// How long a lease waits for the keeper before it asks again.
const REFILL_LOOK: Duration = Duration::from_secs(1);

/// What a lease finds.
struct Seen {
    taken: Option<Taken>,
    /// If nothing was taken, nothing is to be waited for.
    is_over: bool,
    has_more: bool,
    arrived: Arc<tokio::sync::Notify>,
}

/// A connection that waits for more mail and can make room.
struct Resting<'a> {
    shared: &'a Shared,
    room_wanted: Arc<tokio::sync::Notify>,
}

impl<'a> Resting<'a> {
    fn new(shared: &'a Shared) -> Self {
        let room_wanted = shared.spool(|spool| {
            spool.connections.rest();
            Arc::clone(&spool.connections.room_wanted)
        });
        Self { shared, room_wanted }
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.shared.spool(|spool| spool.connections.rested());
    }
}

/// A lease that waits for mail.
struct Idle<'a> {
    shared: &'a Shared,
    destination: &'a Destination,
}

impl<'a> Idle<'a> {
    fn new(shared: &'a Shared, destination: &'a Destination) -> Self {
        shared.spool(|spool| spool.site(destination).idle += 1);
        Self { shared, destination }
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.shared.spool(|spool| {
            let site = spool.site(self.destination);
            site.idle = site.idle.saturating_sub(1);
            spool.line_up(self.destination);
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_closed {
            self.inner.shared.spool(|spool| spool.connections.flushed());
        } else {
            self.release();
        }
    }
}

fn count(shared: &Shared, recipients: &[(RecipientNumber, RecipientOutcome)]) {
    for (_, outcome) in recipients {
        match outcome {
            RecipientOutcome::Delivered | RecipientOutcome::Relayed => shared.metrics.delivered.increment(),
            RecipientOutcome::Failed(_) => shared.metrics.failed.increment(),
            RecipientOutcome::Deferred(_) => shared.metrics.deferred.increment(),
        }
    }
}

/// Those that an outcome finishes.
fn finished(recipients: &[(RecipientNumber, RecipientOutcome)]) -> Vec<(RecipientNumber, RecipientState)> {
    let states = recipients.iter().map(|(number, outcome)| (*number, outcome.state()));
    states.filter(|(_, state)| *state != RecipientState::Waiting).collect()
}

/// Writes an outcome and its reports in one piece, and remembers it once it is written. If it cannot be, what was sent
/// is on its way to the log without the reports.
async fn settle_with_reports(
    mut parcel: Parcel,
    recipients: Vec<(RecipientNumber, RecipientOutcome)>,
    reports: Vec<NewReport>,
) -> (Option<Writing>, Result<(), QueueError>) {
    let inner = Arc::clone(&parcel.inner);
    let id = parcel.id();
    let record = inner.shared.spool(|spool| spool.settled_record(id, finished(&recipients)));
    if let Err(error) = write_with_reports(&inner, record, reports).await {
        // What was sent stays sent. What failed waits, to fail and be reported when the disk takes it: at once, it
        // would be sent again and again.
        let softened = recipients.into_iter().map(|(number, outcome)| match outcome {
            RecipientOutcome::Failed(last) => (number, RecipientOutcome::Deferred(last)),
            outcome => (number, outcome),
        });
        return (parcel.settle(softened.collect()), Err(error));
    }
    parcel.is_settled = true;
    inner.shared.spool(|spool| spool.settle(id, &parcel.destination, recipients));
    (None, Ok(()))
}

/// Writes a record and reports in one durable piece.
pub(crate) async fn write_with_reports(
    inner: &Arc<Inner>,
    record: Option<Record>,
    reports: Vec<NewReport>,
) -> Result<(), QueueError> {
    let mut entries = Vec::with_capacity(reports.len() + 1);
    for report in reports {
        entries.push(match report.to {
            ReportTo::Queue(new) => {
                new.check().map_err(QueueError::Invalid)?;
                inner.entry(report.message, *new, Vec::new()).1
            }
            ReportTo::Account(filing) => {
                WritingEntry { message: Some(report.message), filings: vec![filing], note: None }
            }
        });
    }
    if let Some(record) = record {
        let note = Some(inner.shared.note(vec![record], IfFailed::TakeBack));
        entries.push(WritingEntry { message: None, filings: Vec::new(), note });
    }
    let answers = inner.store.write(entries).await?.durable().await?;
    for error in answers.into_iter().flatten().filter_map(Result::err) {
        // The sender's mailbox does not take it: nobody is left to be told (RFC 5321 §4.5.5).
        log_lost_report(&error);
    }
    Ok(())
}

fn log_lost_report(error: &StoreError) {
    tracing::warn!(%error, "a report could not be filed for its sender");
}

impl Parcel {
    /// The message's id in the queue.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.taken.id
    }

    /// Its envelope and what its sender asked for.
    #[must_use]
    pub fn message(&self) -> &NewMessage {
        &self.taken.message
    }

    /// The recipients that are due here, ascending.
    pub fn recipients(&self) -> impl Iterator<Item = (RecipientNumber, &Recipient)> {
        let all = &self.taken.message.recipients;
        let numbers = self.taken.recipients.iter();
        numbers.filter_map(|number| Some((*number, all.get(usize::from(number.0))?)))
    }

    /// How often this parcel was deferred before.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.taken.attempts
    }

    /// The message's length in octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.taken.octets
    }

    /// Opens the message's octets.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`] when it was dropped meanwhile; what the disk says.
    pub async fn open(&self) -> Result<MessageReader, QueueError> {
        self.inner.open(self.taken.id).await
    }

    /// Remembers an outcome without reports: at once in memory, and on its way to the log.
    fn settle(&mut self, recipients: Vec<(RecipientNumber, RecipientOutcome)>) -> Option<Writing> {
        self.is_settled = true;
        let id = self.taken.id;
        let shared = &self.inner.shared;
        let record = shared.spool(|spool| spool.settled_record(id, finished(&recipients)));
        // Counted as under way before the memory may forget the message.
        let note = record.map(|record| shared.note(vec![record], IfFailed::WriteLater));
        shared.spool(|spool| spool.settle(id, &self.destination, recipients));
        note.map(|note| self.inner.store.write_note(note))
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if !self.is_settled {
            let (id, destination) = (self.taken.id, &self.destination);
            self.inner.shared.spool(|spool| spool.give_back(id, destination));
        }
    }
}

impl Inner {
    /// Opens a message's octets, wherever a purge has moved them.
    pub(crate) async fn open(self: &Arc<Self>, id: QueueId) -> Result<MessageReader, QueueError> {
        for _ in 0..LOOK_UPS_MAX {
            let place = self.shared.place(id)?.ok_or(QueueError::NoSuchMessage(id))?;
            match self.store.read_blob(place).await {
                Err(StoreError::NoSuchMessage) => {}
                opened => return Ok(opened?),
            }
        }
        Err(QueueError::NoSuchMessage(id))
    }
}

/// How often a message is looked up whose octets a purge is moving.
const LOOK_UPS_MAX: usize = 3;

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.destination)
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} to {})", self.id().to_text(), self.destination)
    }
}
