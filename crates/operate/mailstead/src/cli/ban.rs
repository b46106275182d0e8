//! `ban …`: addresses and networks that are kept out.

use anyhow::Context;
use clap::Subcommand;

use crate::admin::Request;
use crate::settings::read_seconds;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// List the bans in force: those set by counting what peers do, and your own.
    #[command(after_help = "Example: mailstead ban list --json")]
    List,
    /// Keep an address or a network out, whoever is in it: until it is removed, or for a while.
    #[command(
        after_help = "Examples:\n  mailstead ban add 192.0.2.7 --for 2h\n  mailstead ban add 2001:db8::/32 --reason \"sends nothing but spam\""
    )]
    Add {
        /// Such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.
        network: String,
        /// For how long, such as 30m, 4h or 2d.
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        length: Option<u64>,
        /// Why, for whoever looks at the list later.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let an address or a network in again, and forget what it did.
    #[command(after_help = "Example: mailstead ban remove 192.0.2.7")]
    Remove { network: String },
}

fn time(text: &str) -> anyhow::Result<u64> {
    read_seconds(text).with_context(|| format!("{text:?} is no time such as 30m, 4h or 2d"))
}

impl Verb {
    pub(super) fn into_request(self) -> Request {
        match self {
            Self::List => Request::BanList,
            Self::Add { network, length, reason } => Request::BanAdd { network, for_seconds: length, reason },
            Self::Remove { network } => Request::BanRemove { network },
        }
    }
}
