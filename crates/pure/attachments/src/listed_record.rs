//! Records in front of the entries of rare archives. None of the formats has a standard but cpio (as the
//! Linux kernel's buffer-format.rst tells its newer form); the others are as their programs write them.

/// Further headers of one record. Programs write fewer than ten; for each, those before it are passed again.
const FURTHER_HEADERS_MAX: usize = 64;
/// Bits of the kind of file in a mode, and a plain file's (POSIX.1 cpio).
const MODE_KIND: u64 = 0o170_000;
const MODE_FILE: u64 = 0o100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The first record is of the archive.
    Arj {
        is_first: bool,
    },
    Lzh,
    Ace,
    Cpio,
}

/// What the octets of a record say so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// So many of them are needed.
    Needs(usize),
    Entry(Entry),
    /// No entry; so many octets follow it.
    Other {
        data_octets: u64,
    },
    /// Nothing follows, or nothing that is understood.
    End,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) is_encrypted: bool,
    pub(crate) is_stored: bool,
    pub(crate) data_octets: u64,
    /// Octets behind them that are none of them.
    pub(crate) padding_octets: u64,
}

/// Numbers in a record.
struct Octets<'r>(&'r [u8]);

impl Octets<'_> {
    fn octet(&self, at: usize) -> usize {
        self.0.get(at).copied().map_or(0, usize::from)
    }

    fn short(&self, at: usize) -> usize {
        self.octet(at) | self.octet(at + 1) << 8
    }

    fn long(&self, at: usize) -> u64 {
        self.short(at) as u64 | (self.short(at + 2) as u64) << 16
    }

    /// Eight digits in base 16.
    fn hexadecimal(&self, at: usize) -> Option<u64> {
        u64::from_str_radix(std::str::from_utf8(self.0.get(at..at + 8)?).ok()?, 16).ok()
    }

    /// What stands up to the next zero.
    fn text(&self, at: usize) -> Vec<u8> {
        let rest = self.0.get(at..).unwrap_or_default();
        rest.split(|octet| *octet == 0).next().unwrap_or_default().to_vec()
    }
}

impl Format {
    /// The format of an archive that begins so.
    pub(crate) fn of(first: &[u8]) -> Option<Format> {
        Some(match first {
            [0x60, 0xea, ..] => Format::Arj { is_first: true },
            [_, _, b'-', b'l', ..] => Format::Lzh,
            // Of its other forms it is only told that they were sent.
            [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => Format::Cpio,
            _ if first.ends_with(b"**ACE**") => Format::Ace,
            _ => return None,
        })
    }

    /// What a record that begins so is.
    pub(crate) fn record(&mut self, octets: &[u8]) -> Record {
        match self {
            Format::Arj { is_first } => arj(octets, is_first),
            Format::Lzh => lzh(octets),
            Format::Ace => ace(octets),
            Format::Cpio => cpio(octets).unwrap_or(Record::End),
        }
    }
}

fn needs(octets: &[u8], wanted: usize) -> Option<Record> {
    (octets.len() < wanted).then_some(Record::Needs(wanted))
}

fn arj(octets: &[u8], is_first: &mut bool) -> Record {
    const GARBLED: usize = 1;
    const DIRECTORY: usize = 3;
    let record = Octets(octets);
    if let Some(needs) = needs(octets, 4) {
        return needs;
    }
    let header = record.short(2);
    if !octets.starts_with(&[0x60, 0xea]) || header == 0 {
        return Record::End;
    }
    // Behind the header its sum; then more of them, each behind its length, until one is empty.
    let (mut at, mut headers) = (4 + header + 4, 0);
    loop {
        if let Some(needs) = needs(octets, at + 2) {
            return needs;
        }
        match record.short(at) {
            0 => break,
            _ if headers == FURTHER_HEADERS_MAX => return Record::End,
            more => (at, headers) = (at + 2 + more + 4, headers + 1),
        }
    }
    if std::mem::take(is_first) {
        return Record::Other { data_octets: 0 };
    }
    let data_octets = record.long(16);
    if record.octet(10) == DIRECTORY {
        return Record::Other { data_octets };
    }
    let name = record.text(4 + record.octet(4));
    let (is_encrypted, is_stored) = (record.octet(8) & GARBLED != 0, record.octet(9) == 0);
    Record::Entry(Entry { name, is_encrypted, is_stored, data_octets, ..Entry::default() })
}

/// Headers of levels 0 to 2.
fn lzh(octets: &[u8]) -> Record {
    const LEVEL_AT: usize = 20;
    const FILE_NAME: usize = 1;
    const FOLDER_NAME: usize = 2;
    let record = Octets(octets);
    if let Some(needs) = needs(octets, 2) {
        return needs;
    }
    if record.short(0) == 0 {
        return Record::End;
    }
    if let Some(needs) = needs(octets, LEVEL_AT + 6) {
        return needs;
    }
    if octets.get(2) != Some(&b'-') || octets.get(6) != Some(&b'-') {
        return Record::End;
    }
    let level = record.octet(LEVEL_AT);
    let (base, mut more_at) = match level {
        0 | 1 => (record.octet(0) + 2, record.octet(0)),
        2 => (LEVEL_AT + 6, LEVEL_AT + 4),
        _ => return Record::End,
    };
    if let Some(needs) = needs(octets, base) {
        return needs;
    }
    let mut name = match level {
        0 | 1 => octets.get(22..22 + record.octet(21)).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    let (mut folder, mut end, mut headers) = (Vec::new(), base, 0);
    // Further headers, each with the next one's length at its end.
    while level > 0 && record.short(more_at) > 0 {
        let length = record.short(more_at);
        if let Some(needs) = needs(octets, end + length) {
            return needs;
        }
        let text = octets.get(end + 1..(end + length).saturating_sub(2)).unwrap_or_default();
        match record.octet(end) {
            FILE_NAME => name = text.to_vec(),
            FOLDER_NAME => {
                folder = text.iter().map(|octet| if *octet == 0xff { b'/' } else { *octet }).collect()
            }
            _ => {}
        }
        if length < 3 || headers == FURTHER_HEADERS_MAX {
            return Record::End;
        }
        (end, headers) = (end + length, headers + 1);
        more_at = end - 2;
    }
    // Some programs fill up.
    if let Some(needs) = needs(octets, record.short(0)).filter(|_| level == 2) {
        return needs;
    }
    let inside = if level == 1 { end - base } else { 0 };
    lzh_entry(&record, folder, name, inside as u64)
}

/// `inside`: octets of the data that are headers (level 1).
fn lzh_entry(record: &Octets<'_>, folder: Vec<u8>, name: Vec<u8>, inside: u64) -> Record {
    let Some(data_octets) = record.long(7).checked_sub(inside) else { return Record::End };
    let method = record.0.get(3..6).unwrap_or_default();
    if method == b"lhd" {
        return Record::Other { data_octets };
    }
    let is_stored = matches!(method, b"lh0" | b"lz4");
    Record::Entry(Entry { name: [folder, name].concat(), is_stored, data_octets, ..Entry::default() })
}

fn ace(octets: &[u8]) -> Record {
    const FILE: usize = 1;
    const HAS_DATA: usize = 1;
    const ENCRYPTED: usize = 0x4000;
    const DIRECTORY: u64 = 0x10;
    let record = Octets(octets);
    if let Some(needs) = needs(octets, 4).or_else(|| needs(octets, 4 + record.short(2))) {
        return needs;
    }
    let (kind, flags) = (record.octet(4), record.short(5));
    if record.short(2) < 3 {
        return Record::End;
    }
    let data_octets = if flags & HAS_DATA != 0 { record.long(7) } else { 0 };
    if kind != FILE || record.long(19) & DIRECTORY != 0 {
        return Record::Other { data_octets };
    }
    let name = octets.get(35..35 + record.short(33)).unwrap_or_default().to_vec();
    let (is_encrypted, is_stored) = (flags & ENCRYPTED != 0, record.octet(27) == 0);
    Record::Entry(Entry { name, is_encrypted, is_stored, data_octets, ..Entry::default() })
}

/// A header of digits and a name, filled up to four octets like what follows.
fn cpio(octets: &[u8]) -> Option<Record> {
    const HEADER_OCTETS: usize = 110;
    let record = Octets(octets);
    if let Some(needs) = needs(octets, HEADER_OCTETS) {
        return Some(needs);
    }
    let (mode, octets_inside) = (record.hexadecimal(14)?, record.hexadecimal(54)?);
    let name_octets = usize::try_from(record.hexadecimal(94)?).ok()?;
    if !octets.starts_with(b"07070") {
        return None;
    }
    if let Some(needs) = needs(octets, HEADER_OCTETS.checked_add(name_octets)?.next_multiple_of(4)) {
        return Some(needs);
    }
    let name = record.text(HEADER_OCTETS);
    let padding_octets = octets_inside.next_multiple_of(4) - octets_inside;
    Some(match mode & MODE_KIND {
        _ if name == b"TRAILER!!!" => Record::End,
        MODE_FILE => Record::Entry(Entry {
            name,
            is_encrypted: false,
            is_stored: true,
            data_octets: octets_inside,
            padding_octets,
        }),
        _ => Record::Other { data_octets: octets_inside + padding_octets },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_headers_are_bounded() {
        let arj = |headers: usize| {
            let mut octets = b"\x60\xea\x1e\0\x1e".to_vec();
            octets.resize(4 + 30 + 4, 0);
            (0..headers).for_each(|_| octets.extend_from_slice(b"\x01\0x\0\0\0\0"));
            octets.extend_from_slice(&[0, 0]);
            Format::Arj { is_first: false }.record(&octets)
        };
        let lzh = |headers: usize| {
            let mut octets = b"\x1e\0-lh0-\xff\xff\0\0\0\0\0\0\0\0\0\0\x20\x01\x05a.txt\0\0M".to_vec();
            (0..headers).for_each(|_| octets.extend_from_slice(b"\x03\0\x7f"));
            octets.extend_from_slice(&[0, 0]);
            Format::Lzh.record(&octets)
        };
        for (headers, is_read) in [
            (0, true),
            (FURTHER_HEADERS_MAX - 1, true),
            (FURTHER_HEADERS_MAX, true),
            (FURTHER_HEADERS_MAX + 1, false),
        ] {
            for record in [arj(headers), lzh(headers)] {
                assert_eq!(matches!(record, Record::Entry(_)), is_read, "{headers} {record:?}");
            }
        }
    }
}
