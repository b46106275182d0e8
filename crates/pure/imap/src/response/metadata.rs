//! METADATA responses: annotations with what they say, and names of those that changed (RFC 5464 §4.4).

use mail_types::{AnnotationName, MailboxName};

use super::string::{write_mailbox, write_string, write_value};
use crate::dialect::{Dialect, NameEncoding};

/// Writes what annotations of a mailbox, or of the server, say; `None` for those that are not there. There is at least one.
pub fn write_metadata<'a>(
    out: &mut Vec<u8>,
    mailbox: Option<&MailboxName>,
    values: impl IntoIterator<Item = (&'a AnnotationName, Option<&'a [u8]>)>,
    dialect: Dialect,
) {
    write_place(out, mailbox, dialect);
    for (index, (name, value)) in values.into_iter().enumerate() {
        out.extend_from_slice(if index == 0 { b" (" } else { b" " });
        write_name(out, name);
        out.push(b' ');
        match value {
            Some(value) => write_value(out, value, dialect.encoding),
            None => out.extend_from_slice(b"NIL"),
        }
    }
    out.extend_from_slice(b")\r\n");
}

/// Writes which annotations of a mailbox, or of the server, have changed. There is at least one.
pub fn write_metadata_changes<'a>(
    out: &mut Vec<u8>,
    mailbox: Option<&MailboxName>,
    names: impl IntoIterator<Item = &'a AnnotationName>,
    dialect: Dialect,
) {
    write_place(out, mailbox, dialect);
    for name in names {
        out.push(b' ');
        write_name(out, name);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_place(out: &mut Vec<u8>, mailbox: Option<&MailboxName>, dialect: Dialect) {
    out.extend_from_slice(b"* METADATA ");
    match mailbox {
        Some(mailbox) => write_mailbox(out, mailbox, dialect),
        None => out.extend_from_slice(b"\"\""),
    }
}

/// Bare where that may be, as every server does; some clients compare octets.
fn write_name(out: &mut Vec<u8>, name: &AnnotationName) {
    let octets = name.as_str().as_bytes();
    if octets.iter().all(|&octet| crate::command::is_atom_octet(octet)) {
        out.extend_from_slice(octets);
    } else {
        write_string(out, octets, NameEncoding::ModifiedUtf7);
    }
}
