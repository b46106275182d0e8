//! ID: who the programs on both sides are (RFC 2971). The client's answer goes to the log, ours names no version.

use imap::command::IdParameters;
use imap::response;

use super::replies::Done;

/// ID.
pub(crate) fn id(out: &mut Vec<u8>, parameters: &IdParameters) -> Done {
    let value_of = |field: &str| {
        let mut pairs = parameters.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
        pairs.find_map(|(_, value)| value.as_deref()).unwrap_or_default()
    };
    // The log's writer escapes what a client might hide in here; the receiver has bounded it.
    tracing::info!(name = ?value_of("name"), version = ?value_of("version"), "client");
    response::write_id(out, &[("name", "mailstead")]);
    Done::plain("ID completed")
}
