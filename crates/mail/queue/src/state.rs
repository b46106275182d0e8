//! The state table: what can become of a recipient and of a message, and by what (docs/internals/queue-states.md).

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
