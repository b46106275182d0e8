//! A header as scripts see and change it: fields in their order, found by name, their text decoded once; added and deleted
//! ones leave the octets of all others alone (RFC 5228 §2.4.2.2, RFC 5293).

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use memchr::memchr;
use message::{Span, decode_field_text};

use super::address::{AddressForm, MailAddress, read_addresses};
use super::source::Piece;

/// A header's fields. Cloning it is cheap per field: they are shared.
#[derive(Clone, Debug, Default)]
pub struct Header {
    fields: Vec<Rc<HeaderField>>,
    /// Which fields have a name, by the name in lower case.
    index: OnceCell<HashMap<Vec<u8>, Vec<u32>>>,
    form: AddressForm,
    line_end: LineEnd,
}

/// How the message's lines end; what is added follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    #[default]
    CrLf,
    Lf,
}

impl LineEnd {
    /// Text with each of its line ends as this one.
    pub(crate) fn apply(self, octets: &[u8]) -> Vec<u8> {
        let mut applied = Vec::with_capacity(octets.len());
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let has_end = text.len() < line.len();
            applied.extend_from_slice(if has_end { text.strip_suffix(b"\r").unwrap_or(text) } else { text });
            if has_end {
                applied.extend_from_slice(self.octets());
            }
        }
        applied
    }

    pub(crate) fn octets(self) -> &'static [u8] {
        match self {
            LineEnd::CrLf => b"\r\n",
            LineEnd::Lf => b"\n",
        }
    }
}

/// One field, or a line that is none and only kept for its octets.
#[derive(Debug)]
pub struct HeaderField {
    octets: Arc<[u8]>,
    /// Where it stands in the original message, unless a script added it.
    origin: Option<Span>,
    name: Range<usize>,
    value: Range<usize>,
    form: AddressForm,
    text: OnceCell<Box<str>>,
    casemap: OnceCell<Box<[u8]>>,
    addresses: OnceCell<Box<[MailAddress]>>,
}

impl HeaderField {
    fn new(field: &message::Field<'_>, origin: Option<Span>, form: AddressForm) -> HeaderField {
        let has_name = !field.name.is_empty();
        let value = has_name.then(|| memchr(b':', field.raw)).flatten().map_or(0, |colon| colon + 1);
        HeaderField {
            octets: field.raw.into(),
            origin,
            name: 0..field.name.len(),
            value: value..value + field.value.len(),
            form,
            text: OnceCell::new(),
            casemap: OnceCell::new(),
            addresses: OnceCell::new(),
        }
    }

    /// Its name as written; empty if the line is no field.
    pub fn name(&self) -> &str {
        // A field's name is printable US-ASCII.
        self.octets.get(self.name.clone()).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// All its octets, folds and line end included.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// What follows the colon, folds included, the last line end not.
    pub fn raw(&self) -> &[u8] {
        self.octets.get(self.value.clone()).unwrap_or_default()
    }

    /// Its value as scripts compare it: on one line, encoded-words decoded, no blanks around it (RFC 5228 §2.7.2, RFC 2047).
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let text = decode_field_text(self.raw());
            match text.trim_matches(is_blank) {
                trimmed if trimmed.len() == text.len() => text.into(),
                trimmed => trimmed.into(),
            }
        })
    }

    /// The text in lower ASCII letters: what i;ascii-casemap compares.
    pub fn casemap(&self) -> &[u8] {
        self.casemap.get_or_init(|| self.text().as_bytes().to_ascii_lowercase().into())
    }

    /// The addresses in it.
    pub fn addresses(&self) -> &[MailAddress] {
        self.addresses.get_or_init(|| read_addresses(self.raw(), self.form).into())
    }

    pub(crate) fn piece(&self) -> Piece {
        match self.origin {
            Some(span) => Piece::Original(span),
            None => Piece::Literal(self.octets.clone()),
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// Where a field is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above all others.
    Top,
    /// Below all others: `:last`.
    Bottom,
}

/// Which fields of a name are meant: `:index` and `:last` (RFC 5260 §6, RFC 5293 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// All.
    Any,
    /// The one with this number, counted from 1 at the top.
    FromFirst(u64),
    /// The one with this number, counted from 1 at the bottom.
    FromLast(u64),
}

impl Occurrence {
    /// Whether the field at an index among `count` of its name is meant.
    pub fn includes(self, index: usize, count: usize) -> bool {
        match self {
            Occurrence::Any => true,
            Occurrence::FromFirst(number) => index as u64 + 1 == number,
            Occurrence::FromLast(number) => (count - index) as u64 == number,
        }
    }
}

impl Header {
    /// Reads the fields of a header; `start` is where it stands in the original, `None` if it does not.
    pub(crate) fn read(octets: &[u8], start: Option<u64>, form: AddressForm) -> Header {
        let mut offset = start.unwrap_or_default();
        let mut fields = Vec::new();
        for field in message::fields(octets) {
            let span = Span::new(offset, offset + field.raw.len() as u64);
            offset = span.end;
            fields.push(Rc::new(HeaderField::new(&field, start.map(|_| span), form)));
        }
        let first_line = octets.split_inclusive(|&octet| octet == b'\n').next().unwrap_or_default();
        let is_bare = first_line.ends_with(b"\n") && !first_line.ends_with(b"\r\n");
        let line_end = if is_bare { LineEnd::Lf } else { LineEnd::CrLf };
        Header { fields, index: OnceCell::new(), form, line_end }
    }

    /// The fields with this name, in any letter case, from the top.
    pub fn named<'h>(
        &'h self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = &'h HeaderField> + ExactSizeIterator + use<'h> {
        let found = self.index().get(&name.as_bytes().to_ascii_lowercase());
        // The index names fields there are.
        found.map(Vec::as_slice).unwrap_or_default().iter().map(|&index| &*self.fields[index as usize])
    }

    /// The fields with this name that are meant.
    pub fn chosen<'h>(
        &'h self,
        name: &str,
        occurrence: Occurrence,
    ) -> impl Iterator<Item = &'h HeaderField> + use<'h> {
        let named = self.named(name);
        let count = named.len();
        named.enumerate().filter(move |(index, _)| occurrence.includes(*index, count)).map(|(_, field)| field)
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.index().contains_key(&name.as_bytes().to_ascii_lowercase())
    }

    /// All fields in order, lines that are none included.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderField> {
        self.fields.iter().map(Rc::as_ref)
    }

    /// How many octets its fields have.
    pub fn octets(&self) -> u64 {
        self.fields.iter().map(|field| field.octets.len() as u64).sum()
    }

    pub(crate) fn line_end(&self) -> LineEnd {
        self.line_end
    }

    /// Adds a field with this text, encoded and folded as needed (RFC 5293 §4).
    pub(crate) fn add(&mut self, place: Side, name: &str, text: &str) {
        let mut raw = Vec::new();
        message::write_exact_text_field(name, text, &mut raw);
        self.add_raw(place, &raw);
    }

    /// Adds fields that are already written.
    pub(crate) fn add_raw(&mut self, place: Side, raw: &[u8]) {
        let raw = self.line_end.apply(raw);
        let form = self.form;
        let added = message::fields(&raw).map(|field| Rc::new(HeaderField::new(&field, None, form)));
        match place {
            Side::Top => {
                // A header that begins like a folded line must not become one.
                let is_fold = |field: &&Rc<HeaderField>| {
                    field.octets.starts_with(b" ") || field.octets.starts_with(b"\t")
                };
                let folds = self.fields.iter().take_while(is_fold).count();
                drop(self.fields.splice(folds..folds, added));
            }
            Side::Bottom => {
                self.end_last_line();
                self.fields.extend(added);
            }
        }
        self.index = OnceCell::new();
    }

    /// Removes the fields that `is_removed` says, which is given their names; how many went.
    pub(crate) fn remove(&mut self, mut is_removed: impl FnMut(&HeaderField) -> bool) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| field.name.is_empty() || !is_removed(field));
        self.index = OnceCell::new();
        before - self.fields.len()
    }

    /// Keeps only the lines that `is_kept` says.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&HeaderField) -> bool) {
        self.fields.retain(|field| is_kept(field));
        self.index = OnceCell::new();
    }

    /// A message that ends within its header may lack the last line end.
    fn end_last_line(&mut self) {
        let Some(last) = self.fields.last_mut() else { return };
        if !last.octets.ends_with(b"\n") {
            let mut raw = last.octets.to_vec();
            raw.extend_from_slice(self.line_end.octets());
            if let Some(field) = message::fields(&raw).next() {
                *last = Rc::new(HeaderField::new(&field, None, self.form));
            }
        }
    }

    fn index(&self) -> &HashMap<Vec<u8>, Vec<u32>> {
        self.index.get_or_init(|| {
            let mut index: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            for (number, field) in (0_u32..).zip(&self.fields) {
                if !field.name.is_empty() {
                    index.entry(field.name().to_ascii_lowercase().into_bytes()).or_default().push(number);
                }
            }
            index
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header {
        Header::read(text.as_bytes(), Some(0), AddressForm::International)
    }

    fn written(header: &Header) -> String {
        header.fields().map(|field| String::from_utf8_lossy(field.octets()).into_owned()).collect()
    }

    fn texts(header: &Header, name: &str) -> Vec<String> {
        header.named(name).map(|field| field.text().to_owned()).collect()
    }

    #[test]
    fn fields_are_found_by_name_in_order() {
        let header = header(
            "To: a\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nno field\r\nTO:  b\r\n c \r\nX:\r\n\r\n",
        );
        assert_eq!(texts(&header, "to"), ["a", "b c"]);
        assert_eq!(texts(&header, "SUBJECT"), ["Grüße"]);
        assert_eq!(texts(&header, "x"), [""]);
        assert!(header.has("X") && !header.has("no field") && !header.has(""));
        assert_eq!(header.named("to").next_back().map(HeaderField::text), Some("b c"));
        assert_eq!(header.fields().count(), 5);
    }

    #[test]
    fn occurrences_count_from_either_end() {
        let header = header("A: 1\nA: 2\nB: x\nA: 3\n\n");
        let chosen =
            |occurrence| header.chosen("a", occurrence).map(|f| f.text().to_owned()).collect::<String>();
        assert_eq!(chosen(Occurrence::Any), "123");
        assert_eq!(chosen(Occurrence::FromFirst(2)), "2");
        assert_eq!(chosen(Occurrence::FromLast(1)), "3");
        assert_eq!(chosen(Occurrence::FromLast(3)), "1");
        assert_eq!(chosen(Occurrence::FromFirst(4)), "");
        assert_eq!(chosen(Occurrence::FromFirst(0)), "");
        assert_eq!(chosen(Occurrence::FromLast(u64::MAX)), "");
    }

    #[test]
    fn added_fields_follow_the_messages_line_ends() {
        let mut crlf = header("A: 1\r\n");
        crlf.add(Side::Top, "X", "top");
        crlf.add(Side::Bottom, "Y", "Grüße");
        assert_eq!(written(&crlf), "X: top\r\nA: 1\r\nY: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n");
        assert_eq!(texts(&crlf, "y"), ["Grüße"]);
        let mut lf = header("A: 1");
        lf.add(Side::Bottom, "X", "y");
        assert_eq!(written(&lf), "A: 1\r\nX: y\r\n");
        let mut folded = header(" odd\nA: 1\n");
        folded.add(Side::Top, "X", "y");
        assert_eq!(
            (written(&folded).as_str(), texts(&folded, "x")),
            (" odd\nX: y\nA: 1\n", vec!["y".to_owned()])
        );
        let mut lf = header("A: 1\nB: 2");
        lf.add(Side::Bottom, "X", "y");
        assert_eq!(written(&lf), "A: 1\nB: 2\nX: y\n");
    }

    #[test]
    fn untouched_fields_stay_where_they_are() {
        let mut edited = header("A: 1\r\nB:2\r\n  3\r\nodd line\r\n");
        edited.add(Side::Top, "A", "0");
        assert_eq!(edited.remove(|field| field.name() == "A" && field.text() == "1"), 1);
        assert_eq!(written(&edited), "A: 0\r\nB:2\r\n  3\r\nodd line\r\n");
        let pieces: Vec<Piece> = edited.fields().map(HeaderField::piece).collect();
        assert_eq!(pieces[1..], [Piece::Original(Span::new(6, 16)), Piece::Original(Span::new(16, 26))]);
        assert_eq!(edited.remove(|_| true), 2);
        assert_eq!(written(&edited), "odd line\r\n");
    }

    #[test]
    fn values_survive_being_written() {
        let long = "words that are folded ".repeat(20);
        for text in ["plain", "", "a =?utf-8?q?b?=", "bell \u{7}!", "Это тест!", "a\r\n b", long.trim()]
        {
            let mut header = Header::default();
            header.add(Side::Top, "X-Test", text);
            let expected = text.replace("\r\n", "");
            assert_eq!(texts(&header, "x-test"), [expected.as_str()]);
            assert_eq!(header.fields().count(), 1);
        }
        let mut header = Header::default();
        header.add(Side::Top, "X-Test", "a\r\nBcc: b\r\n\r\nbody");
        assert_eq!(texts(&header, "x-test"), ["a Bcc: b  body"]);
        assert_eq!(header.fields().count(), 1);
    }
}
