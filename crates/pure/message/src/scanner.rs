//! Digests a message while it arrives: header, part tree, envelopes. Sees each octet once, keeps only the header being read,
//! and never depends on where the chunks were cut (RFC 5322, 2046 §5.1, 9051 §7.5.2).
//!
//! Lines end with LF; a CR before it belongs to the line end. IMAP stores what came in, so both forms must be understood.

use memchr::{memchr, memchr_iter};

use crate::entity::{HeaderOf, HeaderReading, OpenEntity, OpenKind};
use crate::header::blank_line_octets;
use crate::limits::{BOUNDARY_OCTETS_MAX, DEPTH_MAX, Limits};
use crate::structure::Span;
use crate::summary::{Summary, Traits};

/// Octets of a line that are kept until its end is seen: a boundary with its dashes and line end, and blanks that
/// transport may have added (RFC 2046 §5.1.1).
const LINE_HEAD_OCTETS_MAX: usize = BOUNDARY_OCTETS_MAX + 6 + 74;

/// Takes a message in chunks of any size and gives its summary at the end.
///
/// It never refuses anything: what cannot be understood is left as octets of the part it stands in.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    /// Octets of all lines that have ended.
    position: u64,
    /// LFs among them.
    line_ends: u64,
    /// Octets of the line end before the current line; it belongs to a boundary that follows.
    line_end_octets: u64,
    line: Line,
    header: KeptHeader,
    /// Entities whose end has not been seen, each inside the one before it; the first is the message.
    open: Vec<OpenEntity>,
    reading: HeaderReading,
    traits: Traits,
    carriage_returns: u64,
    carriage_return_line_ends: u64,
}

/// The line that has not ended yet.
#[derive(Debug, Default)]
struct Line {
    octets: u64,
    /// Its first octets.
    head: Vec<u8>,
    ends_with_carriage_return: bool,
}

/// The header being read.
#[derive(Debug, Default)]
struct KeptHeader {
    octets: Vec<u8>,
    /// Where its last line begins.
    line_start: usize,
    /// Whether octets had to be left out.
    is_cut: bool,
}

impl Scanner {
    /// A scanner at the first octet of a message.
    pub fn new(limits: Limits) -> Scanner {
        let limits = Limits { depth_max: limits.depth_max.min(DEPTH_MAX), ..limits };
        Scanner {
            limits,
            position: 0,
            line_ends: 0,
            line_end_octets: 0,
            line: Line::default(),
            header: KeptHeader::default(),
            open: vec![OpenEntity::new(0, HeaderOf::Message)],
            reading: HeaderReading::new(limits),
            traits: Traits::default(),
            carriage_returns: 0,
            carriage_return_line_ends: 0,
        }
    }

    /// Takes the next octets.
    pub fn feed(&mut self, octets: &[u8]) {
        self.note_traits(octets);
        let mut line_start = 0;
        for line_feed in memchr_iter(b'\n', octets) {
            self.end_line(octets.get(line_start..=line_feed).unwrap_or_default());
            line_start = line_feed + 1;
        }
        self.continue_line(octets.get(line_start..).unwrap_or_default());
    }

    /// The message is complete.
    pub fn finish(mut self) -> Summary {
        self.end_last_line();
        while self.open.len() > 1 {
            self.close_innermost(0);
        }
        let mut root = self.open.pop().unwrap_or_else(|| OpenEntity::new(0, HeaderOf::Message));
        self.close(&mut root, 0);
        self.traits.has_bare_cr = self.carriage_returns > self.carriage_return_line_ends;
        self.traits.has_bare_lf = self.line_ends > self.carriage_return_line_ends;
        Summary {
            octets: self.position,
            header_octets: root.part.header.octets(),
            traits: self.traits,
            envelope: root.envelope,
            structure: root.part,
            fields: self.reading.fields,
            date: self.reading.date,
            references: self.reading.references,
        }
    }

    fn note_traits(&mut self, octets: &[u8]) {
        self.traits.has_eight_bit |= !octets.is_ascii();
        self.traits.has_nul |= memchr(0, octets).is_some();
        self.carriage_returns += memchr_iter(b'\r', octets).count() as u64;
    }

    /// A line that the next chunk continues.
    fn continue_line(&mut self, octets: &[u8]) {
        let Some(last) = octets.last() else { return };
        self.line.octets += octets.len() as u64;
        self.line.ends_with_carriage_return = *last == b'\r';
        extend_within(&mut self.line.head, octets, LINE_HEAD_OCTETS_MAX);
        self.keep_header_octets(octets);
    }

    /// The last octets of a line, LF included.
    fn end_line(&mut self, octets: &[u8]) {
        let has_carriage_return = match octets.len() {
            1 => self.line.ends_with_carriage_return,
            length => octets.get(length - 2) == Some(&b'\r'),
        };
        let line_octets = self.line.octets + octets.len() as u64;
        if self.line.octets == 0 && octets.first() != Some(&b'-') && !self.is_in_header() {
            // Nearly all lines of a large message.
            self.position += line_octets;
            self.line_ends += 1;
        } else if self.line.octets == 0 {
            self.keep_header_octets(octets);
            self.judge_line(octets, line_octets);
        } else {
            self.keep_header_octets(octets);
            let mut head = std::mem::take(&mut self.line.head);
            extend_within(&mut head, octets, LINE_HEAD_OCTETS_MAX);
            self.judge_line(&head, line_octets);
            head.clear();
            self.line = Line { head, ..Line::default() };
        }
        self.line_end_octets = if has_carriage_return { 2 } else { 1 };
        self.carriage_return_line_ends += u64::from(has_carriage_return);
    }

    /// Octets behind the last LF.
    fn end_last_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.octets > 0 {
            let boundary = self.boundary_at(&line.head, line.octets);
            if let Some(boundary) = boundary {
                self.pass_boundary(boundary, line.octets);
            }
            self.position += line.octets;
        }
    }

    /// Decides what a whole line is, given its first octets.
    fn judge_line(&mut self, head: &[u8], line_octets: u64) {
        let boundary = if head.starts_with(b"--") { self.boundary_at(head, line_octets) } else { None };
        if let Some(boundary) = boundary {
            self.pass_boundary(boundary, line_octets);
        }
        self.position += line_octets;
        self.line_ends += 1;
        let Some(innermost) = self.open.last() else { return };
        if boundary.is_none() && innermost.is_in_header() {
            self.header.line_start = self.header.octets.len();
            if blank_line_octets(head) == Some(head.len()) {
                self.end_header();
            }
        }
    }

    /// Which open multipart's boundary the line is. The innermost is asked first; a line that encloses an outer part ends
    /// all inner ones, whether they were closed or not (RFC 2046 §5.1.2).
    fn boundary_at(&self, head: &[u8], line_octets: u64) -> Option<Boundary> {
        if line_octets > LINE_HEAD_OCTETS_MAX as u64 {
            return None;
        }
        let line = head.strip_prefix(b"--")?.trim_ascii_end();
        let multiparts = self.open.iter().enumerate().rev();
        let mut boundaries = multiparts.filter_map(|(index, entity)| match &entity.kind {
            OpenKind::Multipart { boundary, is_closed: false } => Some((index, boundary)),
            _ => None,
        });
        let (index, closes) =
            boundaries.find_map(|(index, boundary)| match line.strip_prefix(boundary.as_slice())? {
                b"" => Some((index, false)),
                b"--" => Some((index, true)),
                _ => None,
            })?;
        // Without room for another part the line is text of the last one.
        (closes || self.reading.has_room_for_part()).then_some(Boundary { index, closes })
    }

    fn pass_boundary(&mut self, boundary: Boundary, line_octets: u64) {
        self.header.octets.truncate(self.header.line_start);
        while self.open.len() > boundary.index + 1 {
            self.close_innermost(self.line_end_octets);
        }
        self.header.clear();
        let Some(multipart) = self.open.last_mut() else { return };
        if let OpenKind::Multipart { is_closed, .. } = &mut multipart.kind {
            *is_closed = boundary.closes;
        }
        if !boundary.closes {
            let header_of = if multipart.is_digest() { HeaderOf::DigestPart } else { HeaderOf::Part };
            self.reading.count_part();
            self.open.push(OpenEntity::new(self.position + line_octets, header_of));
        }
    }

    /// The innermost entity's header has ended with a blank line.
    fn end_header(&mut self) {
        let may_descend = self.open.len() < self.limits.depth_max;
        let Some(innermost) = self.open.last_mut() else { return };
        innermost.end_header(self.position, self.line_ends);
        self.reading.read(innermost, &self.header.octets, !self.header.is_cut, may_descend);
        self.header.clear();
        if matches!(innermost.kind, OpenKind::Message) {
            self.reading.count_part();
            self.open.push(OpenEntity::new(self.position, HeaderOf::EmbeddedMessage));
        }
    }

    /// The innermost entity ends before the current line, whose boundary takes `line_end_octets` from it.
    fn close_innermost(&mut self, line_end_octets: u64) {
        let Some(mut entity) = self.open.pop() else { return };
        self.close(&mut entity, line_end_octets);
        if let Some(parent) = self.open.last_mut() {
            parent.adopt(entity);
        }
    }

    fn close(&mut self, entity: &mut OpenEntity, line_end_octets: u64) {
        if entity.is_in_header() {
            entity.end_header(self.position, self.line_ends);
            let header = std::mem::take(&mut self.header);
            let may_descend = self.open.len() + 1 < self.limits.depth_max;
            self.reading.read(entity, &header.octets, !header.is_cut, may_descend);
        }
        let end = self.position.saturating_sub(line_end_octets);
        let end = end.max(entity.part.body.start).max(entity.children_end);
        entity.part.body = Span::new(entity.part.body.start, end);
        // The line end before a boundary is the boundary's.
        let line_ends = self.line_ends - u64::from(end < self.position);
        entity.part.lines = line_ends.saturating_sub(entity.line_ends_before_body);
        entity.complete();
    }

    fn is_in_header(&self) -> bool {
        self.open.last().is_some_and(OpenEntity::is_in_header)
    }

    fn keep_header_octets(&mut self, octets: &[u8]) {
        let Some(innermost) = self.open.last() else { return };
        if !innermost.is_in_header() {
            return;
        }
        let octets_max = match innermost.header_of {
            HeaderOf::Message | HeaderOf::EmbeddedMessage => self.limits.header_octets_max,
            HeaderOf::Part | HeaderOf::DigestPart => self.limits.part_header_octets_max,
        };
        self.header.is_cut |= extend_within(&mut self.header.octets, octets, octets_max);
    }
}

/// A line that is a boundary of the open multipart with this index.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    index: usize,
    closes: bool,
}

impl KeptHeader {
    fn clear(&mut self) {
        self.octets.clear();
        self.line_start = 0;
        self.is_cut = false;
    }
}

/// Appends as much as fits; whether something did not.
fn extend_within(kept: &mut Vec<u8>, octets: &[u8], octets_max: usize) -> bool {
    let room = octets_max.saturating_sub(kept.len());
    kept.extend_from_slice(octets.get(..room).unwrap_or(octets));
    octets.len() > room
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Content, Part, SectionText};

    fn scan(message: &[u8]) -> Summary {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(message);
        let summary = scanner.finish();
        assert_eq!(Summary::decode(&summary.encode()), Ok(summary.clone()));
        summary
    }

    fn scan_with(limits: Limits, message: &[u8]) -> Summary {
        let mut scanner = Scanner::new(limits);
        scanner.feed(message);
        scanner.finish()
    }

    /// Writes a tree as `type/subtype` with header and body octets and lines, children in brackets.
    fn shown(part: &Part) -> String {
        let inside = match &part.content {
            Content::Leaf => String::new(),
            Content::Multipart(parts) => {
                let parts: Vec<String> = parts.iter().map(shown).collect();
                format!("[{}]", parts.join(", "))
            }
            Content::Message(embedded) => format!("<{}>", shown(&embedded.structure)),
        };
        let media = String::from_utf8_lossy(&part.subtype);
        format!("{media} {}+{}/{}{inside}", part.header.octets(), part.body.octets(), part.lines)
    }

    fn check(message: &str, expected: &str) {
        assert_eq!(shown(&scan(message.as_bytes()).structure), expected, "{message}");
    }

    fn section<'m>(message: &'m str, summary: &Summary, path: &[u32], text: SectionText) -> Option<&'m str> {
        let span = summary.section(path, text)?;
        message.get(span.start as usize..span.end as usize)
    }

    #[test]
    fn plain_messages() {
        check("", "plain 0+0/0");
        check("\r\n", "plain 2+0/0");
        check("A: b\r\n\r\nbody\r\n", "plain 8+6/1");
        check("A: b\n\nbody\nmore", "plain 6+9/1");
        check("A: b\r\nno blank line", "plain 19+0/0");
        check("\nonly a body\n", "plain 1+12/1");
        check("--x\n\n--x\n", "plain 5+4/1");
    }

    #[test]
    fn multiparts() {
        let header = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        check(
            &format!("{header}pre\r\n--b\r\n\r\none\r\n--b\r\nA: b\r\n\r\ntwo\r\n\r\n--b--\r\npost\r\n"),
            "mixed 45+50/11[plain 2+3/0, plain 8+5/1]",
        );
        // Never closed, and closed without a line end.
        check(&format!("{header}--b\r\n\r\none\r\n"), "mixed 45+12/3[plain 2+5/1]");
        check(&format!("{header}--b\r\n\r\none\r\n--b--"), "mixed 45+17/3[plain 2+3/0]");
        check(&format!("{header}--b\r\n\r\none\r\n--b"), "mixed 45+15/3[plain 2+3/0, plain 0+0/0]");
        // Blanks behind the boundary are transport padding; other octets are not.
        check(
            &format!("{header}--b \t\r\n\r\n--bb\r\n--b-\r\n --b\r\n--b-- \r\n--b\r\n"),
            "mixed 45+40/7[plain 2+16/2]",
        );
        // Parts without blank line, without anything, with only a blank line.
        check(
            &format!("{header}--b\r\nA: b\r\n--b\r\n--b\r\n\r\n--b--"),
            "mixed 45+28/5[plain 6+0/0, plain 0+0/0, plain 2+0/0]",
        );
    }

    #[test]
    fn multiparts_without_usable_boundary_hold_one_text() {
        check("Content-Type: multipart/mixed\n\nhello\n", "mixed 31+6/1[plain 0+6/1]");
        check("Content-Type: multipart/mixed; boundary=\"\"\n\n--\nhello\n", "mixed 44+9/2[plain 0+9/2]");
        check("Content-Type: multipart/mixed; boundary=b\n\nhello\n", "mixed 43+6/1[plain 0+6/1]");
        check("Content-Type: multipart/mixed; boundary=b", "mixed 41+0/0[plain 0+0/0]");
        for (octets, expected) in [(255, 1), (256, 1), (257, 0)] {
            let boundary = "b".repeat(octets);
            let message = format!("Content-Type: multipart/mixed; boundary={boundary}\n\n--{boundary}\n\nx");
            let summary = scan(message.as_bytes());
            let Content::Multipart(parts) = summary.structure.content else { panic!("not a multipart") };
            assert_eq!(parts[0].header.octets(), expected, "{octets}");
        }
    }

    #[test]
    fn an_outer_boundary_ends_inner_parts() {
        let message = "Content-Type: multipart/mixed; boundary=a\n\n\
            --a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--a\n\ntwo\n--ab\n--a--\n";
        check(message, "mixed 43+78/11[mixed 44+9/2[plain 1+3/0], plain 1+8/1]");
    }

    #[test]
    fn inner_multipart_with_the_same_boundary() {
        let message = "Content-Type: multipart/mixed; boundary=a\n\n\
            --a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n";
        check(message, "mixed 43+77/11[mixed 43+14/3[plain 1+3/0], plain 1+3/0]");
    }

    #[test]
    fn messages_inside_messages() {
        check("Content-Type: message/rfc822\n\nSubject: x\n\nbody\n", "rfc822 30+17/3<plain 12+5/1>");
        check(
            "Content-Type: message/rfc822\n\nContent-Type: message/global\n\nA: b\n\nbody",
            "rfc822 30+40/4<global 30+10/2<plain 6+4/0>>",
        );
        check("Content-Type: message/rfc822", "rfc822 28+0/0<plain 0+0/0>");
        check(
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQUJD\n",
            "octet-stream 64+5/1",
        );
        check("Content-Type: message/partial\n\nA: b\n\n", "partial 31+6/2");
        let digest = "Content-Type: multipart/digest; boundary=b\n\n\
            --b\n\nFrom: a\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b\n\nSubject: cut\n--b--\n";
        check(
            digest,
            "digest 44+76/13[rfc822 1+12/2<plain 9+3/0>, plain 26+3/0, rfc822 1+13/1<plain 13+0/0>]",
        );
    }

    #[test]
    fn sections_follow_the_rfc() {
        // The example of RFC 9051 §6.4.5.1 in small.
        let message = "Subject: top\n\
            Content-Type: multipart/mixed; boundary=a\n\n\
            --a\n\none\n\
            --a\nContent-Type: message/rfc822\n\n\
            Subject: inner\nContent-Type: multipart/mixed; boundary=b\n\n\
            --b\nX: 1\n\ninner one\n--b--\n\
            --a\nContent-Type: message/rfc822\n\nSubject: single\n\nsingle body\n--a--\n";
        let summary = scan(message.as_bytes());
        let get = |path: &[u32], text| section(message, &summary, path, text);
        assert_eq!(get(&[], SectionText::Whole), Some(message));
        assert_eq!(get(&[], SectionText::Header), message.get(..56));
        assert_eq!(get(&[], SectionText::Text), message.get(56..));
        assert_eq!(get(&[], SectionText::Mime), None);
        assert_eq!(get(&[1], SectionText::Whole), Some("one"));
        assert_eq!(get(&[1], SectionText::Mime), Some("\n"));
        assert_eq!(get(&[1], SectionText::Text), None);
        assert_eq!(get(&[2], SectionText::Mime), Some("Content-Type: message/rfc822\n\n"));
        assert_eq!(
            get(&[2], SectionText::Header),
            Some("Subject: inner\nContent-Type: multipart/mixed; boundary=b\n\n")
        );
        assert_eq!(get(&[2], SectionText::Text), Some("--b\nX: 1\n\ninner one\n--b--"));
        assert_eq!(get(&[2, 1], SectionText::Whole), Some("inner one"));
        assert_eq!(get(&[2, 1], SectionText::Mime), Some("X: 1\n\n"));
        assert_eq!(get(&[3, 1], SectionText::Whole), Some("single body"));
        assert_eq!(get(&[3, 1], SectionText::Mime), Some("Subject: single\n\n"));
        for path in [&[0][..], &[4], &[1, 1], &[2, 2], &[3, 2], &[3, 1, 1], &[2, 1, 1], &[u32::MAX]] {
            assert_eq!(get(path, SectionText::Whole), None, "{path:?}");
        }
        assert_eq!(summary.envelope.subject.as_deref(), Some(&b"top"[..]));
        let single = summary.structure.find(&[3]).map(|part| &part.content);
        let Some(Content::Message(single)) = single else { panic!("not a message") };
        assert_eq!(single.envelope.subject.as_deref(), Some(&b"single"[..]));
    }

    #[test]
    fn part_one_of_a_plain_message_is_its_body() {
        let message = "Subject: x\r\n\r\nbody\r\n";
        let summary = scan(message.as_bytes());
        assert_eq!(section(message, &summary, &[1], SectionText::Whole), Some("body\r\n"));
        assert_eq!(section(message, &summary, &[1], SectionText::Mime), Some("Subject: x\r\n\r\n"));
        assert_eq!(section(message, &summary, &[2], SectionText::Whole), None);
        assert_eq!(section(message, &summary, &[1, 1], SectionText::Whole), None);
    }

    #[test]
    fn octet_traits_are_noted() {
        let traits = |message: &[u8]| scan(message).traits;
        assert_eq!(traits(b"A: b\r\n\r\nc\r\n"), Traits::default());
        assert_eq!(traits(b"A: b\n\nc\n"), Traits { has_bare_lf: true, ..Traits::default() });
        assert_eq!(traits(b"A: b\r\n\r\nc\rd\r"), Traits { has_bare_cr: true, ..Traits::default() });
        assert_eq!(traits(b"\0\xff"), Traits { has_nul: true, has_eight_bit: true, ..Traits::default() });
        let mut scanner = Scanner::new(Limits::default());
        [&b"a\r"[..], b"\n", b"\r", b"\r\n"].into_iter().for_each(|octets| scanner.feed(octets));
        assert_eq!(scanner.finish().traits, Traits { has_bare_cr: true, ..Traits::default() });
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let mut message = String::new();
            for level in 0..depth {
                message += &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
            }
            message + "\ntext\n"
        };
        for depth in [9, 10, 11, 300] {
            let summary = scan_with(Limits { depth_max: 10, ..Limits::default() }, nested(depth).as_bytes());
            let (mut part, mut levels) = (&summary.structure, 0);
            while let Content::Multipart(parts) = &part.content {
                part = &parts[0];
                levels += 1;
            }
            assert_eq!(levels, depth.min(9), "{depth}");
            assert_eq!(part.subtype, if depth > 9 { &b"octet-stream"[..] } else { b"plain" });
            assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        }
        let deepest = Limits { depth_max: usize::MAX, ..Limits::default() };
        let summary = scan_with(deepest, nested(1_000).as_bytes());
        assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        let message = "Content-Type: message/rfc822\n\n".repeat(10_000);
        let summary = scan_with(deepest, message.as_bytes());
        assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }

    #[test]
    fn parts_are_bounded() {
        for count in [9, 10, 11] {
            let parts = "--b\n\nx\n".repeat(count);
            let message = format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n");
            let limits = Limits { parts_max: 11, ..Limits::default() };
            let summary = scan_with(limits, message.as_bytes());
            let Content::Multipart(parts) = &summary.structure.content else { panic!("not a multipart") };
            assert_eq!(parts.len(), count.min(10));
            assert_eq!(parts[parts.len() - 1].body.octets(), if count > 10 { 8 } else { 1 });
        }
    }

    #[test]
    fn headers_are_bounded() {
        let message = b"Subject: 123456\nTo: a@b\n\nbody";
        for octets in [23, 24, 25] {
            let limits = Limits { header_octets_max: octets, ..Limits::default() };
            let summary = scan_with(limits, message);
            assert_eq!((summary.header_octets, summary.structure.body.octets()), (25, 4));
            assert_eq!(summary.fields.covers(b"Subject"), octets >= 25, "{octets}");
            assert!(!summary.envelope.to.is_empty());
        }
        let limits = Limits { part_header_octets_max: 10, ..Limits::default() };
        let message =
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: 1\nContent-Type: text/html\n\nhi\n--b--";
        assert_eq!(shown(&scan_with(limits, message).structure), "mixed 43+42/5[plain 30+2/0]");
    }

    #[test]
    fn retained_text_is_bounded() {
        let part = "--b\nContent-Type: text/html; name=n\nContent-ID: <1>\n\nx\n";
        let message = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(50));
        let root = " multipart/mixed; boundary=b".len();
        let each = " text/html; name=n".len() + " <1>".len();
        for (octets, expected) in
            [(root + 10 * each - 1, 9), (root + 10 * each, 10), (root + 10 * each + 1, 10)]
        {
            let limits = Limits { retained_octets_max: octets, ..Limits::default() };
            let summary = scan_with(limits, message.as_bytes());
            let Content::Multipart(parts) = &summary.structure.content else { panic!("not a multipart") };
            assert_eq!(parts.iter().filter(|part| part.id.is_some()).count(), expected);
            assert!(parts.iter().all(|part| part.is_media("text", "html")));
        }
    }

    #[test]
    fn a_plain_mail_is_small() {
        let header = "From: Ann Doe <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch on Friday?\r\n\
            Date: Mon, 2 Sep 2002 12:00:00 +0200\r\nMessage-ID: <1234567890@example.org>\r\n\
            MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nReceived: from x by y\r\n\r\n";
        let summary = scan(format!("{header}How about noon?\r\n").as_bytes());
        let beyond_header = summary.encode().len() - summary.fields.octets().len();
        assert!(beyond_header < 250, "{beyond_header}");
        assert_eq!(summary.date.map(|date| date.unix_seconds), Some(1_030_960_800));
    }

    #[test]
    fn attachments_and_previews_are_found() {
        let message = |parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--b\n{part}\n\nx\n")).collect();
            scan(format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n").as_bytes())
        };
        assert!(!message(&["Content-Type: text/plain", "Content-Type: text/html"]).has_attachment());
        assert!(message(&["Content-Type: text/plain\nContent-Disposition: attachment"]).has_attachment());
        assert!(message(&["Content-Type: application/pdf"]).has_attachment());
        assert!(!message(&["Content-Type: application/pgp-signature"]).has_attachment());
        assert!(!message(&["Content-Type: image/png\nContent-ID: <1>"]).has_attachment());
        assert!(message(&["Content-Type: message/rfc822\n\nA: b"]).has_attachment());
        let html = message(&[
            "Content-Type: text/plain\nContent-Disposition: attachment",
            "Content-Type: text/html",
        ]);
        assert_eq!(html.preview_part().map(|part| part.subtype.as_slice()), Some(&b"html"[..]));
        let alternative =
            b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n--b\n\nx";
        assert_eq!(
            scan(alternative).preview_part().map(|part| part.subtype.clone()),
            Some(b"plain".to_vec())
        );
        assert!(scan(b"Content-Type: image/png\n\n").preview_part().is_none());
    }

    #[test]
    fn references_are_collected() {
        let references = |header: &str| scan(header.as_bytes()).references;
        assert_eq!(references("References: <a@b> <c@d>\nIn-Reply-To: <e@f>\n\n"), [b"a@b", b"c@d"]);
        assert_eq!(references("In-Reply-To: <e@f> <g@h>\n\n"), [b"e@f"]);
        assert!(references("Subject: x\n\n").is_empty());
    }
}
