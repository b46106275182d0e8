//! LZX, a packing of cabinets ([MS-PATCH] §2, without deltas): blocks of symbols by prefix codes, cut into frames of which each
//! stands by itself in a block of the cabinet.

use crate::allowance::Lease;
use crate::packed::Step;
use crate::prefix_code::{Bits, Code};
use crate::window::Window;

/// Octets of a frame.
const FRAME_OCTETS: usize = 32 * 1024;
/// Octets in which a frame is packed: as many as a block of a cabinet has.
const PACKED_OCTETS_MAX: usize = 64 * 1024;
/// Windows are powers of two.
pub(crate) const WINDOW_BITS: std::ops::RangeInclusive<u32> = 15..=21;

const OCTETS: usize = 256;
/// Symbols for each distance, by their lengths.
const LENGTHS: usize = 8;
const LENGTH_SYMBOLS: usize = 249;
const PRE_SYMBOLS: usize = 20;
const ALIGNED_SYMBOLS: usize = 8;
const MAIN_QUICK_BITS: u32 = 9;
const QUICK_BITS: u32 = 7;
/// The shortest match.
const MATCH_OCTETS: usize = 2;
/// Words are up to 16 bits long.
const LENGTH_MODULUS: u8 = 17;

/// Blocks, each of which may have codes of its own, and octets of the packed for each one more: codes cost what some thousand
/// octets cost, and programs begin anew where it pays.
const BLOCKS_FREE: u64 = 64;
const BLOCKS_OCTETS: u64 = 128;

/// Calls are only changed in so many frames, where they end so many octets before the end of one.
const CALL_FRAMES: u64 = 32_768;
const CALL_END_OCTETS: usize = 10;

#[derive(Debug)]
pub(crate) struct Lzx {
    _lease: Lease,
    window: Window,
    /// The frame as it is packed, and what it becomes.
    packed: Vec<u8>,
    made: Vec<u8>,
    frame_octets: usize,
    frames: u64,
    packed_octets: u64,
    blocks: u64,
    block: Block,
    distances: [u32; 3],
    main_lengths: Vec<u8>,
    length_lengths: Vec<u8>,
    codes: Option<Codes>,
    /// Of the program whose calls were changed; zero for none.
    program_octets: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    form: Form,
    octets: usize,
    /// Its last octet is followed by one that is none.
    is_odd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Verbatim,
    Aligned,
    Stored,
}

#[derive(Debug)]
struct Codes {
    main: Code,
    length: Code,
    aligned: Code,
}

/// The least value that a slot stands for, and bits of what is added to it.
fn slot(number: u32) -> (u32, u32) {
    match number {
        0..4 => (number, 0),
        4..36 => ((2 | number & 1) << (number / 2 - 1), number / 2 - 1),
        _ => ((number - 34) << 17, 17),
    }
}

impl Lzx {
    /// With a window of one of [`WINDOW_BITS`]; none if there is no memory for it.
    pub(crate) fn new(mut lease: Lease, window_lease: Lease, window_bits: u32) -> Option<Lzx> {
        let slots = match window_bits {
            20 => 42,
            21 => 50,
            bits => 2 * bits as usize,
        };
        lease.grow(2 * FRAME_OCTETS + PACKED_OCTETS_MAX).then(|| Lzx {
            _lease: lease,
            window: Window::new(window_lease, 1 << window_bits),
            packed: Vec::new(),
            made: Vec::new(),
            frame_octets: 0,
            frames: 0,
            packed_octets: 0,
            blocks: 0,
            block: Block { form: Form::Stored, octets: 0, is_odd: false },
            distances: [1; 3],
            main_lengths: vec![0; OCTETS + slots * LENGTHS],
            length_lengths: vec![0; LENGTH_SYMBOLS],
            codes: None,
            program_octets: 0,
        })
    }

    /// A frame that becomes so many octets.
    pub(crate) fn begin_block(&mut self, octets: usize) {
        self.packed.clear();
        self.made.clear();
        self.frame_octets = octets;
    }

    pub(crate) fn feed(&mut self, octets: &[u8]) {
        self.packed.extend_from_slice(octets);
    }

    /// What the frame has become.
    pub(crate) fn made(&self) -> &[u8] {
        &self.made
    }

    pub(crate) fn end_block(&mut self) -> Step {
        if self.frame_octets > FRAME_OCTETS {
            return Step::Damaged;
        }
        let mut packed = std::mem::take(&mut self.packed);
        // Bits are in pairs of octets, of which the second is the higher.
        if !packed.len().is_multiple_of(2) {
            packed.push(0);
        }
        packed.chunks_exact_mut(2).for_each(<[u8]>::reverse);
        let decoded = self.decode(&mut Bits::new(&packed, 0), &packed);
        self.packed_octets += packed.len() as u64;
        self.packed = packed;
        self.undo_calls();
        self.frames += 1;
        decoded.err().unwrap_or(Step::More)
    }

    fn decode(&mut self, bits: &mut Bits<'_>, packed: &[u8]) -> Result<(), Step> {
        if self.frames == 0 && bits.take(1) != 0 {
            self.program_octets = bits.take(16) << 16 | bits.take(16);
        }
        while self.made.len() < self.frame_octets {
            if self.block.octets == 0 {
                self.begin_form(bits, packed)?;
                continue;
            }
            let before = self.made.len();
            match self.block.form {
                Form::Stored => self.stored(bits, packed)?,
                Form::Verbatim | Form::Aligned => self.symbol(bits)?,
            }
            let octets = self.made.len() - before;
            if bits.is_short() || self.made.len() > self.frame_octets {
                return Err(Step::Damaged);
            }
            self.block.octets = self.block.octets.checked_sub(octets).ok_or(Step::Damaged)?;
        }
        // What follows an odd block may end the frame.
        self.block.is_odd &= self.block.octets > 0 || bits.left() < 8;
        Ok(())
    }

    fn begin_form(&mut self, bits: &mut Bits<'_>, packed: &[u8]) -> Result<(), Step> {
        self.blocks += 1;
        let passed = self.packed_octets + bits.at() as u64 / 8;
        if self.blocks > BLOCKS_FREE + passed / BLOCKS_OCTETS {
            return Err(Step::Unknown);
        }
        if std::mem::take(&mut self.block.is_odd) {
            let _padding = bits.take(8);
        }
        let form = match bits.take(3) {
            1 => Form::Verbatim,
            2 => Form::Aligned,
            3 => Form::Stored,
            _ => return Err(Step::Damaged),
        };
        let octets = (bits.take(16) << 8 | bits.take(8)) as usize;
        self.block = Block { form, octets, is_odd: form == Form::Stored && !octets.is_multiple_of(2) };
        if form == Form::Stored {
            // Up to the next pair of octets, at least one bit.
            let padding = 16 - bits.at() % 16;
            let _padding = bits.take(padding as u32);
            for distance in &mut self.distances {
                let mut octets = [0; 4];
                for octet in &mut octets {
                    *octet = stored_octet(bits, packed)?;
                }
                *distance = u32::from_le_bytes(octets);
            }
        } else {
            self.read_codes(bits, form)?;
        }
        if bits.is_short() { Err(Step::Damaged) } else { Ok(()) }
    }

    fn read_codes(&mut self, bits: &mut Bits<'_>, form: Form) -> Result<(), Step> {
        let mut aligned = [0; ALIGNED_SYMBOLS];
        if form == Form::Aligned {
            aligned.fill_with(|| bits.take(3) as u8);
        }
        let (octets, matches) = self.main_lengths.split_at_mut(OCTETS);
        for lengths in [octets, matches, self.length_lengths.as_mut_slice()] {
            read_lengths(bits, lengths).ok_or(Step::Damaged)?;
        }
        self.codes = Some(Codes {
            main: Code::new(&self.main_lengths, MAIN_QUICK_BITS),
            length: Code::new(&self.length_lengths, QUICK_BITS),
            aligned: Code::new(&aligned, QUICK_BITS),
        });
        Ok(())
    }

    /// What there is of a stored block in this frame.
    fn stored(&mut self, bits: &mut Bits<'_>, packed: &[u8]) -> Result<(), Step> {
        let octets = self.block.octets.min(self.frame_octets - self.made.len());
        for _ in 0..octets {
            let octet = stored_octet(bits, packed)?;
            self.window.put(octet);
            self.made.push(octet);
        }
        Ok(())
    }

    fn symbol(&mut self, bits: &mut Bits<'_>) -> Result<(), Step> {
        let codes = self.codes.as_ref().ok_or(Step::Damaged)?;
        let symbol = bits.symbol(&codes.main).ok_or(Step::Damaged)?;
        let Some(matched) = symbol.checked_sub(OCTETS) else {
            if bits.is_short() {
                return Err(Step::Damaged);
            }
            self.window.put(symbol as u8);
            self.made.push(symbol as u8);
            return Ok(());
        };
        let length = match matched % LENGTHS {
            7 => 7 + bits.symbol(&codes.length).ok_or(Step::Damaged)?,
            length => length,
        };
        let distance = match matched / LENGTHS {
            number @ 0..3 => {
                self.distances.swap(0, number);
                let [first, ..] = self.distances;
                first
            }
            number => {
                let (least, more) = slot(number as u32);
                let rest = match more {
                    3.. if self.block.form == Form::Aligned => {
                        let high = bits.take(more - 3) << 3;
                        high | bits.symbol(&codes.aligned).ok_or(Step::Damaged)? as u32
                    }
                    _ => bits.take(more),
                };
                let distance = least + rest - 2;
                self.distances.rotate_right(1);
                let [first, ..] = &mut self.distances;
                *first = distance;
                distance
            }
        };
        if bits.is_short() {
            return Err(Step::Damaged);
        }
        let distance = distance.checked_sub(1).ok_or(Step::Damaged)?;
        Ok(self.window.repeat(distance, length + MATCH_OCTETS, &mut self.made)?)
    }

    /// Makes addresses of calls relative again.
    fn undo_calls(&mut self) {
        const CALL: u8 = 0xe8;
        if self.program_octets == 0 || self.frames >= CALL_FRAMES {
            return;
        }
        let begins = self.frames as usize * FRAME_OCTETS;
        let (size, end) = (self.program_octets as i32, self.made.len().saturating_sub(CALL_END_OCTETS));
        let mut at = 0;
        while at < end {
            let Some([octet, address @ ..]) =
                self.made.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<5>())
            else {
                return;
            };
            if *octet != CALL {
                at += 1;
                continue;
            }
            let (here, absolute) = ((begins + at) as i32, i32::from_le_bytes(*address));
            if absolute >= here.wrapping_neg() && absolute < size {
                let relative =
                    if absolute >= 0 { absolute.wrapping_sub(here) } else { absolute.wrapping_add(size) };
                *address = relative.to_le_bytes();
            }
            at += 5;
        }
    }
}

/// An octet that is not in pairs.
fn stored_octet(bits: &mut Bits<'_>, packed: &[u8]) -> Result<u8, Step> {
    let at = bits.at() / 8;
    let _octet = bits.take(8);
    packed.get(at ^ 1).copied().ok_or(Step::Damaged)
}

/// Reads lengths of words, each by its difference to the one that is there.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Option<()> {
    let mut pre = [0; PRE_SYMBOLS];
    pre.fill_with(|| bits.take(4) as u8);
    let code = Code::new(&pre, QUICK_BITS);
    let differing = |length: u8, difference: usize| {
        (length + LENGTH_MODULUS - difference as u8 % LENGTH_MODULUS) % LENGTH_MODULUS
    };
    let mut at = 0;
    while at < lengths.len() {
        let now = *lengths.get(at)?;
        let (times, length) = match bits.symbol(&code)? {
            17 => (4 + bits.take(4), 0),
            18 => (20 + bits.take(5), 0),
            19 => {
                let times = 4 + bits.take(1);
                let symbol = bits.symbol(&code).filter(|symbol| *symbol < 17)?;
                (times, differing(now, symbol))
            }
            symbol => (1, differing(now, symbol)),
        };
        let end = (at + times as usize).min(lengths.len());
        lengths.get_mut(at..end)?.fill(length);
        at = end;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of a block of no octets whose codes have no words.
    const EMPTY_BLOCK_BITS: usize = 3 + 24 + 3 * 4 * PRE_SYMBOLS + (6 + 5 + 5) * 6;

    /// So many blocks of no octets, then one that is stored.
    fn frame(empty: usize, octets: &[u8]) -> Vec<u8> {
        let mut bits = vec![false];
        let mut put =
            |value: u32, count: u32| bits.extend((0..count).rev().map(|place| value >> place & 1 != 0));
        for _ in 0..empty {
            put(1, 3);
            put(0, 24);
            // The one symbol says that 51 lengths are zero.
            for times in [6, 5, 5] {
                (0..PRE_SYMBOLS).for_each(|symbol| put(u32::from(symbol == 18), 4));
                (0..times).for_each(|_| put(31, 6));
            }
        }
        put(3, 3);
        put(octets.len() as u32, 24);
        bits.resize(bits.len() / 16 * 16 + 16, false);
        let pairs =
            bits.chunks(16).map(|pair| pair.iter().fold(0_u16, |all, bit| all << 1 | u16::from(*bit)));
        let mut packed: Vec<u8> = pairs.flat_map(u16::to_le_bytes).collect();
        (0..3).for_each(|_| packed.extend_from_slice(&1_u32.to_le_bytes()));
        packed.extend_from_slice(octets);
        packed
    }

    fn unpacked(frame: &[u8], octets: usize) -> (Step, Vec<u8>) {
        let lease = || Lease::new(Default::default(), Default::default());
        let mut unpacker = Lzx::new(lease(), lease(), 15).unwrap();
        unpacker.begin_block(octets);
        unpacker.feed(frame);
        (unpacker.end_block(), unpacker.made().to_vec())
    }

    #[test]
    fn blocks_and_their_codes_are_bounded() {
        assert_eq!(unpacked(&frame(0, b"hello"), 5), (Step::More, b"hello".to_vec()));
        assert_eq!(unpacked(&frame(0, b"hello"), 4), (Step::More, b"hell".to_vec()));
        assert_eq!(unpacked(&frame(0, b"hello"), 6).0, Step::Damaged);
        let is_too_many = |block: &usize| *block > 64 + ((block - 1) * EMPTY_BLOCK_BITS + 1) / 8 / 128;
        let first = (1..).find(is_too_many).unwrap();
        for (blocks, expected) in [(first - 2, Step::More), (first - 1, Step::More), (first, Step::Unknown)] {
            assert_eq!(unpacked(&frame(blocks - 1, b"hello"), 5).0, expected, "{blocks}");
        }
    }

    #[test]
    fn frames_are_bounded() {
        for (octets, expected) in [(32_767, Step::More), (32_768, Step::More), (32_769, Step::Damaged)] {
            assert_eq!(unpacked(&frame(0, &[7; 32_769]), octets).0, expected, "{octets}");
        }
    }

    #[test]
    fn slots_follow_each_other() {
        let mut next = 0;
        for number in 0..50 {
            let (least, more) = slot(number);
            assert_eq!(least, next, "{number}");
            next = least + (1 << more);
        }
        assert_eq!(next, 1 << 21);
    }
}
