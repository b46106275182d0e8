//! `mailbox …`: what an account keeps.

use clap::Subcommand;

use crate::admin::Request;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// List an account's mailboxes.
    #[command(after_help = "Example: mailstead mailbox list ann@example.org")]
    List { address: String },
    /// Show counts and sizes of an account's mailboxes.
    #[command(after_help = "Example: mailstead mailbox status ann@example.org --json")]
    Status { address: String },
}

impl Verb {
    pub(super) fn to_request(&self) -> Request {
        match self {
            Self::List { address } => Request::MailboxList { address: address.clone() },
            Self::Status { address } => Request::MailboxStatus { address: address.clone() },
        }
    }
}
