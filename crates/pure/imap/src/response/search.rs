//! SEARCH and ESEARCH responses (RFC 9051 §7.3.4, RFC 3501 §7.2.5, RFC 4731, RFC 7162 §3.1.5).

use mail_types::ModSeq;

use super::string::{write_number, write_ranges};
use crate::command::Tag;
use crate::sequence::Numbering;

/// What an ESEARCH response tells; `None` for what was not asked for or is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Esearch<'a> {
    /// `MIN`
    pub min: Option<u32>,
    /// `MAX`
    pub max: Option<u32>,
    /// `ALL`: ascending ranges; none at all are left out (RFC 4731 §3.1).
    pub all: Option<&'a [(u32, u32)]>,
    /// `COUNT`
    pub count: Option<u64>,
    /// `MODSEQ`: the highest of the messages told, when the search asked for modification sequences.
    pub mod_seq: Option<ModSeq>,
}

/// Writes a SEARCH response: the numbers, and the highest modification sequence when the search asked for it.
pub fn write_search(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>, mod_seq: Option<ModSeq>) {
    out.extend_from_slice(b"* SEARCH");
    for number in numbers {
        out.push(b' ');
        write_number(out, u64::from(number));
    }
    if let Some(mod_seq) = mod_seq {
        out.extend_from_slice(b" (MODSEQ ");
        write_number(out, mod_seq.0);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an ESEARCH response to the command with this tag.
pub fn write_esearch(out: &mut Vec<u8>, tag: &Tag, numbering: Numbering, result: &Esearch<'_>) {
    // A tag may hold neither quote nor backslash.
    out.extend_from_slice(b"* ESEARCH (TAG \"");
    out.extend_from_slice(tag.as_str().as_bytes());
    out.extend_from_slice(b"\")");
    if numbering == Numbering::Uid {
        out.extend_from_slice(b" UID");
    }
    let mut item = |name: &str, number: Option<u64>| {
        let Some(number) = number else { return };
        out.extend_from_slice(name.as_bytes());
        write_number(out, number);
    };
    item(" MIN ", result.min.map(u64::from));
    item(" MAX ", result.max.map(u64::from));
    item(" COUNT ", result.count);
    item(" MODSEQ ", result.mod_seq.map(|mod_seq| mod_seq.0));
    if let Some(ranges) = result.all.filter(|ranges| !ranges.is_empty()) {
        out.extend_from_slice(b" ALL ");
        write_ranges(out, ranges);
    }
    out.extend_from_slice(b"\r\n");
}
