//! Plain LZMA: `.lzma` (LZMA SDK, lzma.txt), lzip (draft-diaz-lzip), and entries of zip (APPNOTE.TXT 5.8).

use crate::allowance::Lease;
use crate::kind::Kind;
use crate::lzma::{Decoded, Lzma, START_OCTETS};
use crate::packed::{STEP_OCTETS, Step};
use crate::window::Window;

/// Properties, window and length.
const HEADER_OCTETS: usize = 13;
/// In a zip: the version of the packer, how long the properties are, and these.
const ZIP_HEADER_OCTETS: usize = 9;
/// Magic, version and window.
const LZIP_HEADER_OCTETS: usize = 6;
/// What lzip always writes: three bits of context, two of position.
const LZIP_PROPERTIES: u8 = 93;
/// Checksum, length and length of the member.
const LZIP_TRAILER_OCTETS: usize = 20;

#[derive(Debug)]
pub(crate) struct LzmaFile {
    lease: Option<Lease>,
    lzma: Option<Lzma>,
    form: Form,
    state: State,
}

/// What is in front of the stream and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Alone,
    Lzip,
    /// The zip's header says how long it becomes.
    Zip {
        octets: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Start {
        octets: Option<u64>,
    },
    /// So many octets are still to come, if the header says.
    Lzma {
        octets: Option<u64>,
    },
    Trailer,
    /// Another member may follow (lzip).
    Between,
}

impl LzmaFile {
    pub(crate) fn new(lease: Lease, kind: Kind) -> LzmaFile {
        let form = if kind == Kind::Lzip { Form::Lzip } else { Form::Alone };
        LzmaFile { lease: Some(lease), lzma: None, form, state: State::Header }
    }

    pub(crate) fn in_zip(lease: Lease, octets: Option<u64>) -> LzmaFile {
        LzmaFile { lease: Some(lease), lzma: None, form: Form::Zip { octets }, state: State::Header }
    }

    pub(crate) fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            // Members may be short, and many.
            if out.len() >= STEP_OCTETS {
                return (used, Step::More);
            }
            let rest = input.get(used..).unwrap_or_default();
            let turn = match self.state {
                State::Header => match self.form {
                    Form::Alone => self.header(rest),
                    Form::Lzip => self.lzip_header(rest),
                    Form::Zip { octets } => self.zip_header(rest, octets),
                },
                State::Start { octets } => self.start(rest, octets),
                State::Lzma { octets } => {
                    let (taken, step) = self.decode(rest, is_all, octets, out);
                    used += taken;
                    step.map_or(Ok(0), Err)
                }
                State::Trailer => {
                    self.state = if rest.len() < LZIP_TRAILER_OCTETS { self.state } else { State::Between };
                    if rest.len() < LZIP_TRAILER_OCTETS { Err(Step::Wants) } else { Ok(LZIP_TRAILER_OCTETS) }
                }
                State::Between if rest.starts_with(b"LZIP\x01") => {
                    self.state = State::Header;
                    Ok(0)
                }
                State::Between if is_all || !b"LZIP\x01".starts_with(rest) => Err(Step::Ended),
                State::Between => Err(Step::Wants),
            };
            match turn {
                Ok(taken) => used += taken,
                Err(step) => return (used, step),
            }
        }
    }

    fn header(&mut self, input: &[u8]) -> Result<usize, Step> {
        let (header, _) = input.split_first_chunk::<HEADER_OCTETS>().ok_or(Step::Wants)?;
        let [properties, a, b, c, d, length @ ..] = *header;
        let length = u64::from_le_bytes(length);
        self.begin(u64::from(u32::from_le_bytes([a, b, c, d])), properties)?;
        self.state = State::Start { octets: Some(length).filter(|octets| *octets != u64::MAX) };
        Ok(HEADER_OCTETS)
    }

    fn zip_header(&mut self, input: &[u8], octets: Option<u64>) -> Result<usize, Step> {
        let (header, _) = input.split_first_chunk::<ZIP_HEADER_OCTETS>().ok_or(Step::Wants)?;
        let [_, _, 5, 0, properties, window @ ..] = *header else { return Err(Step::Unknown) };
        self.begin(u64::from(u32::from_le_bytes(window)), properties)?;
        self.state = State::Start { octets };
        Ok(ZIP_HEADER_OCTETS)
    }

    fn lzip_header(&mut self, input: &[u8]) -> Result<usize, Step> {
        let (header, _) = input.split_first_chunk::<LZIP_HEADER_OCTETS>().ok_or(Step::Wants)?;
        let [.., window] = *header;
        let base = 1_u64 << (window & 0x1f);
        self.begin(base - base / 16 * u64::from(window >> 5), LZIP_PROPERTIES)?;
        self.state = State::Start { octets: None };
        Ok(LZIP_HEADER_OCTETS)
    }

    fn begin(&mut self, window_octets: u64, properties: u8) -> Result<(), Step> {
        match (&mut self.lzma, self.lease.take()) {
            (lzma @ None, Some(lease)) => *lzma = Some(Lzma::new(Window::new(lease, window_octets))),
            (Some(lzma), _) => lzma.window().begin_anew(window_octets),
            (None, None) => return Err(Step::Damaged),
        }
        let is_possible = self.lzma.as_mut().is_some_and(|lzma| lzma.set_properties(properties));
        if is_possible { Ok(()) } else { Err(Step::Unknown) }
    }

    fn start(&mut self, input: &[u8], octets: Option<u64>) -> Result<usize, Step> {
        let lzma = self.lzma.as_mut().ok_or(Step::Damaged)?;
        let start = input.first_chunk::<START_OCTETS>().ok_or(Step::Wants)?;
        self.state = State::Lzma { octets };
        if lzma.start(*start) { Ok(START_OCTETS) } else { Err(Step::Damaged) }
    }

    /// Decodes what can be; nothing to tell where the file goes on behind it.
    fn decode(
        &mut self,
        input: &[u8],
        is_all: bool,
        octets: Option<u64>,
        out: &mut Vec<u8>,
    ) -> (usize, Option<Step>) {
        let Some(lzma) = &mut self.lzma else { return (0, Some(Step::Damaged)) };
        let before = out.len();
        let room = STEP_OCTETS.saturating_sub(before);
        let octets_max = octets.map_or(room, |octets| octets.min(room as u64) as usize);
        let (taken, decoded) = lzma.decode(input, is_all, octets_max, out);
        let left = octets.map(|octets| octets - (out.len() - before) as u64);
        self.state = State::Lzma { octets: left };
        let step = match decoded {
            _ if left == Some(0) => Step::Ended,
            Decoded::Filled => Step::More,
            Decoded::Wants => Step::Wants,
            Decoded::Ended if self.form == Form::Lzip => {
                self.state = State::Trailer;
                return (taken, None);
            }
            Decoded::Ended => Step::Ended,
            Decoded::Damaged => Step::Damaged,
            Decoded::TooFar => Step::TooFar,
        };
        (taken, Some(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight thousand zeros, as lzip packs them.
    const MEMBER: &[u8] =
        b"LZIP\x01\x0d\0\0o\xfd\xff\xff\xa3\xb7\xffG>H\x15r9aQ\xb8\x92(\xe6\xa3\x86\x07\xf9\xee\xe4\x1e\x82\xd3/\xc5:<\x01&\xe9\xaa\xcd\xcf\xff\xfd\xdfP\0d\xe8KJ@\x1f\0\0\0\0\0\0G\0\0\0\0\0\0\0";

    #[test]
    fn members_that_are_short_are_unpacked_in_steps_too() {
        let lease = Lease::new(Default::default(), Default::default());
        let mut unpacker = LzmaFile::new(lease, Kind::Lzip);
        let (packed, mut used, mut all) = (MEMBER.repeat(20), 0, 0);
        loop {
            let mut out = Vec::new();
            let (taken, step) = unpacker.step(&packed[used..], true, &mut out);
            assert!(out.len() <= STEP_OCTETS, "{}", out.len());
            (used, all) = (used + taken, all + out.len());
            if step != Step::More {
                assert_eq!((step, all), (Step::Ended, 20 * 8_000));
                break;
            }
        }
    }
}
