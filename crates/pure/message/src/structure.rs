//! The part tree of a message: where each part's octets lie and what its MIME fields say, which is what IMAP's
//! BODYSTRUCTURE and section paths ask for (RFC 2045, 2046, 9051 §6.4.5.1 and §7.5.2).

use crate::envelope::Envelope;
use crate::mime_field::ContentType;

/// A run of octets of the stored message, from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first octet.
    pub start: u64,
    /// Offset behind the last octet; never below `start`.
    pub end: u64,
}

impl Span {
    /// The span between two offsets; an end below the start gives an empty span.
    pub fn new(start: u64, end: u64) -> Span {
        Span { start, end: end.max(start) }
    }

    /// How many octets it holds.
    pub fn octets(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `inner` lies wholly inside.
    pub fn contains(self, inner: Span) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }
}

/// One parameter of a Content-Type or Content-Disposition field, RFC 2231 continuations joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Lower-case name, ready for BODYSTRUCTURE: ends in `*` when `value` is `charset'language'percent-encoded`.
    pub attribute: Vec<u8>,
    /// The value without quotes, otherwise as it stood.
    pub value: Vec<u8>,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment` or another lower-case word.
    pub kind: Vec<u8>,
    /// `filename` and others.
    pub parameters: Vec<Parameter>,
}

/// What a part holds besides octets.
///
/// The scanner keeps this promise for BODYSTRUCTURE: a part whose media type is `multipart` is always a `Multipart` with
/// at least one child, `message/rfc822` and `message/global` are always a `Message`; what could not be taken
/// apart (too deep, transfer-encoded against RFC 2046 §5.2.1) is shown as `application/octet-stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Octets of some other kind.
    Leaf,
    /// The parts of a multipart, never empty.
    Multipart(Vec<Part>),
    /// A message inside the message.
    Message(Box<EmbeddedMessage>),
}

/// The message inside a message/rfc822 or message/global part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedMessage {
    /// Its envelope.
    pub envelope: Envelope,
    /// Its own part tree; the root's `header` is the embedded message's header.
    pub structure: Part,
}

/// One node of the part tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part's header with the blank line that ends it; for the root of a message, the message's header.
    pub header: Span,
    /// The part's body, without the line end that belongs to the following boundary.
    pub body: Span,
    /// Line ends in the body: as other servers count, a last line without one is not counted.
    pub lines: u64,
    /// Lower-case media type.
    pub media_type: Vec<u8>,
    /// Lower-case media subtype.
    pub subtype: Vec<u8>,
    /// Parameters of Content-Type.
    pub parameters: Vec<Parameter>,
    /// Content-ID as it stood, angle brackets included.
    pub id: Option<Vec<u8>>,
    /// Content-Description, unfolded.
    pub description: Option<Vec<u8>>,
    /// Lower-case Content-Transfer-Encoding, `7bit` if there is none.
    pub encoding: Vec<u8>,
    /// Content-MD5.
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language.
    pub languages: Vec<Vec<u8>>,
    /// Content-Location.
    pub location: Option<Vec<u8>>,
    /// What is inside.
    pub content: Content,
}

/// Which octets of a section are meant (the word after the part numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// Nothing follows the numbers: the part's body; without numbers, the whole message.
    Whole,
    /// `HEADER` and its variants: the header of the (embedded) message.
    Header,
    /// `TEXT`: the body of the (embedded) message.
    Text,
    /// `MIME`: the header of the part itself.
    Mime,
}

impl Part {
    /// A part of which nothing is known yet but where it begins.
    pub(crate) fn beginning_at(offset: u64) -> Part {
        Part {
            header: Span::new(offset, offset),
            body: Span::new(offset, offset),
            lines: 0,
            media_type: Vec::new(),
            subtype: Vec::new(),
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: Vec::new(),
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
            content: Content::Leaf,
        }
    }

    /// A part without MIME fields, which is plain text (RFC 2045 §5.2).
    pub(crate) fn plain_text_at(offset: u64) -> Part {
        let ContentType { media_type, subtype, parameters } = ContentType::plain_text();
        Part { media_type, subtype, parameters, encoding: b"7bit".to_vec(), ..Part::beginning_at(offset) }
    }

    /// The part with these IMAP part numbers, `self` being the root of a message (RFC 9051 §6.4.5.1).
    ///
    /// An empty path is the root. A message that is no multipart has exactly one part, number 1.
    pub fn find(&self, path: &[u32]) -> Option<&Part> {
        let Some((&number, mut rest)) = path.split_first() else { return Some(self) };
        let mut part = self.numbered(number)?;
        while let Some((&number, remaining)) = rest.split_first() {
            part = match &part.content {
                Content::Multipart(_) => part.numbered(number)?,
                Content::Message(embedded) => embedded.structure.numbered(number)?,
                Content::Leaf => return None,
            };
            rest = remaining;
        }
        Some(part)
    }

    /// Where the octets of a section lie, `self` being the root of a message; `None` if there is no such section.
    pub fn section(&self, path: &[u32], text: SectionText) -> Option<Span> {
        if path.is_empty() {
            return match text {
                SectionText::Whole => Some(Span::new(self.header.start, self.body.end)),
                SectionText::Header => Some(self.header),
                SectionText::Text => Some(self.body),
                SectionText::Mime => None,
            };
        }
        let part = self.find(path)?;
        match (text, &part.content) {
            (SectionText::Whole, _) => Some(part.body),
            (SectionText::Mime, _) => Some(part.header),
            (SectionText::Header, Content::Message(embedded)) => Some(embedded.structure.header),
            (SectionText::Text, Content::Message(embedded)) => Some(embedded.structure.body),
            (SectionText::Header | SectionText::Text, _) => None,
        }
    }

    /// Whether the media type is this one; both words in lower case.
    pub fn is_media(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type == media_type.as_bytes() && self.subtype == subtype.as_bytes()
    }

    /// The value of a Content-Type parameter, named in lower case.
    pub fn parameter(&self, attribute: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|p| p.attribute == attribute.as_bytes()).map(|p| p.value.as_slice())
    }

    fn numbered(&self, number: u32) -> Option<&Part> {
        match &self.content {
            Content::Multipart(parts) => parts.get(usize::try_from(number.checked_sub(1)?).ok()?),
            Content::Leaf | Content::Message(_) => (number == 1).then_some(self),
        }
    }
}
