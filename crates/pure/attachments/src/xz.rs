//! xz: streams of blocks in LZMA2, unpacked from pushed octets (The .xz File Format 1.2.1). Checksums are not asked: what is
//! looked at is what somebody might still get out of it.

use crate::allowance::Lease;
use crate::lzma::{Decoded, Lzma, START_OCTETS};
use crate::packed::{STEP_OCTETS, Step};
use crate::varint::number;
use crate::window::Window;

const MAGIC: &[u8; 6] = b"\xfd7zXZ\0";
/// Octets of a stream's header: magic, flags and their checksum.
const STREAM_HEADER_OCTETS: usize = 12;

/// Filters by their numbers (§5.3). What those for programs change is undone by none who looks at names, beginnings and
/// texts; only lists of known content do not know it so.
const LZMA2: u64 = 0x21;
const FOR_PROGRAMS: std::ops::RangeInclusive<u64> = 0x04..=0x0b;

/// A control octet that ends a block, and those that begin chunks.
const CHUNK_RAW_ANEW: u8 = 1;
const CHUNK_RAW: u8 = 2;
const CHUNK_LZMA: u8 = 0x80;
const RESETS_STATE: u8 = 0xa0;
const HAS_PROPERTIES: u8 = 0xc0;
const EMPTIES_WINDOW: u8 = 0xe0;

/// Chunks that may each begin anew with all probabilities, and octets of the input for each one more: it costs what some
/// thousand octets cost, and programs begin anew where they must.
const RESETS_FREE: u64 = 256;
const RESET_OCTETS: u64 = 2_048;

#[derive(Debug)]
pub(crate) struct Xz {
    /// What the next block's window may take.
    lease: Option<Lease>,
    lzma: Option<Lzma>,
    check_octets: usize,
    /// Octets of the block's chunks so far, as far as its padding needs them.
    block_octets: usize,
    /// How often it has begun anew, and octets of all chunks so far.
    resets: u64,
    chunk_octets: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    StreamHeader,
    BlockHeader,
    Chunk,
    /// A chunk's range coder sets out.
    Start {
        packed: usize,
        unpacked: usize,
    },
    Lzma {
        packed: usize,
        unpacked: usize,
    },
    Raw {
        octets: usize,
    },
    /// Octets that mean nothing here, and what follows them.
    Skip {
        octets: usize,
        is_of_block: bool,
    },
    /// Behind the last block: index, footer, padding; another stream may follow.
    Between,
}

/// What one turn in [`Xz::step`] comes to: how much of the input it used, or why it did not go on.
type Turn = Result<usize, Step>;

impl Xz {
    pub(crate) fn new(lease: Lease) -> Xz {
        Xz::begun(Some(lease), None, State::StreamHeader)
    }

    fn begun(lease: Option<Lease>, lzma: Option<Lzma>, state: State) -> Xz {
        Xz { lease, lzma, check_octets: 0, block_octets: 0, resets: 0, chunk_octets: 0, state }
    }

    /// For the chunks of LZMA2 alone, as 7z has them, with the property that tells of their window.
    pub(crate) fn of_chunks(lease: Lease, property: u8, window_octets_max: u64) -> Option<Xz> {
        let window_octets = dictionary_octets(property)?.min(window_octets_max);
        let lzma = Lzma::new(Window::new(lease, window_octets));
        Some(Xz::begun(None, Some(lzma), State::Chunk))
    }

    pub(crate) fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            if out.len() >= STEP_OCTETS {
                return (used, Step::More);
            }
            let rest = input.get(used..).unwrap_or_default();
            let turn = match self.state {
                State::StreamHeader => self.stream_header(rest),
                State::BlockHeader => self.block_header(rest),
                State::Chunk => self.chunk(rest),
                State::Start { packed, unpacked } => self.start(rest, packed, unpacked),
                State::Lzma { packed, unpacked } => match self.decode(rest, packed, unpacked, out) {
                    (taken, Ok(())) => Ok(taken),
                    (taken, Err(step)) => return (used + taken, step),
                },
                State::Raw { octets } => self.raw(rest, octets, out),
                State::Skip { octets, is_of_block } => self.skip(rest, octets, is_of_block),
                State::Between => match memchr::memmem::find(rest, MAGIC) {
                    Some(at) => {
                        self.state = State::StreamHeader;
                        Ok(at)
                    }
                    None if is_all => Err(Step::Ended),
                    None => return (used + rest.len().saturating_sub(MAGIC.len() - 1), Step::Wants),
                },
            };
            match turn {
                Ok(taken) => used += taken,
                Err(step) => return (used, step),
            }
        }
    }

    fn stream_header(&mut self, input: &[u8]) -> Turn {
        let header = input.get(..STREAM_HEADER_OCTETS).ok_or(Step::Wants)?;
        let (Some(0), Some(check)) = (header.get(6), header.get(7)) else { return Err(Step::Unknown) };
        // §2.1.1.2: by threes, from four octets on, each twice the last.
        self.check_octets = match check & 0x0f {
            0 => 0,
            1..=3 => 4,
            4..=6 => 8,
            7..=9 => 16,
            10..=12 => 32,
            _ => 64,
        };
        self.state = State::BlockHeader;
        if header.starts_with(MAGIC) { Ok(STREAM_HEADER_OCTETS) } else { Err(Step::Damaged) }
    }

    fn block_header(&mut self, input: &[u8]) -> Turn {
        let length = usize::from(*input.first().ok_or(Step::Wants)?);
        if length == 0 {
            self.state = State::Between;
            return Ok(0);
        }
        let octets = (length + 1) * 4;
        let header = input.get(..octets).ok_or(Step::Wants)?;
        let window_octets = window_octets(header).ok_or(Step::Unknown)?;
        // A block refers to nothing before it; the memory of the last one's window serves again.
        match (&mut self.lzma, self.lease.take()) {
            (lzma @ None, Some(lease)) => *lzma = Some(Lzma::new(Window::new(lease, window_octets))),
            (Some(lzma), _) => lzma.window().begin_anew(window_octets),
            (None, None) => return Err(Step::Damaged),
        }
        self.block_octets = 0;
        self.state = State::Chunk;
        Ok(octets)
    }

    /// A chunk's control octet and lengths (LZMA2; liblzma's lzma2_decoder).
    fn chunk(&mut self, input: &[u8]) -> Turn {
        let lzma = self.lzma.as_mut().ok_or(Step::Damaged)?;
        let control = *input.first().ok_or(Step::Wants)?;
        let octets = match control {
            0 => 1,
            CHUNK_RAW_ANEW | CHUNK_RAW => 3,
            HAS_PROPERTIES.. => 6,
            CHUNK_LZMA.. => 5,
            _ => return Err(Step::Damaged),
        };
        let header = input.get(..octets).ok_or(Step::Wants)?;
        let length = |at: usize| {
            let pair = header.get(at..at + 2).and_then(|pair| pair.first_chunk());
            pair.map_or(0, |pair| usize::from(u16::from_be_bytes(*pair)))
        };
        if control >= EMPTIES_WINDOW || control == CHUNK_RAW_ANEW {
            lzma.window().empty();
        }
        if control >= HAS_PROPERTIES && !header.last().is_some_and(|octet| lzma.set_properties(*octet)) {
            return Err(Step::Unknown);
        }
        if control >= CHUNK_LZMA && !lzma.has_properties() {
            return Err(Step::Damaged);
        }
        if control >= RESETS_STATE {
            self.resets += 1;
            if self.resets > RESETS_FREE + self.chunk_octets / RESET_OCTETS {
                return Err(Step::Unknown);
            }
        }
        if (RESETS_STATE..HAS_PROPERTIES).contains(&control) {
            lzma.reset();
        }
        self.block_octets += octets;
        let packed = match control {
            0 => 0,
            CHUNK_RAW_ANEW | CHUNK_RAW => length(1) + 1,
            _ => length(3) + 1,
        };
        self.chunk_octets += packed as u64;
        self.state = match control {
            0 => {
                let padding = (4 - self.block_octets % 4) % 4;
                State::Skip { octets: padding + self.check_octets, is_of_block: false }
            }
            CHUNK_RAW_ANEW | CHUNK_RAW => State::Raw { octets: packed },
            _ => State::Start { packed, unpacked: (usize::from(control & 0x1f) << 16) + length(1) + 1 },
        };
        Ok(octets)
    }

    fn start(&mut self, input: &[u8], packed: usize, unpacked: usize) -> Turn {
        let lzma = self.lzma.as_mut().ok_or(Step::Damaged)?;
        let octets = input.first_chunk::<START_OCTETS>().ok_or(Step::Wants)?;
        let packed = packed.checked_sub(START_OCTETS).ok_or(Step::Damaged)?;
        self.block_octets += START_OCTETS;
        self.state = State::Lzma { packed, unpacked };
        if lzma.start(*octets) { Ok(START_OCTETS) } else { Err(Step::Damaged) }
    }

    fn decode(
        &mut self,
        input: &[u8],
        packed: usize,
        unpacked: usize,
        out: &mut Vec<u8>,
    ) -> (usize, Result<(), Step>) {
        let Some(lzma) = &mut self.lzma else { return (0, Err(Step::Damaged)) };
        let input = input.get(..packed).unwrap_or(input);
        let before = out.len();
        let octets_max = unpacked.min(STEP_OCTETS.saturating_sub(before));
        let (taken, decoded) = lzma.decode(input, input.len() == packed, octets_max, out);
        let (packed, unpacked) = (packed - taken, unpacked - (out.len() - before));
        self.block_octets += taken;
        self.state = match unpacked {
            0 => State::Skip { octets: packed, is_of_block: true },
            _ => State::Lzma { packed, unpacked },
        };
        let result = match decoded {
            Decoded::Filled => Ok(()),
            Decoded::Wants => Err(Step::Wants),
            Decoded::Ended | Decoded::Damaged => Err(Step::Damaged),
            Decoded::TooFar => Err(Step::TooFar),
        };
        (taken, result)
    }

    fn raw(&mut self, input: &[u8], octets: usize, out: &mut Vec<u8>) -> Turn {
        let lzma = self.lzma.as_mut().ok_or(Step::Damaged)?;
        let taken = octets.min(input.len()).min(STEP_OCTETS.saturating_sub(out.len()));
        if taken == 0 {
            return Err(Step::Wants);
        }
        let piece = input.get(..taken).unwrap_or_default();
        piece.iter().for_each(|octet| lzma.window().put(*octet));
        out.extend_from_slice(piece);
        self.block_octets += taken;
        self.state = if taken == octets { State::Chunk } else { State::Raw { octets: octets - taken } };
        Ok(taken)
    }

    fn skip(&mut self, input: &[u8], octets: usize, is_of_block: bool) -> Turn {
        let taken = octets.min(input.len());
        if taken < octets && taken == 0 {
            return Err(Step::Wants);
        }
        self.block_octets += taken;
        self.state = match octets - taken {
            0 if is_of_block => State::Chunk,
            0 => State::BlockHeader,
            octets => State::Skip { octets, is_of_block },
        };
        Ok(taken)
    }
}

/// The window that a block's header asks for, if its filters are understood.
fn window_octets(header: &[u8]) -> Option<u64> {
    let flags = *header.get(1)?;
    let mut rest = header.get(2..)?;
    for flag in [0x40, 0x80] {
        if flags & flag != 0 {
            (_, rest) = number(rest)?;
        }
    }
    for _ in 0..=(flags & 3) {
        let (filter, behind) = number(rest)?;
        let (octets, behind) = number(behind)?;
        let properties = behind.get(..usize::try_from(octets).ok()?)?;
        rest = behind.get(properties.len()..)?;
        match (filter, properties) {
            (LZMA2, [octet]) => return dictionary_octets(*octet),
            (filter, _) if FOR_PROGRAMS.contains(&filter) => {}
            _ => return None,
        }
    }
    None
}

/// Powers of two and what is half as much again, from 4 KiB on (§5.3.1).
fn dictionary_octets(octet: u8) -> Option<u64> {
    match octet {
        0..40 => Some((2 | u64::from(octet & 1)) << (octet / 2 + 11)),
        40 => Some(u64::from(u32::MAX)),
        _ => None,
    }
}
