//! Responses about the server and the account: CAPABILITY, ENABLED, ID, NAMESPACE, QUOTA (RFC 9051 §7.2, RFC 2971, 2342, 5161, 9208).

use mail_types::MailboxName;

use super::string::{write_mailbox, write_number, write_string};
use crate::dialect::{Dialect, NameEncoding};

/// One resource of a quota root, in the units of RFC 9208 §5: STORAGE in 1,024 octets, MESSAGE in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaResource {
    /// The resource's name.
    pub name: &'static str,
    /// How much is used.
    pub usage: u64,
    /// How much may be used.
    pub limit: u64,
}

/// Writes a CAPABILITY response; the names, parted by spaces, are the server's own.
pub fn write_capability(out: &mut Vec<u8>, names: &str) {
    out.extend_from_slice(b"* CAPABILITY ");
    out.extend_from_slice(names.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes which capabilities ENABLE has switched on; may be none.
pub fn write_enabled(out: &mut Vec<u8>, names: &[&str]) {
    out.extend_from_slice(b"* ENABLED");
    for name in names {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes what the server tells of itself; `NIL` for nothing.
pub fn write_id(out: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    out.extend_from_slice(b"* ID ");
    for (index, (field, value)) in pairs.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        write_string(out, field.as_bytes(), NameEncoding::ModifiedUtf7);
        out.push(b' ');
        write_string(out, value.as_bytes(), NameEncoding::ModifiedUtf7);
    }
    out.extend_from_slice(if pairs.is_empty() { b"NIL\r\n" } else { b")\r\n" });
}

/// Writes the namespaces: one personal one with an empty prefix, none of other people, none shared.
pub fn write_namespace(out: &mut Vec<u8>, dialect: Dialect) {
    out.extend_from_slice(b"* NAMESPACE ((\"\" \"");
    out.push(dialect.separator.octet());
    out.extend_from_slice(b"\")) NIL NIL\r\n");
}

/// Writes the use and the limits of a quota root.
pub fn write_quota(out: &mut Vec<u8>, root: &str, resources: &[QuotaResource]) {
    out.extend_from_slice(b"* QUOTA ");
    write_string(out, root.as_bytes(), NameEncoding::ModifiedUtf7);
    out.extend_from_slice(b" (");
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(resource.name.as_bytes());
        out.push(b' ');
        write_number(out, resource.usage);
        out.push(b' ');
        write_number(out, resource.limit);
    }
    out.extend_from_slice(b")\r\n");
}

/// Writes which quota roots a mailbox counts against.
pub fn write_quota_root(out: &mut Vec<u8>, mailbox: &MailboxName, roots: &[&str], dialect: Dialect) {
    out.extend_from_slice(b"* QUOTAROOT ");
    write_mailbox(out, mailbox, dialect);
    for root in roots {
        out.push(b' ');
        write_string(out, root.as_bytes(), NameEncoding::ModifiedUtf7);
    }
    out.extend_from_slice(b"\r\n");
}
