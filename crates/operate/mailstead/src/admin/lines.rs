//! Lines of answers: what is told of mail on its way, of bans, and of accounts that may not send.

use serde::{Deserialize, Serialize};

/// Why an account may not send.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct StoppedLine {
    /// RFC 3339, UTC.
    pub(crate) since: String,
    pub(crate) reason: String,
}

/// A ban in force.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct BanLine {
    pub(crate) network: String,
    /// RFC 3339, UTC.
    pub(crate) since: String,
    /// None: until it is removed.
    pub(crate) until: Option<String>,
    /// `counting` or `operator`.
    pub(crate) set_by: String,
    pub(crate) reason: String,
    /// How often this peer was banned by counting.
    pub(crate) times: u32,
}

/// A message in the queue.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct QueueLine {
    pub(crate) id: String,
    /// RFC 3339, UTC; so are the times below.
    pub(crate) arrived: String,
    pub(crate) sender: String,
    pub(crate) octets: u64,
    pub(crate) state: String,
    pub(crate) recipients_waiting: u64,
    pub(crate) next_try: Option<String>,
    /// What the last try came to.
    pub(crate) last: Option<String>,
}

/// A message in the queue, in full.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct QueueMessage {
    #[serde(flatten)]
    pub(crate) line: QueueLine,
    /// The name of its way, for `trace`.
    pub(crate) transaction: String,
    pub(crate) expires: String,
    pub(crate) recipients: Vec<QueueRecipient>,
}

/// One recipient of a message in the queue.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct QueueRecipient {
    pub(crate) address: String,
    pub(crate) destination: String,
    pub(crate) state: String,
    pub(crate) attempts: u32,
    pub(crate) next_try: Option<String>,
    pub(crate) last: Option<String>,
}

/// The queue in figures.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct QueueStatus {
    pub(crate) messages: u64,
    pub(crate) held: u64,
    pub(crate) deferred: u64,
    pub(crate) octets: u64,
    pub(crate) destinations: u64,
    pub(crate) destinations_unreachable: u64,
    pub(crate) connections: u64,
    /// When the oldest message came.
    pub(crate) oldest: Option<String>,
}
