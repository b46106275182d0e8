//! The coding of RAR 4, as packed since version 2.9: symbols by four prefix codes, until one ends the entry. Filters are programs
//! for a machine of RAR's own, of which those are known that RAR writes into its archives; octets by PPMd are not unpacked.

use flate2::Crc;

use crate::packed::Step;
use crate::prefix_code::{Bits, Code};
use crate::rar_filter::Change;
use crate::rar_unpack::{Symbol, Target, read_lengths};

/// Symbols of each of the codes: octets and matches, distances, the low bits of these, lengths at a distance used before.
const MAIN_SYMBOLS: usize = 299;
const DISTANCE_SYMBOLS: usize = 60;
const LOW_SYMBOLS: usize = 17;
const LENGTH_SYMBOLS: usize = 28;
const ALL_SYMBOLS: usize = MAIN_SYMBOLS + DISTANCE_SYMBOLS + LOW_SYMBOLS + LENGTH_SYMBOLS;
const MAIN_QUICK_BITS: u32 = 9;
const QUICK_BITS: u32 = 7;

/// What the symbols behind the octets say.
const END: usize = 256;
const FILTER: usize = 257;
const AGAIN: usize = 258;
const AT_LAST_DISTANCES: usize = 259;
const SHORT: usize = 263;
const MATCHES: usize = 271;

/// Bits with which any symbol can be decoded, and with which codes can; while more may follow it waits for so many.
const SYMBOL_BITS_MAX: usize = 128;
const CODES_BITS_MAX: usize = 8 * (LENGTH_CODE_OCTETS_MAX + ALL_SYMBOLS * (15 + 7) / 8 + 1);
const LENGTH_CODE_OCTETS_MAX: usize = 20;

/// Low bits of a distance that may be those of the last, and how often they are once it is said.
const LOW_BITS: u32 = 4;
const LOW_AGAIN: usize = 16;
const LOW_AGAIN_TIMES: u32 = 15;

/// Octets of what is said of a filter: its program, which is below 256 octets where RAR wrote it, and some numbers.
const FILTER_OCTETS_MAX: usize = 1_024;
/// Programs that an archive's filters may choose from.
const PROGRAMS_MAX: usize = 64;

/// The programs that are known, by their length and checksum.
const DELTA: (usize, u32) = (0x1d, 0x0e06_077d);
const CALLS: (usize, u32) = (0x35, 0xad57_6887);
const CALLS_AND_JUMPS: (usize, u32) = (0x39, 0x3cd7_e57e);

#[derive(Debug, Default)]
pub(crate) struct Rar4Code {
    stage: Stage,
    /// Lengths of all codes' words, to which the next codes may add theirs.
    lengths: Vec<u8>,
    codes: Option<Codes>,
    /// The last distances, the last used first; zero where there was none.
    distances: [u32; 4],
    octets: usize,
    /// Low bits of the last distance that had such, and how often they are still to be taken.
    low: u32,
    low_times: u32,
    programs: Vec<Program>,
    program: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Codes are next.
    #[default]
    Codes,
    Symbols,
    /// What is said of a filter is next.
    Filter,
}

#[derive(Clone, Copy, Debug)]
struct Program {
    known: Known,
    /// Octets of the last stretch that it was for.
    octets: u32,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Delta,
    Calls { last: u8 },
    No,
}

#[derive(Debug)]
struct Codes {
    main: Code,
    distance: Code,
    low: Code,
    length: Code,
}

impl Codes {
    fn new(lengths: &[u8]) -> Option<Codes> {
        let (main, rest) = lengths.split_at_checked(MAIN_SYMBOLS)?;
        let (distance, rest) = rest.split_at_checked(DISTANCE_SYMBOLS)?;
        let (low, length) = rest.split_at_checked(LOW_SYMBOLS)?;
        Some(Codes {
            main: Code::new(main, MAIN_QUICK_BITS),
            distance: Code::new(distance, QUICK_BITS),
            low: Code::new(low, QUICK_BITS),
            length: Code::new(length, QUICK_BITS),
        })
    }
}

/// The octets of a match by the number of its length, beyond the least that there are.
fn octets_of(number: usize, bits: &mut Bits<'_>) -> usize {
    if number < 8 {
        return number;
    }
    let more = number / 4 - 1;
    ((4 | number & 3) << more) + bits.take(more as u32) as usize
}

/// Distances of matches of two octets: the least, and bits of what is added.
const SHORT_DISTANCES: [(u32, u32); 8] =
    [(0, 2), (4, 2), (8, 3), (16, 4), (32, 5), (64, 6), (128, 6), (192, 6)];

/// The least distance that a symbol stands for, and bits of what is added to it.
fn distance_of(slot: u32) -> (u32, u32) {
    match slot {
        0..4 => (slot, 0),
        4..36 => ((2 | slot & 1) << (slot / 2 - 1), slot / 2 - 1),
        36..48 => ((slot - 32) << 16, 16),
        _ => ((slot - 44) << 18, 18),
    }
}

impl Rar4Code {
    pub(crate) fn decode(
        &mut self,
        bits: &mut Bits<'_>,
        is_all: bool,
        target: &mut Target<'_>,
    ) -> Result<(), Step> {
        while !target.is_full() {
            match self.stage {
                Stage::Codes => {
                    self.read_codes(bits, is_all)?;
                    target.begin_codes(bits)?;
                }
                Stage::Filter => self.filter(bits, is_all, target)?,
                Stage::Symbols => {
                    if !is_all && bits.left() < SYMBOL_BITS_MAX {
                        return Err(Step::Wants);
                    }
                    let symbol = self.symbol(bits);
                    if bits.is_short() {
                        return Err(Step::Damaged);
                    }
                    target.write(symbol?)?;
                }
            }
        }
        Ok(())
    }

    /// Behind the last octet of an entry: its end may be said, and whether the next has codes of its own.
    pub(crate) fn close(&mut self, bits: &mut Bits<'_>, is_all: bool) -> Result<(), Step> {
        if !is_all && bits.left() < CODES_BITS_MAX + SYMBOL_BITS_MAX {
            return Err(Step::Wants);
        }
        if self.stage == Stage::Codes {
            self.read_codes(bits, is_all)?;
        }
        let mut ahead = *bits;
        let symbol = self.codes.as_ref().and_then(|codes| ahead.symbol(&codes.main));
        if symbol == Some(END) {
            *bits = ahead;
            let _entry_or_codes = self.end(bits);
        }
        Ok(())
    }

    fn read_codes(&mut self, bits: &mut Bits<'_>, is_all: bool) -> Result<(), Step> {
        let mut ahead = *bits;
        ahead.align();
        let is_ppmd = ahead.take(1) != 0;
        let is_added = ahead.take(1) != 0 && !self.lengths.is_empty();
        let mut lengths = if is_added { self.lengths.clone() } else { vec![0; ALL_SYMBOLS] };
        let read = if is_ppmd { None } else { read_lengths(&mut ahead, &mut lengths) };
        if ahead.is_short() {
            return Err(if is_all { Step::Damaged } else { Step::Wants });
        }
        if is_ppmd {
            return Err(Step::Skipped);
        }
        self.codes = Some(read.and_then(|()| Codes::new(&lengths)).ok_or(Step::Damaged)?);
        (self.lengths, self.stage, *bits) = (lengths, Stage::Symbols, ahead);
        (self.low, self.low_times) = (0, 0);
        Ok(())
    }

    /// An end: of the codes, or of the entry, which may be the codes' end too.
    fn end(&mut self, bits: &mut Bits<'_>) -> Result<(), Step> {
        let is_of_codes = bits.take(1) != 0;
        if is_of_codes || bits.take(1) != 0 {
            self.stage = Stage::Codes;
        }
        if is_of_codes { Ok(()) } else { Err(Step::Ended) }
    }

    fn symbol(&mut self, bits: &mut Bits<'_>) -> Result<Symbol, Step> {
        let codes = self.codes.as_ref().ok_or(Step::Damaged)?;
        match bits.symbol(&codes.main).ok_or(Step::Damaged)? {
            octet @ 0..END => return Ok(Symbol::Literal(octet as u8)),
            END => return self.end(bits).map(|()| Symbol::Nothing),
            FILTER => {
                self.stage = Stage::Filter;
                return Ok(Symbol::Nothing);
            }
            AGAIN if self.octets == 0 => return Ok(Symbol::Nothing),
            AGAIN => {}
            number @ AT_LAST_DISTANCES..SHORT => {
                let used = self.distances.get_mut(..=number - AT_LAST_DISTANCES).ok_or(Step::Damaged)?;
                used.rotate_right(1);
                self.octets = 2 + octets_of(bits.symbol(&codes.length).ok_or(Step::Damaged)?, bits);
            }
            number @ SHORT..MATCHES => {
                let (least, more) = SHORT_DISTANCES.get(number - SHORT).copied().unwrap_or_default();
                let distance = least + bits.take(more);
                self.octets = 2;
                self.use_distance(distance);
            }
            number => {
                let octets = 3 + octets_of(number - MATCHES, bits);
                let distance = self.distance(bits).ok_or(Step::Damaged)?;
                let longer = [0x1fff, 0x3_ffff].iter().filter(|bound| distance >= **bound).count();
                self.octets = octets + longer;
                self.use_distance(distance);
            }
        }
        let [distance, ..] = self.distances;
        let distance = distance.checked_sub(1).ok_or(Step::Damaged)?;
        Ok(Symbol::Match { distance, octets: self.octets })
    }

    fn use_distance(&mut self, distance: u32) {
        self.distances.rotate_right(1);
        let [first, ..] = &mut self.distances;
        *first = distance + 1;
    }

    fn distance(&mut self, bits: &mut Bits<'_>) -> Option<u32> {
        let codes = self.codes.as_ref()?;
        let slot = bits.symbol(&codes.distance)? as u32;
        let (least, more) = distance_of(slot);
        if more < LOW_BITS {
            return Some(least + bits.take(more));
        }
        let high = bits.take(more - LOW_BITS) << LOW_BITS;
        if self.low_times > 0 {
            self.low_times -= 1;
            return Some(least + high + self.low);
        }
        match bits.symbol(&codes.low)? {
            LOW_AGAIN => self.low_times = LOW_AGAIN_TIMES,
            low => self.low = low as u32,
        }
        Some(least + high + self.low)
    }

    /// Reads what is said of a filter, once it is all there.
    fn filter(&mut self, bits: &mut Bits<'_>, is_all: bool, target: &mut Target<'_>) -> Result<(), Step> {
        let mut ahead = *bits;
        let flags = ahead.take(8);
        let octets = match flags & 7 {
            6 => ahead.take(8) + 7,
            7 => ahead.take(16),
            less => less + 1,
        };
        let octets = octets as usize;
        if octets > FILTER_OCTETS_MAX && !ahead.is_short() {
            return Err(Step::Skipped);
        }
        if ahead.left() < octets * 8 || ahead.is_short() {
            return Err(if is_all { Step::Damaged } else { Step::Wants });
        }
        let said: Vec<u8> = (0..octets).map(|_| ahead.take(8) as u8).collect();
        (*bits, self.stage) = (ahead, Stage::Symbols);
        let position = target.window.total();
        match self.filter_of(flags, &said) {
            Some((begins, octets, change)) => {
                target.filters.add(position + u64::from(begins), octets, change);
            }
            None => target.filters.add_unknown(),
        }
        Ok(())
    }

    /// Where the filter's stretch begins, its length, and what it does, if that is understood.
    fn filter_of(&mut self, flags: u32, said: &[u8]) -> Option<(u32, u32, Change)> {
        const CHOOSES_PROGRAM: u32 = 0x80;
        const IS_FARTHER: u32 = 0x40;
        const HAS_LENGTH: u32 = 0x20;
        const HAS_REGISTERS: u32 = 0x10;
        const FARTHER_OCTETS: u32 = 258;
        let mut bits = Bits::new(said, 0);
        if flags & CHOOSES_PROGRAM != 0 {
            match number(&mut bits) {
                0 => {
                    self.programs.clear();
                    self.program = 0;
                }
                chosen => self.program = chosen as usize - 1,
            }
        }
        let begins = number(&mut bits).wrapping_add(if flags & IS_FARTHER != 0 { FARTHER_OCTETS } else { 0 });
        let octets = match self.programs.get(self.program) {
            _ if flags & HAS_LENGTH != 0 => number(&mut bits),
            Some(program) => program.octets,
            None => 0,
        };
        let mut channels = 0;
        if flags & HAS_REGISTERS != 0 {
            let mask = bits.take(7);
            for register in (0..7).filter(|register| mask >> register & 1 != 0) {
                let value = number(&mut bits);
                match register {
                    0 => channels = value,
                    // What else the known programs are told they are told otherwise.
                    _ => return None,
                }
            }
        }
        if self.program == self.programs.len() && self.program < PROGRAMS_MAX {
            let code_octets = number(&mut bits) as usize;
            let code: Vec<u8> = (0..code_octets.min(said.len())).map(|_| bits.take(8) as u8).collect();
            self.programs.push(Program { known: known(&code), octets });
        }
        let program = self.programs.get_mut(self.program)?;
        program.octets = octets;
        let change = match program.known {
            Known::Delta => Change::Delta { channels },
            Known::Calls { last } => Change::Calls { last, mask: u32::MAX },
            Known::No => return None,
        };
        (!bits.is_short()).then_some((begins, octets, change))
    }
}

fn known(code: &[u8]) -> Known {
    let mut sum = Crc::new();
    sum.update(code);
    match (code.len(), sum.sum()) {
        DELTA => Known::Delta,
        CALLS => Known::Calls { last: 0xe8 },
        CALLS_AND_JUMPS => Known::Calls { last: 0xe9 },
        _ => Known::No,
    }
}

/// A number as RAR's machine has them: of 4, 8, 16 or 32 bits, or below zero.
fn number(bits: &mut Bits<'_>) -> u32 {
    match bits.take(2) {
        0 => bits.take(4),
        1 => match bits.take(8) {
            low @ 0..16 => 0xffff_ff00 | low << 4 | bits.take(4),
            number => number,
        },
        2 => bits.take(16),
        _ => bits.take(32),
    }
}
