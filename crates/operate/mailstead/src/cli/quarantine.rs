//! `quarantine …`: mail that is kept apart.

use clap::Subcommand;

use super::print::{amount, columns};
use super::spam_check::shown;
use crate::admin::{QuarantineLine, QuarantineRequest, Request};

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// List what is kept apart, of one account or of everybody, the oldest first.
    #[command(
        after_help = "Examples:\n  mailstead quarantine list\n  mailstead quarantine list ann@example.org --json"
    )]
    List {
        address: Option<String>,
        /// Show at most so many.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        most: u32,
    },
    /// Print a message as it came; of a long one the first MiB.
    #[command(after_help = "Example: mailstead quarantine show q12-3")]
    Show { id: String },
    /// Give messages to those whom they are for, into the inbox, and learn that they are wanted.
    #[command(after_help = "Example: mailstead quarantine release q12-3 q12-4")]
    Release {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Throw messages away.
    #[command(after_help = "Example: mailstead quarantine drop q12-3")]
    Drop {
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl Verb {
    pub(super) fn into_request(self) -> Request {
        let asked = match self {
            Self::List { address, most } => {
                QuarantineRequest::List { address, most: usize::try_from(most).unwrap_or(usize::MAX) }
            }
            Self::Show { id } => QuarantineRequest::Show { id },
            Self::Release { ids } => QuarantineRequest::Release { ids },
            Self::Drop { ids } => QuarantineRequest::Drop { ids },
        };
        Request::Quarantine { asked }
    }
}

pub(super) fn print(messages: &[QuarantineLine]) {
    columns(
        ["ID", "ACCOUNT", "CAME", "SIZE", "FROM", "SUBJECT"],
        messages.iter().map(|message| {
            [
                message.id.clone(),
                message.address.clone(),
                message.date.clone(),
                amount(message.octets),
                shown(&message.from),
                shown(&message.subject),
            ]
        }),
    );
}
