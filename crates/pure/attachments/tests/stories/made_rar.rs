//! RAR archives made by hand, wrong ones too: headers of both generations, and the coding of RAR 5 with codes whose words are all
//! as long.
#![allow(dead_code, reason = "not everything is used by everyone who makes archives")]

/// Codes of RAR 4 as short as they can be, of which the one word is their end, and that: others follow.
pub(crate) const OLD_CODES: &[u8] = b"\x00\x7f\x88\xbf\xfe\xb7\xfe\xc8";

pub(crate) fn number(value: u64) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = value;
    while rest >= 0x80 {
        octets.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    octets.push(rest as u8);
    octets
}

/// A block of RAR 5: its sum is not asked.
pub(crate) fn block(kind: u8, flags: u8, fields: &[u8]) -> Vec<u8> {
    let header = [&[kind, flags], fields].concat();
    [&[0; 4], number(header.len() as u64).as_slice(), &header].concat()
}

/// How an entry of RAR 5 is written.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'e> {
    pub(crate) name: &'e str,
    /// Version, solidity, method and window, as they stand in the header.
    pub(crate) packing: u64,
    pub(crate) unpacked: Option<u64>,
    pub(crate) data: Vec<u8>,
    /// Records added to the header.
    pub(crate) records: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) file_flags: u64,
}

pub(crate) const STORED: u64 = 0;
pub(crate) const PACKED: u64 = 3 << 7;
pub(crate) const SOLID: u64 = 1 << 6;

impl<'e> Entry<'e> {
    pub(crate) fn new(name: &'e str, packing: u64, unpacked: usize, data: Vec<u8>) -> Entry<'e> {
        let unpacked = Some(unpacked as u64);
        Entry { name, packing, unpacked, data, records: Vec::new(), flags: 0, file_flags: 0 }
    }

    pub(crate) fn stored(name: &'e str, data: &[u8]) -> Entry<'e> {
        Entry::new(name, STORED, data.len(), data.to_vec())
    }

    fn write(&self) -> Vec<u8> {
        let is_unknown = self.unpacked.is_none();
        let mut fields = if self.records.is_empty() { Vec::new() } else { number(self.records.len() as u64) };
        fields.extend(number(self.data.len() as u64));
        fields.extend(number(self.file_flags | if is_unknown { 8 } else { 0 }));
        fields.extend(number(self.unpacked.unwrap_or(0)));
        fields.push(0);
        fields.extend(number(self.packing));
        fields.push(0);
        fields.extend(number(self.name.len() as u64));
        fields.extend_from_slice(self.name.as_bytes());
        fields.extend_from_slice(&self.records);
        let flags = self.flags | if self.records.is_empty() { 2 } else { 3 };
        [block(2, flags, &fields), self.data.clone()].concat()
    }
}

pub(crate) fn rar5(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut archive = [b"Rar!\x1a\x07\x01\x00".as_slice(), &block(1, 0, &[0])].concat();
    entries.iter().for_each(|entry| archive.extend(entry.write()));
    archive.extend(block(5, 0, &[0]));
    archive
}

/// An entry of RAR 4 without its data, as version 2.9 packs it.
pub(crate) fn old_header(name: &str, flags: u16, packed: usize, unpacked: u32) -> Vec<u8> {
    let mut header = vec![0, 0, 0x74];
    header.extend_from_slice(&(flags | 0x8000).to_le_bytes());
    header.extend_from_slice(&(32 + name.len() as u16).to_le_bytes());
    header.extend_from_slice(&(packed as u32).to_le_bytes());
    header.extend_from_slice(&unpacked.to_le_bytes());
    header.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 29, 0x33, name.len() as u8, 0, 0, 0, 0, 0]);
    header.extend_from_slice(name.as_bytes());
    header
}

pub(crate) fn rar4(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = b"Rar!\x1a\x07\x00\0\0\x73\0\0\x0d\0\0\0\0\0\0\0".to_vec();
    entries.iter().for_each(|entry| archive.extend(entry));
    archive
}

/// What RAR 5 packs into, a block at a time.
#[derive(Debug, Default)]
pub(crate) struct Coded {
    octets: Vec<u8>,
    bits: Vec<bool>,
    begins_anew: bool,
}

impl Coded {
    fn put(&mut self, value: u64, bits: u32) {
        self.bits.extend((0..bits).rev().map(|place| value >> place & 1 != 0));
    }

    /// Codes in front of the block, whose words are of 9, 6, 4 and 6 bits.
    pub(crate) fn codes(mut self) -> Coded {
        for symbol in 0..20 {
            self.put(if [4, 6, 9, 17].contains(&symbol) { 2 } else { 0 }, 4);
        }
        for (length, mut times) in [(2, 305_u64), (1, 63), (0, 15), (1, 43)] {
            self.put(length, 2);
            while times > 0 {
                let some = times.min(138);
                self.put(3, 2);
                self.put(some - 11, 7);
                times -= some;
            }
        }
        self.begins_anew = true;
        self
    }

    pub(crate) fn literals(mut self, octets: &[u8]) -> Coded {
        octets.iter().for_each(|octet| self.put(u64::from(*octet), 9));
        self
    }

    /// What was written before, at a distance of at least one.
    pub(crate) fn repeat(mut self, distance: u32, octets: usize) -> Coded {
        let back = u64::from(distance - 1);
        let longer = [0x100, 0x2000, 0x4_0000].iter().filter(|bound| back >= **bound).count();
        let (number, length, length_bits) = split((octets - longer - 2) as u64, 2);
        self.put(262 + number, 9);
        self.put(length, length_bits);
        let (slot, rest, rest_bits) = split(back, 1);
        self.put(slot, 6);
        match rest_bits {
            0..4 => self.put(rest, rest_bits),
            _ => {
                self.put(rest >> 4, rest_bits - 4);
                self.put(rest & 15, 4);
            }
        }
        self
    }

    /// A filter over so many octets that begin so many behind this; kinds as in the format.
    pub(crate) fn filter(mut self, begins: u32, octets: u32, kind: u64) -> Coded {
        self.put(256, 9);
        for value in [begins, octets] {
            self.put(3, 2);
            value.to_le_bytes().iter().for_each(|octet| self.put(u64::from(*octet), 8));
        }
        self.put(kind, 3);
        self
    }

    /// Ends the block.
    pub(crate) fn end_block(mut self, is_last: bool) -> Coded {
        let bits = std::mem::take(&mut self.bits);
        let octets: Vec<u8> = bits
            .chunks(8)
            .map(|eight| (0..8).fold(0, |octet, at| octet << 1 | u8::from(eight.get(at) == Some(&true))))
            .collect();
        let bits_of_last = (bits.len() + 7) % 8;
        let flags = u8::from(std::mem::take(&mut self.begins_anew)) << 7
            | u8::from(is_last) << 6
            | 2 << 3
            | bits_of_last as u8;
        let length = (octets.len() as u32).to_le_bytes();
        let sum = length.iter().fold(0x5a ^ flags, |sum, octet| sum ^ octet);
        self.octets.extend_from_slice(&[flags, sum, length[0], length[1], length[2]]);
        self.octets.extend(octets);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.end_block(true).octets
    }
}

/// The number of a slot, what is added to its least value, and in how many bits; slots double by `1 << steps` at a time.
fn split(value: u64, steps: u32) -> (u64, u64, u32) {
    if value < 2 << steps {
        return (value, 0, 0);
    }
    let more = value.ilog2() - steps;
    let slot = (u64::from(more + 1) << steps) + (value >> more & ((1 << steps) - 1));
    (slot, value & ((1 << more) - 1), more)
}
