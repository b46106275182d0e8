//! STORE with the condition of CONDSTORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use super::cursor::{Cursor, Parsed};
use super::{Store, StoreAction, StoreAnswer};
use crate::sequence::Numbering;

/// `store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"] SP store-att-flags`
pub(super) fn store(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Store> {
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.take(b'(') {
        if !cursor.take_word("UNCHANGEDSINCE") {
            return Err(cursor.complain("Unknown modifier"));
        }
        cursor.space()?;
        unchanged_since = Some(cursor.mod_seq()?);
        cursor.expect(b')', "Expected the end of the modifiers")?;
        cursor.space()?;
    }
    let (action, answer) = action(cursor)?;
    cursor.space()?;
    let flags = cursor.flags()?;
    Ok(Store { numbering, set, unchanged_since, action, answer, flags })
}

/// `(["+" / "-"] "FLAGS" [".SILENT"])`
fn action(cursor: &mut Cursor<'_>) -> Parsed<(StoreAction, StoreAnswer)> {
    let action = if cursor.take(b'+') {
        StoreAction::Add
    } else if cursor.take(b'-') {
        StoreAction::Remove
    } else {
        StoreAction::Replace
    };
    if cursor.take_word("FLAGS.SILENT") {
        Ok((action, StoreAnswer::Silent))
    } else if cursor.take_word("FLAGS") {
        Ok((action, StoreAnswer::Flags))
    } else {
        Err(cursor.complain("Expected FLAGS or FLAGS.SILENT"))
    }
}
