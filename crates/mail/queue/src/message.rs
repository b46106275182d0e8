//! What the queue keeps of a message besides its octets: the envelope, and what its sender asked for.
//!
//! Senders and recipients are RFC 5321's; what was asked for comes from DSN (RFC 3461), FUTURERELEASE (RFC 4865),
//! DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and REQUIRETLS (RFC 8689).

use std::fmt;

use mail_types::{AccountId, Address, EnhancedCode, ReplyCode, ReversePath, TransactionId};
use platform::clock::Timestamp;

use crate::destination::Destination;

/// Recipients of one message; twice what our own doors take, so that an alias may still grow. RFC 5321 §4.5.3.1.8
/// asks for 100.
pub const RECIPIENTS_MAX: usize = 2_000;

/// Longest ENVID, decoded (RFC 3461 §4.4, §5.4).
pub const ENVELOPE_ID_OCTETS_MAX: usize = 100;

/// Longest ORCPT, decoded, with its address type (RFC 3461 §4.2, §5.4).
pub const ORIGINAL_RECIPIENT_OCTETS_MAX: usize = 500;

/// Octets of a diagnostic's text that are kept: a reply of two full lines (RFC 5321 §4.5.3.1.5).
pub const DIAGNOSTIC_OCTETS_MAX: usize = 1_024;

/// A message's envelope and wishes. Immutable once accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// The message's way through this server.
    pub way: TransactionId,
    /// When it came. Its lifetime counts from here, unless it is held for later.
    pub arrived: Timestamp,
    /// Who is told if it cannot be delivered.
    pub reverse_path: ReversePath,
    /// The account that submitted it, if one did.
    pub submitter: Option<AccountId>,
    /// Whose words it carries.
    pub kind: MessageKind,
    /// What the next server must be able to take.
    pub needs: BodyNeeds,
    /// It may travel over verified TLS alone (RFC 8689).
    pub require_tls: bool,
    /// Higher goes first (RFC 6710).
    pub priority: Priority,
    /// How much of it a report returns (RFC 3461 §4.3); `None` leaves it to us.
    pub return_content: Option<ReturnContent>,
    /// The sender's name for the transaction (RFC 3461 §4.4), decoded; at most [`ENVELOPE_ID_OCTETS_MAX`].
    pub envelope_id: Option<Box<str>>,
    /// Not to be sent before this moment (RFC 4865, or time to change one's mind); [`UNTIL_RELEASED`] is held as if the operator
    /// had said so.
    pub hold_until: Option<Timestamp>,
    /// To be delivered by a moment, or else (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// Whom it goes to: 1 to [`RECIPIENTS_MAX`].
    pub recipients: Vec<Recipient>,
}

/// The moment that never comes, for what is held until the operator releases it: the year 9000.
pub const UNTIL_RELEASED: Timestamp = Timestamp::from_unix_seconds(221_845_392_000);

/// Whose words a message carries: reports live shorter, and are never reported on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// Somebody's.
    Mail,
    /// Ours, about other mail (RFC 3464).
    Report,
    /// Ours, about the destination's own TLS: what is wrong with that must not keep it from arriving (RFC 8460 §3).
    TlsReport,
}

/// What a server must offer to take the message as it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BodyNeeds {
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// BINARYMIME (RFC 3030).
    pub binary: bool,
    /// SMTPUTF8 (RFC 6531).
    pub international: bool,
}

/// A priority of RFC 6710: -9 to 9, 0 for ordinary mail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Priority(i8);

impl Priority {
    /// A priority; `None` outside -9 to 9.
    #[must_use]
    pub const fn new(value: i8) -> Option<Self> {
        if value >= -9 && value <= 9 { Some(Self(value)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> i8 {
        self.0
    }
}

/// RET (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReturnContent {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

/// BY (RFC 2852 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliverBy {
    /// The moment.
    pub at: Timestamp,
    /// What happens then.
    pub mode: DeliverByMode,
    /// The sender wants a report of each relaying.
    pub is_traced: bool,
}

/// What happens when a message was not delivered in time (RFC 2852 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliverByMode {
    /// `R`: it is returned.
    Return,
    /// `N`: the sender is told, and delivery goes on.
    Notify,
}

/// One recipient of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    /// The address on the next server's RCPT.
    pub forward_path: Address,
    /// Which way it goes.
    pub destination: Destination,
    /// ORCPT (RFC 3461 §4.2): address type, `;`, and the address, decoded; at most
    /// [`ORIGINAL_RECIPIENT_OCTETS_MAX`].
    pub original_recipient: Option<Box<str>>,
    /// What its sender wants to hear about it.
    pub notify: Notify,
    /// The address that an alias of ours stood for, if one did.
    pub expanded_from: Option<Address>,
}

/// NOTIFY (RFC 3461 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Notify {
    /// Nothing was said: failures, and delays if we like.
    #[default]
    Default,
    /// `NEVER`.
    Never,
    /// Any of the three.
    On {
        /// Delivery.
        success: bool,
        /// Failure.
        failure: bool,
        /// Delay.
        delay: bool,
    },
}

/// A recipient's place in its message's list, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecipientNumber(pub u16);

/// What another server said, or what kept us from asking it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The server that was asked, as it is to be named in a report (RFC 3464 §2.3.5).
    pub remote: Option<Box<str>>,
    /// Its reply's code, if there was a reply.
    pub code: Option<ReplyCode>,
    /// The enhanced status, from the reply or ours.
    pub status: Option<EnhancedCode>,
    /// The reply's text, or what happened; cut at [`DIAGNOSTIC_OCTETS_MAX`].
    pub text: Box<str>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(remote) = &self.remote {
            write!(f, "{remote}: ")?;
        }
        if let Some(code) = self.code {
            write!(f, "{code} ")?;
        }
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        f.write_str(&self.text)
    }
}

impl Recipient {
    /// One whom the sender has named by this address.
    #[must_use]
    pub fn plain(forward_path: Address, destination: Destination, notify: Notify) -> Self {
        Self { forward_path, destination, original_recipient: None, notify, expanded_from: None }
    }
}

impl NewMessage {
    /// A message of which nothing is asked, from nobody; what is otherwise is said beside it.
    #[must_use]
    pub fn plain(way: TransactionId, arrived: Timestamp, recipients: Vec<Recipient>) -> Self {
        Self {
            way,
            arrived,
            reverse_path: ReversePath::Null,
            submitter: None,
            kind: MessageKind::Mail,
            needs: BodyNeeds::default(),
            require_tls: false,
            priority: Priority::default(),
            return_content: None,
            envelope_id: None,
            hold_until: None,
            deliver_by: None,
            recipients,
        }
    }

    /// A form to be filled in when a row is read.
    pub(crate) fn empty() -> Self {
        Self::plain(TransactionId(0), Timestamp::default(), Vec::new())
    }

    /// Which bound of the queue it breaks, if any.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.recipients.is_empty() {
            return Err("no recipients");
        }
        if self.recipients.len() > RECIPIENTS_MAX {
            return Err("too many recipients");
        }
        if self.envelope_id.as_ref().is_some_and(|id| id.len() > ENVELOPE_ID_OCTETS_MAX) {
            return Err("ENVID too long");
        }
        let is_long = |recipient: &Recipient| {
            let original = recipient.original_recipient.as_ref();
            original.is_some_and(|text| text.len() > ORIGINAL_RECIPIENT_OCTETS_MAX)
        };
        if self.recipients.iter().any(is_long) {
            return Err("ORCPT too long");
        }
        // A key that is too long, or a path that is none, would not read back.
        let is_bad = |recipient: &Recipient| Destination::from_key(&recipient.destination.key()).is_none();
        if self.recipients.iter().any(is_bad) {
            return Err("no such destination");
        }
        Ok(())
    }
}

impl Diagnostic {
    /// Cut to what is kept.
    pub(crate) fn bounded(mut self) -> Self {
        if self.text.len() > DIAGNOSTIC_OCTETS_MAX {
            let end = (0..=DIAGNOSTIC_OCTETS_MAX).rev().find(|at| self.text.is_char_boundary(*at));
            self.text = self.text.get(..end.unwrap_or(0)).unwrap_or_default().into();
        }
        self
    }
}
