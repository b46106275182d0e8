//! bzip2, from pushed octets: bits are read as they come, a block is turned back when it is whole. Checksums are not asked.
//! The format has no standard; names are those of its reference implementation's manual and of Burrows and Wheeler.

use crate::allowance::Lease;
use crate::bzip2_code::{BITS_MAX, Code, SYMBOLS_MAX};
use crate::packed::{STEP_OCTETS, Step};

/// Octets of a block for each level.
const LEVEL_OCTETS: usize = 100_000;
/// Symbols that are coded by one of the codes before another is chosen.
const GROUP_SYMBOLS: usize = 50;
/// Codes of a block.
const CODES_MAX: usize = 6;
/// Choices among them; a block has no more groups.
const SELECTORS_MAX: usize = 18_002;
const BLOCK_MAGIC: u64 = 0x3141_5926_5359;
const END_MAGIC: u64 = 0x1772_4538_5090;
/// Bits of a block's checksum, and of where its first octet is, behind whether it is scrambled.
const SUM_BITS: u32 = 32;
const ORIGIN_BITS: u32 = 25;
/// Octets in a row behind which stands how often they are repeated.
const ROW_OCTETS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Bzip2 {
    lease: Lease,
    leased: usize,
    bits: Bits,
    state: State,
    block_octets_max: usize,
    /// The octets of the block, and when it is whole where each one's successor is above them.
    block: Vec<u32>,
    origin: usize,
    /// Octets that the block has, the last used first.
    recent: Vec<u8>,
    codes: Vec<Code>,
    selectors: Vec<u8>,
    output: Output,
}

#[derive(Debug, Default)]
struct Bits {
    word: u64,
    count: u32,
}

#[derive(Debug)]
enum State {
    Start,
    Magic,
    Block,
    Used,
    /// Which of sixteen octets at a time are used, the next sixteen first.
    UsedOctets {
        sixteens: u32,
        next: u32,
    },
    Numbers,
    Selectors {
        left: usize,
        codes: usize,
        recent: [u8; CODES_MAX],
    },
    Lengths {
        left: usize,
        lengths: Vec<u8>,
        length: Option<u8>,
    },
    Symbols {
        group: usize,
        left: usize,
        run: usize,
        run_bit: usize,
    },
    Write,
    EndSum,
    /// Another stream may follow.
    Between,
}

/// How far a whole block has been written.
#[derive(Debug, Default)]
struct Output {
    at: usize,
    left: usize,
    last: Option<u8>,
    row: u8,
    repeats: usize,
}

impl Bits {
    /// Takes octets of the input; how many of them.
    fn fill(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        for octet in input {
            if self.count > 56 {
                break;
            }
            self.word = self.word << 8 | u64::from(*octet);
            self.count += 8;
            taken += 1;
        }
        taken
    }

    /// The next bits, if there are so many; up to 57, which are there whenever enough octets have come.
    fn peek(&self, bits: u32) -> Option<u64> {
        let rest = self.count.checked_sub(bits)?;
        Some(self.word >> rest & ((1 << bits) - 1))
    }

    fn take(&mut self, bits: u32) -> Option<u64> {
        let value = self.peek(bits)?;
        self.count -= bits;
        Some(value)
    }
}

impl Bzip2 {
    pub(crate) fn new(lease: Lease) -> Bzip2 {
        Bzip2 {
            lease,
            leased: 0,
            bits: Bits::default(),
            state: State::Start,
            block_octets_max: 0,
            block: Vec::new(),
            origin: 0,
            recent: Vec::new(),
            codes: Vec::new(),
            selectors: Vec::new(),
            output: Output::default(),
        }
    }

    pub(crate) fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            used += self.bits.fill(input.get(used..).unwrap_or_default());
            if let State::Write = self.state {
                self.write(out);
                if out.len() >= STEP_OCTETS {
                    return (used, Step::More);
                }
                self.state = State::Magic;
                continue;
            }
            let turn = self.turn();
            match turn {
                Some(Ok(())) => {}
                Some(Err(step)) => return (used, step),
                None if is_all && matches!(self.state, State::Between) => return (used, Step::Ended),
                None => return (used, Step::Wants),
            }
        }
    }

    /// One thing that the bits say; none if they are too few.
    fn turn(&mut self) -> Option<Result<(), Step>> {
        let turn = match &mut self.state {
            State::Start => {
                let word = self.bits.take(32)?;
                self.start(word)
            }
            State::Magic => match self.bits.take(48)? {
                BLOCK_MAGIC => self.go_on(State::Block),
                END_MAGIC => self.go_on(State::EndSum),
                _ => Err(Step::Damaged),
            },
            State::Block => {
                // Both or none of them.
                self.bits.peek(SUM_BITS + ORIGIN_BITS)?;
                let _sum = self.bits.take(SUM_BITS)?;
                // The first bit: scrambled, as no version of this century writes it.
                let origin = self.bits.take(ORIGIN_BITS)?;
                self.origin = origin as usize;
                if origin >> 24 == 0 { self.go_on(State::Used) } else { Err(Step::Unknown) }
            }
            State::Used => {
                let sixteens = self.bits.take(16)? as u32;
                self.recent.clear();
                self.go_on(State::UsedOctets { sixteens, next: 0 })
            }
            State::UsedOctets { sixteens, next } if *next < 16 => {
                if *sixteens >> (15 - *next) & 1 != 0 {
                    let used = self.bits.take(16)?;
                    let octets = (0..16).filter(|at| used >> (15 - at) & 1 != 0);
                    self.recent.extend(octets.map(|at| (*next * 16 + at) as u8));
                }
                *next += 1;
                Ok(())
            }
            State::UsedOctets { .. } if self.recent.is_empty() => Err(Step::Damaged),
            State::UsedOctets { .. } => self.go_on(State::Numbers),
            State::Numbers => {
                let numbers = self.bits.take(18)? as usize;
                let (codes, left) = (numbers >> 15, numbers & 0x7fff);
                self.selectors.clear();
                self.codes.clear();
                if (2..=CODES_MAX).contains(&codes) && left > 0 {
                    self.go_on(State::Selectors { left, codes, recent: [0, 1, 2, 3, 4, 5] })
                } else {
                    Err(Step::Damaged)
                }
            }
            State::Selectors { .. } => return self.selector(),
            State::Lengths { .. } => return self.length(),
            State::Symbols { .. } => return self.symbols(),
            State::Write => Ok(()),
            State::EndSum => {
                self.bits.take(32)?;
                // The stream ends within an octet.
                self.bits.take(self.bits.count % 8)?;
                self.go_on(State::Between)
            }
            State::Between => match self.bits.peek(32)? >> 8 {
                0x42_5a68 => self.go_on(State::Start),
                _ => Err(Step::Ended),
            },
        };
        Some(turn)
    }

    fn go_on(&mut self, state: State) -> Result<(), Step> {
        self.state = state;
        Ok(())
    }

    fn start(&mut self, word: u64) -> Result<(), Step> {
        let level = (word & 0xff).checked_sub(u64::from(b'0')).filter(|level| (1..=9).contains(level));
        let Some(level) = level.filter(|_| word >> 8 == 0x42_5a68) else { return Err(Step::Damaged) };
        self.block_octets_max = level as usize * LEVEL_OCTETS;
        let octets = self.block_octets_max * size_of::<u32>();
        if octets > self.leased && !self.lease.grow(octets - self.leased) {
            return Err(Step::TooFar);
        }
        self.leased = self.leased.max(octets);
        // Octets that are not used are memory that is not touched.
        self.block.clear();
        self.block.reserve_exact(self.block_octets_max);
        self.go_on(State::Magic)
    }

    fn selector(&mut self) -> Option<Result<(), Step>> {
        let State::Selectors { left, codes, recent } = &mut self.state else { return None };
        if *left == 0 {
            let (left, symbols) = (*codes, self.recent.len() + 2);
            let lengths = Vec::with_capacity(symbols.min(SYMBOLS_MAX));
            return Some(self.go_on(State::Lengths { left, lengths, length: None }));
        }
        let ones = (0..*codes as u32).find(|ones| self.bits.peek(ones + 1).is_none_or(|bits| bits & 1 == 0));
        let Some(ones) = ones else { return Some(Err(Step::Damaged)) };
        self.bits.take(ones + 1)?;
        let place = ones as usize;
        recent.get_mut(..=place)?.rotate_right(1);
        // More are written than are needed by some programs; what is beyond is not used.
        if self.selectors.len() < SELECTORS_MAX {
            self.selectors.push(recent.first().copied()?);
        }
        *left -= 1;
        Some(Ok(()))
    }

    fn length(&mut self) -> Option<Result<(), Step>> {
        let symbols = self.recent.len() + 2;
        let State::Lengths { left, lengths, length } = &mut self.state else { return None };
        let Some(now) = length else {
            *length = Some(self.bits.take(5)? as u8);
            return Some(Ok(()));
        };
        if !(1..=BITS_MAX as u8).contains(now) {
            return Some(Err(Step::Damaged));
        }
        if self.bits.peek(1)? == 1 {
            *now = if self.bits.take(2)? == 2 { *now + 1 } else { *now - 1 };
            return Some(Ok(()));
        }
        self.bits.take(1)?;
        lengths.push(*now);
        if lengths.len() < symbols {
            return Some(Ok(()));
        }
        self.codes.push(Code::new(lengths));
        (*left, *length) = (*left - 1, None);
        lengths.clear();
        if *left == 0 {
            self.block.clear();
            return Some(self.go_on(State::Symbols { group: 0, left: GROUP_SYMBOLS, run: 0, run_bit: 1 }));
        }
        Some(Ok(()))
    }

    /// The next symbol of the block.
    fn symbols(&mut self) -> Option<Result<(), Step>> {
        let State::Symbols { group, left, run, run_bit } = &mut self.state else { return None };
        if *left == 0 {
            (*group, *left) = (*group + 1, GROUP_SYMBOLS);
        }
        let code = self.selectors.get(*group).and_then(|number| self.codes.get(usize::from(*number)));
        let Some(code) = code else { return Some(Err(Step::Damaged)) };
        // Behind the last symbol there are always so many bits.
        let Some((symbol, bits)) = code.symbol(self.bits.peek(BITS_MAX)? as u32) else {
            return Some(Err(Step::Damaged));
        };
        self.bits.take(bits)?;
        *left -= 1;
        let symbol = usize::from(symbol);
        if symbol < 2 {
            // The digits of a number without zero: how often the last octet is repeated.
            *run = run.saturating_add(*run_bit << symbol);
            *run_bit = run_bit.saturating_mul(2);
            return Some(if *run > self.block_octets_max { Err(Step::Damaged) } else { Ok(()) });
        }
        let repeats = std::mem::take(run);
        *run_bit = 1;
        let first = u32::from(*self.recent.first()?);
        if self.block.len() + repeats > self.block_octets_max {
            return Some(Err(Step::Damaged));
        }
        self.block.resize(self.block.len() + repeats, first);
        if symbol == self.recent.len() + 1 {
            return Some(self.end_block());
        }
        let Some(used) = self.recent.get_mut(..symbol) else { return Some(Err(Step::Damaged)) };
        used.rotate_right(1);
        if self.block.len() >= self.block_octets_max {
            return Some(Err(Step::Damaged));
        }
        self.block.push(u32::from(*self.recent.first()?));
        Some(Ok(()))
    }

    /// Finds each octet's successor: that of the next in the order of the sorted block.
    fn end_block(&mut self) -> Result<(), Step> {
        if self.origin >= self.block.len() {
            return Err(Step::Damaged);
        }
        let mut places = [0_usize; 256];
        for octet in &self.block {
            if let Some(count) = places.get_mut((octet & 0xff) as usize) {
                *count += 1;
            }
        }
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for at in 0..self.block.len() {
            let octet = self.block.get(at).map_or(0, |octet| octet & 0xff);
            let Some(place) = places.get_mut(octet as usize) else { continue };
            if let Some(cell) = self.block.get_mut(*place) {
                *cell |= (at as u32) << 8;
            }
            *place += 1;
        }
        let origin = self.block.get(self.origin).map_or(0, |cell| cell >> 8);
        self.output = Output { at: origin as usize, left: self.block.len(), ..Output::default() };
        self.go_on(State::Write)
    }

    /// Writes what there is room for.
    fn write(&mut self, out: &mut Vec<u8>) {
        let output = &mut self.output;
        while out.len() < STEP_OCTETS {
            if let (Some(last), 1..) = (output.last, output.repeats) {
                let octets = output.repeats.min(STEP_OCTETS - out.len());
                out.resize(out.len() + octets, last);
                output.repeats -= octets;
                continue;
            }
            if output.left == 0 {
                return;
            }
            let cell = self.block.get(output.at).copied().unwrap_or(0);
            (output.at, output.left) = ((cell >> 8) as usize, output.left - 1);
            let octet = cell as u8;
            if output.row == ROW_OCTETS {
                (output.row, output.repeats) = (0, usize::from(octet));
                continue;
            }
            output.row = if output.last == Some(octet) { output.row + 1 } else { 1 };
            output.last = Some(octet);
            out.push(octet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_does_not_depend_on_how_octets_come() {
        let packed = include_bytes!("../tests/files/a.tar.bz2");
        let mut whole = Vec::new();
        for piece in [packed.len(), 1, 2, 3, 7, 61] {
            let mut unpacker = Bzip2::new(Lease::new(Default::default(), Default::default()));
            let (mut all, mut input, mut ended) = (Vec::new(), Vec::new(), Step::Wants);
            for octets in packed.chunks(piece) {
                input.extend_from_slice(octets);
                loop {
                    let mut out = Vec::new();
                    let (used, step) = unpacker.step(&input, false, &mut out);
                    input.drain(..used);
                    all.extend_from_slice(&out);
                    ended = step;
                    if step != Step::More {
                        break;
                    }
                }
            }
            assert_eq!((all.len(), ended), (10_240, Step::Wants), "{piece}");
            if whole.is_empty() {
                whole = all;
            } else {
                assert_eq!(all, whole, "{piece}");
            }
        }
    }
}
