//! One message or body part while the scanner is inside it, and what its header says (RFC 2045, 2046).

use crate::date::Date;
use crate::envelope::{Envelope, EnvelopeReading};
use crate::field_cache::CachedFields;
use crate::header::{Field, fields};
use crate::limits::{BOUNDARY_OCTETS_MAX, Limits};
use crate::message_id::{bounded_references, message_ids};
use crate::mime_field::{ContentType, parse_encoding, parse_languages};
use crate::structure::{Content, Disposition, EmbeddedMessage, Parameter, Part, Span};

/// Languages of one part that are kept; a real part has one.
const LANGUAGES_MAX: usize = 16;

/// Whose header is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderOf {
    Message,
    EmbeddedMessage,
    Part,
    /// A part of a multipart/digest, which is a message unless it says otherwise (RFC 2046 §5.1.5).
    DigestPart,
}

/// What an open entity is.
#[derive(Debug)]
pub(crate) enum OpenKind {
    /// Its header has not ended.
    InHeader,
    Leaf,
    Multipart {
        boundary: Vec<u8>,
        /// Its last boundary has passed, or there is none to look for.
        is_closed: bool,
    },
    Message,
}

/// A message or body part whose end has not been seen.
#[derive(Debug)]
pub(crate) struct OpenEntity {
    pub(crate) header_of: HeaderOf,
    pub(crate) kind: OpenKind,
    pub(crate) part: Part,
    /// Only messages have one.
    pub(crate) envelope: Envelope,
    pub(crate) line_ends_before_body: u64,
    /// Where the last child ends; the body must reach so far.
    pub(crate) children_end: u64,
}

impl OpenEntity {
    /// An entity whose header begins at this offset.
    pub(crate) fn new(offset: u64, header_of: HeaderOf) -> OpenEntity {
        OpenEntity {
            header_of,
            kind: OpenKind::InHeader,
            part: Part::beginning_at(offset),
            envelope: Envelope::default(),
            line_ends_before_body: 0,
            children_end: 0,
        }
    }

    pub(crate) fn is_in_header(&self) -> bool {
        matches!(self.kind, OpenKind::InHeader)
    }

    pub(crate) fn is_digest(&self) -> bool {
        self.part.is_media("multipart", "digest")
    }

    /// The header ends and the body begins at `offset`.
    pub(crate) fn end_header(&mut self, offset: u64, line_ends: u64) {
        self.part.header = Span::new(self.part.header.start, offset);
        self.part.body = Span::new(offset, offset);
        self.line_ends_before_body = line_ends;
    }

    /// Takes a child whose end has been seen.
    pub(crate) fn adopt(&mut self, child: OpenEntity) {
        self.children_end = self.children_end.max(child.part.body.end);
        match &mut self.part.content {
            Content::Multipart(parts) => parts.push(child.part),
            _ => {
                let embedded = EmbeddedMessage { envelope: child.envelope, structure: child.part };
                self.part.content = Content::Message(Box::new(embedded));
            }
        }
    }

    /// Gives a multipart at least one part and a message part its message, as [`Content`] promises: a multipart without a
    /// boundary is shown as one text.
    pub(crate) fn complete(&mut self) {
        let body = self.part.body;
        match (&self.kind, &mut self.part.content) {
            (OpenKind::Multipart { .. }, Content::Multipart(parts)) if parts.is_empty() => {
                parts.push(Part { body, lines: self.part.lines, ..Part::plain_text_at(body.start) });
            }
            (OpenKind::Message, content @ Content::Leaf) => {
                let structure = Part::plain_text_at(body.start);
                *content =
                    Content::Message(Box::new(EmbeddedMessage { envelope: Envelope::default(), structure }));
            }
            _ => {}
        }
    }
}

/// Reads headers of one message within its limits, and keeps what concerns the message as a whole.
#[derive(Debug)]
pub(crate) struct HeaderReading {
    limits: Limits,
    parts: usize,
    retained_octets: usize,
    pub(crate) fields: CachedFields,
    pub(crate) date: Option<Date>,
    pub(crate) references: Vec<Vec<u8>>,
}

impl HeaderReading {
    pub(crate) fn new(limits: Limits) -> HeaderReading {
        HeaderReading {
            limits,
            parts: 1,
            retained_octets: 0,
            fields: CachedFields::default(),
            date: None,
            references: Vec::new(),
        }
    }

    pub(crate) fn has_room_for_part(&self) -> bool {
        self.parts < self.limits.parts_max
    }

    pub(crate) fn count_part(&mut self) {
        self.parts += 1;
    }

    /// Understands an entity's header. `is_whole` says that none of it was cut off, `may_descend` that what is inside it
    /// may be taken apart.
    pub(crate) fn read(&mut self, entity: &mut OpenEntity, header: &[u8], is_whole: bool, may_descend: bool) {
        let header_of = entity.header_of;
        let mut mime_fields = MimeFields::default();
        let mut message_fields = MessageFields::default();
        let mut envelope = EnvelopeReading::new(self.limits.addresses_max);
        let mut all = fields(header);
        for field in all.by_ref() {
            mime_fields.take(&field);
            if matches!(header_of, HeaderOf::Message | HeaderOf::EmbeddedMessage) {
                envelope.take(&field);
            }
            if header_of == HeaderOf::Message {
                message_fields.take(&field);
                self.fields.take(&field, self.limits.cached_octets_max);
            }
        }
        self.describe(&mut entity.part, &mime_fields, header_of);
        let envelope = envelope.finish();
        let octets = envelope.octets();
        if header_of == HeaderOf::Message || self.may_retain(octets) {
            self.retained_octets = self.retained_octets.saturating_add(octets);
            entity.envelope = envelope;
        }
        if header_of == HeaderOf::Message {
            self.fields.end(all.rest(), is_whole);
            self.read_message_fields(&message_fields);
        }
        entity.kind = self.descend(&mut entity.part, may_descend);
    }

    fn may_retain(&self, octets: usize) -> bool {
        self.retained_octets.saturating_add(octets) <= self.limits.retained_octets_max
    }

    /// Fills the part from its fields; when too much has been retained already, only with what finding parts needs.
    fn describe(&mut self, part: &mut Part, found: &MimeFields<'_>, header_of: HeaderOf) {
        let parameters_max = self.limits.parameters_max;
        let content_type = match (found.content_type, header_of) {
            (Some(value), _) => ContentType::parse(value, parameters_max),
            (None, HeaderOf::DigestPart) => ContentType::new("message", "rfc822"),
            (None, _) => ContentType::plain_text(),
        };
        part.media_type = content_type.media_type;
        part.subtype = content_type.subtype;
        part.parameters = content_type.parameters;
        part.encoding = parse_encoding(found.encoding.unwrap_or_default());
        let octets = found.octets();
        if !self.may_retain(octets) {
            part.parameters.retain(|parameter| {
                parameter.attribute == b"boundary" && parameter.value.len() <= BOUNDARY_OCTETS_MAX
            });
            return;
        }
        self.retained_octets = self.retained_octets.saturating_add(octets);
        let text = |value: Option<&[u8]>| value.map(unfolded_text).filter(|text| !text.is_empty());
        part.id = text(found.id);
        part.description = text(found.description);
        part.md5 = text(found.md5);
        part.location = text(found.location);
        part.disposition = found.disposition.and_then(|value| Disposition::parse(value, parameters_max));
        part.languages =
            found.language.map(|value| parse_languages(value, LANGUAGES_MAX)).unwrap_or_default();
    }

    fn read_message_fields(&mut self, found: &MessageFields<'_>) {
        self.date = found.date.and_then(Date::parse);
        let references = found.references.map(message_ids).into_iter().flatten();
        self.references = bounded_references(references, self.limits.references_max);
        if self.references.is_empty() {
            // RFC 5256 §2.2: without References, the first identifier of In-Reply-To.
            self.references = found.in_reply_to.map(message_ids).into_iter().flatten().take(1).collect();
        }
    }

    /// Decides what the body is. What cannot be taken apart is shown as a plain attachment, see [`Content`].
    fn descend(&self, part: &mut Part, may_descend: bool) -> OpenKind {
        if part.media_type == b"multipart" {
            if may_descend {
                let boundary = boundary(&part.parameters);
                part.content = Content::Multipart(Vec::new());
                return OpenKind::Multipart { is_closed: boundary.is_empty(), boundary };
            }
        } else if part.is_media("message", "rfc822") || part.is_media("message", "global") {
            // RFC 2046 §5.2.1 allows no encoding here; a message that has one all the same is opaque.
            let is_encoded = matches!(part.encoding.as_slice(), b"base64" | b"quoted-printable");
            if may_descend && !is_encoded && self.has_room_for_part() {
                return OpenKind::Message;
            }
        } else {
            return OpenKind::Leaf;
        }
        part.media_type = b"application".to_vec();
        part.subtype = b"octet-stream".to_vec();
        OpenKind::Leaf
    }
}

/// The boundary parameter; empty if there is none that can be looked for. RFC 2046 §5.1.1: it does not end in a blank.
fn boundary(parameters: &[Parameter]) -> Vec<u8> {
    let plain = parameters.iter().find(|parameter| parameter.attribute == b"boundary");
    let value = plain.map(|parameter| parameter.value.trim_ascii_end()).unwrap_or_default();
    if value.len() > BOUNDARY_OCTETS_MAX { Vec::new() } else { value.to_vec() }
}

fn unfolded_text(value: &[u8]) -> Vec<u8> {
    crate::header::unfold(value).into_owned()
}

/// The values of fields of the message's header; of a field given twice the first counts.
#[derive(Default)]
struct MessageFields<'a> {
    date: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
}

impl<'a> MessageFields<'a> {
    fn take(&mut self, field: &Field<'a>) {
        let places = [
            ("Date", &mut self.date),
            ("References", &mut self.references),
            ("In-Reply-To", &mut self.in_reply_to),
        ];
        for (name, place) in places {
            if field.is_named(name) {
                place.get_or_insert(field.value);
            }
        }
    }
}

/// The values of the MIME fields of a header; of a field given twice the first counts.
#[derive(Default)]
struct MimeFields<'a> {
    content_type: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    language: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> MimeFields<'a> {
    fn take(&mut self, field: &Field<'a>) {
        const PREFIX: &[u8] = b"content-";
        let Some((prefix, name)) = field.name.split_at_checked(PREFIX.len()) else { return };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return;
        }
        let places: [(&str, &mut Option<&'a [u8]>); 8] = [
            ("type", &mut self.content_type),
            ("transfer-encoding", &mut self.encoding),
            ("id", &mut self.id),
            ("description", &mut self.description),
            ("md5", &mut self.md5),
            ("disposition", &mut self.disposition),
            ("language", &mut self.language),
            ("location", &mut self.location),
        ];
        for (known, place) in places {
            if name.eq_ignore_ascii_case(known.as_bytes()) {
                place.get_or_insert(field.value);
            }
        }
    }

    fn octets(&self) -> usize {
        let all = [
            self.content_type,
            self.id,
            self.description,
            self.md5,
            self.disposition,
            self.language,
            self.location,
        ];
        all.into_iter().flatten().map(<[u8]>::len).sum()
    }
}
