//! Parcels in memory: from resting to ready, to a connection and back, and what became of them.

use std::sync::Arc;

use mail_types::QueueId;
use platform::clock::Timestamp;

use super::{Rank, Spool};
use crate::destination::Destination;
use crate::lease::RecipientOutcome;
use crate::message::{Diagnostic, NewMessage, RecipientNumber};
use crate::note::Record;
use crate::schedule::retry_after;
use crate::state::{Event, Phase, RecipientState};

/// What a connection gets to send.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: QueueId,
    pub(crate) message: Arc<NewMessage>,
    pub(crate) recipients: Vec<RecipientNumber>,
    pub(crate) attempts: u32,
    pub(crate) octets: u64,
}

impl Spool {
    /// The parcel's time has come, if nothing keeps it.
    pub(crate) fn due(&mut self, id: QueueId, number: usize) {
        let now = self.clock.now();
        let Some(message) = self.messages.get_mut(&id) else { return };
        let site = message.parcels.get(number).and_then(|parcel| self.sites.get_mut(&parcel.destination));
        if let Some(site) = site {
            // Mail for a destination that is left alone, or has enough, waits in the index, however fresh it is.
            let has_enough = site.is_full_of_slow();
            site.has_more |= has_enough;
            if has_enough || site.not_before > now {
                return;
            }
        }
        if !message.hold.is_over(now) || !message.advance(number, Event::Due) {
            return;
        }
        self.make_ready(id, number);
    }

    /// Puts a parcel that has become ready into its destination's order.
    fn make_ready(&mut self, id: QueueId, number: usize) {
        let Some(message) = self.messages.get(&id) else { return };
        let Some(parcel) = message.parcels.get(number) else { return };
        let below = message.message.priority.value().saturating_neg();
        let rank = Rank { below, is_old: parcel.attempts > 0, id };
        let destination = parcel.destination.clone();
        let site = self.site(&destination);
        site.ready.insert(rank);
        site.arrived.notify_one();
        self.line_up(&destination);
    }

    /// Takes a parcel out of its destination's order, if it is in it.
    fn unready(&mut self, id: QueueId, number: usize) {
        let Some(message) = self.messages.get(&id) else { return };
        let Some(parcel) = message.parcels.get(number) else { return };
        let below = message.message.priority.value().saturating_neg();
        let rank = Rank { below, is_old: parcel.attempts > 0, id };
        if let Some(site) = self.sites.get_mut(&parcel.destination) {
            site.ready.remove(&rank);
        }
    }

    /// A ready parcel has to wait after all.
    pub(crate) fn rest(&mut self, id: QueueId, number: usize) {
        let is_ready = self.messages.get(&id).and_then(|message| message.parcels.get(number));
        if is_ready.is_some_and(|parcel| parcel.phase == Phase::Ready) {
            self.unready(id, number);
            if let Some(message) = self.messages.get_mut(&id) {
                message.advance(number, Event::Deferred);
            }
        }
    }

    /// The next parcel for a connection to this destination.
    pub(crate) fn take(&mut self, destination: &Destination) -> Option<Taken> {
        loop {
            let rank = self.sites.get_mut(destination)?.ready.pop_first()?;
            let Some(message) = self.messages.get_mut(&rank.id) else { continue };
            let Some(number) = message.place_of(destination) else { continue };
            if !message.advance(number, Event::Taken) {
                continue;
            }
            return Some(Taken {
                id: rank.id,
                message: Arc::clone(&message.message),
                recipients: message.waiting_at(destination),
                attempts: message.parcels.get(number).map_or(0, |parcel| parcel.attempts),
                octets: message.octets,
            });
        }
    }

    /// A parcel comes back as it was.
    pub(crate) fn give_back(&mut self, id: QueueId, destination: &Destination) {
        let now = self.clock.now();
        let Some(message) = self.messages.get_mut(&id) else { return };
        let Some(number) = message.place_of(destination) else { return };
        if !message.hold.is_over(now) {
            message.advance(number, Event::Deferred);
        } else if message.advance(number, Event::Returned) {
            self.make_ready(id, number);
        }
        self.forget_if_known(id);
    }

    /// What the log has to remember of an outcome, by which of its message's recipients are finished with it.
    pub(crate) fn settled_record(
        &self,
        id: QueueId,
        finished: Vec<(RecipientNumber, RecipientState)>,
    ) -> Option<Record> {
        let message = self.messages.get(&id)?;
        let is_waiting = |(number, _): &(RecipientNumber, RecipientState)| {
            let recipient = message.recipients.get(usize::from(number.0));
            recipient.is_some_and(|recipient| recipient.state == RecipientState::Waiting)
        };
        let finished: Vec<_> = finished.into_iter().filter(is_waiting).collect();
        if finished.is_empty() {
            return None;
        }
        Some(if finished.len() == message.waiting {
            Record::Done { id, first: message.first_pack, last: message.last_pack }
        } else {
            Record::Settled { id, recipients: finished }
        })
    }

    /// Remembers what became of a parcel that a connection had.
    pub(crate) fn settle(
        &mut self,
        id: QueueId,
        destination: &Destination,
        outcomes: Vec<(RecipientNumber, RecipientOutcome)>,
    ) {
        let mut reason_to_wait = Vec::new();
        for (number, outcome) in outcomes {
            match outcome {
                RecipientOutcome::Deferred(last) => reason_to_wait.push((number, last.bounded())),
                outcome => self.finish(id, number, outcome.state()),
            }
        }
        let Some(message) = self.messages.get_mut(&id) else { return };
        let Some(number) = message.place_of(destination) else { return };
        if message.waiting_at(destination).is_empty() {
            message.advance(number, Event::Finished);
            self.forget_if_known(id);
        } else if reason_to_wait.is_empty() {
            self.give_back(id, destination);
        } else {
            self.defer(id, number, reason_to_wait);
        }
    }

    /// A recipient is finished; its parcel is not moved.
    pub(crate) fn finish(&mut self, id: QueueId, number: RecipientNumber, state: RecipientState) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        if let Some(recipient) = message.recipients.get_mut(usize::from(number.0))
            && recipient.state == RecipientState::Waiting
        {
            recipient.state = state;
            message.waiting -= 1;
        }
    }

    /// A parcel that was tried waits, longer each time.
    fn defer(&mut self, id: QueueId, number: usize, last: Vec<(RecipientNumber, Diagnostic)>) {
        let (now, salt) = (self.clock.now(), self.salt);
        let Some(message) = self.messages.get_mut(&id) else { return };
        for (recipient, last) in last {
            if let Some(recipient) = message.recipients.get_mut(usize::from(recipient.0)) {
                recipient.last = Some(last);
            }
        }
        message.advance(number, Event::Deferred);
        if let Some(parcel) = message.parcels.get_mut(number) {
            parcel.attempts = parcel.attempts.saturating_add(1);
            let after = retry_after(&self.settings, parcel.attempts, id.0 ^ salt);
            parcel.due = now.saturating_add(after);
            parcel.tried = Some(now);
            parcel.is_unflushed = true;
        }
        self.find_overdue(id, number);
    }

    /// Every recipient is finished, by the operator's word or the log's.
    pub(crate) fn finish_all(&mut self, id: QueueId, state: RecipientState) {
        let count = self.messages.get(&id).map_or(0, |message| message.recipients.len());
        for number in 0..u16::try_from(count).unwrap_or(u16::MAX) {
            self.finish(id, RecipientNumber(number), state);
        }
        self.finish_parcels(id);
        self.forget_if_known(id);
    }

    /// Parcels of which no recipient waits any more end. One that a connection has, or whose sender is being told, ends
    /// when it comes back.
    pub(crate) fn finish_parcels(&mut self, id: QueueId) {
        for number in 0..self.parcels_of(id) {
            let Some(message) = self.messages.get(&id) else { return };
            let Some(parcel) = message.parcels.get(number) else { continue };
            let destination = parcel.destination.clone();
            if !message.waiting_at(&destination).is_empty() {
                continue;
            }
            self.rest(id, number);
            let Some(message) = self.messages.get_mut(&id) else { return };
            if message.parcels.get(number).is_some_and(|parcel| parcel.phase == Phase::Resting) {
                message.advance(number, Event::Finished);
            }
        }
    }

    /// Due parcels of a message that are in memory and rest there.
    pub(crate) fn wake_due(&mut self, id: QueueId, now: Timestamp) {
        for number in 0..self.parcels_of(id) {
            let parcel = self.messages.get(&id).and_then(|message| message.parcels.get(number));
            if parcel.is_some_and(|parcel| parcel.due <= now) {
                self.due(id, number);
            }
        }
    }
}
