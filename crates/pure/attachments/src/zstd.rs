//! zstd, from pushed octets (RFC 8878): frames are found here, their blocks are gathered one at a time and left to `ruzstd`.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::allowance::Lease;
use crate::packed::{STEP_OCTETS, Step};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Octets of the longest header of a frame, magic included.
const HEADER_OCTETS_MAX: usize = 18;
const BLOCK_HEADER_OCTETS: usize = 3;
/// Octets of one block (§3.1.1.2.4).
const BLOCK_OCTETS_MAX: usize = 128 * 1024;
/// The least window that programs ask for is a fourth of this.
const WINDOW_BITS_MIN: u32 = 12;
/// The longest that is kept. Of frames that ask for more is looked at what refers no farther back.
const WINDOW_BITS_MAX: u32 = 21;
/// What a decoder needs beside twice its window: a block, its literals, and its sequences, which grow by doubling.
const DECODER_OCTETS: usize = 3 * 1024 * 1024;
/// A raw block without octets that ends the frame: makes the decoder give away what it keeps.
const LAST_BLOCK: [u8; 3] = [1, 0, 0];

#[derive(Debug)]
pub(crate) struct Zstd {
    lease: Lease,
    leased: usize,
    decoder: Decoder,
    state: State,
    /// The frame asks for a longer window than is kept.
    is_cut: bool,
    has_sum: bool,
    /// There was a frame that was not to be skipped.
    has_frame: bool,
}

/// What follows once the decoder has given away what it can.
#[derive(Clone, Copy, Debug)]
enum State {
    Frame,
    Block,
    Sum,
    Skip {
        octets: u64,
    },
    /// The frame is not whole.
    Over {
        step: Step,
    },
    /// Another frame may follow.
    Between,
}

struct Decoder(FrameDecoder);

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder of {} blocks", self.0.blocks_decoded())
    }
}

impl Zstd {
    pub(crate) fn new(lease: Lease) -> Zstd {
        let decoder = Decoder(FrameDecoder::new());
        Zstd {
            lease,
            leased: 0,
            decoder,
            state: State::Frame,
            is_cut: false,
            has_sum: false,
            has_frame: false,
        }
    }

    pub(crate) fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            if self.decoder.0.can_collect() > 0 {
                out.resize(STEP_OCTETS, 0);
                let octets = self.decoder.0.read(out).unwrap_or(0);
                out.truncate(octets);
                return (used, Step::More);
            }
            let rest = input.get(used..).unwrap_or_default();
            let turn = match self.state {
                State::Frame => self.frame(rest),
                State::Block => self.block(rest),
                State::Sum if rest.len() < 4 => Err(Step::Wants),
                State::Sum => {
                    self.state = State::Between;
                    Ok(4)
                }
                State::Skip { octets } => self.skip(rest, octets),
                State::Over { step } => return (used, step),
                State::Between if rest.is_empty() && is_all => Err(Step::Ended),
                State::Between if rest.len() < 4 && !is_all => Err(Step::Wants),
                State::Between if rest.starts_with(&MAGIC) || skippable(rest).is_some() => {
                    self.state = State::Frame;
                    Ok(0)
                }
                // zstd's program unpacks these too; what only began to be skipped may be anything.
                State::Between if !self.has_frame || begins_otherwise(rest) => Err(Step::Unknown),
                State::Between => Err(Step::Ended),
            };
            match turn {
                Ok(taken) => used += taken,
                // What it keeps comes first: the beginning of what is torn is looked at too.
                Err(step @ Step::Damaged) => self.end(if self.is_cut { Step::TooFar } else { step }),
                Err(Step::Wants) if is_all => self.end(Step::Damaged),
                Err(step) => return (used, step),
            }
        }
    }

    fn end(&mut self, step: Step) {
        let _given_away =
            self.decoder.0.decode_blocks(LAST_BLOCK.as_slice(), BlockDecodingStrategy::UptoBlocks(1));
        self.state = State::Over { step };
    }

    fn frame(&mut self, input: &[u8]) -> Result<usize, Step> {
        if let Some(octets) = skippable(input) {
            let [a, b, c, d] = *octets.ok_or(Step::Wants)?;
            self.state = State::Skip { octets: u64::from(u32::from_le_bytes([a, b, c, d])) };
            return Ok(8);
        }
        let header = input.get(4..).ok_or(Step::Wants)?;
        if !input.starts_with(&MAGIC) {
            return Err(Step::Damaged);
        }
        let header = header.get(..HEADER_OCTETS_MAX - 4).unwrap_or(header);
        let Header { octets, window_octets, has_sum } = frame_header(header)?;
        let bits = u64::BITS - window_octets.saturating_sub(1).leading_zeros();
        let kept = bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        (self.is_cut, self.has_sum) = (bits > kept, has_sum);
        let wanted = (2 << kept) + DECODER_OCTETS;
        if wanted > self.leased && !self.lease.grow(wanted - self.leased) {
            return Err(Step::TooFar);
        }
        self.leased = self.leased.max(wanted);
        // The same frame, as one of a window that is kept, of unknown length and without a sum.
        let window = (kept - 10) << 3;
        let frame = [MAGIC.as_slice(), &[0, window as u8]].concat();
        self.decoder.0.reset(frame.as_slice()).map_err(|_| Step::Unknown)?;
        (self.state, self.has_frame) = (State::Block, true);
        Ok(4 + octets)
    }

    fn block(&mut self, input: &[u8]) -> Result<usize, Step> {
        let [a, b, c] = *input.first_chunk::<BLOCK_HEADER_OCTETS>().ok_or(Step::Wants)?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let octets = match header >> 1 & 3 {
            // One octet, repeated.
            1 => 1,
            _ => header as usize >> 3,
        };
        if octets > BLOCK_OCTETS_MAX || header >> 3 > BLOCK_OCTETS_MAX as u32 {
            return Err(Step::Damaged);
        }
        let octets = BLOCK_HEADER_OCTETS + octets;
        let block = input.get(..octets).ok_or(Step::Wants)?;
        let decoded = self.decoder.0.decode_blocks(block, BlockDecodingStrategy::UptoBlocks(1));
        self.state = match (header & 1, self.has_sum) {
            (0, _) => State::Block,
            (_, true) => State::Sum,
            (_, false) => State::Between,
        };
        if decoded.is_ok() { Ok(octets) } else { Err(Step::Damaged) }
    }

    fn skip(&mut self, input: &[u8], octets: u64) -> Result<usize, Step> {
        let taken = usize::try_from(octets).unwrap_or(usize::MAX).min(input.len());
        if taken == 0 && octets > 0 {
            return Err(Step::Wants);
        }
        self.state = match octets - taken as u64 {
            0 => State::Between,
            octets => State::Skip { octets },
        };
        Ok(taken)
    }
}

struct Header {
    octets: usize,
    window_octets: u64,
    has_sum: bool,
}

/// The length of a frame that is to be skipped, as far as it is there (§3.1.2).
fn skippable(input: &[u8]) -> Option<Option<&[u8; 4]>> {
    let is_skippable = matches!(input, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    is_skippable.then(|| input.get(4..).and_then(|rest| rest.first_chunk()))
}

/// Whether what follows is a frame of lz4, or of zstd before 1.0, or packed by gzip or xz.
fn begins_otherwise(rest: &[u8]) -> bool {
    matches!(
        rest,
        [0x04, 0x22, 0x4d, 0x18, ..]
            | [0x1e..=0x27, 0xb5, 0x2f, 0xfd, ..]
            | [0x1f, 0x8b, 8, ..]
            | [0xfd, b'7', b'z', b'X', ..]
    )
}

/// What a frame's header says (§3.1.1.1); one with a dictionary is not understood.
fn frame_header(header: &[u8]) -> Result<Header, Step> {
    let descriptor = *header.first().ok_or(Step::Wants)?;
    if descriptor & 0x0b != 0 {
        return Err(Step::Unknown);
    }
    let is_single = descriptor & 0x20 != 0;
    let mut at = 1;
    let mut window_octets = 0;
    if !is_single {
        let window = *header.get(at).ok_or(Step::Wants)?;
        let base = 1_u64 << (10 + (window >> 3));
        window_octets = base + base / 8 * u64::from(window & 7);
        at += 1;
    }
    let octets = match descriptor >> 6 {
        0 => usize::from(is_single),
        flag => 1 << flag,
    };
    let field = header.get(at..at + octets).ok_or(Step::Wants)?;
    if is_single {
        let number = field.iter().rev().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        window_octets = if octets == 2 { number + 256 } else { number };
    }
    Ok(Header { octets: at + octets, window_octets, has_sum: descriptor & 4 != 0 })
}
