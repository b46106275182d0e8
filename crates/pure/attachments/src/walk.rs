//! Takes a message apart while it passes: headers, boundaries, and the octets of each part decoded into what looks at them
//! (RFC 2046 §5.1). Reads more than the standard asks, because mail programs do; docs/internals/attachments.md has the table.

use memchr::{memchr, memmem};
use message::{Strictness, TransferDecoder, TransferEncoding, blank_line_octets};

use crate::content::{Content, Nesting, Role};
use crate::declared::{Declared, Encoding, Form};
use crate::examination::Examination;
use crate::policy::Class;

/// Octets of one header's Content fields that are read; where there are more, it is told of. Others are passed over.
const HEADER_OCTETS_MAX: usize = 16 * 1024;

/// Octets of a line that may be a boundary. RFC 2046 §5.1.1 allows 70, RFC 5322 §2.1.1 no line above 998.
const LINE_OCTETS_MAX: usize = 1_024;

/// Multiparts inside each other in one message. A deeper one is looked at as text.
const MULTIPARTS_MAX: usize = 50;

/// Reads one message, which may be inside another.
#[derive(Debug)]
pub(crate) struct Walker {
    place: Vec<String>,
    nesting: Nesting,
    /// Multiparts around what is being read, the innermost last.
    multiparts: Vec<Multipart>,
    state: State,
    /// A line whose end has not come and that may be a boundary; in a header any line.
    line: Vec<u8>,
    is_line_start: bool,
    /// Whether octets of the line had to be left out.
    is_line_cut: bool,
    /// The line end that belongs to a boundary if one follows, and to the part otherwise (RFC 2046 §5.1.1).
    held: &'static [u8],
}

#[derive(Debug)]
struct Multipart {
    /// Not known yet where the header has none: the first line that could be one is taken.
    boundary: Option<Vec<u8>>,
    is_closed: bool,
    is_digest: bool,
}

#[derive(Debug)]
enum State {
    Header {
        /// Its fields about content.
        octets: Vec<u8>,
        is_cut: bool,
        /// Whether the field at hand is one of them.
        is_kept: bool,
    },
    Body(Option<Box<Leaf>>),
}

/// A part that holds octets.
#[derive(Debug)]
struct Leaf {
    decoder: TransferDecoder,
    content: Content,
    decoded: Vec<u8>,
}

impl Walker {
    pub(crate) fn new(place: Vec<String>, nesting: Nesting) -> Walker {
        Walker {
            place,
            nesting,
            multiparts: Vec::new(),
            state: State::in_header(),
            line: Vec::new(),
            is_line_start: true,
            is_line_cut: false,
            held: b"",
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = match self.state {
                State::Header { .. } => self.feed_header(rest, examination),
                State::Body(_) => self.feed_body(rest, examination),
            };
        }
    }

    pub(crate) fn finish(&mut self, examination: &mut Examination) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            match self.state {
                State::Header { .. } => self.header_line(&line, examination),
                State::Body(_) => self.body_line(&line, examination),
            }
        }
        if matches!(self.state, State::Header { .. }) {
            self.end_header(examination);
        }
        let held = std::mem::take(&mut self.held);
        self.leave_leaf(held, examination);
    }

    /// Takes up to one line of a header; gives the rest.
    fn feed_header<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        let end = memchr(b'\n', octets).map(|at| at + 1);
        let (piece, rest) = octets.split_at(end.unwrap_or(octets.len()));
        let room = HEADER_OCTETS_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.is_line_cut |= piece.len() > room;
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            self.header_line(&line, examination);
            self.is_line_cut = false;
            line.clear();
            self.line = line;
        }
        rest
    }

    fn header_line(&mut self, line: &[u8], examination: &mut Examination) {
        if let Some(boundary) = self.boundary_at(line, examination) {
            // The part has no body, or no header either.
            self.end_header(examination);
            return self.pass_boundary(boundary, examination);
        }
        let State::Header { octets, is_cut, is_kept } = &mut self.state else { return };
        let continues = line.starts_with(b" ") || line.starts_with(b"\t");
        let is_content = line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        *is_kept = if continues { *is_kept } else { is_content };
        if *is_kept {
            let room = HEADER_OCTETS_MAX.saturating_sub(octets.len());
            octets.extend_from_slice(line.get(..room).unwrap_or(line));
            *is_cut |= line.len() > room || self.is_line_cut;
        }
        if blank_line_octets(line) == Some(line.len()) {
            self.end_header(examination);
        }
    }

    /// Takes some octets of a body; gives the rest.
    fn feed_body<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        let seeks = self.multiparts.iter().any(|multipart| !multipart.is_closed);
        if !seeks {
            self.data(octets, examination);
            return &[];
        }
        if !self.line.is_empty() || (self.is_line_start && octets.first() == Some(&b'-')) {
            return self.feed_candidate(octets, examination);
        }
        let end = memmem::find(octets, b"\n-").map_or(octets.len(), |at| at + 1);
        let (run, rest) = octets.split_at(end);
        self.data(run, examination);
        self.is_line_start = run.ends_with(b"\n");
        rest
    }

    /// Takes octets of a line that may be a boundary.
    fn feed_candidate<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        let end = memchr(b'\n', octets).map(|at| at + 1);
        let (piece, rest) = octets.split_at(end.unwrap_or(octets.len()));
        let is_too_long = self.line.len() + piece.len() > LINE_OCTETS_MAX;
        if !is_too_long {
            self.line.extend_from_slice(piece);
        }
        let may_be = !is_too_long && (self.line.len() < 2 || self.line.starts_with(b"--"));
        if may_be && end.is_none() {
            return rest;
        }
        let mut line = std::mem::take(&mut self.line);
        self.is_line_start = end.is_some();
        if may_be {
            self.body_line(&line, examination);
        } else {
            self.data(&line, examination);
            if is_too_long {
                self.data(piece, examination);
            }
        }
        line.clear();
        self.line = line;
        rest
    }

    fn body_line(&mut self, line: &[u8], examination: &mut Examination) {
        match self.boundary_at(line, examination) {
            Some(boundary) => self.pass_boundary(boundary, examination),
            None => self.data(line, examination),
        }
    }

    /// Octets of the innermost part, but for a line end that may be the boundary's.
    fn data(&mut self, octets: &[u8], examination: &mut Examination) {
        if octets == b"\n" && self.held == b"\r" {
            self.held = b"\r\n";
            return;
        }
        let held = std::mem::take(&mut self.held);
        self.held = match octets {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\n'] => b"\n",
            [.., b'\r'] => b"\r",
            _ => b"",
        };
        let octets = octets.get(..octets.len() - self.held.len()).unwrap_or_default();
        if held.is_empty() && octets.is_empty() {
            return;
        }
        let (place, nesting) = (&self.place, self.nesting);
        let State::Body(leaf) = &mut self.state else { return };
        // Before the first part and behind the last one stands text for programs without MIME; some show it.
        let leaf = leaf.get_or_insert_with(|| Box::new(Leaf::beside_parts(place, nesting, examination)));
        leaf.feed(held, examination);
        leaf.feed(octets, examination);
    }

    /// Which multipart's boundary a line is, the innermost first; an outer one ends all inside it.
    fn boundary_at(&mut self, line: &[u8], examination: &Examination) -> Option<Boundary> {
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        let has_room = examination.has_room_for_part();
        for (index, multipart) in self.multiparts.iter_mut().enumerate().rev() {
            if multipart.is_closed {
                continue;
            }
            if multipart.boundary.is_none() && has_room {
                multipart.boundary = Some(line.strip_suffix(b"--").unwrap_or(line).to_vec());
            }
            let Some(behind) =
                multipart.boundary.as_ref().and_then(|known| line.strip_prefix(known.as_slice()))
            else {
                continue;
            };
            match behind {
                b"--" => return Some(Boundary { index, closes: true }),
                // Without room for another part the line is text of the last one.
                b"" if has_room => return Some(Boundary { index, closes: false }),
                _ => {}
            }
        }
        None
    }

    fn pass_boundary(&mut self, boundary: Boundary, examination: &mut Examination) {
        self.held = b"";
        self.leave_leaf(b"", examination);
        self.multiparts.truncate(boundary.index + 1);
        let Some(multipart) = self.multiparts.last_mut() else { return };
        multipart.is_closed = boundary.closes;
        self.is_line_start = true;
        if boundary.closes {
            self.state = State::Body(None);
        } else {
            self.state = State::in_header();
            if examination.count_part() && !examination.has_room_for_part() {
                examination.find(Class::Incomplete, &self.place, "has more parts than are looked at");
            }
        }
    }

    fn end_header(&mut self, examination: &mut Examination) {
        let State::Header { octets, is_cut, .. } = std::mem::replace(&mut self.state, State::Body(None))
        else {
            return;
        };
        let is_digest_part = self.multiparts.last().is_some_and(|multipart| multipart.is_digest);
        let declared = Declared::read(&octets, is_cut, is_digest_part);
        drop(octets);
        self.is_line_start = true;
        if let Some(words) = declared.ambiguity {
            let mut place = self.place.clone();
            place.extend(declared.names.first().map(|name| crate::name::shown(name)));
            examination.find(Class::Ambiguous, &place, words);
        }
        if declared.form == Form::Multipart && !declared.names.is_empty() {
            // Who takes it for a file saves it under its name.
            let (names, media_type) = (declared.names.clone(), declared.media_type.clone());
            Content::new(&self.place, self.nesting, names, media_type, Role::Attachment, examination)
                .finish(examination);
        }
        if declared.form == Form::Multipart && self.multiparts.len() < MULTIPARTS_MAX {
            if declared.boundary.is_none() {
                examination.find(
                    Class::Ambiguous,
                    &self.place,
                    "has parts without saying how they are told apart",
                );
            }
            self.multiparts.push(Multipart {
                boundary: declared.boundary,
                is_closed: false,
                is_digest: declared.is_digest,
            });
            return;
        }
        if declared.form == Form::Multipart {
            examination.find(
                Class::Incomplete,
                &self.place,
                "has parts inside each other deeper than is looked",
            );
        }
        self.state = State::Body(Some(Box::new(Leaf::new(declared, &self.place, self.nesting, examination))));
    }

    fn leave_leaf(&mut self, held: &[u8], examination: &mut Examination) {
        if let State::Body(Some(mut leaf)) = std::mem::replace(&mut self.state, State::Body(None)) {
            leaf.feed(held, examination);
            leaf.finish(examination);
        }
    }
}

/// A line that is a boundary of the multipart with this index.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    index: usize,
    closes: bool,
}

impl State {
    fn in_header() -> State {
        State::Header { octets: Vec::new(), is_cut: false, is_kept: false }
    }
}

impl Leaf {
    fn new(declared: Declared, place: &[String], nesting: Nesting, examination: &mut Examination) -> Leaf {
        let encoding = match declared.encoding {
            Encoding::Transfer(encoding) => encoding,
            Encoding::Uuencode | Encoding::Unknown => TransferEncoding::Identity,
        };
        let role = match (declared.form, declared.is_text) {
            (Form::Message, _) => Role::Message,
            (_, true) => Role::Text,
            _ if declared.encoding == Encoding::Uuencode => Role::Text,
            _ => Role::Attachment,
        };
        if declared.form == Form::Elsewhere {
            let words = "is a piece of something whose other pieces are elsewhere";
            examination.find(Class::Opaque, place, words);
        }
        let content = Content::new(place, nesting, declared.names, declared.media_type, role, examination);
        Leaf { decoder: TransferDecoder::new(encoding, Strictness::Lenient), content, decoded: Vec::new() }
    }

    fn beside_parts(place: &[String], nesting: Nesting, examination: &mut Examination) -> Leaf {
        Leaf::new(Declared::read(b"", false, false), place, nesting, examination)
    }

    fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        if octets.is_empty() {
            return;
        }
        self.decoded.clear();
        // A lenient decoder refuses nothing.
        let _never_refused = self.decoder.feed(octets, &mut self.decoded);
        self.content.feed(&self.decoded, examination);
    }

    fn finish(self, examination: &mut Examination) {
        let Leaf { decoder, mut content, mut decoded } = self;
        decoded.clear();
        let _never_refused = decoder.finish(&mut decoded);
        content.feed(&decoded, examination);
        content.finish(examination);
    }
}
