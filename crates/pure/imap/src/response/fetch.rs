//! FETCH responses, item by item; large sections are announced here and streamed by the caller (RFC 9051 §7.5.2).

use mail_types::{EmailId, Flags, Keyword, ModSeq, ThreadId, Uid};
use message::{Envelope, Part};

use super::envelope::{self, Detail, write_envelope};
use super::mailbox::write_flags_of;
use super::string::{write_number, write_string};
use crate::date::DateTime;
use crate::dialect::{Dialect, NameEncoding};
use crate::fetch::{FieldName, PartPath, Section, SectionText};
use crate::object_id;

/// A FETCH response under way: `start`, items, `finish`. Keeps no octets; each call appends to the buffer given.
#[derive(Debug)]
pub struct FetchResponse {
    encoding: NameEncoding,
    has_items: bool,
}

impl FetchResponse {
    /// Begins the response about the message with this sequence number.
    pub fn start(out: &mut Vec<u8>, number: u32, dialect: Dialect) -> Self {
        out.extend_from_slice(b"* ");
        write_number(out, u64::from(number));
        out.extend_from_slice(b" FETCH (");
        Self { encoding: dialect.encoding, has_items: false }
    }

    /// Ends the response.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    /// `UID`
    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        self.item(out, "UID ");
        write_number(out, u64::from(uid.0));
    }

    /// `FLAGS`, keywords by the mailbox's table.
    pub fn flags(&mut self, out: &mut Vec<u8>, flags: Flags, keywords: &[Keyword]) {
        self.item(out, "FLAGS (");
        write_flags_of(out, flags, keywords);
        out.push(b')');
    }

    /// `INTERNALDATE`
    pub fn internal_date(&mut self, out: &mut Vec<u8>, date: DateTime) {
        self.item(out, "INTERNALDATE ");
        date.write(out);
    }

    /// `SAVEDATE`; `None` where the mailbox doesn't know it.
    pub fn save_date(&mut self, out: &mut Vec<u8>, date: Option<DateTime>) {
        self.item(out, "SAVEDATE ");
        match date {
            Some(date) => date.write(out),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `RFC822.SIZE`
    pub fn rfc822_size(&mut self, out: &mut Vec<u8>, octets: u64) {
        self.item(out, "RFC822.SIZE ");
        write_number(out, octets);
    }

    /// `ENVELOPE`
    pub fn envelope(&mut self, out: &mut Vec<u8>, envelope: &Envelope) {
        self.item(out, "ENVELOPE ");
        write_envelope(out, envelope, self.encoding);
    }

    /// `BODY`: the structure without extension data.
    pub fn body(&mut self, out: &mut Vec<u8>, structure: &Part) {
        self.item(out, "BODY ");
        envelope::write_part(out, structure, Detail::Plain, self.encoding);
    }

    /// `BODYSTRUCTURE`
    pub fn body_structure(&mut self, out: &mut Vec<u8>, structure: &Part) {
        self.item(out, "BODYSTRUCTURE ");
        envelope::write_part(out, structure, Detail::Extended, self.encoding);
    }

    /// `MODSEQ`
    pub fn mod_seq(&mut self, out: &mut Vec<u8>, mod_seq: ModSeq) {
        self.item(out, "MODSEQ (");
        write_number(out, mod_seq.0);
        out.push(b')');
    }

    /// `EMAILID`
    pub fn email_id(&mut self, out: &mut Vec<u8>, email: EmailId) {
        self.item(out, "EMAILID (");
        out.extend_from_slice(object_id::email_id(email).as_bytes());
        out.push(b')');
    }

    /// `THREADID`; `NIL` where the message is in no thread.
    pub fn thread_id(&mut self, out: &mut Vec<u8>, thread: Option<ThreadId>) {
        self.item(out, "THREADID ");
        match thread {
            Some(thread) => {
                out.push(b'(');
                out.extend_from_slice(object_id::thread_id(thread).as_bytes());
                out.push(b')');
            }
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `PREVIEW`; `NIL` where there is none yet.
    pub fn preview(&mut self, out: &mut Vec<u8>, text: Option<&str>) {
        self.item(out, "PREVIEW ");
        match text {
            Some(text) => write_string(out, text.as_bytes(), self.encoding),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// Announces `BODY[section]<start>` of so many octets: the caller appends exactly these behind it.
    pub fn section(&mut self, out: &mut Vec<u8>, section: &Section, start: Option<u64>, octets: u64) {
        self.item(out, "BODY");
        write_section(out, section);
        write_start(out, start);
        out.push(b' ');
        announce(out, octets);
    }

    /// `BODY[section] NIL`: there is no such section.
    pub fn section_nil(&mut self, out: &mut Vec<u8>, section: &Section, start: Option<u64>) {
        self.item(out, "BODY");
        write_section(out, section);
        write_start(out, start);
        out.extend_from_slice(b" NIL");
    }

    /// Announces `RFC822`, `RFC822.HEADER` or `RFC822.TEXT` of so many octets: the caller appends exactly these behind it.
    pub fn rfc822(&mut self, out: &mut Vec<u8>, name: &'static str, octets: u64) {
        self.item(out, name);
        out.push(b' ');
        announce(out, octets);
    }

    /// Announces `BINARY[part]<start>` as a literal8 of so many octets: the caller appends exactly these behind it.
    pub fn binary(&mut self, out: &mut Vec<u8>, part: &PartPath, start: Option<u64>, octets: u64) {
        self.item(out, "BINARY[");
        write_part(out, part);
        out.push(b']');
        write_start(out, start);
        out.extend_from_slice(b" ~");
        announce(out, octets);
    }

    /// `BINARY[part] NIL`: there is no such part.
    pub fn binary_nil(&mut self, out: &mut Vec<u8>, part: &PartPath, start: Option<u64>) {
        self.item(out, "BINARY[");
        write_part(out, part);
        out.push(b']');
        write_start(out, start);
        out.extend_from_slice(b" NIL");
    }

    /// `BINARY.SIZE[part]`, in octets after decoding.
    pub fn binary_size(&mut self, out: &mut Vec<u8>, part: &PartPath, octets: u64) {
        self.item(out, "BINARY.SIZE[");
        write_part(out, part);
        out.extend_from_slice(b"] ");
        write_number(out, octets);
    }

    fn item(&mut self, out: &mut Vec<u8>, name: &str) {
        if self.has_items {
            out.push(b' ');
        }
        self.has_items = true;
        out.extend_from_slice(name.as_bytes());
    }
}

fn announce(out: &mut Vec<u8>, octets: u64) {
    out.push(b'{');
    write_number(out, octets);
    out.extend_from_slice(b"}\r\n");
}

fn write_start(out: &mut Vec<u8>, start: Option<u64>) {
    if let Some(start) = start {
        out.push(b'<');
        write_number(out, start);
        out.push(b'>');
    }
}

fn write_part(out: &mut Vec<u8>, part: &PartPath) {
    for (index, &number) in part.0.iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_number(out, u64::from(number));
    }
}

fn write_section(out: &mut Vec<u8>, section: &Section) {
    out.push(b'[');
    write_part(out, &section.part);
    if let Some(text) = &section.text {
        if !section.part.0.is_empty() {
            out.push(b'.');
        }
        match text {
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::HeaderFields(names) => write_field_names(out, "HEADER.FIELDS (", names),
            SectionText::HeaderFieldsNot(names) => write_field_names(out, "HEADER.FIELDS.NOT (", names),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
        }
    }
    out.push(b']');
}

fn write_field_names(out: &mut Vec<u8>, start: &str, names: &[FieldName]) {
    out.extend_from_slice(start.as_bytes());
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write_astring(out, name.as_str());
    }
    out.push(b')');
}

/// Writes a field name bare where it is an atom, as clients expect it back, else quoted.
fn write_astring(out: &mut Vec<u8>, text: &str) {
    let is_atom = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\".contains(&octet);
    if !text.is_empty() && text.bytes().all(is_atom) {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_string(out, text.as_bytes(), NameEncoding::ModifiedUtf7);
    }
}
