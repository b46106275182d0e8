//! The coding of RAR 5: blocks, each with its length in front, of symbols by four prefix codes.

use crate::packed::Step;
use crate::prefix_code::{Bits, Code};
use crate::rar_filter::Change;
use crate::rar_unpack::{Symbol, Target, read_lengths};

/// Symbols of each of the codes: octets and matches, distances, the low bits of these, lengths at a distance used before.
const MAIN_SYMBOLS: usize = 306;
const DISTANCE_SYMBOLS: usize = 64;
const LOW_SYMBOLS: usize = 16;
const LENGTH_SYMBOLS: usize = 44;
const ALL_SYMBOLS: usize = MAIN_SYMBOLS + DISTANCE_SYMBOLS + LOW_SYMBOLS + LENGTH_SYMBOLS;
const MAIN_QUICK_BITS: u32 = 9;
const QUICK_BITS: u32 = 7;

/// What the symbols behind the octets say.
const FILTER: usize = 256;
const AGAIN: usize = 257;
const AT_LAST_DISTANCES: usize = 258;
const MATCHES: usize = 262;

/// Bits with which any symbol can be decoded; while more may follow it waits for so many. A filter has most of them.
const SYMBOL_BITS_MAX: usize = 128;
/// Octets of a block's header, beside those of its length, which are up to three.
const HEADER_OCTETS: usize = 2;
/// What all octets of a block's header come to.
const HEADER_SUM: u8 = 0x5a;

#[derive(Debug, Default)]
pub(crate) struct Rar5Code {
    block: Option<Block>,
    codes: Option<Codes>,
    /// The last distances, the last used first; zero where there was none.
    distances: [u32; 4],
    octets: usize,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    bits: usize,
    is_last: bool,
    has_codes: bool,
}

#[derive(Debug)]
struct Codes {
    main: Code,
    distance: Code,
    low: Code,
    length: Code,
}

impl Codes {
    fn read(bits: &mut Bits<'_>) -> Option<Codes> {
        let mut lengths = [0; ALL_SYMBOLS];
        read_lengths(bits, &mut lengths)?;
        let (main, rest) = lengths.split_at(MAIN_SYMBOLS);
        let (distance, rest) = rest.split_at(DISTANCE_SYMBOLS);
        let (low, length) = rest.split_at(LOW_SYMBOLS);
        Some(Codes {
            main: Code::new(main, MAIN_QUICK_BITS),
            distance: Code::new(distance, QUICK_BITS),
            low: Code::new(low, QUICK_BITS),
            length: Code::new(length, QUICK_BITS),
        })
    }

    fn distance(&self, bits: &mut Bits<'_>) -> Option<u32> {
        let slot = bits.symbol(&self.distance)? as u32;
        if slot < 4 {
            return Some(slot);
        }
        let more = slot / 2 - 1;
        let base = (2 | slot & 1) << more;
        if more < 4 {
            return Some(base + bits.take(more));
        }
        let high = bits.take(more - 4) << 4;
        Some(base + high + bits.symbol(&self.low)? as u32)
    }
}

/// The octets of a match by the number of its length.
fn octets_of(number: usize, bits: &mut Bits<'_>) -> usize {
    if number < 8 {
        return 2 + number;
    }
    let more = number / 4 - 1;
    2 + ((4 | number & 3) << more) + bits.take(more as u32) as usize
}

impl Rar5Code {
    /// What was learned before stays.
    pub(crate) fn begin_entry(&mut self) {
        self.block = None;
    }

    pub(crate) fn decode(
        &mut self,
        bits: &mut Bits<'_>,
        is_all: bool,
        target: &mut Target<'_>,
    ) -> Result<(), Step> {
        while !target.is_full() {
            let bits_left = self.reach_symbol(bits, is_all, target)?;
            if !is_all && bits.left() < SYMBOL_BITS_MAX {
                return Err(Step::Wants);
            }
            let begin = bits.at();
            let symbol = self.symbol(bits, target)?;
            let bits_left = bits_left.checked_sub(bits.at() - begin).filter(|_| !bits.is_short());
            self.set_bits_left(bits_left.ok_or(Step::Damaged)?);
            target.write(symbol)?;
        }
        Ok(())
    }

    /// Behind the last octet of an entry: another's codes may stand there. Whether nothing else does.
    pub(crate) fn close(
        &mut self,
        bits: &mut Bits<'_>,
        is_all: bool,
        target: &mut Target<'_>,
    ) -> Result<bool, Step> {
        match self.reach_symbol(bits, is_all, target) {
            Ok(_) => Ok(false),
            Err(Step::Wants) => Err(Step::Wants),
            Err(_) => Ok(true),
        }
    }

    /// Reads ends of blocks, headers and codes until a symbol is next: bits of its block that are left.
    fn reach_symbol(
        &mut self,
        bits: &mut Bits<'_>,
        is_all: bool,
        target: &mut Target<'_>,
    ) -> Result<usize, Step> {
        loop {
            match self.block {
                None => self.block = Some(begin_block(bits, is_all)?),
                Some(block) if block.has_codes => {
                    let mut ahead = *bits;
                    let codes = Codes::read(&mut ahead);
                    if ahead.is_short() {
                        return Err(if is_all { Step::Damaged } else { Step::Wants });
                    }
                    let bits_left = block.bits.checked_sub(ahead.at() - bits.at());
                    *bits = ahead;
                    target.begin_codes(bits)?;
                    self.codes = Some(codes.ok_or(Step::Damaged)?);
                    self.block =
                        Some(Block { bits: bits_left.ok_or(Step::Damaged)?, has_codes: false, ..block });
                }
                Some(block) if block.bits > 0 => return Ok(block.bits),
                Some(block) => {
                    bits.align();
                    self.block = None;
                    if block.is_last {
                        return Err(Step::Ended);
                    }
                }
            }
        }
    }

    fn set_bits_left(&mut self, bits: usize) {
        if let Some(block) = &mut self.block {
            block.bits = bits;
        }
    }

    fn symbol(&mut self, bits: &mut Bits<'_>, target: &mut Target<'_>) -> Result<Symbol, Step> {
        let codes = self.codes.as_ref().ok_or(Step::Damaged)?;
        match bits.symbol(&codes.main).ok_or(Step::Damaged)? {
            octet @ 0..FILTER => return Ok(Symbol::Literal(octet as u8)),
            FILTER => return filter(bits, target),
            AGAIN if self.octets == 0 => return Ok(Symbol::Nothing),
            AGAIN => {}
            number @ AT_LAST_DISTANCES..MATCHES => {
                let used = self.distances.get_mut(..=number - AT_LAST_DISTANCES).ok_or(Step::Damaged)?;
                used.rotate_right(1);
                self.octets = octets_of(bits.symbol(&codes.length).ok_or(Step::Damaged)?, bits);
            }
            number => {
                let octets = octets_of(number - MATCHES, bits);
                // What is told here is less by one, as matches are never at a distance of none.
                let distance = codes.distance(bits).ok_or(Step::Damaged)?;
                let longer = [0x100, 0x2000, 0x4_0000].iter().filter(|bound| distance >= **bound).count();
                self.octets = octets + longer;
                self.distances.rotate_right(1);
                let [first, ..] = &mut self.distances;
                // The highest would be one that no window has.
                *first = distance.checked_add(1).ok_or(Step::TooFar)?;
            }
        }
        let [distance, ..] = self.distances;
        let distance = distance.checked_sub(1).ok_or(Step::Damaged)?;
        Ok(Symbol::Match { distance, octets: self.octets })
    }
}

fn begin_block(bits: &mut Bits<'_>, is_all: bool) -> Result<Block, Step> {
    let mut ahead = *bits;
    let [flags, sum] = [ahead.take(8) as u8, ahead.take(8) as u8];
    let length_octets = usize::from(flags >> 3 & 3) + 1;
    let needed = (HEADER_OCTETS + length_octets) * 8;
    if bits.left() < HEADER_OCTETS * 8 || bits.left() < needed {
        return Err(if is_all { Step::Damaged } else { Step::Wants });
    }
    let (mut octets, mut all) = (0, flags ^ sum);
    for place in 0..length_octets {
        let octet = ahead.take(8);
        octets |= (octet as usize) << (8 * place);
        all ^= octet as u8;
    }
    // The last octet of a block is not used to its end.
    let bits_of_last = usize::from(flags & 7) + 1;
    if length_octets > 3 || all != HEADER_SUM || octets == 0 {
        return Err(Step::Damaged);
    }
    *bits = ahead;
    let (is_last, has_codes) = (flags & 0x40 != 0, flags & 0x80 != 0);
    Ok(Block { bits: (octets - 1) * 8 + bits_of_last, is_last, has_codes })
}

/// Where a filter's stretch begins, its length, and what it does.
fn filter(bits: &mut Bits<'_>, target: &mut Target<'_>) -> Result<Symbol, Step> {
    let mut number = || {
        let octets = bits.take(2) + 1;
        (0..octets).fold(0_u32, |number, place| number | bits.take(8) << (8 * place))
    };
    let (begins, octets) = (number(), number());
    let change = match bits.take(3) {
        0 => Change::Delta { channels: bits.take(5) + 1 },
        kind @ 1..=2 => Change::Calls { last: 0xe7 + kind as u8, mask: 0x00ff_ffff },
        3 => Change::Arm,
        _ => {
            target.filters.add_unknown();
            return Ok(Symbol::Nothing);
        }
    };
    if bits.is_short() {
        return Err(Step::Damaged);
    }
    let begins = target.window.total() + u64::from(begins);
    target.filters.add(begins, octets, change);
    Ok(Symbol::Nothing)
}
