//! GETQUOTA and SETQUOTA (RFC 9208 §4.1). GETQUOTAROOT has only a mailbox name.

use super::Command;
use super::cursor::{Cursor, Parsed};

/// Most resources that one SETQUOTA may set; RFC 9208 knows four.
const RESOURCES_MAX: usize = 16;

/// `getquota = "GETQUOTA" SP quota-root-name`
pub(super) fn get_quota(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    root(cursor).map(|root| Command::GetQuota { root })
}

/// `setquota = "SETQUOTA" SP quota-root-name SP setquota-list`
pub(super) fn set_quota(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let root = root(cursor)?;
    cursor.space()?;
    cursor.expect(b'(', "Expected limits in parentheses")?;
    let mut limits = Vec::new();
    cursor.take_spaces();
    while !cursor.take(b')') {
        if limits.len() == RESOURCES_MAX {
            return Err(cursor.complain("Too many resources"));
        }
        let resource = cursor.word("Expected a resource name")?;
        cursor.space()?;
        limits.push((resource, cursor.number("Expected a limit")?));
        cursor.take_spaces();
    }
    Ok(Command::SetQuota { root, limits })
}

fn root(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = cursor.clone();
    let octets = cursor.astring("Expected a quota root")?;
    std::str::from_utf8(&octets).map(str::to_owned).map_err(|_| start.complain("The quota root is not UTF-8"))
}
