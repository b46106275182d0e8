//! What a script sees and changes of a message: its header fields in order, as written and as text; its parts and their
//! decoded content; its size. Changes are kept beside the original, which is only ever read in ranges.
//!
//! Fields are found by name through an index; the text of a field is decoded at most once, however many rules look at it.
//! What is decoded of bodies is bounded for a message, whatever is asked.

mod address;
mod body;
mod header;
mod mime_option;
mod parts;
mod rewrite;
mod source;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use message::{Part, Span, blank_line_octets};

pub(crate) use address::joined;
pub use address::{ADDRESSES_MAX, AddressForm, MailAddress};
pub use body::BodyTransform;
use body::Decoded;
pub(crate) use header::LineEnd;
pub use header::{Header, HeaderField, Occurrence, Side};
pub use mime_option::MimeOption;
use parts::{FIELD_OCTETS, Parts};
pub use parts::{PARAMETERS_MAX, PART_HEADER_OCTETS_MAX, PART_HEADERS_OCTETS_MAX, PARTS_MAX};
pub use rewrite::{Enclosure, REWRITES_MAX, Replacement};
use source::Counted;
pub use source::{Edition, Piece, READ_OCTETS_MAX, Source, Unreadable};

/// Octets of a message's header that scripts are shown: what we take by SMTP, and the trace fields on top of it.
pub const HEADER_OCTETS_MAX: usize = 1024 * 1024 + 64 * 1024;

/// How a message is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Octets of decoded text kept of one message's bodies; what lies beyond is not looked at.
    pub decoded_octets_max: usize,
    /// Which characters addresses may have.
    pub address_form: AddressForm,
}

impl Default for MessageLimits {
    fn default() -> MessageLimits {
        MessageLimits { decoded_octets_max: 2 * 1024 * 1024, address_form: AddressForm::International }
    }
}

/// A message under a script's eyes. Its header is in memory, its body is not.
pub struct Message {
    source: Counted,
    limits: MessageLimits,
    header: Rc<Header>,
    /// The blank line; empty in a message that ends within its header.
    separator: Arc<[u8]>,
    /// Where the blank line stands in the original, unless it is ours.
    separator_origin: Option<Span>,
    body: Edition,
    parts: RefCell<Option<Rc<Parts>>>,
    part_headers: RefCell<PartHeaders>,
    decoded: RefCell<Decoded>,
    edition: OnceCell<Edition>,
    rewrites: usize,
}

/// A message as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    header: Rc<Header>,
    separator: Arc<[u8]>,
    separator_origin: Option<Span>,
    body: Edition,
}

/// Headers of parts that were looked at, and the octets they take.
#[derive(Default)]
struct PartHeaders {
    headers: HashMap<usize, Rc<Header>>,
    octets: usize,
}

impl Message {
    /// Reads a message's header.
    pub fn open(source: Box<dyn Source>, limits: MessageLimits) -> Result<Message, Unreadable> {
        let source = Counted::new(source);
        let octets = source.octets();
        let ReadHeader { octets: header, blank } = read_header(&source)?;
        let blank = blank.unwrap_or(header.len()..header.len());
        let fields = header.get(..blank.start).unwrap_or_default();
        let separator = header.get(blank.clone()).unwrap_or_default();
        Ok(Message {
            header: Rc::new(Header::read(fields, Some(0), limits.address_form)),
            separator: separator.into(),
            separator_origin: Some(Span::new(blank.start as u64, blank.end as u64)),
            body: Edition::new([Piece::Original(Span::new(blank.end as u64, octets))]),
            source,
            limits,
            parts: RefCell::default(),
            part_headers: RefCell::default(),
            decoded: RefCell::new(Decoded::new(limits.decoded_octets_max)),
            edition: OnceCell::new(),
            rewrites: 0,
        })
    }

    /// A message that is in memory.
    pub fn from_octets(octets: &[u8], limits: MessageLimits) -> Result<Message, Unreadable> {
        Message::open(Box::new(octets.to_vec()), limits)
    }

    /// The message as it is now, to come back to. Costs nothing but what is changed from here on.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            header: Rc::clone(&self.header),
            separator: self.separator.clone(),
            separator_origin: self.separator_origin,
            body: self.body.clone(),
        }
    }

    /// Makes it what it was; what was spent on changes stays spent.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        if Rc::ptr_eq(&self.header, &snapshot.header) && self.body == snapshot.body {
            return;
        }
        self.header = Rc::clone(&snapshot.header);
        self.separator = snapshot.separator.clone();
        self.separator_origin = snapshot.separator_origin;
        self.body = snapshot.body.clone();
        self.structure_changed();
    }

    /// Tells the structure of the original, if it is known, so that it need not be read to find its parts.
    pub fn know_structure(&mut self, structure: &Part) {
        self.parts = RefCell::new(Some(Rc::new(Parts::of(structure))));
    }

    /// Octets of the message as it is now (RFC 5228 §5.9).
    pub fn octets(&self) -> u64 {
        self.header.octets() + self.separator.len() as u64 + self.body.octets()
    }

    /// Its header as it is now.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All header fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderField> {
        self.header.fields().filter(|field| !field.name().is_empty())
    }

    /// The fields of this name, in any letter case, in order.
    pub fn named<'m>(
        &'m self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = &'m HeaderField> + ExactSizeIterator + use<'m> {
        self.header.named(name)
    }

    /// Where its octets come from.
    pub fn source(&self) -> &dyn Source {
        &self.source
    }

    /// How many octets of it have been read so far: what looking at it has cost.
    pub fn octets_read(&self) -> u64 {
        self.source.octets_read()
    }

    /// The message as it is now: what an action that is taken at this moment is about.
    pub fn edition(&self) -> &Edition {
        self.edition.get_or_init(|| {
            let fields = self.header.fields().map(HeaderField::piece);
            Edition::new(fields.chain([self.separator_piece()]).chain(self.body.pieces().iter().cloned()))
        })
    }

    /// Whether a script has changed it.
    pub fn is_edited(&self) -> bool {
        !self.edition().is_original(self.source.octets())
    }

    /// Adds a header field (RFC 5293 §4).
    pub fn add_field(&mut self, place: Side, name: &str, text: &str) {
        Rc::make_mut(&mut self.header).add(place, name, text);
        self.header_changed(is_about_structure(name));
    }

    /// Deletes those fields of this name that are meant and of which `is_deleted` says so; how many went (RFC 5293 §5).
    pub fn delete_fields(
        &mut self,
        name: &str,
        occurrence: Occurrence,
        mut is_deleted: impl FnMut(&HeaderField) -> bool,
    ) -> usize {
        let count = self.header.named(name).len();
        let mut index = 0;
        let deleted = Rc::make_mut(&mut self.header).remove(|field| {
            if !field.name().eq_ignore_ascii_case(name) {
                return false;
            }
            index += 1;
            occurrence.includes(index - 1, count) && is_deleted(field)
        });
        if deleted > 0 {
            self.header_changed(is_about_structure(name));
        }
        deleted
    }

    /// Puts another message in its place, as a whole: nothing of the original is left in it.
    pub fn replace_all(&mut self, octets: &[u8]) {
        let mut fields = message::fields(octets);
        fields.by_ref().for_each(drop);
        let rest = fields.rest();
        let (header, _) = octets.split_at(octets.len() - rest.len());
        let (separator, body) = rest.split_at(blank_line_octets(rest).unwrap_or_default());
        self.header = Rc::new(Header::read(header, None, self.limits.address_form));
        self.separator = separator.into();
        self.separator_origin = None;
        self.body = Edition::new([Piece::Literal(body.into())]);
        self.structure_changed();
    }

    /// How many parts it has, itself included.
    pub fn part_count(&self) -> Result<usize, Unreadable> {
        Ok(self.parts()?.count())
    }

    /// The index behind the last part inside this one; parts inside a part follow it (RFC 5703 §3).
    pub fn inside_end(&self, part: usize) -> Result<usize, Unreadable> {
        Ok(self.parts()?.place(part).map_or(part, |place| place.inside_end))
    }

    /// The header of a part; of the first one, which is the message, its header as it is now. Empty for a part behind those
    /// whose headers fill [`PART_HEADERS_OCTETS_MAX`].
    pub fn part_header(&self, part: usize) -> Result<Rc<Header>, Unreadable> {
        if part == 0 {
            return Ok(self.header.clone());
        }
        if let Some(known) = self.part_headers.borrow().headers.get(&part) {
            return Ok(known.clone());
        }
        let parts = self.parts()?;
        let span = parts.place(part).map(|place| place.header).unwrap_or_default();
        let has_room = self.part_headers.borrow().octets < PART_HEADERS_OCTETS_MAX;
        let most = if has_room { PART_HEADER_OCTETS_MAX as u64 } else { 0 };
        let octets = self.body.read(&self.source, first_octets(span, most))?;
        let header = Rc::new(Header::read(&octets, None, self.limits.address_form));
        let mut known = self.part_headers.borrow_mut();
        known.octets += octets.len().max(header.fields().count() * FIELD_OCTETS);
        known.headers.insert(part, header.clone());
        Ok(header)
    }

    fn parts(&self) -> Result<Rc<Parts>, Unreadable> {
        if let Some(parts) = &*self.parts.borrow() {
            return Ok(parts.clone());
        }
        let parts = Rc::new(Parts::scan(&self.source, &self.header, &self.separator, &self.body)?);
        *self.parts.borrow_mut() = Some(parts.clone());
        Ok(parts)
    }

    fn separator_piece(&self) -> Piece {
        match self.separator_origin {
            Some(span) => Piece::Original(span),
            None => Piece::Literal(self.separator.clone()),
        }
    }

    fn header_changed(&mut self, is_about_structure: bool) {
        self.edition = OnceCell::new();
        if is_about_structure {
            self.structure_changed();
        }
    }

    fn structure_changed(&mut self) {
        self.edition = OnceCell::new();
        self.parts = RefCell::default();
        self.part_headers = RefCell::default();
        self.decoded.borrow_mut().forget();
    }
}

/// Whether a field of this name says what a body is.
fn is_about_structure(name: &str) -> bool {
    name.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case("content-"))
}

fn first_octets(span: Span, octets_max: u64) -> Span {
    Span::new(span.start, span.end.min(span.start.saturating_add(octets_max)))
}

/// The beginning of a message.
struct ReadHeader {
    /// The header and what was read behind it.
    octets: Vec<u8>,
    /// Where the blank line is, if there is one.
    blank: Option<Range<usize>>,
}

fn read_header(source: &dyn Source) -> Result<ReadHeader, Unreadable> {
    /// Most headers fit.
    const FIRST_OCTETS: u64 = 16 * 1024;
    let octets_max = source.octets().min(HEADER_OCTETS_MAX as u64);
    let mut header = Vec::new();
    let mut line_start = 0;
    let mut run = FIRST_OCTETS;
    while (header.len() as u64) < octets_max {
        let start = header.len() as u64;
        header.extend(source.read(Span::new(start, octets_max.min(start + run)))?);
        if header.len() as u64 == start {
            return Err(Unreadable);
        }
        run = READ_OCTETS_MAX;
        while let Some(line) = header.get(line_start..) {
            if let Some(blank) = blank_line_octets(line) {
                return Ok(ReadHeader { octets: header, blank: Some(line_start..line_start + blank) });
            }
            let Some(line_feed) = memchr::memchr(b'\n', line) else { break };
            line_start += line_feed + 1;
        }
    }
    Ok(ReadHeader { octets: header, blank: None })
}

#[cfg(test)]
mod tests;
