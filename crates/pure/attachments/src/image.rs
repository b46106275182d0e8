//! Disk images of CDs and DVDs: names of files, from the directories of ISO 9660 (ECMA-119), of Joliet and of Rock Ridge as they
//! pass, and of UDF by the form of their entries. That an image was sent is told by its kind.

use std::collections::BTreeMap;

use crate::content::{Content, IMAGE_SIGNATURE_OCTETS, Nesting, Role};
use crate::examination::Examination;
use crate::kind::IMAGE_SIGNATURE_AT;
use crate::name;
use crate::policy::Class;
use crate::udf::UdfNames;

const SECTOR_OCTETS: usize = 2_048;
/// Where descriptors begin (ECMA-119 §6.2.1).
const FIRST_DESCRIPTOR: u32 = 16;
/// Descriptors that are read; images have three or four.
const DESCRIPTORS_MAX: u32 = 32;
/// Directories that are still to come at a time. Where there are more, an image is hardly meant for mail.
const DIRECTORIES_MAX: usize = 1_000;

/// Kinds of descriptors (§8.1.1).
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const LAST_DESCRIPTOR: u8 = 255;
/// The flag of a directory in its record (§9.1.6).
const IS_DIRECTORY: u8 = 2;

#[derive(Debug)]
pub(crate) struct ImageReader {
    place: Vec<String>,
    nesting: Nesting,
    /// The sector that passes, and its octets so far, where they are wanted.
    number: u32,
    octets: usize,
    sector: Vec<u8>,
    /// Whether descriptors may still come.
    has_descriptors: bool,
    /// Directories to come: where each begins, how many sectors it has, how its names are written.
    directories: BTreeMap<u32, (u32, Letters)>,
    /// The one that passes, up to this sector.
    directory: Option<(u32, Letters)>,
    /// Windows looks at these where it finds both.
    udf: UdfNames,
}

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letters {
    /// One octet each.
    Narrow,
    /// Two, the higher first (Joliet).
    Wide,
}

impl ImageReader {
    /// A reader for what follows the first descriptor's signature.
    pub(crate) fn new(image: &Content, signature: [u8; IMAGE_SIGNATURE_OCTETS]) -> ImageReader {
        let is_iso = &signature == b"CD001";
        // The octet before the signature: of the primary descriptor, which is the first.
        let sector = if is_iso { [&[PRIMARY], signature.as_slice()].concat() } else { Vec::new() };
        let [at, ..] = IMAGE_SIGNATURE_AT;
        ImageReader {
            place: image.place.clone(),
            nesting: image.nesting.in_archive(),
            number: FIRST_DESCRIPTOR,
            octets: IMAGE_SIGNATURE_OCTETS + 1,
            sector,
            has_descriptors: is_iso,
            directories: BTreeMap::new(),
            directory: None,
            udf: UdfNames::new(at + IMAGE_SIGNATURE_OCTETS as u64),
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        for name in self.udf.feed(octets) {
            judge(&self.place, self.nesting, vec![name], examination);
        }
        let mut rest = octets;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(SECTOR_OCTETS - self.octets));
            if self.is_wanted() {
                self.sector.extend_from_slice(piece);
            }
            self.octets += piece.len();
            rest = behind;
            if self.octets == SECTOR_OCTETS {
                self.end_sector(examination);
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.has_descriptors || self.directory.is_some()
    }

    fn end_sector(&mut self, examination: &mut Examination) {
        let sector = std::mem::take(&mut self.sector);
        if self.has_descriptors {
            self.read_descriptor(&sector);
        } else if let Some((_, letters)) = self.directory {
            self.read_directory(&sector, letters, examination);
        }
        self.number = self.number.saturating_add(1);
        self.octets = 0;
        if self.directory.is_some_and(|(end, _)| end <= self.number) {
            self.directory = None;
        }
        while let Some(first) = self.directories.first_entry().filter(|first| *first.key() <= self.number) {
            let (number, (sectors, letters)) = first.remove_entry();
            let end = number.saturating_add(sectors);
            if self.directory.is_none_or(|(known, _)| known < end) && end > self.number {
                self.directory = Some((end, letters));
            }
        }
        // What was gathered is empty here, and its memory serves again.
        self.sector = sector;
        self.sector.clear();
    }

    fn read_descriptor(&mut self, sector: &[u8]) {
        let is_descriptor = sector.get(1..6) == Some(b"CD001");
        let kind = sector.first().copied().filter(|_| is_descriptor).unwrap_or(LAST_DESCRIPTOR);
        let letters = match (kind, sector.get(88..91)) {
            // UCS-2 in its three levels (Joliet Specification); what the first descriptor is was not seen.
            (PRIMARY | SUPPLEMENTARY, Some(b"%/@" | b"%/C" | b"%/E")) => Some(Letters::Wide),
            (PRIMARY | SUPPLEMENTARY, _) => Some(Letters::Narrow),
            _ => None,
        };
        if let (Some(letters), Some(root)) = (letters, sector.get(156..190)) {
            self.note_directory(root, letters);
        }
        self.has_descriptors =
            kind != LAST_DESCRIPTOR && self.number + 1 < FIRST_DESCRIPTOR + DESCRIPTORS_MAX;
    }

    /// Remembers a directory by its record; whether there was room, and whether it is still to come.
    fn note_directory(&mut self, record: &[u8], letters: Letters) -> bool {
        let (Some(number), Some(octets)) = (word(record, 2), word(record, 10)) else { return true };
        if self.directories.len() >= DIRECTORIES_MAX {
            return false;
        }
        let sectors = octets.div_ceil(SECTOR_OCTETS as u32);
        // Programs write directories in front of those in them; readers follow them anywhere.
        let is_to_come = number > self.number;
        if is_to_come {
            self.directories.entry(number).or_insert((sectors, letters));
        }
        is_to_come
    }

    /// Records do not go across sectors (ECMA-119 §6.8.1.1).
    fn read_directory(&mut self, sector: &[u8], letters: Letters, examination: &mut Examination) {
        let mut rest = sector;
        while let Some(length) = rest.first().map(|octet| usize::from(*octet)).filter(|length| *length > 33) {
            let Some((record, behind)) = rest.split_at_checked(length) else { return };
            rest = behind;
            let name_octets = record.get(32).copied().map_or(0, usize::from);
            let Some(name) = record.get(33..33 + name_octets).filter(|name| !matches!(name, [0 | 1])) else {
                continue;
            };
            if record.get(25).is_some_and(|flags| flags & IS_DIRECTORY != 0) {
                if !self.note_directory(record, letters) {
                    let words = "has directories that are not looked at";
                    examination.find(Class::Incomplete, &self.place, words);
                }
                continue;
            }
            let mut names = vec![bare(text(name, letters))];
            let behind_name = 33 + name_octets + (name_octets + 1) % 2;
            names.extend(rock_ridge_name(record.get(behind_name..).unwrap_or_default()));
            if !judge(&self.place, self.nesting, names, examination) {
                return;
            }
        }
    }
}

/// Judges a file by its names; whether more may be.
fn judge(place: &[String], nesting: Nesting, names: Vec<String>, examination: &mut Examination) -> bool {
    let may = examination.count_entry();
    if may {
        let _judged = Content::new(place, nesting, names, String::new(), Role::Entry, examination);
    } else {
        examination.find(Class::Incomplete, place, "has more entries than are looked at");
    }
    may
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn text(name: &[u8], letters: Letters) -> String {
    match letters {
        Letters::Narrow => name::text_of(name),
        Letters::Wide => {
            let units = name.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
    }
}

/// A name without its version and the dot before it where it has no extension (ECMA-119 §7.5.1), as systems show it.
fn bare(name: String) -> String {
    match name.rsplit_once(';') {
        Some((stem, version)) if version.bytes().all(|octet| octet.is_ascii_digit()) => {
            stem.strip_suffix('.').unwrap_or(stem).to_owned()
        }
        _ => name,
    }
}

/// The name that Unix shows (RRIP 1.12 §4.1.4).
fn rock_ridge_name(fields: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = fields;
    while let [first, second, length, ..] = rest {
        let Some((field, behind)) = rest.split_at_checked(usize::from(*length).max(4)) else { break };
        if [*first, *second] == *b"NM" {
            name.extend_from_slice(field.get(5..).unwrap_or_default());
        }
        rest = behind;
    }
    (!name.is_empty()).then(|| name::text_of(&name))
}
