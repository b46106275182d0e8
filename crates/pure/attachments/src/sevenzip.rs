//! 7z archives: names of entries, and whether they are encrypted, from the header at the end, which is mostly packed itself
//! (7zFormat.txt of 7-Zip). What entries hold is not looked at: how it is packed stands behind it.

use crate::allowance::Lease;
use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::name;
use crate::packed::NEEDS_MEMORY;
use crate::policy::Class;
use crate::sevenzip_header::{Header, encoded, entries};

/// Signature, version, and where the header is.
const START_OCTETS: usize = 32;
/// Octets of a header that are read: some thousand entries.
const HEADER_OCTETS_MAX: u64 = 256 * 1024;
/// Octets before the header that are kept, since it may be packed and lie there.
const TAIL_OCTETS_MAX: u64 = 128 * 1024;
/// Octets that a packed header may become.
pub(crate) const UNPACKED_OCTETS_MAX: u64 = 512 * 1024;
/// How many times its octets a header may need while it is read.
pub(crate) const READING_TIMES: usize = 4;
/// What is said of an archive with a longer header.
pub(crate) const HAS_MORE_ENTRIES: &str = "has more entries than are looked at";
/// How often a header may be packed.
const PACKINGS_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct SevenZipReader {
    place: Vec<String>,
    nesting: Nesting,
    /// The header, what is before it, and what it becomes.
    lease: Lease,
    state: State,
}

#[derive(Debug)]
enum State {
    Start(Vec<u8>),
    Skip {
        left: u64,
        tail: Tail,
    },
    Tail(Tail),
    /// It says that it has no entries.
    Empty,
    Ended,
}

/// What is kept of the end.
#[derive(Debug, Default)]
struct Tail {
    /// Where it begins, behind the start.
    position: u64,
    octets_before_header: usize,
    octets_wanted: usize,
    octets: Vec<u8>,
}

impl SevenZipReader {
    pub(crate) fn new(archive: &Content, examination: &mut Examination) -> SevenZipReader {
        SevenZipReader {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            lease: examination.lease(),
            state: State::Start(Vec::new()),
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = self.step(rest, examination);
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        if let State::Start(_) | State::Skip { .. } | State::Tail(_) = self.state {
            self.end(Some((Class::Opaque, "is damaged and was not looked into to its end")), examination);
        }
    }

    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        match &mut self.state {
            State::Start(start) => {
                let (piece, rest) = octets.split_at(octets.len().min(START_OCTETS - start.len()));
                start.extend_from_slice(piece);
                if start.len() == START_OCTETS {
                    self.end_start(examination);
                }
                rest
            }
            State::Skip { left, tail } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Tail(std::mem::take(tail));
                }
                octets.get(taken..).unwrap_or_default()
            }
            State::Tail(tail) => {
                let (piece, rest) = octets.split_at(octets.len().min(tail.octets_wanted - tail.octets.len()));
                tail.octets.extend_from_slice(piece);
                if tail.octets.len() == tail.octets_wanted {
                    let tail = std::mem::take(tail);
                    self.end_tail(&tail, examination);
                }
                rest
            }
            State::Empty => {
                let words = "is a 7-Zip archive that is said to be empty and is not; 7-Zip seeks its entries at its end";
                self.end(Some((Class::Ambiguous, words)), examination);
                &[]
            }
            State::Ended => &[],
        }
    }

    fn end(&mut self, said: Option<(Class, &str)>, examination: &mut Examination) {
        if let Some((class, words)) = said {
            examination.find(class, &self.place, words);
        }
        self.state = State::Ended;
    }

    /// It is known where the header is.
    fn end_start(&mut self, examination: &mut Examination) {
        let State::Start(start) = &self.state else { return };
        let number = |at: usize| {
            start
                .get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |octets| u64::from_le_bytes(*octets))
        };
        let (offset, octets) = (number(12), number(20));
        if octets == 0 {
            self.state = State::Empty;
            return;
        }
        if octets > HEADER_OCTETS_MAX {
            return self.end(Some((Class::Incomplete, HAS_MORE_ENTRIES)), examination);
        }
        let before = offset.min(TAIL_OCTETS_MAX);
        let octets_wanted = (before + octets) as usize;
        if !self.lease.grow(octets_wanted + octets as usize * READING_TIMES) {
            return self.end(Some((Class::Incomplete, NEEDS_MEMORY)), examination);
        }
        let tail = Tail {
            position: offset - before,
            octets_before_header: before as usize,
            octets_wanted,
            octets: Vec::with_capacity(octets_wanted),
        };
        self.state = match tail.position {
            0 => State::Tail(tail),
            left => State::Skip { left, tail },
        };
    }

    /// The header is there.
    fn end_tail(&mut self, tail: &Tail, examination: &mut Examination) {
        let (before, header) = tail.octets.split_at(tail.octets_before_header);
        let mut header = header.to_vec();
        for _ in 0..PACKINGS_MAX {
            match encoded(&header, before, tail.position, &mut self.lease, examination) {
                Header::Plain => return self.tell(&header, examination),
                Header::Packed(unpacked) => header = unpacked,
                Header::Encrypted => {
                    return self.end(Some((Class::Encrypted, "is encrypted, names too")), examination);
                }
                Header::Incomplete(words) => {
                    return self.end(Some((Class::Incomplete, words)), examination);
                }
                Header::Damaged => break,
            }
        }
        let words = "is a 7-Zip archive of which not even the names could be read";
        self.end(Some((Class::Opaque, words)), examination);
    }

    fn tell(&mut self, header: &[u8], examination: &mut Examination) {
        let Some(listing) = entries(header) else {
            let words = "is a 7-Zip archive of which not even the names could be read";
            return self.end(Some((Class::Opaque, words)), examination);
        };
        for entry in listing.names() {
            if !examination.count_entry() {
                return self.end(Some((Class::Incomplete, HAS_MORE_ENTRIES)), examination);
            }
            let names = vec![name::bounded(entry)];
            let _judged =
                Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination);
        }
        if listing.is_encrypted {
            examination.find(Class::Encrypted, &self.place, "is encrypted");
        }
        let words = "is a 7-Zip archive, of which only the names are looked at";
        self.end(listing.has_octets.then_some((Class::Opaque, words)), examination);
    }
}
