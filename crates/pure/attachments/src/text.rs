//! Texts: files written into them by uuencode, which mail programs of the nineties sent and some still show as attachments
//! (POSIX uuencode, both of its forms).

use message::{Strictness, TransferDecoder, TransferEncoding};

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::name;
use crate::policy::Class;

/// Longest line that is looked at: 45 octets in uuencode take 61 characters, in Base64 60; a `begin` line has a name.
const LINE_OCTETS_MAX: usize = 512;

#[derive(Debug)]
pub(crate) struct TextReader {
    place: Vec<String>,
    nesting: Nesting,
    line: Vec<u8>,
    is_line_cut: bool,
    file: Option<Box<File>>,
}

#[derive(Debug)]
struct File {
    content: Content,
    /// `begin-base64`.
    base64: Option<TransferDecoder>,
}

impl TextReader {
    pub(crate) fn new(text: &Content) -> TextReader {
        // What a text of the message holds is an attachment of the message.
        let place = match text.role {
            Role::Text => text.place.get(..text.place.len().saturating_sub(1)).unwrap_or_default().to_vec(),
            _ => text.place.clone(),
        };
        TextReader { place, nesting: text.nesting.inside(), line: Vec::new(), is_line_cut: false, file: None }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            let room = LINE_OCTETS_MAX - self.line.len();
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            self.is_line_cut |= piece.len() > room;
            if piece.ends_with(b"\n") {
                self.end_line(examination);
            }
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.end_line(examination);
        if let Some(file) = self.file {
            file.content.finish(examination);
        }
    }

    fn end_line(&mut self, examination: &mut Examination) {
        let is_cut = std::mem::take(&mut self.is_line_cut);
        let mut line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        let is_end = matches!(text, b"end" | b"====");
        if is_end && let Some(file) = self.file.take() {
            file.content.finish(examination);
        } else if let Some(file) = &mut self.file {
            if !is_cut {
                file.line(text, examination);
            }
        } else if text.starts_with(b"begin") && !is_cut {
            self.begin(text, examination);
        }
        line.clear();
        self.line = line;
    }

    fn begin(&mut self, line: &[u8], examination: &mut Examination) {
        let Some((is_base64, name)) = begin_line(line) else { return };
        if self.nesting.depth > examination.limits.depth_max {
            return;
        }
        if !examination.count_entry() {
            examination.find(
                Class::Incomplete,
                &self.place,
                "has more files written into its text than are looked at",
            );
            return;
        }
        let names = vec![name::text_of(name)];
        let content =
            Content::new(&self.place, self.nesting, names, String::new(), Role::Attachment, examination);
        let base64 = is_base64.then(|| TransferDecoder::new(TransferEncoding::Base64, Strictness::Lenient));
        self.file = Some(Box::new(File { content, base64 }));
    }
}

impl File {
    fn line(&mut self, line: &[u8], examination: &mut Examination) {
        let mut decoded = Vec::with_capacity(line.len());
        match &mut self.base64 {
            Some(decoder) => {
                // A lenient decoder refuses nothing.
                let _never_refused = decoder.feed(line, &mut decoded);
            }
            None => decode_line(line, &mut decoded),
        }
        self.content.feed(&decoded, examination);
    }
}

/// `begin 644 name` or `begin-base64 644 name`.
fn begin_line(line: &[u8]) -> Option<(bool, &[u8])> {
    let (is_base64, rest) = match line.strip_prefix(b"begin-base64 ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix(b"begin ")?),
    };
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|octet| (b'0'..=b'7').contains(octet)).count();
    let (_, name) = rest.split_at_checked(digits).filter(|_| (3..=6).contains(&digits))?;
    name.starts_with(b" ").then(|| (is_base64, name.trim_ascii()))
}

/// A line: a character for how many octets, then four characters for three of them.
fn decode_line(line: &[u8], decoded: &mut Vec<u8>) {
    let value = |octet: Option<&u8>| octet.map_or(0, |octet| u32::from(octet.wrapping_sub(b' ') & 63));
    let Some((count, rest)) = line.split_first() else { return };
    let count = value(Some(count)) as usize;
    let start = decoded.len();
    for group in rest.chunks(4) {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | value(group.get(at)));
        let [_, octets @ ..] = bits.to_be_bytes();
        decoded.extend_from_slice(&octets);
    }
    decoded.truncate(start + count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_decoded() {
        for (line, expected) in
            [("#0V%T", "Cat"), ("\"0V$ ", "Ca"), ("\"0V$", "Ca"), ("`", ""), ("", ""), ("#86)C", "abc")]
        {
            let mut decoded = Vec::new();
            decode_line(line.as_bytes(), &mut decoded);
            assert_eq!(decoded, expected.as_bytes(), "{line}");
        }
    }

    #[test]
    fn only_whole_begin_lines_begin() {
        assert_eq!(begin_line(b"begin 644 a b.exe"), Some((false, b"a b.exe".as_slice())));
        assert_eq!(begin_line(b"begin-base64 755 x"), Some((true, b"x".as_slice())));
        for line in
            ["begin", "begin ", "begin 6 x", "begin 0000644 x", "begin 644", "begin the day", "begin 888 x"]
        {
            assert_eq!(begin_line(line.as_bytes()), None, "{line}");
        }
    }
}
