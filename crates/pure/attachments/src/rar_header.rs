//! Headers in RAR archives of versions 4 and 5 (technote.txt of RAR).

use crate::rar_unpack::{Generation, Packing};

/// The version in which entries of RAR 4 have been packed since 2.9, and the next, which is none for files.
const PACKED_SINCE_29: std::ops::RangeInclusive<u8> = 29..=36;
/// Windows of the smallest size; others are powers of two of it.
const OLD_WINDOW_OCTETS: u64 = 64 * 1024;
const NEW_WINDOW_OCTETS: u64 = 128 * 1024;

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) kind: HeaderKind,
    /// Of what follows it.
    pub(crate) data_octets: u64,
}

#[derive(Debug)]
pub(crate) enum HeaderKind {
    File(File),
    /// All headers behind it are encrypted.
    Encryption,
    End,
    Other,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: Vec<u8>,
    pub(crate) is_encrypted: bool,
    pub(crate) method: Method,
    /// It goes on from the last volume, and in the next one.
    pub(crate) is_begun: bool,
    pub(crate) goes_on: bool,
}

#[derive(Debug)]
pub(crate) enum Method {
    Stored,
    Packed(Packing),
    /// By a version whose coding is not known here.
    Other,
}

impl Generation {
    /// How many octets the header has as far as can be told; it is whole once it has so many.
    pub(crate) fn header_octets(self, header: &[u8]) -> Option<usize> {
        match self {
            Generation::Rar4 => old_header_octets(header),
            Generation::Rar5 => new_header_octets(header),
        }
    }

    /// What a whole header says.
    pub(crate) fn header(self, header: &[u8]) -> Option<Header> {
        match self {
            Generation::Rar4 => old_header(header),
            Generation::Rar5 => new_header(header),
        }
    }
}

fn old_header_octets(header: &[u8]) -> Option<usize> {
    match header.get(5..7).and_then(|two| two.first_chunk()) {
        Some(two) => Some(usize::from(u16::from_le_bytes(*two))).filter(|octets| *octets >= 7),
        None => Some(7),
    }
}

fn short(header: &[u8], at: usize) -> Option<u16> {
    header.get(at..at + 2)?.first_chunk().map(|two| u16::from_le_bytes(*two))
}

fn long(header: &[u8], at: usize) -> Option<u64> {
    header.get(at..at + 4)?.first_chunk().map(|four| u64::from(u32::from_le_bytes(*four)))
}

/// RAR 4: checksum, kind, flags, length, and what the kind has.
fn old_header(header: &[u8]) -> Option<Header> {
    let (kind, flags) = (*header.get(2)?, short(header, 3)?);
    let has_data = flags & 0x8000 != 0 || matches!(kind, 0x74 | 0x7a);
    let mut data_octets = if has_data { long(header, 7)? } else { 0 };
    let kind = match kind {
        0x73 if flags & 0x80 != 0 => HeaderKind::Encryption,
        0x74 => {
            if flags & 0x100 != 0 {
                data_octets |= long(header, 32)? << 32;
            }
            const DIRECTORY: u16 = 7;
            match flags >> 5 & 7 {
                DIRECTORY if data_octets == 0 => HeaderKind::Other,
                _ => HeaderKind::File(old_file(header, flags)?),
            }
        }
        0x7b => HeaderKind::End,
        0x72..=0x7a => HeaderKind::Other,
        _ => return None,
    };
    Some(Header { kind, data_octets })
}

fn old_file(header: &[u8], flags: u16) -> Option<File> {
    const STORED: u8 = 0x30;
    let is_large = flags & 0x100 != 0;
    let begins = if is_large { 40 } else { 32 };
    let name = header.get(begins..begins + usize::from(short(header, 26)?))?;
    let unpacked = long(header, 11)?;
    // Where it is not known all bits are set, of those there are.
    let unpacked_octets = match is_large {
        true => Some(long(header, 36)? << 32 | unpacked).filter(|octets| *octets != u64::MAX),
        false => Some(unpacked).filter(|octets| *octets != u64::from(u32::MAX)),
    };
    let packing = Packing {
        generation: Generation::Rar4,
        // Beyond the largest is what is said of directories.
        window_octets: OLD_WINDOW_OCTETS << (flags >> 5 & 7).min(6),
        is_solid: flags & 0x10 != 0,
        unpacked_octets,
    };
    let method = match (*header.get(24)?, *header.get(25)?) {
        (_, STORED) => Method::Stored,
        (version, _) if PACKED_SINCE_29.contains(&version) => Method::Packed(packing),
        _ => Method::Other,
    };
    Some(File {
        name: name.split(|octet| *octet == 0).next().unwrap_or_default().to_vec(),
        is_encrypted: flags & 4 != 0,
        method,
        is_begun: flags & 1 != 0,
        goes_on: flags & 2 != 0,
    })
}

/// Four octets of checksum, then the length of what is behind the length.
fn new_header_octets(header: &[u8]) -> Option<usize> {
    let Some(rest) = header.get(4..) else { return Some(5) };
    match number(rest) {
        Some((length, behind)) => {
            let before = header.len() - behind.len();
            usize::try_from(length).ok().filter(|length| *length > 0)?.checked_add(before)
        }
        None if rest.len() < 3 => Some(header.len() + 1),
        None => None,
    }
}

/// RAR 5: checksum, length, kind, flags, lengths of what is added and of the data, and what the kind has.
fn new_header(header: &[u8]) -> Option<Header> {
    const IS_DIRECTORY: u64 = 1;
    let (_, rest) = number(header.get(4..)?)?;
    let (kind, rest) = number(rest)?;
    let (flags, rest) = number(rest)?;
    let (extra_octets, rest) = if flags & 1 != 0 { number(rest)? } else { (0, rest) };
    let (data_octets, rest) = if flags & 2 != 0 { number(rest)? } else { (0, rest) };
    let kind = match kind {
        2 if data_octets == 0 && number(rest)?.0 & IS_DIRECTORY != 0 => HeaderKind::Other,
        2 => {
            let extra = header.len().checked_sub(usize::try_from(extra_octets).ok()?)?;
            let is_encrypted = has_record(header.get(extra..).unwrap_or_default(), 1);
            let file = new_file(rest)?;
            let (is_begun, goes_on) = (flags & 8 != 0, flags & 16 != 0);
            HeaderKind::File(File { is_encrypted, is_begun, goes_on, ..file })
        }
        4 => HeaderKind::Encryption,
        5 => HeaderKind::End,
        1 | 3 => HeaderKind::Other,
        _ => return None,
    };
    Some(Header { kind, data_octets })
}

fn new_file(fields: &[u8]) -> Option<File> {
    const IS_SOLID: u64 = 0x40;
    const IS_UNKNOWN: u64 = 8;
    let (file_flags, rest) = number(fields)?;
    let (unpacked, rest) = number(rest)?;
    let (_attributes, rest) = number(rest)?;
    let rest = if file_flags & 2 != 0 { rest.get(4..)? } else { rest };
    let rest = if file_flags & 4 != 0 { rest.get(4..)? } else { rest };
    let (how, rest) = number(rest)?;
    let (_system, rest) = number(rest)?;
    let (name_octets, rest) = number(rest)?;
    let packing = Packing {
        generation: Generation::Rar5,
        window_octets: NEW_WINDOW_OCTETS << (how >> 10 & 15),
        is_solid: how & IS_SOLID != 0,
        unpacked_octets: (file_flags & IS_UNKNOWN == 0).then_some(unpacked),
    };
    // The version of the coding, and how hard was tried.
    let method = match (how & 63, how >> 7 & 7) {
        (_, 0) => Method::Stored,
        (0, _) => Method::Packed(packing),
        _ => Method::Other,
    };
    let name = rest.get(..usize::try_from(name_octets).ok()?)?.to_vec();
    Some(File { name, is_encrypted: false, method, is_begun: false, goes_on: false })
}

/// Whether a record of this kind is among those added to a header.
fn has_record(extra: &[u8], wanted: u64) -> bool {
    let mut rest = extra;
    while let Some((octets, behind)) = number(rest) {
        let Some((kind, _)) = number(behind) else { return false };
        if kind == wanted {
            return true;
        }
        let Some(next) = usize::try_from(octets).ok().and_then(|octets| behind.get(octets..)) else {
            return false;
        };
        rest = next;
    }
    false
}

/// A number in groups of seven bits, the lowest first.
fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, octet) in octets.iter().take(9).enumerate() {
        value |= u64::from(octet & 0x7f) << (7 * index);
        if octet & 0x80 == 0 {
            return Some((value, octets.get(index + 1..)?));
        }
    }
    None
}
