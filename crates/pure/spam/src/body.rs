//! What a message's body tells: its parts, the words of its texts, its markup and its links.

use message::{
    CharsetDecoder, Content, Part, Span, Strictness, TransferDecoder, TransferEncoding, html_text,
};

use crate::collector::Collector;
use crate::words::{shape, words};
use crate::{markup, signs};

/// Parts that are looked at.
const PARTS_MAX: usize = 40;

/// Octets of text that are decoded, all parts together.
const TEXT_OCTETS_MAX: usize = 48 * 1024;

/// Words that are looked at in one text.
const TEXT_WORDS_MAX: usize = 1_200;

/// Octets of decoded text whose runs of octets are looked at.
const GRAM_OCTETS_MAX: usize = 8_000;

/// Links in plain text that are looked at.
const LINKS_MAX: usize = 40;

/// Takes the features of all parts.
pub(crate) fn take(message: &[u8], structure: &Part, collector: &mut Collector) {
    collector.begin_body();
    let mut body = Body {
        message,
        collector,
        parts: 0,
        text_room: TEXT_OCTETS_MAX,
        gram_room: GRAM_OCTETS_MAX,
        texts: 0,
    };
    body.part(structure);
    if body.texts == 0 {
        body.collector.sign("no text at all");
    }
}

struct Body<'a> {
    message: &'a [u8],
    collector: &'a mut Collector,
    parts: usize,
    text_room: usize,
    gram_room: usize,
    texts: usize,
}

impl Body<'_> {
    /// Parts nest no deeper than the scanner lets them.
    fn part(&mut self, part: &Part) {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return;
        }
        self.form(part);
        match &part.content {
            Content::Multipart(parts) => parts.iter().for_each(|part| self.part(part)),
            Content::Message(embedded) => self.part(&embedded.structure),
            Content::Leaf => self.leaf(part),
        }
    }

    fn form(&mut self, part: &Part) {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets.get(..40).unwrap_or(octets)).into_owned();
        self.collector.begin("part");
        self.collector.word(&format!("{}/{}", text(&part.media_type), text(&part.subtype)));
        self.collector.word(&format!("encoding={}", text(&part.encoding)));
        if let Some(charset) = part.parameter("charset") {
            self.collector.word(&format!("charset={}", text(charset).to_ascii_lowercase()));
        }
        if let Some(disposition) = &part.disposition {
            self.collector.word(&format!("disposition={}", text(&disposition.kind)));
        }
        if let Some(name) = part.file_name() {
            if let Some((_, ending)) = name.rsplit_once('.').filter(|(_, ending)| ending.len() <= 8) {
                self.collector.word(&format!("name=.{}", ending.to_ascii_lowercase()));
            }
            self.collector.lone(&shape(name.as_bytes()));
            if signs::is_runnable(&name) {
                self.collector.sign("an attached file that can run");
            }
        }
    }

    fn leaf(&mut self, part: &Part) {
        let is_html = part.is_media("text", "html");
        let is_text = matches!(part.media_type.as_slice(), b"text" | b"message");
        if !is_text {
            let start = self.decoded(part.body, &part.encoding, 64);
            if let Some(kind) = signs::real_content(&start) {
                self.collector.begin("content");
                self.collector.lone(kind);
                if kind == "a Windows program" {
                    self.collector.sign("an attached program");
                }
            }
            return;
        }
        if self.text_room == 0 {
            return;
        }
        let octets = self.decoded(part.body, &part.encoding, self.text_room);
        self.text_room -= octets.len().min(self.text_room);
        let mut text = String::with_capacity(octets.len());
        let mut charset = CharsetDecoder::new(part.parameter("charset").unwrap_or_default());
        charset.feed(&octets, &mut text);
        charset.finish(&mut text);
        self.texts += usize::from(!text.trim().is_empty());
        self.text(&text, is_html);
    }

    fn text(&mut self, text: &str, is_html: bool) {
        let grams = text.as_bytes();
        let grams = grams.get(..self.gram_room).unwrap_or(grams);
        self.gram_room -= grams.len();
        self.collector.grams(grams);
        if is_html {
            markup::take(text, self.collector);
            let shown = html_text(text);
            self.shown(&shown);
            if shown.trim().is_empty() {
                self.collector.sign("HTML that shows no text");
            }
        } else {
            self.shown(text);
            if has_tags(text) {
                self.collector.sign("HTML in plain text");
            }
        }
    }

    fn shown(&mut self, text: &str) {
        let mut rest = text;
        for _ in 0..LINKS_MAX {
            let Some(at) = rest.find("://") else { break };
            let start = rest.get(..at).unwrap_or_default();
            let start = start.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
            let start = (start..=at).find(|at| rest.is_char_boundary(*at)).unwrap_or(at);
            let link = rest.get(start..).unwrap_or_default();
            let end = link
                .find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ')'))
                .unwrap_or(link.len());
            let (link, behind) = link.split_at(end);
            markup::link(link, self.collector);
            rest = behind;
        }
        self.collector.begin("text");
        words(text, TEXT_WORDS_MAX, self.collector);
        let letters = text.chars().take(4_000).filter(|c| c.is_alphabetic()).count();
        let capitals = text.chars().take(4_000).filter(|c| c.is_uppercase()).count();
        if letters >= 60 && capitals * 2 > letters {
            self.collector.sign("mostly capitals");
        }
        if signs::mixes_scripts(text) {
            self.collector.sign("scripts mixed inside a word");
        }
        if text.chars().any(|c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{00ad}')) {
            self.collector.sign("invisible characters");
        }
    }

    fn decoded(&self, span: Span, encoding: &[u8], octets_max: usize) -> Vec<u8> {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX).min(self.message.len());
        let end = usize::try_from(span.end).unwrap_or(usize::MAX).clamp(start, self.message.len());
        // No encoding makes text more than three times as long.
        let end = end.min(start.saturating_add(octets_max.saturating_mul(3)));
        let octets = self.message.get(start..end).unwrap_or_default();
        let encoding = TransferEncoding::parse(encoding).unwrap_or(TransferEncoding::Identity);
        let mut decoder = TransferDecoder::new(encoding, Strictness::Lenient);
        let mut decoded = Vec::with_capacity(octets.len());
        // A lenient decoder refuses nothing.
        let _never_refused = decoder.feed(octets, &mut decoded);
        let _never_refused = decoder.finish(&mut decoded);
        decoded.truncate(octets_max);
        decoded
    }
}

fn has_tags(text: &str) -> bool {
    ["<html", "<HTML", "<body", "<BODY", "<a href", "<A HREF"].iter().any(|tag| text.contains(tag))
}
