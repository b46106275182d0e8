//! Parts replaced and whole messages enclosed: the new octets stand between ranges of the old ones (RFC 5703 §5 and §6).

use std::rc::Rc;

use memchr::memmem;
use message::{Span, blank_line_octets, fields};

use super::header::{Header, HeaderField, LineEnd, Side};
use super::source::{Edition, Piece, Unreadable};
use super::{Message, is_about_structure};

/// Replacements and enclosures of one message. Each makes its parts be looked for anew.
pub const REWRITES_MAX: usize = 32;

/// Octets of a line of our quoted-printable, line end not counted (RFC 2045 §6.7).
const QUOTED_LINE_OCTETS_MAX: usize = 76;

/// What our boundaries begin with; a number and an underscore follow.
const BOUNDARY_START: &str = "=_enclosed_";

/// What a part is replaced with.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    /// Plain text; with `is_mime`, header fields, a blank line and a body.
    pub text: &'a str,
    /// `:mime`.
    pub is_mime: bool,
    /// `:subject`, which only counts for a whole message.
    pub subject: Option<&'a str>,
    /// `:from`, which only counts for a whole message.
    pub from: Option<&'a str>,
}

/// What a message is enclosed with.
#[derive(Clone, Copy, Debug)]
pub struct Enclosure<'a> {
    /// Plain text before the enclosed message.
    pub text: &'a str,
    /// `:subject`; without it, the message's own.
    pub subject: Option<&'a str>,
    /// `:headers`: names of fields that are repeated.
    pub headers: &'a [String],
    /// The address of the person whose script this is.
    pub from: &'a str,
    /// Now, as a Date field has it.
    pub date: &'a str,
}

/// A header and a body that are not yet part of a message.
struct Entity {
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Message {
    /// Replaces a part, or with the first one the whole message's content; whether it was done: not if there is no such part,
    /// or too much was replaced already, or the new octets would break the multipart they are to stand in.
    pub fn replace(&mut self, part: usize, replacement: Replacement<'_>) -> Result<bool, Unreadable> {
        let line_end = self.header.line_end();
        let entity = if replacement.is_mime {
            Entity::of_mime(replacement.text, line_end)
        } else {
            Entity::of_text(replacement.text, line_end)
        };
        if self.rewrites >= REWRITES_MAX {
            return Ok(false);
        }
        let is_done = match part {
            0 => self.replace_content(entity, replacement),
            part => self.replace_part(part, entity)?,
        };
        if is_done {
            self.rewrites += 1;
            self.structure_changed();
        }
        Ok(is_done)
    }

    /// Encloses the message in a new one: a multipart with the text and the message as it is now. Parts' indexes grow by
    /// [`Message::ENCLOSED_BY`]. Whether it was done: not if too much was replaced already.
    pub fn enclose(&mut self, enclosure: &Enclosure<'_>) -> Result<bool, Unreadable> {
        if self.rewrites >= REWRITES_MAX {
            return Ok(false);
        }
        let line_end = self.header.line_end();
        let boundary = self.free_boundary()?;
        let text = Entity::of_text(enclosure.text, line_end);
        let mut start = format!("--{boundary}\r\n").into_bytes();
        start.extend_from_slice(&text.header);
        start.extend_from_slice(b"\r\n");
        start.extend_from_slice(&text.body);
        start.extend_from_slice(
            format!("\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n").as_bytes(),
        );
        let missing_separator: &[u8] = if self.separator.is_empty() { b"\r\n" } else { b"" };
        let end = [missing_separator, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let literal = |octets: &[u8]| Piece::Literal(line_end.apply(octets).into());
        let enclosed = self.edition().pieces().iter().cloned();
        let body = Edition::new([literal(&start)].into_iter().chain(enclosed).chain([literal(&end)]));
        let header = self.enclosing_header(enclosure, &boundary);
        self.body = body;
        self.header = Rc::new(header);
        self.set_separator(line_end);
        self.rewrites += 1;
        self.structure_changed();
        Ok(true)
    }

    /// Parts that stand before the enclosed message: the new message, its text, and the part that holds the old one.
    pub const ENCLOSED_BY: usize = 3;

    fn replace_content(&mut self, entity: Entity, replacement: Replacement<'_>) -> bool {
        let header = Rc::make_mut(&mut self.header);
        header.remove(|field| is_about_structure(field.name()));
        if !header.has("MIME-Version") {
            header.add(Side::Bottom, "MIME-Version", "1.0");
        }
        let mut described = Vec::new();
        for field in fields(&entity.header) {
            let is_described = std::str::from_utf8(field.name).is_ok_and(is_about_structure);
            described.extend_from_slice(if is_described { field.raw } else { b"" });
        }
        header.add_raw(Side::Bottom, &described);
        for (name, text) in [("Subject", replacement.subject), ("From", replacement.from)] {
            if let Some(text) = text {
                rename(header, name, &format!("Original-{name}"));
                header.add(Side::Bottom, name, text);
            }
        }
        let line_end = header.line_end();
        self.body = Edition::new([Piece::Literal(entity.body.into())]);
        self.set_separator(line_end);
        true
    }

    fn replace_part(&mut self, part: usize, entity: Entity) -> Result<bool, Unreadable> {
        let parts = self.parts()?;
        let Some(place) = parts.place(part) else { return Ok(false) };
        let line_end = self.header.line_end();
        let (before, after) =
            (Span::new(0, place.header.start), Span::new(place.body.end, self.body.octets()));
        let count = parts.count() - (place.inside_end - part);
        let mut pieces = self.body.slice(before);
        for octets in [entity.header.as_slice(), line_end.octets(), &entity.body] {
            pieces.push(Piece::Literal(octets.into()));
        }
        pieces.extend(self.body.slice(after));
        let old = std::mem::replace(&mut self.body, Edition::new(pieces));
        self.structure_changed();
        let replaced = self.parts()?;
        let inside = replaced.place(part).map_or(0, |place| place.inside_end.saturating_sub(part));
        let is_whole = inside > 0 && replaced.count() == count + inside;
        if !is_whole {
            self.body = old;
            self.structure_changed();
        }
        Ok(is_whole)
    }

    fn enclosing_header(&self, enclosure: &Enclosure<'_>, boundary: &str) -> Header {
        let mut header = Rc::clone(&self.header);
        let copied = |field: &HeaderField| {
            let is_subject = enclosure.subject.is_none() && field.name().eq_ignore_ascii_case("Subject");
            let is_named = enclosure.headers.iter().any(|name| name.eq_ignore_ascii_case(field.name()));
            (is_subject || is_named) && !is_about_structure(field.name())
        };
        let new = Rc::make_mut(&mut header);
        new.retain(|field| !field.name().is_empty() && copied(field));
        for (name, text) in [("Date", enclosure.date), ("From", enclosure.from)] {
            if !new.has(name) {
                new.add(Side::Bottom, name, text);
            }
        }
        if let Some(subject) = enclosure.subject {
            new.remove(|field| field.name().eq_ignore_ascii_case("Subject"));
            new.add(Side::Bottom, "Subject", subject);
        }
        new.remove(|field| field.name().eq_ignore_ascii_case("MIME-Version"));
        new.add_raw(
            Side::Bottom,
            format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n")
                .as_bytes(),
        );
        Rc::unwrap_or_clone(header)
    }

    /// A boundary no line of the message has: one number above all that occur behind our boundaries' beginning.
    fn free_boundary(&self) -> Result<String, Unreadable> {
        /// Digits of numbers that are ours.
        const DIGITS_MAX: usize = 15;
        let mut highest = 0_u64;
        let mut window = Vec::new();
        let edition = self.edition();
        edition.visit(&self.source, Span::new(0, edition.octets()), |run| {
            window.extend_from_slice(run);
            for found in memmem::find_iter(&window, BOUNDARY_START) {
                let rest = window.get(found + BOUNDARY_START.len()..).unwrap_or_default();
                let digits = rest.iter().take(DIGITS_MAX).take_while(|octet| octet.is_ascii_digit());
                let number = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
                highest = highest.max(number);
            }
            let kept = window.len().saturating_sub(BOUNDARY_START.len() + DIGITS_MAX);
            window.drain(..kept);
            true
        })?;
        Ok(format!("{BOUNDARY_START}{}_", highest.saturating_add(1)))
    }

    fn set_separator(&mut self, line_end: LineEnd) {
        self.separator = line_end.octets().into();
        self.separator_origin = None;
    }
}

/// Gives fields another name; their values stay as they stand.
fn rename(header: &mut Header, name: &str, new_name: &str) {
    let mut renamed = Vec::new();
    for field in header.named(name) {
        renamed.extend_from_slice(format!("{new_name}:").as_bytes());
        renamed.extend_from_slice(field.raw());
        renamed.extend_from_slice(b"\r\n");
    }
    header.remove(|field| field.name().eq_ignore_ascii_case(name));
    header.add_raw(Side::Bottom, &renamed);
}

impl Entity {
    /// Plain text in UTF-8; encoded if it is not plain enough for any transport, or could be taken for a boundary.
    fn of_text(text: &str, line_end: LineEnd) -> Entity {
        let is_plain = text.lines().all(|line| {
            let is_ascii = line.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~'));
            is_ascii && line.len() <= QUOTED_LINE_OCTETS_MAX && !line.starts_with("--")
        });
        let mut body = Vec::new();
        let encoding = if is_plain {
            body.extend(line_end.apply(text.as_bytes()));
            "7bit"
        } else {
            text.lines().for_each(|line| push_quoted(line, line_end, &mut body));
            "quoted-printable"
        };
        let header =
            format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n");
        Entity { header: line_end.apply(header.as_bytes()), body }
    }

    /// Header fields, a blank line and a body (RFC 2045 §2.4).
    fn of_mime(text: &str, line_end: LineEnd) -> Entity {
        let octets = line_end.apply(text.as_bytes());
        let mut read = fields(&octets);
        let fields_octets: usize = read.by_ref().map(|field| field.raw.len()).sum();
        let rest = read.rest();
        let body = blank_line_octets(rest).and_then(|blank| rest.get(blank..)).unwrap_or_default().to_vec();
        let mut header = octets.get(..fields_octets).unwrap_or_default().to_vec();
        if !header.is_empty() && !header.ends_with(b"\n") {
            header.extend_from_slice(line_end.octets());
        }
        Entity { header, body }
    }
}

/// Appends a line in quoted-printable; no line of it begins with a dash or looks like an mbox's (RFC 2045 §6.7).
fn push_quoted(line: &str, line_end: LineEnd, quoted: &mut Vec<u8>) {
    let mut column = 0;
    let octets = line.as_bytes();
    for (index, &octet) in octets.iter().enumerate() {
        let is_last = index + 1 == octets.len();
        let is_literal = matches!(octet, b'!'..=b'<' | b'>'..=b'~' | b' ' | b'\t')
            && !(column == 0 && matches!(octet, b'-' | b'F' | b'.'))
            && !(is_last && matches!(octet, b' ' | b'\t'));
        let escaped = format!("={octet:02X}");
        let written = if is_literal { std::slice::from_ref(&octet) } else { escaped.as_bytes() };
        // Room for the equals sign of a soft line break.
        if column + written.len() >= QUOTED_LINE_OCTETS_MAX {
            quoted.push(b'=');
            quoted.extend_from_slice(line_end.octets());
            column = 0;
        }
        quoted.extend_from_slice(written);
        column += written.len();
    }
    quoted.extend_from_slice(line_end.octets());
}
