//! The record of a message's way: who brought it, from where, for whom, and what became of it for each recipient.
//! What `trace` shows grows from it; the program decides where it is kept.

use std::sync::Arc;

use mail_types::{Address, ForwardPath, QueueId, ReversePath, TransactionId};
use mailstore::Filed;
use platform::clock::Timestamp;
use platform::stream::Endpoint;
use queue::{Destination, RecipientOutcome};
use smtp::Reply;

use crate::Listener;

/// Takes records. Called on a session's way to its reply: must be quick and must not block.
pub type WaySink = Arc<dyn Fn(MessageWay) + Send + Sync>;

/// One transaction: a message that came, or recipients that were refused before any message could.
#[derive(Clone, Debug)]
pub struct MessageWay {
    /// The name of the way, in logs, in the Received field and in our reply.
    pub transaction: TransactionId,
    /// The connection it came by.
    pub connection: u64,
    /// When it ended.
    pub time: Timestamp,
    /// Where it came in.
    pub listener: Listener,
    /// Who brought it.
    pub peer: Endpoint,
    /// The name the client gave itself.
    pub hello: Option<Box<str>>,
    /// How the connection was encrypted.
    pub tls: Option<TlsWay>,
    /// Who had logged in.
    pub user: Option<Address>,
    /// The sender.
    pub reverse_path: ReversePath,
    /// The message's length, our fields included; `None` when it did not come or was not kept.
    pub octets: Option<u64>,
    /// Its Message-ID field, brackets included.
    pub message_id: Option<String>,
    /// Whether a stranger brought it whose mail we check: what it says in our name of its sender is ours (RFC 8601 §5). Hosts
    /// that check in front of us may let pass what others wrote in our name.
    pub is_strangers: bool,
    /// What was found about its sender, and what followed, a line each; nothing where nobody looked.
    pub checks: Vec<String>,
    /// What became of it for each recipient, the refused ones included.
    pub recipients: Vec<RecipientWay>,
}

/// How a connection was encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsWay {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
}

/// How a connection to another server had to be protected, and what was proven of that server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection {
    /// Who said how.
    pub source: PolicySource,
    /// What vouches for the server.
    pub verified: VerifiedBy,
}

/// Who says how a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PolicySource {
    /// Nobody: TLS where it is offered.
    None,
    /// The operator, for this domain.
    Operator,
    /// The operator, for this relay.
    Relay,
    /// DNS (DANE, RFC 7672).
    Dane,
    /// The domain (MTA-STS, RFC 8461).
    MtaSts,
    /// The domain, which only wants to hear what would fail.
    MtaStsTesting,
    /// The message (REQUIRETLS, RFC 8689).
    RequireTls,
}

impl PolicySource {
    pub(crate) const ALL: [Self; 7] = [
        Self::None,
        Self::Operator,
        Self::Relay,
        Self::Dane,
        Self::MtaSts,
        Self::MtaStsTesting,
        Self::RequireTls,
    ];

    /// Its name in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Operator => "operator",
            Self::Relay => "relay",
            Self::Dane => "dane",
            Self::MtaSts => "mta-sts",
            Self::MtaStsTesting => "mta-sts-testing",
            Self::RequireTls => "requiretls",
        }
    }
}

/// What vouches for a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VerifiedBy {
    /// Nothing.
    Nobody,
    /// Its TLSA records.
    Dane,
    /// A certificate authority.
    Authority,
}

impl VerifiedBy {
    /// Its name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Dane => "dane",
            Self::Authority => "authority",
        }
    }
}

/// One recipient's outcome.
#[derive(Clone, Debug)]
pub struct RecipientWay {
    /// As the client named it.
    pub forward_path: ForwardPath,
    /// What became of the message for it.
    pub outcome: Outcome,
    /// What its scripts decided, a line each.
    pub filter: Vec<String>,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It lies in these mailboxes, on disk.
    Filed(Vec<Filed>),
    /// It waits in the queue for other servers, on disk; and lies in these mailboxes, where some are here.
    Queued {
        /// Its id in the queue.
        id: QueueId,
        /// The copies here.
        filed: Vec<Filed>,
    },
    /// Taken and thrown away, as the directory or a script says.
    Discarded,
    /// Not taken.
    Refused(Reply),
    /// The client went away or changed its mind before the message was whole.
    Abandoned,
}

/// Takes records of attempts. Called between a message and the next: must be quick and must not block.
pub type AttemptSink = Arc<dyn Fn(Attempt) + Send + Sync>;

/// One attempt to hand a message to another server.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The name of the message's way.
    pub way: TransactionId,
    /// Its id in the queue.
    pub queue: QueueId,
    /// When the attempt ended.
    pub time: Timestamp,
    /// Where the message was to go.
    pub destination: Destination,
    /// The server that had it offered, if one was reached.
    pub remote: Option<RemoteEnd>,
    /// How the connection was encrypted.
    pub tls: Option<TlsWay>,
    /// How it had to be protected, if one was made.
    pub protection: Option<Protection>,
    /// Why it was not although the server offers TLS, now or a short while ago.
    pub tls_failure: Option<Box<str>>,
    /// The sender.
    pub reverse_path: ReversePath,
    /// What became of it, with the server's words.
    pub recipients: Vec<AttemptedRecipient>,
}

/// Another server, as we reached it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteEnd {
    /// Its name, or its address in brackets where it has none.
    pub name: Box<str>,
    /// Its address and port.
    pub address: Endpoint,
}

/// What an attempt came to for one recipient.
#[derive(Clone, Debug)]
pub struct AttemptedRecipient {
    /// The address on RCPT.
    pub address: Address,
    /// What became of it.
    pub outcome: RecipientOutcome,
}
