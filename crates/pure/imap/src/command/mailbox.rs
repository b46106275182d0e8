//! CREATE and RENAME (RFC 9051 §6.3.4, §6.3.6, RFC 6154 §3).

use mail_types::SpecialUse;

use super::bad::BadKind;
use super::cursor::{Cursor, Parsed};
use super::{Command, Create};
use crate::mailbox_name;

/// `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<Create> {
    let octets = cursor.astring("Expected a mailbox name")?;
    let name = octets.strip_suffix(&[cursor.dialect.separator.octet()]).unwrap_or(&octets);
    let mailbox = mailbox_name::from_wire(name, cursor.dialect).map_err(BadKind::MailboxName)?;
    let mut special_uses = Vec::new();
    if cursor.take_space_before_more() {
        cursor.expect(b'(', "Expected parameters in parentheses")?;
        if !cursor.take_word("USE") {
            return Err(cursor.complain("Unknown parameter"));
        }
        cursor.space()?;
        special_uses = uses(cursor)?;
        cursor.expect(b')', "Expected the end of the parameters")?;
    }
    Ok(Create { mailbox, special_uses })
}

fn uses(cursor: &mut Cursor<'_>) -> Parsed<Vec<SpecialUse>> {
    let mut uses = Vec::new();
    cursor.expect(b'(', "Expected special uses in parentheses")?;
    while !cursor.take(b')') {
        cursor.expect(b'\\', "Expected a special use")?;
        let name = format!("\\{}", cursor.atom("Expected a special use")?);
        // There are five: the list cannot grow beyond.
        let special = SpecialUse::parse(&name).ok_or(BadKind::SpecialUse)?;
        if !uses.contains(&special) {
            uses.push(special);
        }
        cursor.take_spaces();
    }
    Ok(uses)
}

/// `rename = "RENAME" SP mailbox SP mailbox`
pub(super) fn rename(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let from = cursor.mailbox()?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    Ok(Command::Rename { from, to })
}
