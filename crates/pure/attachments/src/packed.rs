//! One content, packed by bzip2, xz, lzip, lzma, zstd or RAR: unpacked in small steps, counted, and stopped where it becomes too
//! much. What they differ in is in `bzip2.rs`, `xz.rs`, `lzma_file.rs`, `zstd.rs` and `rar_unpack.rs`.

use crate::bzip2::Bzip2;
use crate::content::{Content, Nesting, Role};
use crate::examination::{Ending, Examination};
use crate::kind::Kind;
use crate::lzma_file::LzmaFile;
use crate::name;
use crate::policy::Class;
use crate::rar_unpack::RarUnpacker;
use crate::xz::Xz;
use crate::zstd::Zstd;

/// Octets unpacked at once.
pub(crate) const STEP_OCTETS: usize = 8 * 1024;

/// What one step of an unpacker has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to be had.
    More,
    /// All input that can be was used.
    Wants,
    /// Nothing follows that belongs to it.
    Ended,
    Damaged,
    /// It refers to more than can be kept.
    TooFar,
    /// In a way that is not understood.
    Unknown,
    /// In a way that programs write and that is not unpacked.
    Skipped,
}

impl Step {
    /// What is to be said where unpacking ends with it, if anything.
    pub(crate) fn ending(self) -> Option<Ending> {
        let (class, words) = match self {
            Step::More | Step::Ended => return None,
            Step::Wants | Step::Damaged => (Class::Opaque, "is damaged and was not looked into to its end"),
            Step::TooFar => (Class::Incomplete, NEEDS_MEMORY),
            Step::Unknown => (Class::Opaque, "is packed in a way that is not looked into"),
            Step::Skipped => (Class::Incomplete, "is packed in a way that is not looked into to its end"),
        };
        Some((class, words.to_owned()))
    }
}

/// What is said where there is too little memory.
pub(crate) const NEEDS_MEMORY: &str =
    "needs more memory to be unpacked than one message is given, and was not looked into to its end";

#[derive(Debug)]
enum Unpacker {
    Bzip2(Box<Bzip2>),
    Xz(Box<Xz>),
    LzmaFile(Box<LzmaFile>),
    Zstd(Box<Zstd>),
    Rar(Box<RarUnpacker>),
}

impl Unpacker {
    /// Unpacks up to [`STEP_OCTETS`] into `out`, and says how many octets of the input were used. `is_all`: none will follow.
    fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        match self {
            Unpacker::Bzip2(unpacker) => unpacker.step(input, is_all, out),
            Unpacker::Xz(unpacker) => unpacker.step(input, is_all, out),
            Unpacker::LzmaFile(unpacker) => unpacker.step(input, is_all, out),
            Unpacker::Zstd(unpacker) => unpacker.step(input, is_all, out),
            Unpacker::Rar(unpacker) => unpacker.step(input, is_all, out),
        }
    }
}

#[derive(Debug)]
pub(crate) struct PackedReader {
    place: Vec<String>,
    /// None once it has ended.
    unpacker: Option<Unpacker>,
    content: Option<Box<Content>>,
    input: Vec<u8>,
    out: Vec<u8>,
    packed_octets: u64,
    unpacked_octets: u64,
    /// Octets of an entry of a zip behind what ended by itself.
    octets_behind: Option<u64>,
    rest: Rest,
    /// What unpacks the next entry of a RAR archive too, once this one has ended.
    for_next: Option<Box<RarUnpacker>>,
}

/// Where what does not come may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nowhere,
    InNextVolume,
}

/// As many as a packer may leave behind the end of an entry: the mark of it, and what the range coder has not given away.
const OCTETS_BEHIND_MAX: u64 = 16;

impl PackedReader {
    /// For a file that is packed so.
    pub(crate) fn new(packed: &Content, kind: Kind, examination: &mut Examination) -> PackedReader {
        let place = packed.place.clone();
        let lease = examination.lease();
        let unpacker = match kind {
            Kind::Bzip2 => Unpacker::Bzip2(Box::new(Bzip2::new(lease))),
            Kind::Xz => Unpacker::Xz(Box::new(Xz::new(lease))),
            Kind::Zstd => Unpacker::Zstd(Box::new(Zstd::new(lease))),
            _ => Unpacker::LzmaFile(Box::new(LzmaFile::new(lease, kind))),
        };
        let names = Some(name::without_packing(&packed.name)).filter(|name| !name.is_empty());
        let nesting: Nesting = packed.nesting.in_archive();
        let names = names.into_iter().collect();
        let content = Content::new(&place, nesting, names, String::new(), Role::Entry, examination);
        PackedReader::with(place, unpacker, content)
    }

    /// For an entry of a zip that is packed by this method (APPNOTE.TXT 4.4.5), where it is one of these.
    pub(crate) fn of_zip_entry(
        content: Content,
        method: u16,
        unpacked_octets: Option<u64>,
        examination: &mut Examination,
    ) -> Option<PackedReader> {
        let lease = examination.lease();
        let unpacker = match method {
            12 => Unpacker::Bzip2(Box::new(Bzip2::new(lease))),
            14 => Unpacker::LzmaFile(Box::new(LzmaFile::in_zip(lease, unpacked_octets))),
            93 => Unpacker::Zstd(Box::new(Zstd::new(lease))),
            95 => Unpacker::Xz(Box::new(Xz::new(lease))),
            _ => return None,
        };
        let reader = PackedReader::with(content.place.clone(), unpacker, content);
        Some(PackedReader { octets_behind: Some(0), ..reader })
    }

    /// For an entry of a RAR archive with which its unpacker has begun.
    pub(crate) fn of_rar_entry(content: Content, unpacker: Box<RarUnpacker>, rest: Rest) -> PackedReader {
        let (packed_octets, unpacked_octets) = unpacker.totals;
        let reader = PackedReader::with(content.place.clone(), Unpacker::Rar(unpacker), content);
        PackedReader { rest, packed_octets, unpacked_octets, ..reader }
    }

    fn with(place: Vec<String>, unpacker: Unpacker, content: Content) -> PackedReader {
        PackedReader {
            place,
            unpacker: Some(unpacker),
            content: Some(Box::new(content)),
            input: Vec::new(),
            out: Vec::with_capacity(STEP_OCTETS),
            packed_octets: 0,
            unpacked_octets: 0,
            octets_behind: None,
            rest: Rest::Nowhere,
            for_next: None,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        if self.unpacker.is_some() {
            self.input.extend_from_slice(octets);
            self.run(false, examination);
        } else if let Some(behind) = &mut self.octets_behind {
            *behind += octets.len() as u64;
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.run(true, examination);
        // How long it becomes is said twice in a zip; who believes the other number gets more.
        if self.octets_behind.is_some_and(|behind| behind > OCTETS_BEHIND_MAX) {
            let words = "is said to be shorter than what is packed, and was not looked into to its end";
            examination.find(Class::Ambiguous, &self.place, words);
        }
        if let Some(content) = self.content {
            content.finish(examination);
        }
    }

    /// Gives back what unpacks the next entry, where this one was unpacked to its end.
    pub(crate) fn finish_rar_entry(mut self, examination: &mut Examination) -> Option<Box<RarUnpacker>> {
        self.run(true, examination);
        let for_next = self.for_next.take();
        self.finish(examination);
        for_next
    }

    fn run(&mut self, is_all: bool, examination: &mut Examination) {
        let mut used = 0;
        let ending = loop {
            let Some(unpacker) = &mut self.unpacker else { return };
            self.out.clear();
            let (taken, step) =
                unpacker.step(self.input.get(used..).unwrap_or_default(), is_all, &mut self.out);
            used += taken;
            self.packed_octets += taken as u64;
            if let Some(ending) = self.hand_over(examination) {
                break Some(ending);
            }
            match step {
                Step::More => {}
                Step::Wants if !is_all => {
                    self.input.drain(..used);
                    return;
                }
                Step::Wants | Step::Damaged if is_all && self.rest == Rest::InNextVolume => {
                    let words = "goes on in another file and was not looked into to its end";
                    break Some((Class::Incomplete, words.to_owned()));
                }
                step => break step.ending(),
            }
        };
        if let Some(Unpacker::Rar(unpacker)) = self.unpacker.take() {
            // What waited for a filter has cost as much as what was handed over.
            let _counted = examination.count_expanded(unpacker.octets_waiting());
            if ending.is_none() {
                self.keep_for_next(unpacker, examination);
            }
        }
        match (ending, &mut self.octets_behind) {
            (Some((class, words)), behind) => {
                examination.find(class, &self.place, words);
                *behind = None;
            }
            (None, Some(behind)) => *behind += (self.input.len() - used) as u64,
            (None, None) => {}
        }
        // Its memory was given back before anything else is unpacked.
        self.input = Vec::new();
    }

    fn keep_for_next(&mut self, mut unpacker: Box<RarUnpacker>, examination: &mut Examination) {
        if unpacker.has_unknown_change() {
            let words = "was changed before it was packed, in a way that is not undone";
            examination.find(Class::Incomplete, &self.place, words);
        }
        unpacker.totals = (self.packed_octets, self.unpacked_octets);
        self.for_next = Some(unpacker).filter(|unpacker| unpacker.is_whole());
    }

    /// Hands over what was unpacked; what is to be said where a bound was reached.
    fn hand_over(&mut self, examination: &mut Examination) -> Option<Ending> {
        let made = self.out.len();
        if let Some(ending) = examination.end_of_expanded(made) {
            return Some(ending);
        }
        self.unpacked_octets += made as u64;
        if let Some(content) = &mut self.content {
            content.feed(&self.out, examination);
        }
        examination.end_of_ratio(self.packed_octets, self.unpacked_octets)
    }
}
