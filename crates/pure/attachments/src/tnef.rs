//! winmail.dat: attachments as Outlook packs them among its own attributes (MS-OXTNEF). What is packed is judged like any
//! attachment; nothing else is read.

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::name::{self, NAME_OCTETS_MAX};
use crate::policy::Class;

/// Octets in front of the first attribute: signature and key (MS-OXTNEF §2.1.3.1).
const HEADER_OCTETS: usize = 6;

/// Octets in front of an attribute's data: level, number, length; behind it stands a checksum of two.
const ATTRIBUTE_OCTETS: usize = 9;
const CHECKSUM_OCTETS: usize = 2;

/// Octets of an attachment's properties that are kept: a long name is among the first.
const PROPERTIES_OCTETS_MAX: usize = 8 * 1024;

/// Numbers of attributes (MS-OXTNEF §2.1.3.2).
const RENDERING: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;
const PROPERTIES: u32 = 0x0006_9005;

/// Properties with the whole name, in eight bits and in UTF-16 (MS-OXPROPS §2.586), each with a count of one.
const LONG_NAME: &[u8] = b"\x1e\0\x07\x37\x01\0\0\0";
const LONG_NAME_UTF16: &[u8] = b"\x1f\0\x07\x37\x01\0\0\0";

#[derive(Debug)]
pub(crate) struct TnefReader {
    place: Vec<String>,
    nesting: Nesting,
    /// The title of the attachment at hand.
    title: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Skip(u64),
    Attribute(Vec<u8>),
    Value { left: u64, inside: Inside },
    Ended,
}

#[derive(Debug)]
enum Inside {
    Nothing,
    Title(Vec<u8>),
    Data(Box<Content>),
    Properties(Vec<u8>),
}

impl TnefReader {
    pub(crate) fn new(file: &Content) -> TnefReader {
        TnefReader {
            place: file.place.clone(),
            nesting: file.nesting.in_archive(),
            title: Vec::new(),
            state: State::Skip(HEADER_OCTETS as u64),
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = self.step(rest, examination);
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.end_value(examination);
    }

    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        match &mut self.state {
            State::Skip(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Attribute(Vec::new());
                }
                octets.get(taken..).unwrap_or_default()
            }
            State::Attribute(header) => {
                let (piece, rest) = octets.split_at(octets.len().min(ATTRIBUTE_OCTETS - header.len()));
                header.extend_from_slice(piece);
                if header.len() == ATTRIBUTE_OCTETS {
                    self.begin_value(examination);
                }
                rest
            }
            State::Value { left, inside } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                let (piece, rest) = octets.split_at(taken);
                *left -= taken as u64;
                let is_over = *left == 0;
                inside.feed(piece, examination);
                if is_over {
                    self.end_value(examination);
                }
                rest
            }
            State::Ended => &[],
        }
    }

    fn begin_value(&mut self, examination: &mut Examination) {
        let State::Attribute(header) = std::mem::replace(&mut self.state, State::Ended) else { return };
        let Some(&[level, a, b, c, d, e, f, g, h]) = header.first_chunk::<ATTRIBUTE_OCTETS>() else { return };
        let (number, octets) =
            (u32::from_le_bytes([a, b, c, d]), u64::from(u32::from_le_bytes([e, f, g, h])));
        if !matches!(level, 1 | 2) {
            examination.find(Class::Opaque, &self.place, "is damaged and was not looked into to its end");
            return;
        }
        let inside = match number {
            TITLE => Inside::Title(Vec::new()),
            PROPERTIES => Inside::Properties(Vec::new()),
            DATA if !examination.count_entry() => {
                examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
                return;
            }
            DATA => Inside::Data(Box::new(self.content(examination))),
            _ => Inside::Nothing,
        };
        if number == RENDERING {
            self.title.clear();
        }
        self.state = match octets {
            0 => State::Skip(CHECKSUM_OCTETS as u64),
            left => State::Value { left, inside },
        };
    }

    fn content(&self, examination: &mut Examination) -> Content {
        let names = Some(name::text_of(&self.title)).filter(|name| !name.is_empty()).into_iter().collect();
        Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination)
    }

    fn end_value(&mut self, examination: &mut Examination) {
        let next = State::Skip(CHECKSUM_OCTETS as u64);
        let State::Value { inside, .. } = std::mem::replace(&mut self.state, next) else { return };
        match inside {
            Inside::Nothing => {}
            Inside::Title(octets) => {
                self.title = octets.split(|octet| *octet == 0).next().unwrap_or_default().to_vec()
            }
            Inside::Data(content) => content.finish(examination),
            Inside::Properties(octets) => {
                // The whole name stands behind the data that it is of; it is judged by itself.
                let name =
                    long_name(&octets).filter(|name| !name.is_empty() && *name != name::text_of(&self.title));
                if let Some(name) = name.filter(|_| examination.count_entry()) {
                    let names = vec![name];
                    Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination)
                        .finish(examination);
                }
            }
        }
    }
}

impl Inside {
    fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let keep = |kept: &mut Vec<u8>, octets_max: usize| {
            let room = octets_max - kept.len();
            kept.extend_from_slice(octets.get(..room).unwrap_or(octets));
        };
        match self {
            Inside::Nothing => {}
            Inside::Title(kept) => keep(kept, NAME_OCTETS_MAX),
            Inside::Properties(kept) => keep(kept, PROPERTIES_OCTETS_MAX),
            Inside::Data(content) => content.feed(octets, examination),
        }
    }
}

/// The whole name among an attachment's properties.
fn long_name(properties: &[u8]) -> Option<String> {
    let value = |property: &[u8]| {
        let at = memchr::memmem::find(properties, property)? + property.len();
        let (octets, rest) = properties.get(at..)?.split_first_chunk::<4>()?;
        rest.get(..usize::try_from(u32::from_le_bytes(*octets)).ok()?.min(2 * NAME_OCTETS_MAX))
    };
    if let Some(value) = value(LONG_NAME_UTF16) {
        let units: Vec<u16> = value.as_chunks::<2>().0.iter().map(|two| u16::from_le_bytes(*two)).collect();
        return Some(name::bounded(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned()));
    }
    value(LONG_NAME).map(|value| name::text_of(value.split(|octet| *octet == 0).next().unwrap_or_default()))
}
