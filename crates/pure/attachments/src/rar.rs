//! RAR archives of versions 4 and 5: names of entries are read; what is stored is looked at, what is packed is not.

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::kind::Kind;
use crate::name;
use crate::policy::Class;

/// Octets of one header that are read. Names and a few numbers fill far less.
const HEADER_OCTETS_MAX: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct RarReader {
    place: Vec<String>,
    nesting: Nesting,
    is_new: bool,
    state: State,
    has_packed: bool,
}

#[derive(Debug)]
enum State {
    Signature(usize),
    Header(Vec<u8>),
    Data { left: u64, content: Option<Box<Content>> },
    Ended,
}

/// What a header says.
struct Header {
    kind: HeaderKind,
    /// Of what follows it.
    data_octets: u64,
}

enum HeaderKind {
    File {
        name: Vec<u8>,
        is_encrypted: bool,
        is_stored: bool,
    },
    /// All headers behind it are encrypted.
    Encryption,
    End,
    Other,
}

impl RarReader {
    pub(crate) fn new(archive: &Content, kind: Kind) -> RarReader {
        let is_new = kind == Kind::Rar5;
        RarReader {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            is_new,
            state: State::Signature(if is_new { 8 } else { 7 }),
            has_packed: false,
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
        if self.has_packed {
            examination.find(
                Class::Opaque,
                &self.place,
                "is a RAR archive, of which only the names are looked at",
            );
        }
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
                let is_new = self.is_new;
                let wanted = |header: &[u8]| {
                    let octets = if is_new { new_header_octets(header) } else { old_header_octets(header) };
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
            State::Data { left, content } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                let (piece, rest) = octets.split_at(taken);
                *left -= taken as u64;
                if let Some(content) = content {
                    content.feed(piece, examination);
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
        if let State::Data { content: Some(content), .. } =
            std::mem::replace(&mut self.state, State::Header(Vec::new()))
        {
            content.finish(examination);
        }
    }

    fn end_header(&mut self, examination: &mut Examination) {
        let State::Header(header) = std::mem::replace(&mut self.state, State::Header(Vec::new())) else {
            return;
        };
        let header = if self.is_new { new_header(&header) } else { old_header(&header) };
        let Some(Header { kind, data_octets }) = header else {
            self.end_damaged(examination);
            return;
        };
        let content = match kind {
            HeaderKind::End => {
                self.state = State::Ended;
                return;
            }
            HeaderKind::Encryption => {
                examination.find(Class::Encrypted, &self.place, "is encrypted, names too");
                self.state = State::Ended;
                return;
            }
            HeaderKind::Other => None,
            HeaderKind::File { name, is_encrypted, is_stored } => {
                if !examination.count_entry() {
                    examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
                    self.state = State::Ended;
                    return;
                }
                let names = vec![name::text_of(&name)];
                let content =
                    Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination);
                if is_encrypted {
                    examination.find(Class::Encrypted, &content.place, "is encrypted");
                }
                self.has_packed |= !is_stored && data_octets > 0;
                (is_stored && !is_encrypted).then(|| Box::new(content))
            }
        };
        if data_octets > 0 {
            self.state = State::Data { left: data_octets, content };
        } else if let Some(content) = content {
            content.finish(examination);
        }
    }
}

/// How many octets the header has as far as can be told; it is whole once it has so many.
fn old_header_octets(header: &[u8]) -> Option<usize> {
    match header.get(5..7).and_then(|two| two.first_chunk()) {
        Some(two) => Some(usize::from(u16::from_le_bytes(*two))).filter(|octets| *octets >= 7),
        None => Some(7),
    }
}

/// RAR 4: checksum, kind, flags, length, and what the kind has.
fn old_header(header: &[u8]) -> Option<Header> {
    let short = |at: usize| header.get(at..at + 2)?.first_chunk().map(|two| u16::from_le_bytes(*two));
    let long =
        |at: usize| header.get(at..at + 4)?.first_chunk().map(|four| u64::from(u32::from_le_bytes(*four)));
    let (kind, flags) = (*header.get(2)?, short(3)?);
    let has_data = flags & 0x8000 != 0 || matches!(kind, 0x74 | 0x7a);
    let mut data_octets = if has_data { long(7)? } else { 0 };
    let kind = match kind {
        0x73 if flags & 0x80 != 0 => HeaderKind::Encryption,
        0x74 => {
            let is_large = flags & 0x100 != 0;
            if is_large {
                data_octets |= long(32)? << 32;
            }
            let begins = if is_large { 40 } else { 32 };
            let name = header.get(begins..begins + usize::from(short(26)?))?;
            let name = name.split(|octet| *octet == 0).next().unwrap_or_default().to_vec();
            HeaderKind::File { name, is_encrypted: flags & 4 != 0, is_stored: header.get(25) == Some(&0x30) }
        }
        0x7b => HeaderKind::End,
        0x72..=0x7a => HeaderKind::Other,
        _ => return None,
    };
    Some(Header { kind, data_octets })
}

/// See [`old_header_octets`]: four octets of checksum, then the length of what is behind the length.
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
    let (_, rest) = number(header.get(4..)?)?;
    let (kind, rest) = number(rest)?;
    let (flags, rest) = number(rest)?;
    let (extra_octets, rest) = if flags & 1 != 0 { number(rest)? } else { (0, rest) };
    let (data_octets, rest) = if flags & 2 != 0 { number(rest)? } else { (0, rest) };
    let kind = match kind {
        2 => {
            let extra = header.len().checked_sub(usize::try_from(extra_octets).ok()?)?;
            let is_encrypted = has_record(header.get(extra..).unwrap_or_default(), 1);
            let (file_flags, rest) = number(rest)?;
            let (_unpacked, rest) = number(rest)?;
            let (_attributes, rest) = number(rest)?;
            let rest = if file_flags & 2 != 0 { rest.get(4..)? } else { rest };
            let rest = if file_flags & 4 != 0 { rest.get(4..)? } else { rest };
            let (packing, rest) = number(rest)?;
            let (_system, rest) = number(rest)?;
            let (name_octets, rest) = number(rest)?;
            let name = rest.get(..usize::try_from(name_octets).ok()?)?.to_vec();
            HeaderKind::File { name, is_encrypted, is_stored: packing >> 7 & 7 == 0 }
        }
        4 => HeaderKind::Encryption,
        5 => HeaderKind::End,
        1 | 3 => HeaderKind::Other,
        _ => return None,
    };
    Some(Header { kind, data_octets })
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
