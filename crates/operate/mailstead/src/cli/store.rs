//! `store …`: care of the message store, which cares for itself most of the time.

use clap::Subcommand;

use crate::admin::Request;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Rewrite packs with much dead weight now, instead of when the server does it by itself.
    #[command(after_help = "Example: mailstead store purge")]
    Purge,
    /// Make an account's index anew from the packs.
    #[command(after_help = "Example: mailstead store rebuild ann@example.org")]
    Rebuild { address: String },
    /// Show the store in figures.
    #[command(after_help = "Example: mailstead store status --json")]
    Status,
}

impl Verb {
    pub(super) fn to_request(&self) -> Request {
        match self {
            Self::Purge => Request::StorePurge,
            Self::Rebuild { address } => Request::StoreRebuild { address: address.clone() },
            Self::Status => Request::StoreStatus,
        }
    }
}
