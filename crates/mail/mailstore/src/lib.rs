//! Each account's mailboxes and messages: the Message Store of RFC 5598, on one log and one index per account.
//!
//! In a message's path: the MTA's intake feeds an [`Intake`]; [`Store::deliver`] files what came for every
//! recipient with one durable write; the IMAP door reads through [`Account`] and [`View`]. How the log and the
//! indexes agree is told in docs/internals/account-index.md.

mod account;
mod append;
mod copy_move;
mod error;
mod expunge;
mod fetch;
mod flags;
mod intake;
mod mailbox;
mod quota;
mod repair;
mod search;
mod settings;
mod store;
mod view;

pub use account::Account;
pub use append::{Append, Filed, Filing, FilingTarget};
pub use copy_move::CopyOutcome;
pub use error::StoreError;
pub use fetch::{MessageReader, READ_OCTETS_MAX, Row, Want};
pub use flags::{FlagChange, FlagChangeMode, FlagNames, StoreOutcome};
pub use intake::{Arriving, Intake};
pub use mailbox::{MailboxInfo, MailboxList};
pub use quota::{QuotaLimit, QuotaUsage};
pub use repair::{Fault, PurgeOutcome, StoreStats};
pub use search::{HeaderField, fold};
pub use settings::Settings;
pub use store::Store;
pub use view::{Changes, Entry, View};
