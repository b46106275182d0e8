//! Messages whose sender has to be told: late, or given up (RFC 5321 §4.5.4.1, RFC 3464, RFC 2852).

use std::sync::Arc;

use mail_types::QueueId;
use mailstore::MessageReader;

use crate::destination::Destination;
use crate::error::QueueError;
use crate::lease::NewReport;
use crate::message::{Diagnostic, NewMessage, Recipient, RecipientNumber};

/// Recipients of one message at one destination about whom something is to be said. Nobody sends to them meanwhile.
/// Dropped without [`Overdue::settle`], it comes again.
#[derive(Debug)]
pub struct Overdue {
    id: QueueId,
    message: Arc<NewMessage>,
}

/// What is to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OverdueKind {
    /// It is late, and delivery goes on. Once for each message and destination.
    Delayed,
    /// It is given up: settling finishes these recipients.
    Expired,
}

/// One recipient that is overdue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverdueRecipient<'a> {
    /// Its place.
    pub number: RecipientNumber,
    /// The recipient.
    pub recipient: &'a Recipient,
    /// What its last try came to, or its destination's.
    pub diagnostic: Option<Diagnostic>,
}

impl Overdue {
    /// What is to be said.
    #[must_use]
    pub fn kind(&self) -> OverdueKind {
        todo!()
    }

    /// The message's id in the queue.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its envelope.
    #[must_use]
    pub fn message(&self) -> &NewMessage {
        &self.message
    }

    /// Where it could not be sent.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        todo!()
    }

    /// About whom.
    pub fn recipients(&self) -> impl Iterator<Item = OverdueRecipient<'_>> {
        std::iter::empty()
    }

    /// Opens the message's octets, to be returned with the report.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`] when it was dropped meanwhile; what the disk says.
    pub async fn open(&self) -> Result<MessageReader, QueueError> {
        todo!()
    }

    /// It was said, with these reports (none, if nobody wants to hear it): one durable piece with the reports.
    ///
    /// # Errors
    /// What keeps it from the disk; it comes again then.
    pub async fn settle(self, reports: Vec<NewReport>) -> Result<(), QueueError> {
        let _ = reports;
        todo!()
    }
}
