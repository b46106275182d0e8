//! Messages whose sender has to be told: late, or given up (RFC 5321 §4.5.4.1, RFC 3464, RFC 2852).

use std::fmt;
use std::sync::Arc;

use mail_types::QueueId;
use mailstore::MessageReader;

use crate::destination::Destination;
use crate::error::QueueError;
use crate::lease::{NewReport, write_with_reports};
use crate::message::{Diagnostic, NewMessage, Recipient, RecipientNumber};
use crate::note::Record;
use crate::queue::Inner;
use crate::spool::Told;
use crate::state::RecipientState;

/// Recipients of one message at one destination about whom something is to be said. Nobody sends to them meanwhile.
/// Dropped without [`Overdue::settle`], it comes again with the keeper's next round.
pub struct Overdue {
    inner: Arc<Inner>,
    id: QueueId,
    destination: Destination,
    kind: OverdueKind,
    message: Arc<NewMessage>,
    recipients: Vec<(RecipientNumber, Option<Diagnostic>)>,
    is_settled: bool,
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
    pub diagnostic: Option<&'a Diagnostic>,
}

impl Overdue {
    /// The next one, if there is any.
    pub(crate) fn take(inner: &Arc<Inner>) -> Option<Self> {
        inner.shared.spool(|spool| {
            loop {
                if spool.is_stopped {
                    return None;
                }
                let (id, destination, kind) = spool.overdue.pop_front()?;
                let of_site = spool.sites.get(&destination).and_then(|site| site.last.clone());
                let Some(message) = spool.messages.get(&id) else { continue };
                let last = |number: &RecipientNumber| {
                    let row = message.recipients.get(usize::from(number.0));
                    row.and_then(|row| row.last.clone()).or_else(|| of_site.clone())
                };
                let numbers = message.waiting_at(&destination);
                if numbers.is_empty() {
                    // Dropped by the operator meanwhile.
                    spool.told(id, &destination, Told::Nothing);
                    continue;
                }
                let recipients = numbers.iter().map(|number| (*number, last(number))).collect();
                if !spool.overdue.is_empty() {
                    spool.overdue_wanted.notify_one();
                }
                let message = Arc::clone(&message.message);
                let inner = Arc::clone(inner);
                return Some(Self { inner, id, destination, kind, message, recipients, is_settled: false });
            }
        })
    }

    /// What is to be said.
    #[must_use]
    pub fn kind(&self) -> OverdueKind {
        self.kind
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
        &self.destination
    }

    /// About whom.
    pub fn recipients(&self) -> impl Iterator<Item = OverdueRecipient<'_>> {
        self.recipients.iter().filter_map(|(number, diagnostic)| {
            let recipient = self.message.recipients.get(usize::from(number.0))?;
            Some(OverdueRecipient { number: *number, recipient, diagnostic: diagnostic.as_ref() })
        })
    }

    /// Opens the message's octets, to be returned with the report.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`] when it was dropped meanwhile; what the disk says.
    pub async fn open(&self) -> Result<MessageReader, QueueError> {
        self.inner.open(self.id).await
    }

    /// It was said, with these reports (none, if nobody wants to hear it): one durable piece with the reports.
    ///
    /// # Errors
    /// What keeps it from the disk; it comes again with the keeper's next round.
    pub async fn settle(mut self, reports: Vec<NewReport>) -> Result<(), QueueError> {
        let numbers: Vec<RecipientNumber> = self.recipients.iter().map(|(number, _)| *number).collect();
        let (record, told) = match self.kind {
            OverdueKind::Delayed => {
                let record = Record::Warned { id: self.id, recipients: numbers.clone() };
                (Some(record), Told::Delayed(numbers))
            }
            OverdueKind::Expired => {
                let expired = numbers.iter().map(|number| (*number, RecipientState::Expired)).collect();
                let record = self.inner.shared.spool(|spool| spool.settled_record(self.id, expired));
                self.inner.shared.metrics.expired.add(numbers.len() as u64);
                (record, Told::Expired(numbers))
            }
        };
        write_with_reports(&self.inner, record, reports).await?;
        self.is_settled = true;
        self.inner.shared.spool(|spool| spool.told(self.id, &self.destination, told));
        Ok(())
    }
}

impl Drop for Overdue {
    fn drop(&mut self) {
        if !self.is_settled {
            // Not at once: what keeps it from being told (a full disk) may last.
            self.inner.shared.spool(|spool| {
                spool.told(self.id, &self.destination, Told::Nothing);
                spool.to_sweep.insert(self.destination.clone());
            });
        }
    }
}

impl fmt::Debug for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overdue({} to {}, {:?})", self.id.to_text(), self.destination, self.kind)
    }
}
