//! The headers of a zip archive: in front of an entry, and in the directory at its end (PKWARE APPNOTE.TXT 4.3.7, 4.3.12).

use crate::name::NAME_OCTETS_MAX;

/// Octets of a header's extra fields that are kept. Of interest are long lengths and a name in Unicode.
const EXTRA_OCTETS_MAX: usize = 2 * NAME_OCTETS_MAX;

/// What four octets that begin with `PK` are.
pub(crate) enum Signature {
    Header(Kind),
    /// The last record, which every archive has.
    End,
    /// Something that only ends an entry: a descriptor, the end of a long directory.
    Other,
    None([u8; 4]),
}

pub(crate) fn signature(octets: &[u8; 4]) -> Signature {
    match octets {
        b"PK\x03\x04" => Signature::Header(Kind::Entry),
        b"PK\x01\x02" => Signature::Header(Kind::Directory),
        b"PK\x05\x06" => Signature::End,
        b"PK\x06\x06" | b"PK\x06\x07" | b"PK\x07\x08" => Signature::Other,
        other => Signature::None(*other),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry,
    Directory,
}

/// A header of which not all octets have come.
#[derive(Debug)]
pub(crate) struct Gathering {
    kind: Kind,
    /// Behind the signature, up to the name.
    fixed: Vec<u8>,
    name: Vec<u8>,
    name_left: usize,
    extra: Vec<u8>,
    extra_left: usize,
}

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) is_encrypted: bool,
    /// Its lengths stand behind the entry (4.3.9).
    pub(crate) has_descriptor: bool,
    pub(crate) method: u16,
    pub(crate) packed_octets: u64,
    /// What it becomes; 0 where that stands behind it.
    pub(crate) unpacked_octets: u64,
    /// Of the whole header.
    pub(crate) header_octets: u64,
    /// Where the directory says that the entry is.
    pub(crate) offset: u64,
    pub(crate) name: Vec<u8>,
    /// The name in Unicode that some programs prefer (4.6.9).
    unicode_name: Option<Vec<u8>>,
}

impl Gathering {
    pub(crate) fn new(kind: Kind) -> Gathering {
        Gathering {
            kind,
            fixed: Vec::new(),
            name: Vec::new(),
            name_left: 0,
            extra: Vec::new(),
            extra_left: 0,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    fn fixed_octets(&self) -> usize {
        match self.kind {
            Kind::Entry => 26,
            Kind::Directory => 42,
        }
    }

    /// Takes octets until it is whole; gives the rest.
    pub(crate) fn feed<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        let wanted = self.fixed_octets() - self.fixed.len();
        let (piece, rest) = octets.split_at(wanted.min(octets.len()));
        self.fixed.extend_from_slice(piece);
        if wanted > 0 && piece.len() == wanted {
            (self.name_left, self.extra_left) = match self.kind {
                Kind::Entry => (self.short(22), self.short(24)),
                Kind::Directory => (self.short(24), self.short(26)),
            };
            if !self.is_plausible() {
                (self.name_left, self.extra_left) = (0, 0);
            }
        }
        let (piece, rest) = rest.split_at(self.name_left.min(rest.len()));
        self.name_left -= piece.len();
        self.name.extend_from_slice(piece);
        // Of a long name the end counts, where the extension is.
        if self.name.len() > 2 * NAME_OCTETS_MAX {
            self.name.drain(..self.name.len() - NAME_OCTETS_MAX);
        }
        let (piece, rest) = rest.split_at(self.extra_left.min(rest.len()));
        self.extra_left -= piece.len();
        let room = EXTRA_OCTETS_MAX - self.extra.len();
        self.extra.extend_from_slice(piece.get(..room).unwrap_or(piece));
        rest
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.fixed.len() == self.fixed_octets() && self.name_left == 0 && self.extra_left == 0
    }

    /// How many octets it has, its signature too.
    pub(crate) fn octets(&self) -> u64 {
        let (name, extra) = match self.kind {
            Kind::Entry => (self.short(22), self.short(24)),
            Kind::Directory => (self.short(24), self.short(26)),
        };
        let behind = if self.is_plausible() { name + extra } else { 0 };
        4 + self.fixed.len() as u64 + behind as u64
    }

    /// The octets behind the signature of what turned out to be none.
    pub(crate) fn octets_behind_signature(&self) -> &[u8] {
        &self.fixed
    }

    /// What it says; nothing where it can be no header: a version and a method that nobody writes.
    pub(crate) fn header(&self) -> Option<Header> {
        if !self.is_plausible() {
            return None;
        }
        let skip = if self.kind == Kind::Directory { 2 } else { 0 };
        let flags = self.short(2 + skip);
        let method = self.short(4 + skip) as u16;
        let (packed, long, offset) = (self.long(14 + skip), self.long(18 + skip), self.long(38));
        let is_directory = self.kind == Kind::Directory;
        let offset = if is_directory { offset } else { 0 };
        let (packed_octets, unpacked_octets, offset) = self.long_lengths(packed, long, offset);
        Some(Header {
            kind: self.kind,
            is_encrypted: flags & 0x2041 != 0 || method == 99,
            has_descriptor: flags & 8 != 0,
            method,
            packed_octets,
            unpacked_octets,
            header_octets: self.octets(),
            offset,
            name: self.name.clone(),
            unicode_name: self.field(0x7075).and_then(|field| field.get(5..)).map(<[u8]>::to_vec),
        })
    }

    fn is_plausible(&self) -> bool {
        let skip = if self.kind == Kind::Directory { 2 } else { 0 };
        // Versions up to 6.3 are written (4.4.3.2), in the upper octet a system; methods up to 20, and some from 92.
        let (version, method) = (self.short(skip) & 0xff, self.short(4 + skip));
        version <= 99 && (method <= 20 || (92..=99).contains(&method))
    }

    /// Lengths of 64 bits where those of 32 are full (4.5.3).
    fn long_lengths(&self, packed: u64, long: u64, offset: u64) -> (u64, u64, u64) {
        const FULL: u64 = 0xffff_ffff;
        let mut words = self
            .field(1)
            .unwrap_or_default()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|eight| u64::from_le_bytes(*eight));
        let long = if long == FULL { words.next().unwrap_or(long) } else { long };
        let packed = if packed == FULL { words.next().unwrap_or(packed) } else { packed };
        let offset = if offset == FULL { words.next().unwrap_or(offset) } else { offset };
        (packed, long, offset)
    }

    /// The extra field with this number (4.5.1).
    fn field(&self, wanted: u16) -> Option<&[u8]> {
        let mut rest = self.extra.as_slice();
        while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
            let octets = usize::from(u16::from_le_bytes([c, d])).min(behind.len());
            let (field, next) = behind.split_at(octets);
            if u16::from_le_bytes([a, b]) == wanted {
                return Some(field);
            }
            rest = next;
        }
        None
    }

    fn short(&self, at: usize) -> usize {
        let octets = self.fixed.get(at..).and_then(|rest| rest.first_chunk());
        octets.map_or(0, |octets| usize::from(u16::from_le_bytes(*octets)))
    }

    fn long(&self, at: usize) -> u64 {
        let octets = self.fixed.get(at..).and_then(|rest| rest.first_chunk());
        octets.map_or(0, |octets| u64::from(u32::from_le_bytes(*octets)))
    }
}

impl Header {
    /// Its names, the one that most programs show first.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        let unicode = self.unicode_name.iter().filter(|name| **name != self.name && !name.is_empty());
        std::iter::once(self.name.clone()).chain(unicode.cloned()).collect()
    }
}
