//! Headers in RAR archives of versions 4 and 5 (technote.txt of RAR).

use crate::name;
use crate::rar_unpack::{Generation, Packing};
use crate::varint::number;

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
    /// What it may be called, as most programs do first.
    pub(crate) names: Vec<String>,
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
        names: old_names(name),
        is_encrypted: flags & 4 != 0,
        method,
        is_begun: flags & 1 != 0,
        goes_on: flags & 2 != 0,
    })
}

/// The name, and behind a zero how it is written in Unicode: what differs, in units of 16 bits.
fn old_names(octets: &[u8]) -> Vec<String> {
    let mut parts = octets.splitn(2, |octet| *octet == 0);
    let plain = parts.next().unwrap_or_default();
    let mut names = vec![name::text_of(plain)];
    // Most programs go by this one.
    let unicode = parts.next().and_then(|coded| unicode_name(plain, coded));
    if let Some(unicode) = unicode.filter(|unicode| !unicode.is_empty() && names.first() != Some(unicode)) {
        names.insert(0, unicode);
    }
    names
}

/// The high octet of most units, then groups of four units: how they are coded, two bits each, and they.
fn unicode_name(plain: &[u8], coded: &[u8]) -> Option<String> {
    let (high, mut rest) = coded.split_first()?;
    let (mut units, mut codings, mut left) = (Vec::new(), 0, 0);
    // A name is no longer than all that stands there.
    while !rest.is_empty() && units.len() < plain.len() + 2 * coded.len() {
        if left == 0 {
            (codings, rest) = rest.split_first().map(|(first, behind)| (*first, behind))?;
            left = 8;
        }
        left -= 2;
        let octets = match codings >> left & 3 {
            0 | 1 => 1,
            2 => 2,
            // As in the plain name, or by so much more.
            _ => 1 + rest.first().map_or(0, |times| usize::from(times >> 7)),
        };
        let Some((some, behind)) = rest.split_at_checked(octets) else { break };
        rest = behind;
        match (codings >> left & 3, some) {
            (0, [low]) => units.push(u16::from(*low)),
            (_, [low]) if codings >> left & 3 == 1 => units.push(u16::from_le_bytes([*low, *high])),
            (2, [low, high]) => units.push(u16::from_le_bytes([*low, *high])),
            (_, [times, more @ ..]) => {
                let begin = units.len();
                let same = plain.iter().skip(begin).take(usize::from(times & 0x7f) + 2);
                units.extend(same.map(|octet| match more {
                    [more] => u16::from_le_bytes([octet.wrapping_add(*more), *high]),
                    _ => u16::from(*octet),
                }));
            }
            _ => break,
        }
    }
    Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
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
        0 => return None,
        // Kinds that are still to come are passed over by programs, too.
        1 | 3 | 6.. => HeaderKind::Other,
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
    let names = vec![name::text_of(rest.get(..usize::try_from(name_octets).ok()?)?)];
    Some(File { names, is_encrypted: false, method, is_begun: false, goes_on: false })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_unicode_are_names_too() {
        for (name, expected) in [
            (b"a.txt".as_slice(), vec!["a.txt"]),
            (b"a.txt\0", vec!["a.txt"]),
            // As it is, up to its end.
            (b"a.txt\0\0\xc0\x03", vec!["a.txt"]),
            // Two of it, then others: as they are, with the high octet, with their own.
            (b"a.txt\0\x04\xc5\0exe", vec!["a.e\u{478}\u{465}", "a.txt"]),
            (b"a.txt\0\0\xc0\0exe", vec!["a.exe", "a.txt"]),
            (b"a.txt\0\x04\x1b\x62\x30\x42\x26\x81\x10", vec!["b\u{430}\u{2642}\u{488}\u{484}", "a.txt"]),
            // What ends in the middle.
            (b"a.txt\0\0\x80\x41", vec!["a.txt"]),
        ] {
            assert_eq!(old_names(name), expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn names_in_unicode_are_not_longer_than_what_stands_there() {
        let coded = [&[0_u8, 0xff], [0x7f; 4].as_slice()].concat().repeat(1_000);
        let name = unicode_name(&[b'a'; 30], &coded).unwrap();
        assert!(name.len() <= 30 + 2 * coded.len(), "{}", name.len());
    }
}
