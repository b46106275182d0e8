//! Each account's mailboxes and messages: the Message Store of RFC 5598, on one log and one index per account.
//!
//! In a message's path: the MTA's intake feeds an [`Intake`]; [`Store::deliver`] files what came for every
//! recipient with one durable write; the IMAP door reads through [`Account`] and [`View`]. How the log and the
//! indexes agree is told in docs/internals/account-index.md.

mod account;
mod accounts;
mod annotations;
mod append;
mod apply;
mod checkpoint;
mod copy_move;
mod deliver;
mod digest;
mod engine;
mod error;
mod event;
mod expunge;
mod fetch;
mod flags;
mod hand_over;
mod held;
mod holding;
mod index;
mod intake;
mod keywords;
mod known;
mod mailbox;
mod mailbox_changes;
mod note;
mod open_account;
mod open_mailbox;
mod pieces;
mod purge;
mod quota;
mod repair;
mod replay;
mod scripts;
mod search;
mod settings;
mod state;
mod store;
mod tenant;
mod tenants;
mod thread;
pub mod varint;
mod verify;
mod view;

pub use account::Account;
pub use annotations::{
    ANNOTATION_OCTETS_MAX, ANNOTATIONS_OCTETS_MAX, ANNOTATIONS_PER_PLACE_MAX, AnnotationInfo, Annotations,
    Place, SPECIAL_USE_ANNOTATION, Value,
};
pub use append::{Append, Filed};
pub use copy_move::CopyOutcome;
pub use deliver::{Filing, FilingTarget, Writing, WritingEntry};
pub use error::StoreError;
pub use event::{EventCause, MailboxEvent};
pub use fetch::{MessageReader, READ_OCTETS_MAX, Row, Want};
pub use flags::{FlagChange, FlagChangeMode, FlagNames, StoreOutcome};
pub use held::HeldReader;
pub use holding::Holding;
pub use index::is_damage;
pub use intake::{Arriving, Intake};
pub use mailbox::{MailboxInfo, MailboxList};
#[doc(hidden)]
pub use note::fuzz as fuzz_note;
pub use purge::PurgeOutcome;
pub use quota::{QuotaLimit, QuotaUsage};
pub use repair::StoreStats;
pub use scripts::{SCRIPT_OCTETS_MAX, Script, ScriptInfo, ScriptLimits};
pub use search::{HeaderField, fold};
pub use settings::Settings;
pub use store::Store;
pub use tenant::{
    Kept, NewNote, OnWritten, ReadLog, TENANTS_FROM, Tenant, TenantBlob, TenantEntry, TenantMove, WriteNote,
};
pub use verify::Fault;
pub use view::{Changes, Entry, View};
