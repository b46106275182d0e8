//! `domain …`: the domains whose mail we take.

use clap::Subcommand;

use crate::admin::Request;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Take mail for a domain.
    #[command(after_help = "Example: mailstead domain add example.org")]
    Add { domain: String },
    /// List the domains.
    #[command(after_help = "Example: mailstead domain list --json")]
    List,
    /// No longer take mail for a domain; it must have no accounts or aliases left.
    #[command(after_help = "Example: mailstead domain remove example.org")]
    Remove { domain: String },
}

impl Verb {
    pub(super) fn to_request(&self) -> Request {
        match self {
            Self::Add { domain } => Request::DomainAdd { domain: domain.clone() },
            Self::List => Request::DomainList,
            Self::Remove { domain } => Request::DomainRemove { domain: domain.clone() },
        }
    }
}
