//! The state table: what can become of a recipient and of a message, and by what (docs/internals/queue-states.md).

use platform::clock::Timestamp;

use crate::message::UNTIL_RELEASED;

/// A recipient's state. All but `Waiting` are final.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecipientState {
    /// Something is still to be done.
    Waiting,
    /// Delivered, as far as the next server says.
    Delivered,
    /// Handed to a server that will not report.
    Relayed,
    /// Refused for good; reported if wanted.
    Failed,
    /// Given up after its lifetime; reported if wanted.
    Expired,
    /// Taken out by the operator.
    Dropped,
}

/// Whether a message may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageState {
    /// It is sent when its time has come.
    Waiting,
    /// It is kept until the operator releases it.
    Held,
}

/// What keeps a message from being sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// Nothing.
    None,
    /// The operator.
    Operator,
    /// Its submitter, who may not send now.
    Submitter,
    /// Its sender's wish, until then.
    Until(Timestamp),
}

/// Where a parcel (a message at one destination) is, in memory. In the index every parcel rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It waits for its time.
    Resting,
    /// Its time has come: it waits for a connection.
    Ready,
    /// A connection has it.
    Leased,
    /// A sender is being told about it.
    Overdue,
    /// None of its recipients waits any more.
    Finished,
}

/// What happens to a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Its time has come, and nothing holds it.
    Due,
    /// A connection takes it.
    Taken,
    /// It comes back untried, or partly tried without a reason to wait.
    Returned,
    /// It was tried and must wait, or it is held.
    Deferred,
    /// Its sender has to be told.
    Late,
    /// Its sender was told, or could not be.
    Told,
    /// Its last recipient is finished.
    Finished,
}

impl Phase {
    /// The next phase, or `None` for what cannot happen in this one.
    pub(crate) fn after(self, event: Event) -> Option<Self> {
        Some(match (self, event) {
            (Self::Resting, Event::Due) | (Self::Leased, Event::Returned) => Self::Ready,
            (Self::Ready, Event::Taken) => Self::Leased,
            (Self::Ready | Self::Leased, Event::Deferred) | (Self::Overdue, Event::Told) => Self::Resting,
            (Self::Resting | Self::Ready, Event::Late) => Self::Overdue,
            (Self::Resting | Self::Ready | Self::Leased | Self::Overdue, Event::Finished) => Self::Finished,
            _ => return None,
        })
    }
}

impl RecipientState {
    // Numbers on disk: never renumber.
    const ALL: [Self; 6] =
        [Self::Waiting, Self::Delivered, Self::Relayed, Self::Failed, Self::Expired, Self::Dropped];

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl Hold {
    /// Whether the message may be sent at `now`.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::None => true,
            Self::Operator | Self::Submitter => false,
            Self::Until(until) => until <= now,
        }
    }

    pub(crate) fn state(self) -> MessageState {
        match self {
            Self::Operator | Self::Submitter => MessageState::Held,
            Self::Until(until) if until >= UNTIL_RELEASED => MessageState::Held,
            Self::None | Self::Until(_) => MessageState::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_documented() {
        use Event::{Deferred, Due, Finished as Ended, Late, Returned, Taken, Told};
        use Phase::{Finished, Leased, Overdue, Ready, Resting};
        let events = [Due, Taken, Returned, Deferred, Late, Told, Ended];
        let none = None;
        let table = [
            (Resting, [Some(Ready), none, none, none, Some(Overdue), none, Some(Finished)]),
            (Ready, [none, Some(Leased), none, Some(Resting), Some(Overdue), none, Some(Finished)]),
            (Leased, [none, none, Some(Ready), Some(Resting), none, none, Some(Finished)]),
            (Overdue, [none, none, none, none, none, Some(Resting), Some(Finished)]),
            (Finished, [none; 7]),
        ];
        for (phase, row) in table {
            for (event, expected) in events.into_iter().zip(row) {
                assert_eq!(phase.after(event), expected, "{phase:?} {event:?}");
            }
        }
    }

    #[test]
    fn states_keep_their_numbers() {
        for (number, state) in RecipientState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.number()), number);
            assert_eq!(RecipientState::from_number(number as u8), Some(state));
        }
        assert_eq!(RecipientState::from_number(6), None);
    }
}
