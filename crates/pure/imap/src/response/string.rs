//! Strings on their way out: atom, quoted, literal or NIL, whichever may carry the octets (RFC 9051 §4.3).

use mail_types::MailboxName;

use crate::dialect::{Dialect, NameEncoding};
use crate::mailbox_name;

/// Longest string that we quote; longer ones are literals, as no client should have to hold endless lines.
const QUOTED_OCTETS_MAX: usize = 1_000;

/// Writes a number in decimal digits: cheaper than the formatting machinery, and there are many.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        // A remainder of ten fits an octet.
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes inclusive ranges as a sequence set: `1:3,7`.
pub(crate) fn write_ranges(out: &mut Vec<u8>, ranges: &[(u32, u32)]) {
    for (index, &(first, last)) in ranges.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_number(out, u64::from(first));
        if first != last {
            out.push(b':');
            write_number(out, u64::from(last));
        }
    }
}

/// Writes octets as a quoted string where that may carry them, else as a literal.
pub(crate) fn write_string(out: &mut Vec<u8>, octets: &[u8], encoding: NameEncoding) {
    if may_be_quoted(octets, encoding) {
        write_quoted(out, octets);
    } else {
        write_literal(out, octets);
    }
}

/// Writes any octets, unchanged: where they have a NUL, as a literal8 (RFC 5464 §5, RFC 9051 §9).
pub(crate) fn write_value(out: &mut Vec<u8>, octets: &[u8], encoding: NameEncoding) {
    if octets.contains(&0) {
        out.extend_from_slice(b"~{");
        write_number(out, octets.len() as u64);
        out.extend_from_slice(b"}\r\n");
        out.extend_from_slice(octets);
    } else {
        write_string(out, octets, encoding);
    }
}

/// Writes a mailbox name as the client's dialect has it.
pub(crate) fn write_mailbox(out: &mut Vec<u8>, name: &MailboxName, dialect: Dialect) {
    if name.is_inbox() {
        // Bare, as every server does; some clients compare octets.
        out.extend_from_slice(b"INBOX");
        return;
    }
    write_string(out, mailbox_name::to_wire(name, dialect).as_bytes(), dialect.encoding);
}

fn may_be_quoted(octets: &[u8], encoding: NameEncoding) -> bool {
    octets.len() <= QUOTED_OCTETS_MAX
        && !octets.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
        && (octets.is_ascii() || (encoding == NameEncoding::Utf8 && std::str::from_utf8(octets).is_ok()))
}

fn write_quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    if octets.iter().any(|octet| matches!(octet, b'"' | b'\\')) {
        for &octet in octets {
            if matches!(octet, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(octet);
        }
    } else {
        out.extend_from_slice(octets);
    }
    out.push(b'"');
}

fn write_literal(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'{');
    write_number(out, octets.len() as u64);
    out.extend_from_slice(b"}\r\n");
    // A literal holds no NUL (RFC 9051 §9 CHAR8): a broken header's becomes a question mark.
    out.extend(octets.iter().map(|&octet| if octet == 0 { b'?' } else { octet }));
}
