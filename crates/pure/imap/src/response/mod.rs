//! Answers on their way out: every response of the server, appended to a buffer (RFC 9051 §7).
//!
//! What came from outside (names, values, octets of messages) goes out quoted or as a literal, never bare.

mod envelope;
mod extension;
mod fetch;
mod list;
mod mailbox;
mod metadata;
mod search;
mod status_response;
mod string;

pub use extension::{
    QuotaResource, write_capability, write_enabled, write_id, write_namespace, write_quota, write_quota_root,
};
pub use fetch::FetchResponse;
pub use list::{ListAttributes, ListEntry, write_list, write_list_root, write_lsub};
pub use mailbox::{
    StatusValues, Vanished, write_exists, write_expunge, write_flags, write_recent, write_status,
    write_vanished,
};
pub use metadata::{write_metadata, write_metadata_changes};
pub use search::{Esearch, write_esearch, write_search};
pub use status_response::{
    Code, Condition, PermanentFlags, write_bad, write_bye, write_challenge, write_continuation, write_tagged,
    write_untagged,
};
