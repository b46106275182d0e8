//! `queue …`: mail on its way to other servers.

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::admin::{QueueChange, Request, Which};
use crate::settings::read_seconds;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// List messages that wait, oldest first.
    #[command(
        after_help = "Examples:\n  mailstead queue list\n  mailstead queue list --destination example.com --json"
    )]
    List {
        #[command(flatten)]
        which: Conditions,
        /// Show at most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        most: u32,
        /// Go on behind this message: the end of the page before.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Show a message: its recipients, where they wait, what the other servers said.
    #[command(after_help = "Example: mailstead queue show 06k3v1m8r0004")]
    Show { id: String },
    /// Try messages now, whatever wait their destinations have.
    #[command(
        after_help = "Examples:\n  mailstead queue retry --all\n  mailstead queue retry --destination example.com"
    )]
    Retry(Meant),
    /// Keep messages in the queue until they are released.
    #[command(after_help = "Example: mailstead queue hold --sender ann@example.org")]
    Hold(Meant),
    /// Let held messages go.
    #[command(after_help = "Example: mailstead queue release --all")]
    Release(Meant),
    /// Take messages out of the queue for good; their senders are not told.
    #[command(
        after_help = "Examples:\n  mailstead queue drop 06k3v1m8r0004\n  mailstead queue drop 06k3v1m8r0004 --recipient bob@example.com"
    )]
    Drop(Meant),
    /// Show the queue in figures.
    #[command(after_help = "Example: mailstead queue status --json")]
    Status,
}

/// Which messages: those that fit every condition given.
#[derive(Args, Debug)]
pub(super) struct Conditions {
    /// With recipients that wait for this destination: a domain, or as `queue show` names it. `retry` and `drop` are about
    /// these recipients alone.
    #[arg(long)]
    destination: Option<String>,
    /// From this sender; `<>` is that of reports.
    #[arg(long)]
    sender: Option<String>,
    /// To this recipient. `retry` is about its destination alone, `drop` about itself alone.
    #[arg(long)]
    recipient: Option<String>,
    /// In the queue for longer than this, such as 30m, 4h or 2d.
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<u64>,
    /// Held ones only.
    #[arg(long)]
    held: bool,
}

/// Messages by id, by conditions, or all: one of these must be said.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("meant").required(true).multiple(true)
    .args(["ids", "destination", "sender", "recipient", "older_than", "held", "all"]))]
pub(super) struct Meant {
    /// Messages, as `queue list` names them.
    ids: Vec<String>,
    #[command(flatten)]
    conditions: Conditions,
    /// All messages.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

fn time(text: &str) -> anyhow::Result<u64> {
    read_seconds(text).with_context(|| format!("{text:?} is no time such as 30m, 4h or 2d"))
}

impl Conditions {
    fn into_which(self, ids: Vec<String>) -> Which {
        Which {
            ids,
            destination: self.destination,
            sender: self.sender,
            recipient: self.recipient,
            older_than_seconds: self.older_than,
            only_held: self.held,
        }
    }
}

impl Verb {
    pub(super) fn into_request(self) -> Request {
        let (meant, change) = match self {
            Self::List { which, most, after } => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                return Request::QueueList { which: which.into_which(Vec::new()), after, most };
            }
            Self::Show { id } => return Request::QueueShow { id },
            Self::Status => return Request::QueueStatus,
            Self::Retry(meant) => (meant, QueueChange::Retry),
            Self::Hold(meant) => (meant, QueueChange::Hold),
            Self::Release(meant) => (meant, QueueChange::Release),
            Self::Drop(meant) => (meant, QueueChange::Drop),
        };
        Request::QueueChange { which: meant.conditions.into_which(meant.ids), change }
    }
}
