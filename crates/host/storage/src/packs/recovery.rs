//! Where the log ends after a crash: the last pack is read to its first unsound record, and what was never
//! acknowledged behind it is cut off.
//!
//! A torn tail and a damaged middle look alike at the place itself. What tells them apart is a later record
//! that is sound: it states where its group began, and a group is only written once everything before it has
//! been synced. So a place before such a group was durable once, and is damage; it is passed over, never cut.

use super::record::{Batch, RecordFault};
use super::scan::{Bodies, Record, Window};
use crate::error::StorageError;

/// Where the last pack of the log ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Offset after the last complete, sound entry.
    pub(super) end: u64,
    /// Damaged places before it: offset, and what is wrong there.
    pub(super) damage: Vec<(u64, RecordFault)>,
}

/// Finds the end of the log in its last pack, from a place where a record begins (or the pack ends).
pub(super) fn find_tail(window: &mut Window, from: u64) -> Result<Tail, StorageError> {
    let mut tail = Tail { end: from, damage: Vec::new() };
    let mut offset = from;
    loop {
        match window.record(offset, Bodies::Compare)? {
            Ok(record) => {
                offset = record.end();
                if record.head.batch == Batch::Ends {
                    tail.end = offset;
                }
            }
            Err(fault) => match sound_after_durable(window, offset)? {
                Some(next) => {
                    tail.damage.push((offset, fault));
                    offset = next;
                }
                None => return Ok(tail),
            },
        }
    }
}

/// If a later record proves that what is at `unsound` was durable once: where the next sound head begins.
fn sound_after_durable(window: &mut Window, unsound: u64) -> Result<Option<u64>, StorageError> {
    let mut first = None;
    let mut from = unsound + 1;
    while let Some((at, head)) = window.next_head(from)? {
        let next = *first.get_or_insert(at);
        let candidate = Record { offset: at, head, notes: Vec::new(), blob: None };
        if candidate.group_start() > unsound {
            return Ok(Some(next));
        }
        from = at + 1;
    }
    Ok(None)
}
