//! tar archives: headers of 512 octets, each before its entry; names of GNU and of POSIX (POSIX.1-1988 ustar, POSIX.1-2001 pax).

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::name::{self, NAME_OCTETS_MAX};
use crate::policy::Class;

const BLOCK_OCTETS: usize = 512;

/// Octets of a long name or of a pax header that are kept.
const EXTENSION_OCTETS_MAX: usize = 4 * NAME_OCTETS_MAX;

#[derive(Debug)]
pub(crate) struct TarReader {
    place: Vec<String>,
    nesting: Nesting,
    block: Vec<u8>,
    state: State,
    /// What follows when a sparse file's map has passed: blocks of it, as long as each says that there is another (GNU).
    after_map: Option<State>,
    /// A name that the next header's entry has instead of its own.
    long_name: Option<Vec<u8>>,
    /// Its length, likewise.
    octets: Option<u64>,
}

#[derive(Debug)]
enum State {
    Header,
    /// Octets of an entry, and padding behind them.
    Entry {
        octets: u64,
        padding: u64,
        inside: Inside,
    },
    Ended,
}

#[derive(Debug)]
enum Inside {
    Content(Box<Content>),
    /// A name that is the whole of it (GNU), or a record in it (pax).
    Name {
        octets: Vec<u8>,
        is_pax: bool,
    },
    Nothing,
}

impl TarReader {
    pub(crate) fn new(archive: &Content) -> TarReader {
        TarReader {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            block: Vec::new(),
            state: State::Header,
            after_map: None,
            long_name: None,
            octets: None,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = match &mut self.state {
                State::Header => self.feed_header(rest, examination),
                State::Entry { octets, inside, .. } if *octets > 0 => {
                    let taken = usize::try_from(*octets).unwrap_or(usize::MAX).min(rest.len());
                    let (piece, behind) = rest.split_at(taken);
                    *octets -= taken as u64;
                    inside.feed(piece, examination);
                    behind
                }
                State::Entry { padding, .. } if *padding > 0 => {
                    let taken = usize::try_from(*padding).unwrap_or(usize::MAX).min(rest.len());
                    *padding -= taken as u64;
                    rest.get(taken..).unwrap_or_default()
                }
                State::Entry { .. } => {
                    self.end_entry(examination);
                    rest
                }
                State::Ended => return,
            };
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.end_entry(examination);
    }

    fn end_entry(&mut self, examination: &mut Examination) {
        let State::Entry { inside, .. } = std::mem::replace(&mut self.state, State::Header) else { return };
        match inside {
            Inside::Content(content) => content.finish(examination),
            Inside::Name { octets, is_pax: false } => {
                self.long_name = octets.split(|octet| *octet == 0).next().map(<[u8]>::to_vec);
            }
            Inside::Name { octets, is_pax: true } => {
                let name = pax_value(&octets, b"path=").map(<[u8]>::to_vec);
                let digits = pax_value(&octets, b"size=").and_then(|digits| std::str::from_utf8(digits).ok());
                self.long_name = name.or(self.long_name.take());
                self.octets = digits.and_then(|digits| digits.parse().ok()).or(self.octets);
            }
            Inside::Nothing => {}
        }
    }

    fn feed_header<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        let (piece, rest) = octets.split_at(octets.len().min(BLOCK_OCTETS - self.block.len()));
        self.block.extend_from_slice(piece);
        if self.block.len() < BLOCK_OCTETS {
            return rest;
        }
        let block = std::mem::take(&mut self.block);
        if let Some(after_map) = self.after_map.take_if(|_| block.get(504) == Some(&0)) {
            self.state = after_map;
            return rest;
        }
        if self.after_map.is_some() {
            return rest;
        }
        if block.iter().all(|octet| *octet == 0) {
            // The end of the archive; some programs go on behind it.
            return rest;
        }
        if !has_right_sum(&block) {
            // The next header may follow at any block.
            examination.find(Class::Opaque, &self.place, "is damaged and was not looked into everywhere");
            return rest;
        }
        self.begin_entry(&block, examination);
        rest
    }

    fn begin_entry(&mut self, block: &[u8], examination: &mut Examination) {
        let kind = block.get(156).copied().unwrap_or(0);
        let is_extension = matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g');
        let octets = number(block.get(124..136).unwrap_or_default()).unwrap_or(0);
        let octets = if is_extension { octets } else { self.octets.take().unwrap_or(octets) };
        let padding = (BLOCK_OCTETS as u64 - octets % BLOCK_OCTETS as u64) % BLOCK_OCTETS as u64;
        let inside = match kind {
            b'L' => Inside::Name { octets: Vec::new(), is_pax: false },
            b'x' | b'X' => Inside::Name { octets: Vec::new(), is_pax: true },
            b'0' | b'7' | 0 | b'S' => {
                if !examination.count_entry() {
                    examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
                    self.state = State::Ended;
                    return;
                }
                let name = self.long_name.take().unwrap_or_else(|| short_name(block));
                let names = vec![name::text_of(&name)];
                let content =
                    Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination);
                Inside::Content(Box::new(content))
            }
            _ => Inside::Nothing,
        };
        if !is_extension {
            self.long_name = None;
        }
        // Links and directories have no octets, whatever their header says.
        let has_octets = !matches!(kind, b'1'..=b'6');
        let (octets, padding) = if has_octets { (octets, padding) } else { (0, 0) };
        let entry = State::Entry { octets, padding, inside };
        if kind == b'S' && block.get(482).is_some_and(|more| *more != 0) {
            self.after_map = Some(entry);
        } else {
            self.state = entry;
        }
    }
}

impl Inside {
    fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        match self {
            Inside::Content(content) => content.feed(octets, examination),
            Inside::Name { octets: kept, .. } => {
                let room = EXTENSION_OCTETS_MAX - kept.len();
                kept.extend_from_slice(octets.get(..room).unwrap_or(octets));
            }
            Inside::Nothing => {}
        }
    }
}

/// Whether a header's sum of octets, its own field taken as blanks, is what it says. Some programs took octets for signed.
pub(crate) fn has_right_sum(block: &[u8]) -> bool {
    let (Some(block), Some(said)) = (block.get(..BLOCK_OCTETS), block.get(148..156).and_then(number)) else {
        return false;
    };
    let octets =
        || block.iter().enumerate().map(|(at, octet)| if (148..156).contains(&at) { b' ' } else { *octet });
    let unsigned: i64 = octets().map(i64::from).sum();
    let signed: i64 = octets().map(|octet| i64::from(octet.cast_signed())).sum();
    i64::try_from(said).is_ok_and(|said| said == unsigned || said == signed)
}

/// A number: octal, or binary where the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        return Some(
            field
                .iter()
                .skip(field.len().saturating_sub(8))
                .fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
        );
    }
    let digits = field.iter().copied().skip_while(|octet| *octet == b' ').take_while(u8::is_ascii_digit);
    let digits: String = digits.map(char::from).collect();
    u64::from_str_radix(&digits, 8).ok()
}

fn short_name(block: &[u8]) -> Vec<u8> {
    let text = |from: usize, to: usize| {
        let field = block.get(from..to).unwrap_or_default();
        field.split(|octet| *octet == 0).next().unwrap_or_default().to_vec()
    };
    let prefix = if block.get(257..263) == Some(b"ustar\0") { text(345, 500) } else { Vec::new() };
    if prefix.is_empty() { text(0, 100) } else { [prefix.as_slice(), b"/", &text(0, 100)].concat() }
}

/// The value of a key in records `LENGTH KEY=VALUE\n`.
fn pax_value<'r>(records: &'r [u8], key: &[u8]) -> Option<&'r [u8]> {
    let mut rest = records;
    while let Some(blank) = memchr::memchr(b' ', rest) {
        let length = std::str::from_utf8(rest.get(..blank)?).ok()?.parse::<usize>().ok()?;
        let record = rest.get(blank + 1..length.min(rest.len()))?;
        if let Some(value) = record.strip_prefix(key) {
            return Some(value.strip_suffix(b"\n").unwrap_or(value));
        }
        rest = rest.get(length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_records() {
        for (field, expected) in [
            (b"0000644 ".as_slice(), Some(0o644)),
            (b"  12\0", Some(10)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(u64::MAX)),
            (b"x", None),
            (b"", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
        let records = b"12 size=123\n15 path=a/b.js\n";
        assert_eq!(pax_value(records, b"path="), Some(b"a/b.js".as_slice()));
        assert_eq!(pax_value(records, b"size="), Some(b"123".as_slice()));
        for broken in [b"x path=a\n".as_slice(), b"99 size=1\n", b"0 path=a\n", b"3 path=a\n", b"path"] {
            assert_eq!(pax_value(broken, b"path="), None, "{}", broken.escape_ascii());
        }
    }
}
