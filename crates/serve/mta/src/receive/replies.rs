//! Step 10 of a message's way: every word of policy that a client hears, one fixed sentence for each outcome
//! (RFC 5321 §4.2.3, RFC 3463). The sentences of the protocol itself are in `smtp::server`.

use directory::AuthenticationError;
use mail_types::TransactionId;
use mailstore::{Filed, StoreError};
use platform::guard::Refusal;
use queue::{Accepted, QueueError};
use smtp::Reply;

use crate::breaker::TooNew;
use crate::deliver::limits::Exceeded;
use crate::deliver::route::Discarded;

pub(crate) const SHUTTING_DOWN: Reply = Reply::fixed(421, (4, 3, 2), "Shutting down; come again in a moment");
pub(crate) const BANNED: Reply =
    Reply::fixed(421, (4, 7, 0), "Too much came from your address that should not; come again later");
pub(crate) const TOO_SLOW: Reply = Reply::fixed(421, (4, 4, 2), "Silent too long");
pub(crate) const SESSION_TOO_LONG: Reply = Reply::fixed(421, (4, 4, 2), "Connected too long; come again");

pub(crate) const SENDER_NOT_YOURS: Reply = Reply::fixed(550, (5, 7, 1), "You may not send as this address");
pub(crate) const LOGIN_OUTDATED: Reply =
    Reply::fixed(535, (5, 7, 8), "Account or password has changed; log in again");

pub(crate) const UNKNOWN_USER: Reply = Reply::fixed(550, (5, 1, 1), "No such mailbox here");
pub(crate) const MAILBOX_DISABLED: Reply = Reply::fixed(550, (5, 2, 1), "Mailbox disabled");
pub(crate) const ALIAS_LOOP: Reply = Reply::fixed(550, (5, 4, 6), "Alias leads nowhere or to too many");
pub(crate) const RELAY_DENIED: Reply = Reply::fixed(550, (5, 7, 1), "We do not relay for strangers");
pub(crate) const REPORTS_ALONE: Reply =
    Reply::fixed(550, (5, 7, 1), "This address takes reports on delivery alone, which have no sender");
pub(crate) const NO_QUEUE: Reply =
    Reply::fixed(451, (4, 3, 5), "This server does not send to others; try again later");
pub(crate) const TOO_MANY_TARGETS: Reply =
    Reply::fixed(452, (4, 5, 3), "Too many recipients behind aliases for one message");
/// An hour's worth has been sent: most mail programs try again by themselves.
pub(crate) const SENT_ENOUGH_THIS_HOUR: Reply =
    Reply::fixed(450, (4, 7, 1), "Your account has sent as much as it may in an hour; try again later");
/// A day's worth: trying again within minutes has no use.
pub(crate) const SENT_ENOUGH_TODAY: Reply =
    Reply::fixed(550, (5, 7, 1), "Your account has sent as much as it may in a day");
/// The same of addresses that were never written to before.
pub(crate) const NEW_ENOUGH_THIS_HOUR: Reply = Reply::fixed(
    450,
    (4, 7, 1),
    "Your account has written to as many new addresses as it may in an hour; try again later",
);
pub(crate) const NEW_ENOUGH_TODAY: Reply =
    Reply::fixed(550, (5, 7, 1), "Your account has written to as many new addresses as it may in a day");
/// Nobody should try again before an eye has looked at it; the mail program keeps the message for its owner.
pub(crate) const SENDING_STOPPED: Reply =
    Reply::fixed(550, (5, 7, 1), "Sending from your account is stopped; a message in your inbox says why");
/// Not 552: whoever makes room gets the mail (RFC 5321 §4.5.3.1.10 has the same preference).
pub(crate) const MAILBOX_FULL: Reply = Reply::fixed(452, (4, 2, 2), "Mailbox full");

/// Words of a list, or the names of what was found, stand for it (RFC 5321 §3.1, RFC 3463 §3.8).
pub(crate) const LISTED: Reply = Reply::fixed(554, (5, 7, 1), "");
pub(crate) const SPOKE_EARLY: Reply =
    Reply::fixed(554, (5, 5, 1), "You spoke before it was your turn (RFC 5321 4.3.1, RFC 2920 3.1)");
pub(crate) const HELLO_REFUSED: Reply = Reply::fixed(550, (5, 7, 1), "");
pub(crate) const OWN_DOMAIN_REFUSED: Reply =
    Reply::fixed(550, (5, 7, 23), "Mail of this domain comes from its own servers alone (SPF)");
pub(crate) const NETWORK_FULL: Reply =
    Reply::fixed(421, (4, 7, 0), "Too many connections from your network; come again later");
pub(crate) const TOO_FAST: Reply =
    Reply::fixed(451, (4, 7, 1), "Your address brings more than it may in a minute; come again later");

/// A script's own words stand for these, where it has some (RFC 5429 §2.1).
pub(crate) const REFUSED_BY_FILTER: Reply =
    Reply::fixed(550, (5, 7, 1), "Refused by a filter of its recipient");

/// An engine of others has no better words.
pub(crate) const REFUSED_BY_ENGINE: Reply = Reply::fixed(550, (5, 7, 1), "Refused by a filter");
pub(crate) const REFUSED_AS_SPAM: Reply = Reply::fixed(550, (5, 7, 1), "Refused as spam");
pub(crate) const VIRUS_FOUND: Reply = Reply::fixed(550, (5, 7, 1), "A virus was found in the message");
pub(crate) const ENGINE_SAYS_LATER: Reply = Reply::fixed(451, (4, 7, 1), "Not now; try again later");
pub(crate) const ENGINE_AWAY: Reply =
    Reply::fixed(451, (4, 3, 0), "A filter does not answer; try again later");
pub(crate) const ENGINE_HANGS_UP: Reply = Reply::fixed(421, (4, 7, 0), "No service here; come again later");

pub(crate) const DISK_FULL: Reply = Reply::fixed(452, (4, 3, 1), "No room for mail at this moment");
pub(crate) const STORE_BUSY: Reply = Reply::fixed(451, (4, 3, 0), "Try again later");
pub(crate) const MAIL_LOOP: Reply = Reply::fixed(554, (5, 4, 6), "Mail loop: too many Received fields");
pub(crate) const HEADER_TOO_LARGE: Reply = Reply::fixed(552, (5, 3, 4), "Header too large");
pub(crate) const FROM_NOT_YOURS: Reply =
    Reply::fixed(550, (5, 7, 1), "You may not send with this From address");
pub(crate) const FROM_MALFORMED: Reply =
    Reply::fixed(550, (5, 6, 0), "From must be one field with a whole address");

pub(crate) const LOGIN_REFUSED: Reply = Reply::fixed(535, (5, 7, 8), "Authentication failed");
pub(crate) const LOGIN_BUSY: Reply =
    Reply::fixed(454, (4, 7, 0), "No log-in possible at this moment; try again");
pub(crate) const LOGIN_BLOCKED: Reply =
    Reply::fixed(454, (4, 7, 0), "Too many failed log-ins; try again later");
pub(crate) const LOGIN_MALFORMED: Reply = Reply::fixed(501, (5, 5, 2), "Malformed authentication exchange");
pub(crate) const LOGIN_CANCELLED: Reply = Reply::fixed(501, (5, 7, 0), "Authentication cancelled");
pub(crate) const MECHANISM_UNKNOWN: Reply = Reply::fixed(504, (5, 5, 4), "Mechanism not offered");

/// The message is on disk for those it was filed for: the filing is the proof (RFC 5321 §6.1).
pub(crate) fn kept(_proof: &Filed, transaction: TransactionId) -> Reply {
    Reply::fixed(250, (2, 0, 0), "").with_text(format!("Kept as {}", transaction.to_text()))
}

/// The message is on disk in the queue for other servers, and filed for those of its recipients who are here.
pub(crate) fn queued(_proof: &Accepted, transaction: TransactionId) -> Reply {
    Reply::fixed(250, (2, 0, 0), "").with_text(format!("Queued as {}", transaction.to_text()))
}

/// The message was taken to be thrown away, as the directory says.
pub(crate) fn discarded(_proof: &Discarded, transaction: TransactionId) -> Reply {
    Reply::fixed(250, (2, 0, 0), "").with_text(format!("Taken as {}", transaction.to_text()))
}

/// The store did not take a message or a part of it.
pub(crate) fn store_error(error: &StoreError) -> Reply {
    match error {
        StoreError::Full => DISK_FULL,
        StoreError::OverQuota | StoreError::Limit(_) => MAILBOX_FULL,
        StoreError::NoSuchAccount => UNKNOWN_USER,
        StoreError::Busy
        | StoreError::NoSuchMailbox
        | StoreError::MailboxExists
        | StoreError::NoSuchMessage
        | StoreError::NoSuchScript
        | StoreError::ScriptExists
        | StoreError::ScriptIsActive
        | StoreError::ScriptTooLarge
        | StoreError::TooManyScripts
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::NotAllowed(_)
        | StoreError::Corrupt(_)
        | StoreError::Io { .. } => STORE_BUSY,
    }
}

/// The queue did not take a message.
pub(crate) fn queue_error(error: &QueueError) -> Reply {
    match error {
        QueueError::Full => DISK_FULL,
        QueueError::Invalid(_) => TOO_MANY_TARGETS,
        QueueError::Busy | QueueError::NoSuchMessage(_) | QueueError::Store(_) => STORE_BUSY,
    }
}

/// An account has sent enough for now.
pub(crate) fn sent_enough(exceeded: Exceeded) -> Reply {
    match exceeded {
        Exceeded::Hour => SENT_ENOUGH_THIS_HOUR,
        Exceeded::Day => SENT_ENOUGH_TODAY,
    }
}

/// A stranger has to come again (RFC 6647 §4).
pub(crate) fn greylisted(seconds: u32) -> Reply {
    Reply::fixed(451, (4, 7, 1), "").with_text(format!("Greylisted: come again in {seconds} seconds"))
}

/// An account has written to enough new addresses for now.
pub(crate) fn new_enough(too_new: TooNew) -> Reply {
    match too_new {
        TooNew::Hour => NEW_ENOUGH_THIS_HOUR,
        TooNew::Day => NEW_ENOUGH_TODAY,
    }
}

/// A log-in did not succeed; never says why (RFC 4954 §6).
pub(crate) fn login_error(error: AuthenticationError) -> Reply {
    match error {
        AuthenticationError::Refused => LOGIN_REFUSED,
        AuthenticationError::Busy => LOGIN_BUSY,
        AuthenticationError::Malformed => LOGIN_MALFORMED,
        AuthenticationError::Cancelled => LOGIN_CANCELLED,
    }
}

/// A connection that is not let in (RFC 5321 §3.8).
pub(crate) fn connection_refused(refusal: Refusal) -> &'static [u8] {
    match refusal {
        Refusal::ServerFull => b"421 4.3.2 Too many connections; come again later\r\n",
        Refusal::AddressFull => b"421 4.7.0 Too many connections from your address\r\n",
        Refusal::Banned => b"421 4.7.0 Too much came from your address that should not; come again later\r\n",
    }
}
