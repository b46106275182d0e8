//! The items of STATUS and of LIST's return option STATUS (RFC 9051 §6.3.11, RFC 5819, 7162, 7889, 8438, 8474, 9208).

use super::StatusItems;
use super::cursor::{Cursor, Parsed};

/// `"(" status-att *(SP status-att) ")"`
pub(super) fn items(cursor: &mut Cursor<'_>) -> Parsed<StatusItems> {
    let mut items = StatusItems::default();
    cursor.expect(b'(', "Expected status items in parentheses")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        let start = cursor.clone();
        let item = match cursor.word("Expected a status item")?.as_str() {
            "MESSAGES" => &mut items.messages,
            "RECENT" => &mut items.recent,
            "UIDNEXT" => &mut items.uid_next,
            "UIDVALIDITY" => &mut items.uid_validity,
            "UNSEEN" => &mut items.unseen,
            "DELETED" => &mut items.deleted,
            "SIZE" => &mut items.size,
            "HIGHESTMODSEQ" => &mut items.highest_mod_seq,
            "APPENDLIMIT" => &mut items.append_limit,
            "MAILBOXID" => &mut items.mailbox_id,
            "DELETED-STORAGE" => &mut items.deleted_storage,
            _ => return Err(start.complain("Unknown status item")),
        };
        *item = true;
        cursor.take_spaces();
    }
    Ok(items)
}
