//! What clients have done to messages, for whoever acts on that afterwards (RFC 6785): a door tells it, the store does not.

use mail_types::{MailboxId, UidSet};

use crate::account::Account;

/// What a client has done to messages of a mailbox.
#[derive(Clone, Debug)]
pub struct MailboxEvent {
    /// Whose they are.
    pub account: Account,
    /// Where they are now.
    pub mailbox: MailboxId,
    /// Which ones.
    pub uids: UidSet,
    /// What was done.
    pub cause: EventCause,
}

/// What was done to messages (RFC 6785 §2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventCause {
    /// They were appended.
    Append,
    /// They were copied or moved here.
    Copy {
        /// Where they were, or still are.
        from: MailboxId,
    },
    /// These flags of theirs were set or taken away.
    Flag(Vec<String>),
}
