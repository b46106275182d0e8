//! Whether a zip archive's directory tells the same as the headers in front of its entries. Programs go by the one or by the
//! other; and entries that lie over each other make gigabytes of a few kilobytes.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::zip_header::Header;

#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Entries that have passed, by their offset; their number is bounded by that of all entries.
    entries: Vec<Passed>,
    /// How much farther back the archive begins than its directory thinks: something may stand before it.
    shift: Option<u64>,
    is_distrusted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    offset: u64,
    name: u32,
    header_octets: u32,
    packed_octets: u64,
}

/// How a directory disagrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// An entry is said to begin inside another one.
    Overlap,
    /// An entry is said to be where none is.
    Missing,
    Name,
    Length,
}

impl Directory {
    /// An entry passes.
    pub(crate) fn add(&mut self, offset: u64, name: &[u8], packed_octets: u64, header_octets: u64) {
        let header_octets = u32::try_from(header_octets).unwrap_or(u32::MAX);
        self.entries.push(Passed { offset, name: hash(name), header_octets, packed_octets });
    }

    /// Whether no entry has passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long the entry that begins there turned out to be.
    pub(crate) fn set_packed(&mut self, offset: u64, packed_octets: u64) {
        if let Some(last) = self.entries.last_mut().filter(|last| last.offset == offset) {
            last.packed_octets = packed_octets;
        }
    }

    /// Something was passed over; what was seen says nothing anymore.
    pub(crate) fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// What is wrong with what the directory says of an entry.
    pub(crate) fn disagreement(&mut self, header: &Header) -> Option<Disagreement> {
        if self.is_distrusted {
            return None;
        }
        let name = hash(&header.name);
        let shift = match self.shift {
            Some(shift) => shift,
            None => {
                let same = self.entries.iter().find(|entry| entry.offset == header.offset);
                let named = self.entries.iter().find(|entry| entry.name == name);
                let shift = same.or(named).map_or(0, |entry| entry.offset.wrapping_sub(header.offset));
                *self.shift.insert(shift)
            }
        };
        let offset = header.offset.wrapping_add(shift);
        let place = match self.entries.binary_search_by_key(&offset, |entry| entry.offset) {
            Ok(place) => place,
            Err(place) => {
                let before = place.checked_sub(1).and_then(|place| self.entries.get(place));
                let is_inside = before.is_some_and(|before| {
                    offset - before.offset < u64::from(before.header_octets) + before.packed_octets
                });
                return Some(if is_inside { Disagreement::Overlap } else { Disagreement::Missing });
            }
        };
        let entry = self.entries.get(place)?;
        if entry.name != name {
            return Some(Disagreement::Name);
        }
        (entry.packed_octets != header.packed_octets).then_some(Disagreement::Length)
    }
}

fn hash(name: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as u32
}
