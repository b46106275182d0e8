//! `screen …`: strangers on port 25 before their mail is seen.

use clap::Subcommand;

use super::print::columns;
use crate::admin::{ListLine, Request, ScreenStatus, TrapLine};

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Show how the lists of senders are that are asked, and how much is remembered of senders.
    #[command(
        after_help = "Example: mailstead screen status --json\n\nA list that is `off` is not asked: what it answers cannot be believed, or it does not answer us."
    )]
    Status,
    /// Traps, addresses that never were anybody's: add, list, remove.
    #[command(subcommand)]
    Trap(TrapVerb),
}

#[derive(Subcommand, Debug)]
pub(super) enum TrapVerb {
    /// Make an address a trap: who writes to it is held suspicious for some weeks.
    #[command(after_help = "Example: mailstead screen trap add old@example.org")]
    Add { address: String },
    /// List all traps.
    #[command(after_help = "Example: mailstead screen trap list")]
    List,
    /// Make a trap an unknown address like any other.
    #[command(after_help = "Example: mailstead screen trap remove old@example.org")]
    Remove { address: String },
}

impl Verb {
    pub(super) fn into_request(self) -> Request {
        match self {
            Self::Status => Request::ScreenStatus,
            Self::Trap(TrapVerb::Add { address }) => Request::TrapAdd { address },
            Self::Trap(TrapVerb::List) => Request::TrapList,
            Self::Trap(TrapVerb::Remove { address }) => Request::TrapRemove { address },
        }
    }
}

pub(super) fn print_status(ScreenStatus { lists, remembered }: &ScreenStatus) {
    let row = |list: &ListLine| {
        let (asked, hits) = (list.asked.to_string(), list.hits.to_string());
        [list.list.clone(), list.kind.clone(), list.state.clone(), list.since.clone(), asked, hits]
    };
    columns(["LIST", "OF", "STATE", "SINCE", "ASKED", "HITS"], lists.iter().map(row));
    for list in lists {
        if let Some(why) = &list.why {
            println!("{}: {why}", list.list);
        }
    }
    println!();
    columns(["REMEMBERED", "NUMBER"], remembered.iter().map(|(what, rows)| [what.clone(), rows.to_string()]));
}

pub(super) fn print_traps(traps: &[TrapLine]) {
    columns(["TRAP", "SET BY"], traps.iter().map(|trap| [trap.address.clone(), trap.set_by.clone()]));
}
