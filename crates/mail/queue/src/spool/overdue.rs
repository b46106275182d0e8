//! Parcels whose senders are to be told something.

use mail_types::QueueId;

use super::Spool;
use crate::destination::Destination;
use crate::message::RecipientNumber;
use crate::state::{Event, Phase, RecipientState};

/// Parcels in memory about which senders are to be told; more stay in the index.
pub(crate) const OVERDUE_MAX: usize = 1_000;

impl Spool {
    /// Whether the parcel is overdue now; if so, it goes to whoever writes reports.
    pub(crate) fn find_overdue(&mut self, id: QueueId, number: usize) {
        let now = self.clock.now();
        if self.overdue.len() >= OVERDUE_MAX {
            return;
        }
        let Some(message) = self.messages.get(&id) else { return };
        let Some(parcel) = message.parcels.get(number) else { return };
        if !matches!(parcel.phase, Phase::Resting | Phase::Ready) || !message.hold.is_over(now) {
            return;
        }
        let destination = parcel.destination.clone();
        let site = self.sites.get(&destination);
        let tried = parcel.tried.max(site.and_then(|site| site.tried));
        let is_warned = message.waiting_at(&destination).iter().all(|number| {
            message.recipients.get(usize::from(number.0)).is_none_or(|recipient| recipient.is_warned)
        });
        let Some(kind) = message.deadlines.overdue(is_warned, tried, now) else { return };
        self.rest(id, number);
        if let Some(message) = self.messages.get_mut(&id) {
            message.advance(number, Event::Late);
        }
        self.overdue.push_back((id, destination, kind));
        self.overdue_wanted.notify_one();
    }

    /// The sender was told, or could not be: what that changes.
    pub(crate) fn told(&mut self, id: QueueId, destination: &Destination, what: Told) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        let Some(number) = message.place_of(destination) else { return };
        match what {
            Told::Nothing => {}
            Told::Delayed(recipients) => {
                for recipient in recipients {
                    if let Some(recipient) = message.recipients.get_mut(usize::from(recipient.0)) {
                        recipient.is_warned = true;
                    }
                }
            }
            Told::Expired(recipients) => {
                for recipient in recipients {
                    self.finish(id, recipient, RecipientState::Expired);
                }
            }
        }
        let Some(message) = self.messages.get_mut(&id) else { return };
        if message.waiting_at(destination).is_empty() {
            message.advance(number, Event::Finished);
        } else {
            message.advance(number, Event::Told);
            let now = self.clock.now();
            self.wake_due(id, now);
        }
        self.forget_if_known(id);
    }
}

/// What a sender was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Nothing,
    Delayed(Vec<RecipientNumber>),
    Expired(Vec<RecipientNumber>),
}
