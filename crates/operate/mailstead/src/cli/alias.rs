//! `alias …`: addresses that lead to others.

use clap::Subcommand;

use crate::admin::Request;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Let an address lead to one or more others; `@domain` is the catch-all, `/dev/null` a target that discards.
    #[command(
        after_help = "Examples:\n  mailstead alias add info@example.org ann@example.org bob@example.org\n  mailstead alias add @example.org ann@example.org"
    )]
    Add {
        alias: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// List the aliases.
    #[command(after_help = "Example: mailstead alias list --json")]
    List,
    /// Remove an alias, or only the targets named.
    #[command(
        after_help = "Examples:\n  mailstead alias remove info@example.org\n  mailstead alias remove info@example.org bob@example.org"
    )]
    Remove { alias: String, targets: Vec<String> },
}

impl Verb {
    pub(super) fn to_request(&self) -> Request {
        match self {
            Self::Add { alias, targets } => {
                Request::AliasAdd { alias: alias.clone(), targets: targets.clone() }
            }
            Self::List => Request::AliasList { of: None },
            Self::Remove { alias, targets } => {
                Request::AliasRemove { alias: alias.clone(), targets: targets.clone() }
            }
        }
    }
}
