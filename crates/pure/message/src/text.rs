//! The text of a message as a person reads it, for IMAP's SEARCH BODY and TEXT and for previews: transfer encodings and charsets
//! undone, HTML reduced to words. Asks for the octets it needs in small runs, so no message sits in memory.

use std::ops::ControlFlow;

use crate::charset::CharsetDecoder;
use crate::encoded_word::decode_field_text;
use crate::header::fields;
use crate::html::HtmlText;
use crate::structure::{Content, Part, Span};
use crate::transfer::{Strictness, TransferDecoder, TransferEncoding};

/// Longest run of octets asked for at once.
pub const READ_OCTETS_MAX: u64 = 64 * 1024;

/// Octets of one header that are searched; the same as are parsed.
const HEADER_OCTETS_MAX: u64 = 256 * 1024;

/// What is extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextScope {
    /// All text parts, and the headers of messages inside the message: SEARCH BODY.
    Body,
    /// The message's header and the parts' headers too: SEARCH TEXT (RFC 9051 §6.4.4).
    HeaderAndBody,
}

/// A piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPiece<'t> {
    /// Text that continues the piece before it.
    Text(&'t str),
    /// A field or part has ended: what follows does not continue it.
    End,
}

/// Extracts the text of one message. Give it the octets it wants until it wants no more.
pub struct TextExtraction {
    /// What is still to be read, last first.
    sections: Vec<Section>,
    current: Option<Current>,
    /// Octets that may still be read.
    room: u64,
}

struct Section {
    span: Span,
    kind: SectionKind,
}

enum SectionKind {
    Header,
    Text { encoding: TransferEncoding, charset: Vec<u8>, is_html: bool },
}

/// The section being read.
struct Current {
    rest: Span,
    reading: Reading,
}

enum Reading {
    Header(Vec<u8>),
    Text(Box<TextReading>),
}

struct TextReading {
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    html: Option<HtmlText>,
    /// Kept between pieces to save allocations.
    octets: Vec<u8>,
    decoded: String,
}

impl TextExtraction {
    /// Plans the extraction; `octets_max` bounds what is read in all.
    pub fn new(structure: &Part, scope: TextScope, octets_max: u64) -> TextExtraction {
        let mut sections = Vec::new();
        if scope == TextScope::HeaderAndBody {
            sections.push(Section::header(structure.header));
        }
        plan(structure, scope, &mut sections);
        sections.reverse();
        TextExtraction { sections, current: None, room: octets_max }
    }

    /// Plans the extraction of one part's own text, as for a preview.
    pub fn of_part(part: &Part, octets_max: u64) -> TextExtraction {
        TextExtraction {
            sections: Section::text(part).into_iter().collect(),
            current: None,
            room: octets_max,
        }
    }

    /// Which octets of the message are needed next, at most [`READ_OCTETS_MAX`]; `None` when the text is complete.
    pub fn wanted(&mut self) -> Option<Span> {
        while self.current.is_none() {
            let section = self.sections.pop()?;
            if !section.span.is_empty() && self.room > 0 {
                self.current = Some(Current { rest: section.span, reading: Reading::new(section.kind) });
            }
        }
        let rest = self.current.as_ref()?.rest;
        let octets = rest.octets().min(READ_OCTETS_MAX).min(self.room);
        Some(Span::new(rest.start, rest.start + octets))
    }

    /// Takes the octets of the wanted span and hands out their text. Fewer octets than wanted mean that the message ends
    /// there.
    pub fn give(&mut self, octets: &[u8], mut visit: impl FnMut(TextPiece<'_>)) {
        let Some(wanted) = self.wanted() else { return };
        let Some(mut current) = self.current.take() else { return };
        let is_short = (octets.len() as u64) < wanted.octets();
        current.rest = Span::new(wanted.end, if is_short { wanted.end } else { current.rest.end });
        self.room -= wanted.octets().min(self.room);
        current.reading.take(octets, &mut visit);
        if current.rest.is_empty() || self.room == 0 {
            current.reading.finish(&mut visit);
        } else {
            self.current = Some(current);
        }
    }
}

/// Extracts text with a function that reads a span of the message, until `visit` has enough.
pub fn visit_text<E>(
    mut extraction: TextExtraction,
    mut read: impl FnMut(Span) -> Result<Vec<u8>, E>,
    mut visit: impl FnMut(TextPiece<'_>) -> ControlFlow<()>,
) -> Result<(), E> {
    let mut has_enough = false;
    while let Some(span) = extraction.wanted() {
        let octets = read(span)?;
        extraction.give(&octets, |piece| has_enough = has_enough || visit(piece).is_break());
        if has_enough {
            break;
        }
    }
    Ok(())
}

fn plan(part: &Part, scope: TextScope, sections: &mut Vec<Section>) {
    match &part.content {
        Content::Leaf => sections.extend(Section::text(part)),
        Content::Multipart(parts) => {
            for child in parts {
                if scope == TextScope::HeaderAndBody {
                    sections.push(Section::header(child.header));
                }
                plan(child, scope, sections);
            }
        }
        Content::Message(embedded) => {
            sections.push(Section::header(embedded.structure.header));
            plan(&embedded.structure, scope, sections);
        }
    }
}

impl Section {
    fn header(span: Span) -> Section {
        let end = span.end.min(span.start.saturating_add(HEADER_OCTETS_MAX));
        Section { span: Span::new(span.start, end), kind: SectionKind::Header }
    }

    /// A part's text; `None` if it holds none. Reports of delivery and disposition are text too (RFC 3464, 8098).
    fn text(part: &Part) -> Option<Section> {
        let is_text = matches!(part.media_type.as_slice(), b"text" | b"message");
        if !is_text || !matches!(part.content, Content::Leaf) {
            return None;
        }
        let kind = SectionKind::Text {
            encoding: TransferEncoding::parse(&part.encoding).unwrap_or(TransferEncoding::Identity),
            charset: part.parameter("charset").unwrap_or_default().to_vec(),
            is_html: part.is_media("text", "html"),
        };
        Some(Section { span: part.body, kind })
    }
}

impl Reading {
    fn new(kind: SectionKind) -> Reading {
        match kind {
            SectionKind::Header => Reading::Header(Vec::new()),
            SectionKind::Text { encoding, charset, is_html } => Reading::Text(Box::new(TextReading {
                transfer: TransferDecoder::new(encoding, Strictness::Lenient),
                charset: CharsetDecoder::new(&charset),
                html: is_html.then(HtmlText::default),
                octets: Vec::new(),
                decoded: String::new(),
            })),
        }
    }

    fn take(&mut self, octets: &[u8], visit: &mut impl FnMut(TextPiece<'_>)) {
        match self {
            Reading::Header(header) => header.extend_from_slice(octets),
            Reading::Text(reading) => reading.take(octets, visit),
        }
    }

    fn finish(self, visit: &mut impl FnMut(TextPiece<'_>)) {
        match self {
            Reading::Header(header) => {
                for field in fields(&header) {
                    visit(TextPiece::Text(&String::from_utf8_lossy(field.name)));
                    visit(TextPiece::Text(": "));
                    visit(TextPiece::Text(&decode_field_text(field.value)));
                    visit(TextPiece::End);
                }
            }
            Reading::Text(reading) => {
                reading.finish(visit);
                visit(TextPiece::End);
            }
        }
    }
}

impl TextReading {
    fn take(&mut self, octets: &[u8], visit: &mut impl FnMut(TextPiece<'_>)) {
        self.octets.clear();
        self.decoded.clear();
        // A lenient decoder refuses nothing.
        let _never_refused = self.transfer.feed(octets, &mut self.octets);
        self.charset.feed(&self.octets, &mut self.decoded);
        match &mut self.html {
            Some(html) => {
                let mut text = String::with_capacity(self.decoded.len() / 2);
                html.feed(&self.decoded, &mut text);
                visit(TextPiece::Text(&text));
            }
            None => visit(TextPiece::Text(&self.decoded)),
        }
    }

    fn finish(self, visit: &mut impl FnMut(TextPiece<'_>)) {
        let TextReading { transfer, mut charset, html, .. } = self;
        let mut octets = Vec::new();
        let mut decoded = String::new();
        let _never_refused = transfer.finish(&mut octets);
        charset.feed(&octets, &mut decoded);
        charset.finish(&mut decoded);
        match html {
            Some(mut html) => {
                let mut text = String::new();
                html.feed(&decoded, &mut text);
                html.finish(&mut text);
                visit(TextPiece::Text(&text));
            }
            None => visit(TextPiece::Text(&decoded)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::scanner::Scanner;

    fn extract(message: &[u8], scope: TextScope, octets_max: u64) -> String {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(message);
        let structure = scanner.finish().structure;
        let mut text = String::new();
        let extraction = TextExtraction::new(&structure, scope, octets_max);
        let read = |span: Span| Ok::<_, ()>(message[span.start as usize..span.end as usize].to_vec());
        visit_text(extraction, read, |piece| {
            match piece {
                TextPiece::Text(piece) => text.push_str(piece),
                TextPiece::End => text.push('|'),
            }
            ControlFlow::Continue(())
        })
        .expect("reading cannot fail");
        text
    }

    const MESSAGE: &str = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n\
        Content-Type: multipart/mixed; boundary=b\n\npreamble\n\
        --b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nsch=F6n\n\
        --b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPHA+SGk8L3A+PHA+eW91PC9wPg==\n\
        --b\nContent-Type: image/png\n\npixels\n\
        --b\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner body\n--b--\nepilogue\n";

    #[test]
    fn body_text_is_what_is_read() {
        assert_eq!(
            extract(MESSAGE.as_bytes(), TextScope::Body, 10_000),
            "schön| Hi you |Subject: inner|inner body|"
        );
        let all = extract(MESSAGE.as_bytes(), TextScope::HeaderAndBody, 10_000);
        assert!(all.starts_with(
            "Subject: Grüße|Content-Type: multipart/mixed; boundary=b|Content-Type: text/plain"
        ));
        assert!(all.contains("image/png|Content-Type: message/rfc822|Subject: inner|inner body|"));
    }

    #[test]
    fn reading_is_bounded() {
        let message = format!("\n{}", "x".repeat(300_000));
        let text = |octets_max| extract(message.as_bytes(), TextScope::Body, octets_max).len();
        assert_eq!(text(299_999), 299_999 + 1);
        assert_eq!(text(300_000), 300_000 + 1);
        assert_eq!(text(300_001), 300_000 + 1);
        assert_eq!(text(0), 0);
    }

    #[test]
    fn searching_ends_when_enough_was_seen() {
        let message = format!("\n{}", "x".repeat(300_000));
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(message.as_bytes());
        let extraction = TextExtraction::new(&scanner.finish().structure, TextScope::Body, u64::MAX);
        let mut reads = 0;
        let read = |span: Span| {
            reads += 1;
            assert!(span.octets() <= READ_OCTETS_MAX);
            Ok::<_, ()>(message.as_bytes()[span.start as usize..span.end as usize].to_vec())
        };
        visit_text(extraction, read, |_| ControlFlow::Break(())).expect("reading cannot fail");
        assert_eq!(reads, 1);
    }

    #[test]
    fn a_message_that_ends_early_ends_the_text() {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(b"\nhello");
        let extraction = TextExtraction::new(&scanner.finish().structure, TextScope::Body, 100);
        let mut text = String::new();
        let visited = visit_text(
            extraction,
            |_| Ok::<_, ()>(b"he".to_vec()),
            |piece| {
                if let TextPiece::Text(piece) = piece {
                    text.push_str(piece);
                }
                ControlFlow::Continue(())
            },
        );
        assert_eq!((visited, text.as_str()), (Ok(()), "he"));
    }
}
