//! The parts of a message in the order in which `foreverypart` visits them: each before what is inside it (RFC 5703 §3).

use std::cell::OnceCell;

use message::{Content, ContentType, DEPTH_MAX, Limits, Part, Scanner, Span, TransferEncoding};

use super::header::Header;
use super::source::{Edition, Source, Unreadable};

/// Parts of one message that scripts are shown; behind the last one, what is left belongs to it.
pub const PARTS_MAX: usize = 1_000;

/// Octets of one part's header that scripts are shown.
pub const PART_HEADER_OCTETS_MAX: usize = 64 * 1024;

/// Octets of memory that the headers of all parts together may take, each field counted as [`FIELD_OCTETS`] at least; of
/// parts behind those that fill them, scripts are shown no header.
pub const PART_HEADERS_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// About what a field takes, however short it is.
pub(crate) const FIELD_OCTETS: usize = 256;

/// Parameters of one field that scripts are shown.
pub const PARAMETERS_MAX: usize = 64;

/// All parts of a message; the first is the message itself.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: Vec<PartPlace>,
}

/// Where a part is and what holds it together. Spans count from the beginning of the message's body, so that changes to the
/// message's header leave them right.
#[derive(Debug)]
pub(crate) struct PartPlace {
    pub(crate) header: Span,
    pub(crate) body: Span,
    /// Index behind the last part inside this one.
    pub(crate) inside_end: usize,
    pub(crate) kind: PartKind,
    /// `None` for one that cannot be undone.
    pub(crate) encoding: Option<TransferEncoding>,
    pub(crate) charset: Vec<u8>,
    /// What its header says it is, once that was looked for; `None` inside if that is nothing.
    pub(crate) media_type: OnceCell<Option<String>>,
    /// What it is if its header does not say.
    pub(crate) default_type: &'static str,
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    Leaf,
    Multipart,
    Message,
}

impl Parts {
    /// Takes a message apart, reading all of it once.
    pub(crate) fn scan(
        source: &dyn Source,
        header: &Header,
        separator: &[u8],
        body: &Edition,
    ) -> Result<Parts, Unreadable> {
        let limits = Limits {
            header_octets_max: usize::MAX,
            part_header_octets_max: PART_HEADER_OCTETS_MAX,
            parts_max: PARTS_MAX,
            depth_max: DEPTH_MAX,
            parameters_max: PARAMETERS_MAX,
            cached_octets_max: 0,
            ..Limits::default()
        };
        let mut scanner = Scanner::new(limits);
        header.fields().for_each(|field| scanner.feed(field.octets()));
        scanner.feed(separator);
        body.visit(source, Span::new(0, body.octets()), |octets| {
            scanner.feed(octets);
            true
        })?;
        Ok(Parts::of(&scanner.finish().structure))
    }

    /// The parts of a message of which the structure is known.
    pub(crate) fn of(structure: &Part) -> Parts {
        let mut parts = Parts { parts: Vec::new() };
        parts.take(structure, structure.body.start, "text/plain");
        parts
    }

    fn take(&mut self, part: &Part, body_start: u64, default_type: &'static str) {
        let index = self.parts.len();
        let relative = |span: Span| {
            Span::new(span.start.saturating_sub(body_start), span.end.saturating_sub(body_start))
        };
        self.parts.push(PartPlace {
            header: relative(part.header),
            body: relative(part.body),
            inside_end: 0,
            kind: match part.content {
                Content::Leaf => PartKind::Leaf,
                Content::Multipart(_) => PartKind::Multipart,
                Content::Message(_) => PartKind::Message,
            },
            encoding: TransferEncoding::parse(&part.encoding),
            charset: part.parameter("charset").unwrap_or_default().to_vec(),
            media_type: OnceCell::new(),
            default_type,
        });
        match &part.content {
            Content::Leaf => {}
            Content::Multipart(children) => {
                // RFC 2046 §5.1.5.
                let is_digest = part.is_media("multipart", "digest");
                let default_type = if is_digest { "message/rfc822" } else { "text/plain" };
                children.iter().for_each(|child| self.take(child, body_start, default_type));
            }
            Content::Message(embedded) => self.take(&embedded.structure, body_start, "text/plain"),
        }
        let inside_end = self.parts.len();
        if let Some(place) = self.parts.get_mut(index) {
            place.inside_end = inside_end;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn place(&self, index: usize) -> Option<&PartPlace> {
        self.parts.get(index)
    }

    /// The parts directly inside this one.
    pub(crate) fn children(&self, index: usize) -> Vec<&PartPlace> {
        let Some(end) = self.place(index).map(|part| part.inside_end) else { return Vec::new() };
        let mut children = Vec::new();
        let mut next = index + 1;
        while next < end {
            let Some(child) = self.place(next) else { break };
            children.push(child);
            next = child.inside_end;
        }
        children
    }
}

/// The media type a header names, `type/subtype` in lower case; `None` if what it names is none.
pub(crate) fn media_type(header: &Header, default_type: &str) -> Option<String> {
    let Some(field) = header.named("Content-Type").next() else { return Some(default_type.to_owned()) };
    let content_type = ContentType::parse_exact(field.raw(), PARAMETERS_MAX)?;
    let word = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    Some(format!("{}/{}", word(&content_type.media_type), word(&content_type.subtype)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::address::AddressForm;

    fn parts(message: &str) -> Parts {
        let (header, body) = message.split_once("\n\n").expect("a blank line");
        let header = Header::read(format!("{header}\n").as_bytes(), None, AddressForm::International);
        let source = body.as_bytes().to_vec();
        let original = super::super::source::Piece::Original(Span::new(0, body.len() as u64));
        Parts::scan(&source, &header, b"\n", &Edition::new([original])).expect("readable")
    }

    fn shown(message: &str) -> Vec<(PartKind, usize)> {
        parts(message).parts.iter().map(|part| (part.kind, part.inside_end)).collect()
    }

    #[test]
    fn parts_come_before_what_is_inside_them() {
        assert_eq!(shown("A: b\n\ntext\n"), [(PartKind::Leaf, 1)]);
        let message = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\
                       Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n--a\n\
                       Content-Type: message/rfc822\n\nSubject: s\n\nthree\n--a--\n";
        let expected = [
            (PartKind::Multipart, 6),
            (PartKind::Multipart, 4),
            (PartKind::Leaf, 3),
            (PartKind::Leaf, 4),
            (PartKind::Message, 6),
            (PartKind::Leaf, 6),
        ];
        assert_eq!(shown(message), expected);
        let parts = parts(message);
        let ends: Vec<usize> = parts.children(0).iter().map(|part| part.inside_end).collect();
        assert_eq!(ends, [4, 6]);
        assert!(parts.children(9).is_empty());
    }

    #[test]
    fn parts_are_bounded() {
        for count in [PARTS_MAX - 2, PARTS_MAX - 1, PARTS_MAX] {
            let body = "--a\n\nx\n".repeat(count);
            let message = format!("Content-Type: multipart/mixed; boundary=a\n\n{body}");
            assert_eq!(parts(&message).count(), (count + 1).min(PARTS_MAX));
        }
    }
}
