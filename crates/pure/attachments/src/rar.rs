//! RAR archives of versions 4 and 5: what is stored or packed in entries is looked at, in the order in which it stands. What
//! each header says is in `rar_header.rs`, how entries are packed in `rar_unpack.rs`.

use crate::content::{Content, Nesting, Role};
use crate::examination::{BECOMES_TOO_MUCH, Examination};
use crate::kind::Kind;
use crate::packed::{PackedReader, Rest};
use crate::policy::Class;
use crate::rar_header::{File, Header, HeaderKind, Method};
use crate::rar_unpack::{Generation, Packing, RarUnpacker};

/// Octets of one header that are read. Names and a few numbers fill far less.
const HEADER_OCTETS_MAX: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct RarReader {
    place: Vec<String>,
    nesting: Nesting,
    generation: Generation,
    state: State,
    before: Before,
}

/// What the next entry may refer back to.
#[derive(Debug)]
enum Before {
    /// Nothing was packed yet.
    Nothing,
    /// What has unpacked the last one.
    Unpacker(Box<RarUnpacker>),
    /// The last one was not unpacked to its end.
    Unknown,
}

#[derive(Debug)]
enum State {
    Signature(usize),
    Header(Vec<u8>),
    Data { left: u64, entry: Entry },
    Ended,
}

#[derive(Debug)]
enum Entry {
    Passed,
    Stored(Box<Content>),
    Packed(Box<PackedReader>),
}

impl RarReader {
    pub(crate) fn new(archive: &Content, kind: Kind) -> RarReader {
        let (generation, signature_octets) =
            if kind == Kind::Rar5 { (Generation::Rar5, 8) } else { (Generation::Rar4, 7) };
        RarReader {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            generation,
            state: State::Signature(signature_octets),
            before: Before::Nothing,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = self.step(rest, examination);
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.end_entry(examination);
    }

    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        match &mut self.state {
            State::Signature(left) => {
                let taken = octets.len().min(*left);
                *left -= taken;
                if *left == 0 {
                    self.state = State::Header(Vec::new());
                }
                octets.get(taken..).unwrap_or_default()
            }
            State::Header(header) => {
                let generation = self.generation;
                let wanted = |header: &[u8]| {
                    let octets = generation.header_octets(header);
                    octets.filter(|octets| (header.len()..=HEADER_OCTETS_MAX).contains(octets))
                };
                let Some(octets_wanted) = wanted(header) else {
                    return self.end_damaged(examination);
                };
                let (piece, rest) = octets.split_at(octets.len().min(octets_wanted - header.len()));
                header.extend_from_slice(piece);
                if wanted(header) == Some(header.len()) {
                    self.end_header(examination);
                }
                rest
            }
            State::Data { left, entry } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                let (piece, rest) = octets.split_at(taken);
                *left -= taken as u64;
                match entry {
                    Entry::Passed => {}
                    Entry::Stored(content) => content.feed(piece, examination),
                    Entry::Packed(packed) => packed.feed(piece, examination),
                }
                if *left == 0 {
                    self.end_entry(examination);
                }
                rest
            }
            State::Ended => &[],
        }
    }

    fn end_damaged(&mut self, examination: &mut Examination) -> &'static [u8] {
        examination.find(Class::Opaque, &self.place, "is damaged and was not looked into to its end");
        self.state = State::Ended;
        &[]
    }

    fn end_entry(&mut self, examination: &mut Examination) {
        let State::Data { entry, .. } = std::mem::replace(&mut self.state, State::Header(Vec::new())) else {
            return;
        };
        match entry {
            Entry::Passed => {}
            Entry::Stored(content) => content.finish(examination),
            Entry::Packed(packed) => {
                let unpacker = packed.finish_rar_entry(examination);
                self.before = unpacker.map_or(Before::Unknown, Before::Unpacker);
            }
        }
    }

    fn end_header(&mut self, examination: &mut Examination) {
        let State::Header(header) = std::mem::replace(&mut self.state, State::Header(Vec::new())) else {
            return;
        };
        let Some(Header { kind, data_octets }) = self.generation.header(&header) else {
            self.end_damaged(examination);
            return;
        };
        let entry = match kind {
            HeaderKind::End => {
                self.state = State::Ended;
                return;
            }
            HeaderKind::Encryption => {
                examination.find(Class::Encrypted, &self.place, "is encrypted, names too");
                self.state = State::Ended;
                return;
            }
            HeaderKind::Other => Entry::Passed,
            HeaderKind::File(file) => {
                if !examination.count_entry() {
                    examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
                    self.state = State::Ended;
                    return;
                }
                self.begin_file(file, data_octets, examination)
            }
        };
        self.state = State::Data { left: data_octets, entry };
        if data_octets == 0 {
            self.end_entry(examination);
        }
    }

    fn begin_file(&mut self, file: File, data_octets: u64, examination: &mut Examination) -> Entry {
        let content =
            Content::new(&self.place, self.nesting, file.names, String::new(), Role::Entry, examination);
        if file.is_encrypted {
            examination.find(Class::Encrypted, &content.place, "is encrypted");
            if matches!(file.method, Method::Packed(_)) {
                self.before = Before::Unknown;
            }
            return Entry::Passed;
        }
        if file.is_begun {
            content.find(Class::Incomplete, "begins in another file and was not looked into", examination);
        }
        match file.method {
            Method::Stored => Entry::Stored(Box::new(content)),
            // Nothing is packed in nothing.
            _ if data_octets == 0 => Entry::Stored(Box::new(content)),
            Method::Packed(packing) if !file.is_begun => {
                let rest = if file.goes_on { Rest::InNextVolume } else { Rest::Nowhere };
                self.begin_packed(content, packing, rest, examination)
            }
            Method::Packed(_) => {
                self.before = Before::Unknown;
                Entry::Passed
            }
            Method::Other => {
                let words = "is packed in a way that is not looked into to its end";
                content.find(Class::Incomplete, words, examination);
                self.before = Before::Unknown;
                Entry::Passed
            }
        }
    }

    fn begin_packed(
        &mut self,
        content: Content,
        packing: Packing,
        rest: Rest,
        examination: &mut Examination,
    ) -> Entry {
        if !examination.may_expand() {
            self.before = Before::Unknown;
            content.find(Class::Incomplete, BECOMES_TOO_MUCH, examination);
            return Entry::Passed;
        }
        let mut unpacker = match std::mem::replace(&mut self.before, Before::Unknown) {
            Before::Unpacker(unpacker) => unpacker,
            Before::Unknown if packing.is_solid => {
                let words = "has entries that refer back to one which was not looked into";
                examination.find(Class::Incomplete, &self.place, words);
                return Entry::Passed;
            }
            Before::Nothing | Before::Unknown => {
                Box::new(RarUnpacker::new(examination.lease(), packing.generation))
            }
        };
        unpacker.begin(packing);
        Entry::Packed(Box::new(PackedReader::of_rar_entry(content, unpacker, rest)))
    }
}
