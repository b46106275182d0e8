//! Leases and parcels: the right to send to one destination over one connection, and what is sent.
//!
//! In a message's path: delivery waits in [`crate::Queue::lease`], connects, takes parcels with [`Lease::next`] and
//! says with [`Lease::settle`] what became of each.

use std::sync::Arc;
use std::time::Duration;

use mail_types::QueueId;
use mailstore::{Arriving, Filing, MessageReader};

use crate::destination::Destination;
use crate::error::QueueError;
use crate::message::{Diagnostic, NewMessage, Recipient, RecipientNumber};

/// Notes about settled parcels that one lease may have on their way to the disk. A power cut makes at most this many
/// messages of a connection come twice.
pub const SETTLING_MAX: usize = 16;

/// The right to one connection to one destination. When dropped without [`Lease::end`], the connection counts as
/// never made: nothing is learned from it.
#[derive(Debug)]
pub struct Lease {
    destination: Destination,
}

/// One message with those of its recipients that are due at one destination. Nobody else has them meanwhile. Dropped
/// without [`Lease::settle`], it counts as not tried and is given out again.
#[derive(Debug)]
pub struct Parcel {
    id: QueueId,
    message: Arc<NewMessage>,
    recipients: Vec<RecipientNumber>,
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
}

impl Lease {
    /// Where to connect.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// How many times in a row the destination was unreachable.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        todo!()
    }

    /// The next message for this connection: higher priority first, fresh before old, then as they came. `None` when
    /// nothing more is due: the connection can be closed.
    pub async fn next(&mut self) -> Option<Parcel> {
        todo!()
    }

    /// The same, waiting up to `patience` for one to come: a connection that is kept open serves the next message
    /// without a handshake.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Parcel> {
        let _ = patience;
        todo!()
    }

    /// Says what became of a parcel. Returns once the outcome is on its way to the log, in memory at once: send on.
    /// Waits for the disk only when [`SETTLING_MAX`] outcomes of this lease are on their way.
    ///
    /// Not to be cancelled when there are reports: the parcel would then count as not tried.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Busy`] or [`QueueError::Store`] when an outcome with reports could not be
    /// written (its recipients then count as not tried). An outcome without reports that could not be written is
    /// kept and written later; within this run nothing is sent twice.
    pub async fn settle(&mut self, parcel: Parcel, outcome: ParcelOutcome) -> Result<(), QueueError> {
        let _ = (parcel, outcome);
        todo!()
    }

    /// Waits until everything settled so far is durable.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub async fn flush(&mut self) -> Result<(), QueueError> {
        todo!()
    }

    /// The connection is over.
    pub fn end(self, how: ConnectionEnd) {
        let _ = how;
        todo!()
    }
}

impl Parcel {
    /// The message's id in the queue.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its envelope and what its sender asked for.
    #[must_use]
    pub fn message(&self) -> &NewMessage {
        &self.message
    }

    /// The recipients that are due here, ascending.
    pub fn recipients(&self) -> impl Iterator<Item = (RecipientNumber, &Recipient)> {
        self.recipients
            .iter()
            .filter_map(|number| Some((*number, self.message.recipients.get(usize::from(number.0))?)))
    }

    /// How often this parcel was deferred before.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        todo!()
    }

    /// The message's length in octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        todo!()
    }

    /// Opens the message's octets.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`] when it was dropped meanwhile; what the disk says.
    pub async fn open(&self) -> Result<MessageReader, QueueError> {
        todo!()
    }
}
