//! gzip: one content, packed; several members glued together are one content too (RFC 1952).

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::expansion::{Expansion, Progress};
use crate::name;
use crate::policy::Class;

/// Octets of a member's header that are kept: longer names are cut, and what follows them is still found.
const HEADER_OCTETS_MAX: usize = 2_048;

/// Octets behind a member: checksum and length.
const TRAILER_OCTETS: usize = 8;

#[derive(Debug)]
pub(crate) struct GzipReader {
    place: Vec<String>,
    nesting: Nesting,
    /// The packed content's name without its last extension, for members that do not name theirs.
    stem: String,
    state: State,
    content: Option<Box<Content>>,
}

#[derive(Debug)]
enum State {
    Header(Vec<u8>),
    Packed(Box<Expansion>),
    Trailer(usize),
    Ended,
}

impl GzipReader {
    pub(crate) fn new(packed: &Content) -> GzipReader {
        let stem = name::without_packing(&packed.name);
        let (place, nesting) = (packed.place.clone(), packed.nesting.in_archive());
        GzipReader { place, nesting, stem, state: State::Header(Vec::new()), content: None }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = self.step(rest, examination);
        }
    }

    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        match &mut self.state {
            State::Header(header) => {
                let before = header.len();
                let room = HEADER_OCTETS_MAX - before;
                header.extend_from_slice(octets.get(..room).unwrap_or(octets));
                match header_end(header) {
                    Header::Unfinished if header.len() < HEADER_OCTETS_MAX => return &[],
                    Header::Ends { .. } if !examination.count_start() => {
                        examination.find(
                            Class::Incomplete,
                            &self.place,
                            "has more members than are looked at",
                        );
                        self.state = State::Ended;
                    }
                    Header::Ends { at, name } => {
                        self.begin(&name, examination);
                        return octets.get(at.saturating_sub(before)..).unwrap_or_default();
                    }
                    Header::None | Header::Unfinished => self.end_damaged(examination),
                }
                &[]
            }
            State::Packed(expansion) => {
                let Some(content) = &mut self.content else { return &[] };
                match expansion.feed(octets, content, &self.place, examination) {
                    Progress::More => &[],
                    Progress::Ended(taken) => {
                        self.state = State::Trailer(TRAILER_OCTETS);
                        octets.get(taken..).unwrap_or_default()
                    }
                    Progress::Damaged(_) => {
                        self.end_damaged(examination);
                        &[]
                    }
                    Progress::Stopped(_) => {
                        self.state = State::Ended;
                        &[]
                    }
                }
            }
            State::Trailer(left) => {
                let taken = octets.len().min(*left);
                *left -= taken;
                if *left == 0 {
                    self.state = State::Header(Vec::new());
                }
                octets.get(taken..).unwrap_or_default()
            }
            State::Ended => &[],
        }
    }

    /// A member's header is over. Another member goes on with the same content (RFC 1952 §2.2).
    fn begin(&mut self, name: &[u8], examination: &mut Examination) {
        self.state = State::Packed(Box::new(Expansion::new()));
        if self.content.is_some() {
            return;
        }
        let mut names = vec![self.stem.clone()];
        if !name.is_empty() {
            names.insert(0, name::text_of(name));
        }
        names.retain(|name| !name.is_empty());
        names.dedup();
        let content = Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination);
        self.content = Some(Box::new(content));
    }

    /// Behind the last member other octets may stand; before the first they are damage.
    fn end_damaged(&mut self, examination: &mut Examination) {
        let is_inside = matches!(self.state, State::Packed(_));
        if is_inside || self.content.is_none() {
            examination.find(Class::Opaque, &self.place, "is damaged and was not looked into to its end");
        }
        self.state = State::Ended;
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        if matches!(self.state, State::Packed(_)) || self.content.is_none() {
            self.end_damaged(examination);
        }
        if let Some(content) = self.content {
            content.finish(examination);
        }
    }
}

enum Header {
    None,
    Unfinished,
    Ends { at: usize, name: Vec<u8> },
}

/// Where a member's header ends, and the name in it.
fn header_end(header: &[u8]) -> Header {
    if !b"\x1f\x8b\x08".starts_with(header.get(..3).unwrap_or(header)) {
        return Header::None;
    }
    let Some(&flags) = header.get(3) else { return Header::Unfinished };
    let mut at = 10;
    if flags & 4 != 0 {
        let Some(&[low, high]) = header.get(at..at + 2).and_then(|two| two.first_chunk()) else {
            return Header::Unfinished;
        };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    let mut name = Vec::new();
    for (flag, is_name) in [(8, true), (16, false)] {
        if flags & flag == 0 {
            continue;
        }
        let Some(rest) = header.get(at..) else { return Header::Unfinished };
        let Some(end) = memchr::memchr(0, rest) else { return Header::Unfinished };
        if is_name {
            name = rest.get(..end).unwrap_or_default().to_vec();
        }
        at += end + 1;
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    if header.len() < at { Header::Unfinished } else { Header::Ends { at, name } }
}
