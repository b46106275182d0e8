//! Attachments of reports, unpacked within bounds: gzip (RFC 1952) and zip (APPNOTE.TXT), or as they are. Strangers choose
//! the octets, and a thousand of them may lie in one (RFC 9990 §8.1).

use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::read::{DeflateDecoder, GzDecoder};
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// How much may come out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnpackLimits {
    /// Octets that come out at most. A day's report of a large provider has a few million.
    pub octets_max: usize,
    /// How many times the packed octets may come out, once more than [`RATIO_FREE_OCTETS`] do. Reports reach 60.
    pub ratio_max: usize,
}

/// Octets that any attachment may become, however small it is.
pub const RATIO_FREE_OCTETS: usize = 1024 * 1024;

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { octets_max: 32 * 1024 * 1024, ratio_max: 250 }
    }
}

/// Why an attachment was not unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnpackError {
    /// More would come out than is allowed.
    #[error("the attachment is larger than allowed")]
    TooLarge,
    /// The packed octets are damaged or cut off.
    #[error("the attachment is damaged")]
    Damaged,
    /// A way of packing that is not understood: encrypted, in parts, or with another method than deflate.
    #[error("the attachment is packed in a way that is not understood")]
    Unsupported,
}

/// Unpacks an attachment: by its first octets, since media types and names of reports are often wrong.
///
/// # Errors
/// [`UnpackError`] says why it could not be.
pub fn unpack(octets: &[u8], limits: UnpackLimits) -> Result<Cow<'_, [u8]>, UnpackError> {
    match octets {
        [0x1f, 0x8b, ..] => read_bounded(GzDecoder::new(octets), octets.len(), limits).map(Cow::Owned),
        [b'P', b'K', 3, 4, ..] => unzip(octets, limits),
        _ if octets.len() > limits.octets_max => Err(UnpackError::TooLarge),
        _ => Ok(Cow::Borrowed(octets)),
    }
}

/// Packs a report for sending: gzip, without name and time.
#[must_use]
pub fn pack(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let written: io::Result<Vec<u8>> = encoder.write_all(octets).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn read_bounded(
    reader: impl Read,
    packed_octets: usize,
    limits: UnpackLimits,
) -> Result<Vec<u8>, UnpackError> {
    let by_ratio = packed_octets.saturating_mul(limits.ratio_max).max(RATIO_FREE_OCTETS);
    let octets_max = limits.octets_max.min(by_ratio);
    let mut unpacked = Vec::new();
    let reading = reader.take(octets_max as u64 + 1).read_to_end(&mut unpacked);
    if unpacked.len() > octets_max {
        return Err(UnpackError::TooLarge);
    }
    reading.map(|_| unpacked).map_err(|_| UnpackError::Damaged)
}

/// Entries of an archive that are looked at; a report is the only one in it.
const ZIP_ENTRIES_MAX: usize = 16;
/// Octets of the record that ends an archive, with the longest comment.
const ZIP_END_OCTETS_MAX: usize = 22 + 65_535;

/// The first file of an archive.
fn unzip(archive: &[u8], limits: UnpackLimits) -> Result<Cow<'_, [u8]>, UnpackError> {
    let end = archive.len().saturating_sub(ZIP_END_OCTETS_MAX);
    let tail = archive.get(end..).unwrap_or_default();
    let end = end + memchr::memmem::rfind(tail, b"PK\x05\x06").ok_or(UnpackError::Damaged)?;
    let mut at = read_u32(archive, end + 16)?;
    for _ in 0..ZIP_ENTRIES_MAX {
        if archive.get(at..at.saturating_add(4)) != Some(b"PK\x01\x02") {
            return Err(UnpackError::Damaged);
        }
        let name_octets = read_u16(archive, at + 28)?;
        let name = slice(archive, at + 46, name_octets)?;
        if !name.ends_with(b"/") && !name.starts_with(b"__MACOSX") {
            return unzip_entry(archive, at, limits);
        }
        at += 46 + name_octets + read_u16(archive, at + 30)? + read_u16(archive, at + 32)?;
    }
    Err(UnpackError::Unsupported)
}

/// The file that an entry of the central directory speaks of.
fn unzip_entry(archive: &[u8], entry: usize, limits: UnpackLimits) -> Result<Cow<'_, [u8]>, UnpackError> {
    let is_encrypted = read_u16(archive, entry + 8)? & 1 != 0;
    let method = read_u16(archive, entry + 10)?;
    let checksum = read_u32(archive, entry + 16)?;
    let packed_octets = read_u32(archive, entry + 20)?;
    let header = read_u32(archive, entry + 42)?;
    if is_encrypted {
        return Err(UnpackError::Unsupported);
    }
    if archive.get(header..header.saturating_add(4)) != Some(b"PK\x03\x04") {
        return Err(UnpackError::Damaged);
    }
    let start = header + 30 + read_u16(archive, header + 26)? + read_u16(archive, header + 28)?;
    let packed = slice(archive, start, packed_octets)?;
    let unpacked = match method {
        0 if packed.len() > limits.octets_max => return Err(UnpackError::TooLarge),
        0 => Cow::Borrowed(packed),
        8 => Cow::Owned(read_bounded(DeflateDecoder::new(packed), packed.len(), limits)?),
        _ => return Err(UnpackError::Unsupported),
    };
    let mut crc = Crc::new();
    crc.update(&unpacked);
    if crc.sum() as usize == checksum { Ok(unpacked) } else { Err(UnpackError::Damaged) }
}

fn slice(octets: &[u8], start: usize, count: usize) -> Result<&[u8], UnpackError> {
    let rest = octets.get(start..).ok_or(UnpackError::Damaged)?;
    rest.get(..count).ok_or(UnpackError::Damaged)
}

fn read_u16(octets: &[u8], at: usize) -> Result<usize, UnpackError> {
    match slice(octets, at, 2)? {
        [low, high] => Ok(usize::from(*low) | usize::from(*high) << 8),
        _ => Err(UnpackError::Damaged),
    }
}

fn read_u32(octets: &[u8], at: usize) -> Result<usize, UnpackError> {
    Ok(read_u16(octets, at)? | read_u16(octets, at + 2)? << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::DeflateEncoder;

    /// An archive with one file, and a folder before it.
    fn zip(octets: &[u8], method: u8) -> Vec<u8> {
        let mut crc = Crc::new();
        crc.update(octets);
        let packed = match method {
            8 => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(octets).unwrap();
                encoder.finish().unwrap()
            }
            _ => octets.to_vec(),
        };
        let mut archive = Archive::default();
        archive.add(b"d/", 0, 0, b"");
        archive.add(b"d/report.xml", method, crc.sum(), &packed);
        archive.finish()
    }

    #[derive(Default)]
    struct Archive {
        files: Vec<u8>,
        directory: Vec<u8>,
    }

    impl Archive {
        fn add(&mut self, name: &[u8], method: u8, crc: u32, packed: &[u8]) {
            let mut fields = vec![20, 0, 0, 0, method, 0, 0, 0, 0, 0];
            fields.extend(crc.to_le_bytes());
            fields.extend((packed.len() as u32).to_le_bytes());
            fields.extend([0; 4]);
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend([0, 0]);
            self.directory.extend(b"PK\x01\x02\x14\0");
            self.directory.extend(&fields);
            self.directory.extend([0; 10]);
            self.directory.extend((self.files.len() as u32).to_le_bytes());
            self.directory.extend(name);
            self.files.extend([b"PK\x03\x04", &fields[..], name, packed].concat());
        }

        fn finish(self) -> Vec<u8> {
            let (octets, start) = (self.directory.len() as u32, self.files.len() as u32);
            let mut archive = [self.files, self.directory].concat();
            archive.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
            archive.extend(octets.to_le_bytes());
            archive.extend(start.to_le_bytes());
            archive.extend(b"\x02\0hi");
            archive
        }
    }

    #[test]
    fn what_is_packed_comes_out() {
        let limits = UnpackLimits::default();
        let report = b"<feedback/>".repeat(100);
        assert_eq!(unpack(&report, limits).unwrap(), report);
        assert_eq!(unpack(&pack(&report), limits).unwrap(), report);
        assert_eq!(unpack(&[&pack(&report)[..], b"\r\n"].concat(), limits).unwrap(), report);
        for method in [0, 8] {
            assert_eq!(unpack(&zip(&report, method), limits).unwrap(), report, "{method}");
        }
        assert_eq!(unpack(&zip(&report, 12), limits), Err(UnpackError::Unsupported));
        assert!(unpack(b"", limits).unwrap().is_empty());
    }

    #[test]
    fn the_bound_on_octets_holds() {
        for octets in [999, 1_000, 1_001] {
            let limits = UnpackLimits { octets_max: 1_000, ratio_max: 1_000_000 };
            let plain = vec![b'a'; octets];
            for packed in [plain.clone(), pack(&plain), zip(&plain, 0), zip(&plain, 8)] {
                let unpacked = unpack(&packed, limits);
                match octets {
                    1_001 => assert_eq!(unpacked, Err(UnpackError::TooLarge)),
                    _ => assert_eq!(unpacked.unwrap(), plain),
                }
            }
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        let bomb = pack(&vec![0; 64 * 1024 * 1024]);
        assert!(bomb.len() < 128 * 1024);
        let limits = UnpackLimits { octets_max: usize::MAX / 2, ratio_max: 250 };
        assert_eq!(unpack(&bomb, limits), Err(UnpackError::TooLarge));
        assert_eq!(unpack(&bomb, UnpackLimits::default()), Err(UnpackError::TooLarge));
        // Any small thing may become a megabyte.
        for octets in [RATIO_FREE_OCTETS - 1, RATIO_FREE_OCTETS, RATIO_FREE_OCTETS + 1] {
            let limits = UnpackLimits { ratio_max: 1, ..limits };
            assert_eq!(unpack(&pack(&vec![0; octets]), limits).is_ok(), octets <= RATIO_FREE_OCTETS);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let report = b"<feedback/>".repeat(100);
        for packed in [pack(&report), zip(&report, 0), zip(&report, 8)] {
            for end in 4..packed.len() - 24 {
                assert!(unpack(&packed[..end], UnpackLimits::default()).is_err(), "{end}");
            }
            for index in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[index] ^= 0x55;
                if let Ok(octets) = unpack(&damaged, UnpackLimits::default()) {
                    // A folder may become a file without octets.
                    let is_known = octets == report.as_slice() || octets == damaged.as_slice();
                    assert!(is_known || octets.is_empty(), "{index}");
                }
            }
        }
    }

    #[test]
    fn entries_are_bounded() {
        // A directory of folders, each entry the same.
        for count in [ZIP_ENTRIES_MAX - 1, ZIP_ENTRIES_MAX] {
            let folder = [&b"PK\x01\x02"[..], &[0; 24], &[1, 0], &[0; 16], b"/"].concat();
            let file = zip(b"x", 0);
            let end = file.len() - 24;
            let entry = &file[end - 46 - 12..end];
            let start = end - 46 - 12 - 48;
            let directory = [folder.repeat(count), entry.to_vec()].concat();
            let archive = [&file[..start], &directory, &file[end..]].concat();
            assert_eq!(unpack(&archive, UnpackLimits::default()).is_ok(), count < ZIP_ENTRIES_MAX, "{count}");
        }
    }
}
