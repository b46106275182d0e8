//! What the `body` test compares and what `extracttext` takes: bodies raw, by content type, and as text, decoded within one
//! bound for the whole message (RFC 5173, RFC 5703 §7).

use std::collections::HashMap;
use std::rc::Rc;

use memchr::memchr;
use message::{
    CharsetDecoder, HtmlText, Span, Strictness, TransferDecoder, TransferEncoding, decode_undeclared,
};

use super::parts::{PartKind, PartPlace, Parts, media_type};
use super::source::Unreadable;
use super::{Message, first_octets};

/// Octets read for each octet of decoded text that there is room for. Encodings grow text by a third to three times; what is
/// read to be thrown away, as tags and blanks, has to end too.
const READ_FACTOR: u64 = 8;

/// How bodies are turned into text (RFC 5173 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyTransform<'a> {
    /// `:raw`: the body as it stands, one text.
    Raw,
    /// `:content`: each part of one of these types, decoded.
    Content(&'a [String]),
    /// `:text`: each part that people read, as text.
    Text,
}

/// Text decoded so far.
#[derive(Debug)]
pub(crate) struct Decoded {
    texts: HashMap<(usize, Form), Rc<str>>,
    /// Octets of text that may still be decoded.
    room: usize,
}

/// As what a part is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// The message's body without decoding.
    Raw,
    /// Transfer encoding and charset undone.
    Content,
    /// HTML undone too.
    Text,
    Prologue,
    Epilogue,
    /// The header of the message in a message part.
    EmbeddedHeader,
}

impl Decoded {
    pub(crate) fn new(octets_max: usize) -> Decoded {
        Decoded { texts: HashMap::new(), room: octets_max }
    }

    /// The message has changed; what was decoded still counts.
    pub(crate) fn forget(&mut self) {
        self.texts.clear();
    }
}

impl Message {
    /// The texts a `body` test compares; none if the message has no body (RFC 5173 §4).
    pub fn body_texts(&self, transform: BodyTransform<'_>) -> Result<Vec<Rc<str>>, Unreadable> {
        if self.separator.is_empty() && self.body.octets() == 0 {
            return Ok(Vec::new());
        }
        if transform == BodyTransform::Raw {
            return Ok(vec![self.text_of(0, Form::Raw)?]);
        }
        let parts = self.parts()?;
        let mut texts = Vec::new();
        for index in 0..parts.count() {
            let Some(place) = parts.place(index) else { continue };
            let Some(media_type) = self.media_type(index, place)? else { continue };
            for form in forms(transform, place, media_type) {
                texts.push(self.text_of(index, *form)?);
            }
        }
        Ok(texts)
    }

    /// A part's text as people read it, at most `characters_max` characters of it; empty for what is no text (RFC 5703 §7).
    pub fn part_text(&self, part: usize, characters_max: Option<u64>) -> Result<String, Unreadable> {
        let parts = self.parts()?;
        let Some(place) = parts.place(part) else { return Ok(String::new()) };
        let media_type = self.media_type(part, place)?.unwrap_or_default();
        if place.kind != PartKind::Leaf || place.encoding.is_none() || !is_text(media_type) {
            return Ok(String::new());
        }
        let text = self.text_of(part, Form::Text)?;
        let end = characters_max.and_then(|most| {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            text.char_indices().nth(most).map(|(end, _)| end)
        });
        Ok(text.get(..end.unwrap_or(text.len())).unwrap_or_default().to_owned())
    }

    /// What a part is, looked for once.
    fn media_type<'p>(&self, part: usize, place: &'p PartPlace) -> Result<Option<&'p str>, Unreadable> {
        if let Some(known) = place.media_type.get() {
            return Ok(known.as_deref());
        }
        let found = media_type(&*self.part_header(part)?, place.default_type);
        Ok(place.media_type.get_or_init(|| found).as_deref())
    }

    fn text_of(&self, part: usize, form: Form) -> Result<Rc<str>, Unreadable> {
        if let Some(text) = self.decoded.borrow().texts.get(&(part, form)) {
            return Ok(text.clone());
        }
        let parts = self.parts_for(form)?;
        let room = self.decoded.borrow().room;
        let place = parts.as_ref().and_then(|parts| parts.place(part));
        let mut text = match (form, place) {
            (Form::Raw, _) | (_, None) => {
                decode_undeclared(&self.body_octets(Span::new(0, self.body.octets()), room)?)
            }
            (Form::Content | Form::Text, Some(place)) => self.decode(part, place, form, room)?,
            (Form::Prologue | Form::Epilogue | Form::EmbeddedHeader, Some(_)) => {
                let Some(parts) = &parts else { return Err(Unreadable) };
                self.frame(parts, part, form, room)?
            }
        };
        let end = text.floor_char_boundary(room);
        text.truncate(end);
        let text: Rc<str> = text.into();
        let mut decoded = self.decoded.borrow_mut();
        decoded.room -= text.len().min(decoded.room);
        decoded.texts.insert((part, form), text.clone());
        Ok(text)
    }

    /// The raw body needs no parts, so that no structure can hide it (RFC 5173 §5.1).
    fn parts_for(&self, form: Form) -> Result<Option<Rc<Parts>>, Unreadable> {
        if form == Form::Raw { Ok(None) } else { self.parts().map(Some) }
    }

    fn body_octets(&self, span: Span, octets_max: usize) -> Result<Vec<u8>, Unreadable> {
        self.body.read(&self.source, first_octets(span, octets_max as u64))
    }

    fn decode(&self, part: usize, place: &PartPlace, form: Form, room: usize) -> Result<String, Unreadable> {
        let media_type = self.media_type(part, place)?.unwrap_or_default();
        let encoding = place.encoding.unwrap_or(TransferEncoding::Identity);
        let mut transfer = TransferDecoder::new(encoding, Strictness::Lenient);
        // The charset of what is no text means nothing.
        let charset_label = if is_text(media_type) { place.charset.as_slice() } else { b"" };
        let mut charset = CharsetDecoder::new(charset_label);
        let mut html = (form == Form::Text && is_html(media_type)).then(HtmlText::default);
        let (mut octets, mut unicode, mut text) = (Vec::new(), String::new(), String::new());
        let span = first_octets(place.body, (room as u64).saturating_mul(READ_FACTOR));
        self.body.visit(&self.source, span, |run| {
            octets.clear();
            // A lenient decoder refuses nothing.
            let _never_refused = transfer.feed(run, &mut octets);
            charset.feed(&octets, &mut unicode);
            pass_on(&mut html, &mut unicode, &mut text);
            text.len() < room
        })?;
        octets.clear();
        let _never_refused = transfer.finish(&mut octets);
        charset.feed(&octets, &mut unicode);
        charset.finish(&mut unicode);
        pass_on(&mut html, &mut unicode, &mut text);
        if let Some(html) = html {
            html.finish(&mut text);
        }
        Ok(text)
    }

    /// What stands around the parts of a multipart, or the header of an embedded message.
    fn frame(&self, parts: &Parts, part: usize, form: Form, room: usize) -> Result<String, Unreadable> {
        let children = parts.children(part);
        let (Some(place), Some(first), Some(last)) = (parts.place(part), children.first(), children.last())
        else {
            return Ok(String::new());
        };
        let octets = match form {
            Form::EmbeddedHeader => self.body_octets(first.header, room)?,
            Form::Prologue => self.body_octets(Span::new(place.body.start, first.header.start), room)?,
            _ => self.body_octets(Span::new(last.body.end, place.body.end), room)?,
        };
        let framed = match form {
            Form::EmbeddedHeader => without_blank_line(&octets),
            Form::Prologue => before_last_line(&octets),
            _ => behind_boundary(&octets),
        };
        Ok(decode_undeclared(framed))
    }
}

/// As what a part is compared, if at all.
fn forms(transform: BodyTransform<'_>, place: &PartPlace, media_type: &str) -> &'static [Form] {
    match (transform, place.kind) {
        (BodyTransform::Raw, _) => &[],
        (BodyTransform::Text, PartKind::Leaf) if is_text(media_type) && place.encoding.is_some() => {
            &[Form::Text]
        }
        (BodyTransform::Text, _) => &[],
        (BodyTransform::Content(types), kind)
            if types.iter().any(|wanted| is_of_type(media_type, wanted)) =>
        {
            match kind {
                PartKind::Leaf => &[Form::Content],
                PartKind::Multipart => &[Form::Prologue, Form::Epilogue],
                PartKind::Message => &[Form::EmbeddedHeader],
            }
        }
        (BodyTransform::Content(_), _) => &[],
    }
}

/// RFC 5173 §5.2: a whole type, a type with any subtype, or any.
fn is_of_type(media_type: &str, wanted: &str) -> bool {
    match wanted.split_once('/') {
        None if wanted.is_empty() => true,
        None => media_type.split('/').next().is_some_and(|main| main.eq_ignore_ascii_case(wanted)),
        Some((main, sub)) => {
            let is_type = !main.is_empty() && !sub.is_empty() && !sub.contains('/');
            is_type && media_type.eq_ignore_ascii_case(wanted)
        }
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || is_html(media_type)
}

fn is_html(media_type: &str) -> bool {
    matches!(media_type, "text/html" | "application/xhtml+xml")
}

fn pass_on(html: &mut Option<HtmlText>, unicode: &mut String, text: &mut String) {
    match html {
        Some(html) => html.feed(unicode, text),
        None => text.push_str(unicode),
    }
    unicode.clear();
}

fn without_blank_line(header: &[u8]) -> &[u8] {
    match header {
        b"\n" | b"\r\n" => &[],
        [fields @ .., b'\n', b'\r', b'\n'] => header.get(..=fields.len()).unwrap_or_default(),
        [fields @ .., b'\n', b'\n'] => header.get(..=fields.len()).unwrap_or_default(),
        whole => whole,
    }
}

/// What stands before a first boundary; the line end before it is the boundary's.
fn before_last_line(octets: &[u8]) -> &[u8] {
    let line = octets.strip_suffix(b"\n").unwrap_or(octets);
    let Some(line_feed) = memchr::memrchr(b'\n', line) else { return &[] };
    let before = line.get(..line_feed).unwrap_or_default();
    before.strip_suffix(b"\r").unwrap_or(before)
}

/// What stands behind a last boundary, given from the line end before it.
fn behind_boundary(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_prefix(b"\r").unwrap_or(octets);
    let octets = octets.strip_prefix(b"\n").unwrap_or(octets);
    if !octets.starts_with(b"--") {
        return octets;
    }
    let line_feed = memchr(b'\n', octets);
    line_feed.and_then(|line_feed| octets.get(line_feed + 1..)).unwrap_or_default()
}
