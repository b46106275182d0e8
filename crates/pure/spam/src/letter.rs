//! A message read once for all rules: its fields, its texts as they are decoded and as they are shown, its links, its markup.

use std::borrow::Cow;

use message::{
    Addressee, CharsetDecoder, Content, Part, Span, Strictness, TransferDecoder, TransferEncoding,
    decode_field_text, fields, html_text, parse_addresses,
};

use crate::extract::{MESSAGE_OCTETS_MAX, structure};
use crate::header::HEADER_OCTETS_MAX;
use crate::link::{LINKS_MAX, Link, links_in_text};
use crate::page::Page;

/// Fields of a header that are looked at.
pub(crate) const FIELDS_MAX: usize = 300;

/// Octets of one field that are looked at.
pub(crate) const FIELD_OCTETS_MAX: usize = 4 * 1024;

/// Addresses of one field that are looked at.
pub(crate) const ADDRESSES_MAX: usize = 100;

/// Parts that are looked at.
pub(crate) const PARTS_MAX: usize = 60;

/// Octets of text that are decoded, all parts together.
pub(crate) const TEXT_OCTETS_MAX: usize = 96 * 1024;

/// A message read for its rules.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// As much of the message as is looked at.
    pub(crate) octets: &'a [u8],
    pub(crate) fields: Vec<FieldText<'a>>,
    /// Lines of the header that are no fields.
    pub(crate) foreign_lines: usize,
    pub(crate) structure: Part,
    pub(crate) texts: Vec<Text>,
    pub(crate) links: Vec<Link>,
    /// Parts besides the multiparts.
    pub(crate) leaves: usize,
}

/// One field.
#[derive(Debug)]
pub(crate) struct FieldText<'a> {
    pub(crate) name: &'a [u8],
    /// Without line ends; encoded-words as they are.
    pub(crate) value: Cow<'a, [u8]>,
    /// With folds, as it stands.
    pub(crate) folded: &'a [u8],
}

/// One text part.
#[derive(Debug)]
pub(crate) struct Text {
    /// Decoded, and in its charset.
    pub(crate) octets: Vec<u8>,
    /// As Unicode.
    pub(crate) text: String,
    /// What HTML shows and does; `None` for what is no HTML.
    pub(crate) page: Option<(String, Page)>,
    /// The charset that the part says it is in.
    pub(crate) charset: Option<Vec<u8>>,
    pub(crate) is_base64: bool,
    /// Whether all of it is there.
    pub(crate) is_whole: bool,
}

impl Text {
    /// What a reader sees.
    pub(crate) fn shown(&self) -> &str {
        self.page.as_ref().map_or(&self.text, |(shown, _)| shown)
    }
}

/// An address with its name.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) local: String,
    /// In lower case.
    pub(crate) domain: String,
}

impl<'a> Letter<'a> {
    /// Reads as much of a message as is looked at.
    pub(crate) fn read(message: &'a [u8]) -> Letter<'a> {
        let octets = message.get(..MESSAGE_OCTETS_MAX).unwrap_or(message);
        let structure = structure(octets);
        let header = octets.get(..place(structure.header.end).min(HEADER_OCTETS_MAX)).unwrap_or(octets);
        let mut letter = Letter {
            octets,
            fields: Vec::new(),
            foreign_lines: 0,
            texts: Vec::new(),
            links: Vec::new(),
            leaves: 0,
            structure: structure.clone(),
        };
        for field in fields(header).take(FIELDS_MAX) {
            if field.name.is_empty() {
                let is_mailbox_line = field.raw.starts_with(b"From ") || field.raw.starts_with(b">From ");
                letter.foreign_lines += usize::from(!is_mailbox_line);
                continue;
            }
            let value = match field.unfolded() {
                Cow::Borrowed(value) => Cow::Borrowed(value.get(..FIELD_OCTETS_MAX).unwrap_or(value)),
                Cow::Owned(mut value) => {
                    value.truncate(FIELD_OCTETS_MAX);
                    Cow::Owned(value)
                }
            };
            let folded = field.value.get(..FIELD_OCTETS_MAX).unwrap_or(field.value);
            letter.fields.push(FieldText { name: field.name, value, folded });
        }
        let mut room = Room { parts: PARTS_MAX, octets: TEXT_OCTETS_MAX };
        letter.part(&structure, &mut room);
        letter.take_links();
        letter
    }

    /// The first field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next().map(|field| field.value.as_ref())
    }

    /// All fields of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &FieldText<'a>> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The first field of a name as people read it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.field(name).map(decode_field_text)
    }

    /// Who is named in all fields of a name.
    pub(crate) fn people(&self, name: &str) -> Vec<Person> {
        let mut people = Vec::new();
        for field in self.all(name) {
            let room = ADDRESSES_MAX.saturating_sub(people.len());
            people.extend(parse_addresses(&field.value, room).into_iter().filter_map(person));
        }
        people
    }

    /// Whether a mailing list has passed it on.
    pub(crate) fn is_of_list(&self) -> bool {
        self.fields.iter().any(|field| {
            ["list-id", "list-post", "mailing-list", "x-mailing-list"]
                .iter()
                .any(|name| field.name.eq_ignore_ascii_case(name.as_bytes()))
        })
    }

    /// All pages of HTML.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.texts.iter().filter_map(|text| text.page.as_ref().map(|(_, page)| page))
    }

    /// Parts nest no deeper than the scanner lets them.
    fn part(&mut self, part: &Part, room: &mut Room) {
        if room.parts == 0 {
            return;
        }
        room.parts -= 1;
        match &part.content {
            Content::Multipart(parts) => parts.iter().for_each(|part| self.part(part, room)),
            Content::Message(embedded) => self.part(&embedded.structure, room),
            Content::Leaf => {
                self.leaves += 1;
                let is_attached = part.disposition.as_ref().is_some_and(|one| one.kind == b"attachment");
                if part.media_type == b"text" && !is_attached && room.octets > 0 {
                    self.texts.push(text(self.octets, part, room));
                }
            }
        }
    }

    fn take_links(&mut self) {
        for text in &self.texts {
            let room = LINKS_MAX.saturating_sub(self.links.len());
            if let Some((_, page)) = &text.page {
                self.links.extend(page.links.iter().take(room).cloned());
            }
            let room = LINKS_MAX.saturating_sub(self.links.len());
            links_in_text(text.shown(), room, &mut self.links);
        }
    }
}

/// What may still be looked at.
struct Room {
    parts: usize,
    octets: usize,
}

fn text(message: &[u8], part: &Part, room: &mut Room) -> Text {
    let (octets, is_whole) = decoded(message, part.body, &part.encoding, room.octets);
    room.octets -= octets.len().min(room.octets);
    // A part that says nothing is taken for US-ASCII; that is not its word.
    let header = message.get(place(part.header.start)..place(part.header.end)).unwrap_or_default();
    let says_charset = memchr::memmem::find(&header.to_ascii_lowercase(), b"charset").is_some();
    let charset = part.parameter("charset").filter(|_| says_charset).map(<[u8]>::to_vec);
    let mut text = String::with_capacity(octets.len());
    let mut decoder = CharsetDecoder::new(charset.as_deref().unwrap_or_default());
    decoder.feed(&octets, &mut text);
    decoder.finish(&mut text);
    let page = part.is_media("text", "html").then(|| (html_text(&text), Page::read(&text)));
    let is_base64 = TransferEncoding::parse(&part.encoding) == Some(TransferEncoding::Base64);
    Text { octets, text, page, charset, is_base64, is_whole }
}

/// A part's octets without their encoding, and whether that is all of them.
fn decoded(message: &[u8], span: Span, encoding: &[u8], octets_max: usize) -> (Vec<u8>, bool) {
    let start = place(span.start).min(message.len());
    let end = place(span.end).clamp(start, message.len());
    // No encoding makes text more than three times as long.
    let near = end.min(start.saturating_add(octets_max.saturating_mul(3)));
    let encoding = TransferEncoding::parse(encoding).unwrap_or(TransferEncoding::Identity);
    let mut decoder = TransferDecoder::new(encoding, Strictness::Lenient);
    let mut decoded = Vec::new();
    // A lenient decoder refuses nothing.
    let _never_refused = decoder.feed(message.get(start..near).unwrap_or_default(), &mut decoded);
    let _never_refused = decoder.finish(&mut decoded);
    let is_whole = near == end && decoded.len() <= octets_max && end < MESSAGE_OCTETS_MAX;
    decoded.truncate(octets_max);
    (decoded, is_whole)
}

fn person(one: Addressee) -> Option<Person> {
    let Addressee::Mailbox { name, local_part, domain, .. } = one else { return None };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some(Person {
        name: name.map(|name| decode_field_text(&name)).unwrap_or_default(),
        local: text(&local_part),
        domain: text(&domain).to_lowercase(),
    })
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_is_bounded() {
        for (given, kept) in
            [(FIELDS_MAX - 1, FIELDS_MAX - 1), (FIELDS_MAX, FIELDS_MAX), (FIELDS_MAX + 1, FIELDS_MAX)]
        {
            let message = "A: b\n".repeat(given);
            assert_eq!(Letter::read(message.as_bytes()).fields.len(), kept);
        }
        for (given, kept) in [
            (FIELD_OCTETS_MAX - 1, FIELD_OCTETS_MAX - 1),
            (FIELD_OCTETS_MAX, FIELD_OCTETS_MAX),
            (FIELD_OCTETS_MAX + 1, FIELD_OCTETS_MAX),
        ] {
            let message = format!("A: {}\n\n", "b".repeat(given));
            assert_eq!(Letter::read(message.as_bytes()).field("a").map(<[u8]>::len), Some(kept));
        }
        for (given, kept) in [
            (ADDRESSES_MAX - 1, ADDRESSES_MAX - 1),
            (ADDRESSES_MAX, ADDRESSES_MAX),
            (ADDRESSES_MAX + 1, ADDRESSES_MAX),
        ] {
            let message = format!("To: {}\n\n", "a@b.example,".repeat(given).trim_end_matches(','));
            assert_eq!(Letter::read(message.as_bytes()).people("to").len(), kept);
        }
        for (given, kept) in [
            (TEXT_OCTETS_MAX - 1, TEXT_OCTETS_MAX - 1),
            (TEXT_OCTETS_MAX, TEXT_OCTETS_MAX),
            (TEXT_OCTETS_MAX + 1, TEXT_OCTETS_MAX),
        ] {
            let message = format!("A: b\n\n{}", "c".repeat(given));
            let letter = Letter::read(message.as_bytes());
            assert_eq!(
                (letter.texts[0].octets.len(), letter.texts[0].is_whole),
                (kept, given <= TEXT_OCTETS_MAX)
            );
        }
        for (given, kept) in
            [(PARTS_MAX - 2, PARTS_MAX - 2), (PARTS_MAX - 1, PARTS_MAX - 1), (PARTS_MAX, PARTS_MAX - 1)]
        {
            let message =
                format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(given));
            assert_eq!(Letter::read(message.as_bytes()).leaves, kept);
        }
    }
}
