//! LIST and LSUB responses with their attributes and extended data (RFC 9051 §7.3.1, RFC 5258, RFC 6154).

use mail_types::{MailboxName, SpecialUse};

use super::mailbox::separate;
use super::string::write_mailbox;
use crate::dialect::Dialect;

/// What LIST tells of a mailbox besides its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListAttributes {
    /// `\NonExistent`: the name is a parent, or subscribed, but no mailbox.
    pub non_existent: bool,
    /// `\Noselect`: the same for clients that know no LIST-EXTENDED.
    pub no_select: bool,
    /// `\Subscribed`
    pub subscribed: bool,
    /// `\HasChildren` or `\HasNoChildren` (RFC 3348); `None` when not asked for.
    pub has_children: Option<bool>,
    /// What the mailbox is for.
    pub special_use: Option<SpecialUse>,
}

/// One line of a LIST response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListEntry<'a> {
    /// The mailbox's name.
    pub name: &'a MailboxName,
    /// Its attributes.
    pub attributes: ListAttributes,
    /// `CHILDINFO ("SUBSCRIBED")`: something below is subscribed, and it is here for that (RFC 5258 §3.5).
    pub has_subscribed_below: bool,
    /// `OLDNAME`: what it was called before a RENAME, or what the client called it (RFC 9051 §6.3.9.7).
    pub old_name: Option<&'a MailboxName>,
}

/// Writes a LIST response.
pub fn write_list(out: &mut Vec<u8>, entry: &ListEntry<'_>, dialect: Dialect) {
    write_entry(out, "LIST", &entry.attributes, entry.name, dialect);
    let mut extended: Vec<u8> = Vec::new();
    if entry.has_subscribed_below {
        extended.extend_from_slice(b"\"CHILDINFO\" (\"SUBSCRIBED\")");
    }
    if let Some(old_name) = entry.old_name {
        separate(&mut extended, 0);
        extended.extend_from_slice(b"\"OLDNAME\" (");
        write_mailbox(&mut extended, old_name, dialect);
        extended.push(b')');
    }
    if !extended.is_empty() {
        out.extend_from_slice(b" (");
        out.extend_from_slice(&extended);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an LSUB response (RFC 3501 §7.2.3).
pub fn write_lsub(out: &mut Vec<u8>, name: &MailboxName, attributes: &ListAttributes, dialect: Dialect) {
    write_entry(out, "LSUB", attributes, name, dialect);
    out.extend_from_slice(b"\r\n");
}

/// Writes the answer to `LIST "" ""`: the separator and the empty root (RFC 9051 §6.3.9).
pub fn write_list_root(out: &mut Vec<u8>, dialect: Dialect) {
    out.extend_from_slice(b"* LIST (\\Noselect) \"");
    out.push(dialect.separator.octet());
    out.extend_from_slice(b"\" \"\"\r\n");
}

fn write_entry(
    out: &mut Vec<u8>,
    response: &str,
    attributes: &ListAttributes,
    name: &MailboxName,
    dialect: Dialect,
) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(response.as_bytes());
    out.extend_from_slice(b" (");
    let start = out.len();
    let names = [
        attributes.non_existent.then_some("\\NonExistent"),
        attributes.no_select.then_some("\\Noselect"),
        attributes.subscribed.then_some("\\Subscribed"),
        attributes.has_children.map(|has| if has { "\\HasChildren" } else { "\\HasNoChildren" }),
        attributes.special_use.map(SpecialUse::attribute),
    ];
    for name in names.into_iter().flatten() {
        separate(out, start);
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b") \"");
    out.push(dialect.separator.octet());
    out.extend_from_slice(b"\" ");
    write_mailbox(out, name, dialect);
}
