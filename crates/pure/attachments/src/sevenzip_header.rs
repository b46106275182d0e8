//! The header of a 7z archive: how its streams are packed, and the names of its entries (7zFormat.txt of 7-Zip).

use crate::allowance::Lease;
use crate::examination::{BECOMES_TOO_MUCH, Examination};
use crate::lzma::{Decoded, Lzma};
use crate::name::NAME_OCTETS_MAX;
use crate::packed::{NEEDS_MEMORY, Step};
use crate::sevenzip::{HAS_MORE_ENTRIES, READING_TIMES, UNPACKED_OCTETS_MAX};
use crate::window::Window;
use crate::xz::Xz;

/// Kinds of what stands in it.
const END: u64 = 0;
const HEADER: u64 = 1;
const ARCHIVE_PROPERTIES: u64 = 2;
const MAIN_STREAMS: u64 = 4;
const FILES: u64 = 5;
const PACKED_STREAMS: u64 = 6;
const FOLDERS: u64 = 7;
const SUBSTREAMS: u64 = 8;
const LENGTHS: u64 = 9;
const SUMS: u64 = 10;
const FOLDER: u64 = 11;
const UNPACKED_LENGTHS: u64 = 12;
const STREAM_COUNTS: u64 = 13;
const EMPTY_STREAMS: u64 = 14;
const EMPTY_FILES: u64 = 15;
const NAMES: u64 = 17;
const ENCODED_HEADER: u64 = 23;

const LZMA: &[u8] = &[3, 1, 1];
const LZMA2: &[u8] = &[0x21];
const COPY: &[u8] = &[0];
const AES: &[u8] = &[6, 0xf1, 7, 1];

/// What a header is.
pub(crate) enum Header {
    Plain,
    /// It was packed, and is this.
    Packed(Vec<u8>),
    Encrypted,
    Damaged,
    /// What it needs is more than may be had, as these words say.
    Incomplete(&'static str),
}

/// Folders of an archive whose header is understood: 7-Zip writes one or few, or one for each entry.
const FOLDERS_MAX: u64 = 4_000;
/// Coders of a folder; 7-Zip takes no more.
const CODERS_MAX: u64 = 64;

/// What a plain header lists.
#[derive(Debug, Default)]
pub(crate) struct Listing<'h> {
    /// In UTF-16, a zero behind each.
    names: &'h [u8],
    is_directory: Vec<bool>,
    pub(crate) is_encrypted: bool,
    pub(crate) has_octets: bool,
}

#[derive(Debug, Default)]
struct Streams<'h> {
    position: u64,
    /// Of the first of them.
    packed_octets: Option<u64>,
    /// Of the first folder, each with its properties.
    coders: Vec<(&'h [u8], &'h [u8])>,
    folders: Vec<Folder>,
    is_encrypted: bool,
}

/// What is packed together.
#[derive(Clone, Copy, Debug, Default)]
struct Folder {
    outputs: u64,
    unpacked_octets: u64,
    has_sum: bool,
}

/// What is still to be read.
struct Fields<'h>(&'h [u8]);

/// Kinds that have been read. What each costs grows with what another says, so each may stand once, as 7-Zip has it.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    /// Nothing where a kind stands a second time.
    fn first(&mut self, kind: u64) -> Option<u64> {
        let bit = 1_u64.checked_shl(u32::try_from(kind).ok()?)?;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then_some(kind)
    }
}

impl<'h> Fields<'h> {
    fn take(&mut self, octets: u64) -> Option<&'h [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(octets).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// As many octets follow the first as it has bits set at its beginning.
    fn number(&mut self) -> Option<u64> {
        let first = self.octet()?;
        let more = first.leading_ones();
        let low =
            self.take(u64::from(more))?.iter().rev().fold(0, |number, octet| number << 8 | u64::from(*octet));
        let high = u64::from(first) & (0x7f_u64 >> more);
        Some(if more < 7 { low | high << (8 * more) } else { low })
    }

    /// A count of what takes an octet at least, each.
    fn count(&mut self) -> Option<u64> {
        self.number().filter(|count| *count <= self.0.len() as u64)
    }

    fn bits(&mut self, count: u64) -> Option<Vec<bool>> {
        let octets = self.take(count.div_ceil(8))?;
        let bits = octets.iter().flat_map(|octet| (0..8).map(move |at| octet << at & 0x80 != 0));
        Some(bits.take(usize::try_from(count).ok()?).collect())
    }

    /// Which of so many have a sum.
    fn sums(&mut self, count: u64) -> Option<Vec<bool>> {
        let has = match self.octet()? {
            0 => self.bits(count)?,
            // Each of them takes four octets.
            _ if count <= self.0.len() as u64 => vec![true; usize::try_from(count).ok()?],
            _ => return None,
        };
        self.take(4 * has.iter().filter(|has| **has).count() as u64)?;
        Some(has)
    }

    fn streams(&mut self) -> Option<Streams<'h>> {
        let (mut streams, mut seen) = (Streams::default(), Seen::default());
        loop {
            match seen.first(self.number()?)? {
                END => return Some(streams),
                PACKED_STREAMS => self.packed_streams(&mut streams)?,
                FOLDERS => self.folders(&mut streams)?,
                SUBSTREAMS => self.substreams(&streams.folders)?,
                _ => return None,
            }
        }
    }

    fn packed_streams(&mut self, streams: &mut Streams<'h>) -> Option<()> {
        streams.position = self.number()?;
        let (count, mut seen) = (self.count()?, Seen::default());
        loop {
            match seen.first(self.number()?)? {
                END => return Some(()),
                LENGTHS => {
                    for _ in 0..count {
                        let octets = self.number()?;
                        streams.packed_octets.get_or_insert(octets);
                    }
                }
                SUMS => drop(self.sums(count)?),
                _ => return None,
            }
        }
    }

    fn folders(&mut self, streams: &mut Streams<'h>) -> Option<()> {
        if self.number()? != FOLDER {
            return None;
        }
        let count = self.count().filter(|count| *count <= FOLDERS_MAX)?;
        // Not kept elsewhere.
        if self.octet()? != 0 {
            return None;
        }
        for _ in 0..count {
            let folder = self.folder(streams)?;
            streams.folders.push(folder);
        }
        let mut seen = Seen::default();
        loop {
            match seen.first(self.number()?)? {
                END => return Some(()),
                UNPACKED_LENGTHS => {
                    for folder in &mut streams.folders {
                        for _ in 0..folder.outputs {
                            folder.unpacked_octets = self.number()?;
                        }
                    }
                }
                SUMS => {
                    let has = self.sums(count)?;
                    streams.folders.iter_mut().zip(has).for_each(|(folder, has)| folder.has_sum = has);
                }
                _ => return None,
            }
        }
    }

    fn folder(&mut self, streams: &mut Streams<'h>) -> Option<Folder> {
        let mut folder = Folder::default();
        let mut inputs = 0_u64;
        for _ in 0..self.count().filter(|count| *count <= CODERS_MAX)? {
            let flags = self.octet()?;
            let id = self.take(u64::from(flags & 0x0f))?;
            let (more_inputs, outputs) =
                if flags & 0x10 != 0 { (self.count()?, self.count()?) } else { (1, 1) };
            let properties = if flags & 0x20 != 0 { self.number()? } else { 0 };
            let properties = self.take(properties)?;
            streams.is_encrypted |= id == AES;
            if streams.folders.is_empty() {
                streams.coders.push((id, properties));
            }
            inputs += more_inputs;
            folder.outputs += outputs;
        }
        let pairs = folder.outputs.checked_sub(1)?;
        for _ in 0..pairs {
            self.number()?;
            self.number()?;
        }
        let packed = inputs.checked_sub(pairs)?;
        for _ in 0..if packed > 1 { packed } else { 0 } {
            self.number()?;
        }
        Some(folder)
    }

    /// What is in folders: only what comes behind it matters.
    fn substreams(&mut self, folders: &[Folder]) -> Option<()> {
        let (mut counts, mut seen) = (vec![1; folders.len()], Seen::default());
        loop {
            match seen.first(self.number()?)? {
                END => return Some(()),
                STREAM_COUNTS => counts = folders.iter().map(|_| self.number()).collect::<Option<_>>()?,
                LENGTHS => {
                    for count in &counts {
                        for _ in 1..*count {
                            self.number()?;
                        }
                    }
                }
                SUMS => {
                    let without =
                        counts.iter().zip(folders).filter(|(count, folder)| **count != 1 || !folder.has_sum);
                    let count = without.fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
                    drop(self.sums(count)?);
                }
                _ => return None,
            }
        }
    }
}

/// What a header is; a packed one is unpacked out of what is kept `before` it, which begins at `position`.
pub(crate) fn encoded(
    header: &[u8],
    before: &[u8],
    position: u64,
    lease: &mut Lease,
    examination: &mut Examination,
) -> Header {
    let mut fields = Fields(header);
    match fields.number() {
        Some(HEADER) => return Header::Plain,
        Some(ENCODED_HEADER) => {}
        _ => return Header::Damaged,
    }
    let Some(streams) = fields.streams() else { return Header::Damaged };
    if streams.is_encrypted {
        return Header::Encrypted;
    }
    unpacked(&streams, before, position, lease, examination).map_or_else(|header| header, Header::Packed)
}

fn unpacked(
    streams: &Streams<'_>,
    before: &[u8],
    position: u64,
    lease: &mut Lease,
    examination: &mut Examination,
) -> Result<Vec<u8>, Header> {
    let (packed, octets) = place(streams, before, position)?;
    let [(coder, properties)] = streams.coders.as_slice() else { return Err(Header::Damaged) };
    if *coder == COPY {
        return packed.get(..octets).map(<[u8]>::to_vec).ok_or(Header::Damaged);
    }
    if !lease.grow(octets * READING_TIMES) {
        return Err(Header::Incomplete(NEEDS_MEMORY));
    }
    if examination.count_expanded(octets) < octets {
        return Err(Header::Incomplete(BECOMES_TOO_MUCH));
    }
    if *coder == LZMA2 {
        // As py7zr packs it.
        let property = properties.first().ok_or(Header::Damaged)?;
        let xz = Xz::of_chunks(examination.lease(), *property, octets as u64).ok_or(Header::Damaged)?;
        return chunks(xz, packed, octets);
    }
    let (Some([first, window @ ..]), LZMA) = (properties.first_chunk::<5>(), *coder) else {
        return Err(Header::Damaged);
    };
    let window = u64::from(u32::from_le_bytes(*window)).min(octets as u64);
    let mut lzma = Lzma::new(Window::new(examination.lease(), window));
    let (start, packed) = packed.split_first_chunk().ok_or(Header::Damaged)?;
    if !lzma.set_properties(*first) || !lzma.start(*start) {
        return Err(Header::Damaged);
    }
    let mut out = Vec::with_capacity(octets);
    match lzma.decode(packed, true, octets, &mut out).1 {
        Decoded::Filled => Ok(out),
        Decoded::TooFar => Err(Header::Incomplete(NEEDS_MEMORY)),
        Decoded::Wants | Decoded::Ended | Decoded::Damaged => Err(Header::Damaged),
    }
}

/// Where the header lies packed, and how many octets it becomes.
fn place<'b>(streams: &Streams<'_>, before: &'b [u8], position: u64) -> Result<(&'b [u8], usize), Header> {
    let folder = streams.folders.first().ok_or(Header::Damaged)?;
    let packed_octets = streams.packed_octets.ok_or(Header::Damaged)?;
    let start = streams.position.checked_sub(position);
    let octets = Some(folder.unpacked_octets).filter(|octets| *octets <= UNPACKED_OCTETS_MAX);
    let (Some(start), Some(octets)) = (start, octets) else {
        return Err(Header::Incomplete(HAS_MORE_ENTRIES));
    };
    let packed = usize::try_from(start).ok().and_then(|start| before.get(start..));
    let packed = packed.and_then(|rest| rest.get(..usize::try_from(packed_octets).ok()?));
    Ok((packed.ok_or(Header::Damaged)?, octets as usize))
}

/// So many octets out of chunks of LZMA2.
fn chunks(mut xz: Xz, packed: &[u8], octets: usize) -> Result<Vec<u8>, Header> {
    let (mut all, mut step, mut used) = (Vec::with_capacity(octets), Vec::new(), 0);
    while all.len() < octets {
        step.clear();
        let (taken, came) = xz.step(packed.get(used..).unwrap_or_default(), true, &mut step);
        used += taken;
        all.extend_from_slice(step.get(..step.len().min(octets - all.len())).unwrap_or_default());
        match came {
            Step::More => {}
            Step::TooFar => return Err(Header::Incomplete(NEEDS_MEMORY)),
            _ => break,
        }
    }
    if all.len() == octets { Ok(all) } else { Err(Header::Damaged) }
}

/// What a plain header lists.
pub(crate) fn entries(header: &[u8]) -> Option<Listing<'_>> {
    let mut fields = Fields(header);
    let (mut streams, mut seen) = (Streams::default(), Seen::default());
    fields.number().filter(|kind| *kind == HEADER)?;
    loop {
        match seen.first(fields.number()?)? {
            END => return Some(Listing::default()),
            ARCHIVE_PROPERTIES => {
                while fields.number()? != END {
                    let octets = fields.number()?;
                    fields.take(octets)?;
                }
            }
            MAIN_STREAMS => streams = fields.streams()?,
            FILES => break,
            _ => return None,
        }
    }
    let count = fields.count()?;
    let (mut names, mut empty_streams, mut empty_files) = (header.get(..0)?, Vec::new(), Vec::new());
    loop {
        let kind = fields.number()?;
        if kind == END {
            break;
        }
        let octets = fields.number()?;
        let mut fields = Fields(fields.take(octets)?);
        match kind {
            EMPTY_STREAMS => empty_streams = fields.bits(count)?,
            EMPTY_FILES => {
                let empty = empty_streams.iter().filter(|empty| **empty).count();
                empty_files = fields.bits(empty as u64)?;
            }
            NAMES if fields.octet()? == 0 => names = fields.0,
            NAMES => return None,
            _ => {}
        }
    }
    let mut is_empty_file = empty_files.into_iter();
    let is_directory =
        empty_streams.into_iter().map(|is_empty| is_empty && is_empty_file.next() != Some(true)).collect();
    let (is_encrypted, has_octets) = (streams.is_encrypted, streams.packed_octets.is_some());
    Some(Listing { names, is_directory, is_encrypted, has_octets })
}

impl Listing<'_> {
    /// The names of all entries but directories.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let mut rest = self.names.as_chunks::<2>().0;
        let names = std::iter::from_fn(move || {
            let octets =
                rest.iter().position(|unit| *unit == [0, 0]).or(Some(rest.len()).filter(|all| *all > 0))?;
            let (name, behind) = rest.split_at(octets);
            rest = behind.get(1..).unwrap_or_default();
            Some(name)
        });
        let is_directory = self.is_directory.iter().copied().chain(std::iter::repeat(false));
        names.zip(is_directory).filter(|(_, is_directory)| !is_directory).map(|(name, _)| {
            let end = name.get(name.len().saturating_sub(NAME_OCTETS_MAX)..).unwrap_or(name);
            let units = end.iter().map(|unit| u16::from_le_bytes(*unit));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of so many folders, each with so many coders that copy.
    fn header(folders: u64, coders: u64) -> Vec<u8> {
        let number = |number: u64| [0x80 | (number >> 8) as u8, number as u8];
        let mut header = vec![1, 4, 7, 11];
        header.extend(number(folders));
        header.push(0);
        for _ in 0..folders {
            header.extend(number(coders));
            (0..coders).for_each(|_| header.extend([1, 0]));
            // Each but the last is bound to the next.
            (1..coders).for_each(|_| header.extend([0, 0]));
        }
        header.push(12);
        (0..folders * coders).for_each(|_| header.push(5));
        header.extend([0, 0, 5, 0, 0, 0]);
        header
    }

    #[test]
    fn folders_and_coders_are_bounded() {
        for (folders, coders, is_read) in [
            (FOLDERS_MAX - 1, 1, true),
            (FOLDERS_MAX, 1, true),
            (FOLDERS_MAX + 1, 1, false),
            (1, CODERS_MAX - 1, true),
            (1, CODERS_MAX, true),
            (1, CODERS_MAX + 1, false),
        ] {
            assert_eq!(entries(&header(folders, coders)).is_some(), is_read, "{folders} {coders}");
        }
    }

    #[test]
    fn what_is_said_twice_is_not_read() {
        let folders = header(2, 1);
        let (start, end) = folders.split_at(folders.len() - 5);
        let with = |more: &[u8]| [start, more, &[0, 0, 5, 0, 0, 0]].concat();
        assert_eq!(end, [0, 5, 0, 0, 0]);
        // Behind the end of the folders: what is in them.
        for (more, is_read) in [
            (&[8, 9, 10, 1][..], false),
            (&[8, 9, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0], true),
            (&[8, 9, 9, 0], false),
            (&[8, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0], false),
            (&[8, 13, 1, 1, 13, 1, 1], false),
            (&[8, 0, 8], false),
            (&[7, 11, 0, 0, 0], false),
        ] {
            assert_eq!(entries(&with(more)).is_some(), is_read, "{more:?}");
        }
    }

    #[test]
    fn numbers() {
        for (octets, expected) in [
            (b"\x05".as_slice(), Some(5)),
            (b"\x7f", Some(127)),
            (b"\x80\x80", Some(128)),
            (b"\xbf\xff", Some(0x3fff)),
            (b"\xc1\x02\x03", Some(0x1_0302)),
            (b"\xff\x01\0\0\0\0\0\0\x80", Some(0x8000_0000_0000_0001)),
            (b"\xff\x01", None),
            (b"", None),
        ] {
            assert_eq!(Fields(octets).number(), expected, "{}", octets.escape_ascii());
        }
    }
}
