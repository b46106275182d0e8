//! LZMA, the coding inside xz, lzip, .lzma and headers of 7z: from pushed octets, as far as they go (LZMA SDK, lzma.txt;
//! LZMA2 is in `xz.rs`).

use crate::window::{Missing, Window};

/// Octets with which any symbol can be decoded; while more may follow it waits for so many.
const SYMBOL_OCTETS_MAX: usize = 32;

/// Octets of a stream's beginning that set the range coder up.
pub(crate) const START_OCTETS: usize = 5;

/// Contexts of literals together. xz allows no more (xz-file-format §5.3.1), and no program of 7-Zip writes more.
const LITERAL_BITS_MAX: u8 = 4;

/// The probabilities of all symbols lie behind each other; these are where those of each begin.
const IS_MATCH: usize = 0;
const IS_REP: usize = IS_MATCH + (STATES << 4);
const IS_REP_FIRST: usize = IS_REP + STATES;
const IS_REP_SECOND: usize = IS_REP_FIRST + STATES;
const IS_REP_THIRD: usize = IS_REP_SECOND + STATES;
const IS_REP_LONG: usize = IS_REP_THIRD + STATES;
const SLOT: usize = IS_REP_LONG + (STATES << 4);
const SPECIAL: usize = SLOT + 4 * 64;
const ALIGN: usize = SPECIAL + 128;
const LENGTH: usize = ALIGN + 16;
const REP_LENGTH: usize = LENGTH + LENGTH_ALL;
const LITERAL: usize = REP_LENGTH + LENGTH_ALL;

const STATES: usize = 12;
/// Two choices, sixteen short trees of two kinds, one long one.
const LENGTH_ALL: usize = 2 + 2 * (16 << 3) + 256;
const HALF: u16 = 1 << 10;

/// How a decoder has come to an end of what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// As many octets as were asked for.
    Filled,
    /// More octets have to come.
    Wants,
    /// The mark that ends a stream of unknown length.
    Ended,
    Damaged,
    /// It refers to octets that are no longer kept.
    TooFar,
}

#[derive(Debug)]
pub(crate) struct Lzma {
    window: Window,
    literal_context_bits: u8,
    literal_position_bits: u8,
    position_bits: u8,
    probabilities: Vec<u16>,
    state: usize,
    reps: [u32; 4],
    range: u32,
    code: u32,
    /// Octets of a match that have not been written.
    owed: u32,
}

/// Octets that are decoded.
struct Source<'i> {
    octets: &'i [u8],
    at: usize,
    is_short: bool,
}

impl Source<'_> {
    fn next(&mut self) -> u32 {
        let octet = self.octets.get(self.at);
        self.is_short |= octet.is_none();
        self.at += usize::from(octet.is_some());
        octet.copied().map_or(0, u32::from)
    }
}

impl Lzma {
    /// A decoder whose properties are still to come.
    pub(crate) fn new(window: Window) -> Lzma {
        Lzma {
            window,
            literal_context_bits: 0,
            literal_position_bits: 0,
            position_bits: 0,
            probabilities: Vec::new(),
            state: 0,
            reps: [0; 4],
            range: 0,
            code: 0,
            owed: 0,
        }
    }

    /// Takes the octet that says how many bits of what is before it a symbol's probability depends on; whether it can be.
    pub(crate) fn set_properties(&mut self, octet: u8) -> bool {
        self.literal_context_bits = octet % 9;
        self.literal_position_bits = octet / 9 % 5;
        self.position_bits = octet / 45;
        let is_possible = self.position_bits <= 4
            && self.literal_context_bits + self.literal_position_bits <= LITERAL_BITS_MAX;
        if is_possible {
            self.reset();
        }
        is_possible
    }

    /// Forgets what has been learned of the symbols.
    pub(crate) fn reset(&mut self) {
        let literals = 0x300 << (self.literal_context_bits + self.literal_position_bits);
        self.probabilities.clear();
        self.probabilities.resize(LITERAL + literals, HALF);
        (self.state, self.reps, self.owed) = (0, [0; 4], 0);
    }

    pub(crate) fn has_properties(&self) -> bool {
        !self.probabilities.is_empty()
    }

    /// Begins a run of the range coder; whether it may begin so.
    pub(crate) fn start(&mut self, octets: [u8; START_OCTETS]) -> bool {
        let [first, code @ ..] = octets;
        (self.range, self.code) = (u32::MAX, u32::from_be_bytes(code));
        first == 0
    }

    pub(crate) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Decodes up to so many octets, or fewer while more of the input may follow. How many of it were used.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        is_all: bool,
        octets_max: usize,
        out: &mut Vec<u8>,
    ) -> (usize, Decoded) {
        let mut source = Source { octets: input, at: 0, is_short: false };
        let end = out.len() + octets_max;
        let decoded = loop {
            if out.len() >= end {
                break Decoded::Filled;
            }
            if self.owed > 0 {
                match self.copy(out) {
                    Ok(()) => continue,
                    Err(Missing::Never) => break Decoded::Damaged,
                    Err(Missing::Gone) => break Decoded::TooFar,
                }
            }
            if !is_all && input.len() - source.at < SYMBOL_OCTETS_MAX {
                break Decoded::Wants;
            }
            match self.symbol(&mut source, out) {
                _ if source.is_short => break Decoded::Damaged,
                Ok(true) => {}
                Ok(false) => break Decoded::Ended,
                Err(Missing::Never) => break Decoded::Damaged,
                Err(Missing::Gone) => break Decoded::TooFar,
            }
        };
        (source.at, decoded)
    }

    fn copy(&mut self, out: &mut Vec<u8>) -> Result<(), Missing> {
        let [distance, ..] = self.reps;
        let octet = self.window.back(distance)?;
        self.write(octet, out);
        self.owed -= 1;
        Ok(())
    }

    fn write(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.window.put(octet);
        out.push(octet);
    }

    /// One literal or the beginning of one match; false at the mark of the end.
    fn symbol(&mut self, source: &mut Source<'_>, out: &mut Vec<u8>) -> Result<bool, Missing> {
        let position = self.window.total() as usize & ((1 << self.position_bits) - 1);
        let state = self.state;
        if !self.bit(IS_MATCH + (state << 4) + position, source) {
            let literal = self.literal(source)?;
            self.write(literal, out);
            return Ok(true);
        }
        if self.bit(IS_REP + state, source) {
            return self.rep(position, source, out).map(|()| true);
        }
        self.reps.rotate_right(1);
        let length = self.length(LENGTH, position, source);
        self.state = if state < 7 { 7 } else { 10 };
        let distance = self.distance(length, source);
        let [first, ..] = &mut self.reps;
        *first = distance;
        if distance == u32::MAX {
            return Ok(false);
        }
        self.owed = length + 2;
        Ok(true)
    }

    /// A match at one of the last distances.
    fn rep(&mut self, position: usize, source: &mut Source<'_>, out: &mut Vec<u8>) -> Result<(), Missing> {
        let state = self.state;
        if !self.bit(IS_REP_FIRST + state, source) {
            if !self.bit(IS_REP_LONG + (state << 4) + position, source) {
                self.state = if state < 7 { 9 } else { 11 };
                self.owed = 1;
                return self.copy(out);
            }
        } else {
            let place = if !self.bit(IS_REP_SECOND + state, source) {
                2
            } else if !self.bit(IS_REP_THIRD + state, source) {
                3
            } else {
                4
            };
            if let Some(reps) = self.reps.get_mut(..place) {
                reps.rotate_right(1);
            }
        }
        self.state = if state < 7 { 8 } else { 11 };
        self.owed = self.length(REP_LENGTH, position, source) + 2;
        Ok(())
    }

    fn literal(&mut self, source: &mut Source<'_>) -> Result<u8, Missing> {
        let before = if self.window.total() == 0 { 0 } else { self.window.back(0)? };
        let position = self.window.total() as usize & ((1 << self.literal_position_bits) - 1);
        let context = (position << self.literal_context_bits)
            + (usize::from(before) >> (8 - self.literal_context_bits));
        let tree = LITERAL + 0x300 * context;
        let mut symbol = 1;
        if self.state >= 7 {
            let [distance, ..] = self.reps;
            let mut matched = usize::from(self.window.back(distance)?);
            let mut offset = 0x100;
            while symbol < 0x100 {
                matched <<= 1;
                let expected = matched & offset;
                let bit = self.bit(tree + offset + expected + symbol, source);
                symbol = symbol << 1 | usize::from(bit);
                offset = if bit { expected } else { offset & !expected };
            }
        } else {
            while symbol < 0x100 {
                symbol = symbol << 1 | usize::from(self.bit(tree + symbol, source));
            }
        }
        self.state = match self.state {
            0..4 => 0,
            4..10 => self.state - 3,
            _ => self.state - 6,
        };
        Ok(symbol as u8)
    }

    /// A match's length, less two.
    fn length(&mut self, base: usize, position: usize, source: &mut Source<'_>) -> u32 {
        if !self.bit(base, source) {
            return self.tree(base + 2 + (position << 3), 3, source);
        }
        if !self.bit(base + 1, source) {
            return 8 + self.tree(base + 2 + (16 << 3) + (position << 3), 3, source);
        }
        16 + self.tree(base + 2 + 2 * (16 << 3), 8, source)
    }

    fn distance(&mut self, length: u32, source: &mut Source<'_>) -> u32 {
        let slot = self.tree(SLOT + (length.min(3) as usize) * 64, 6, source);
        if slot < 4 {
            return slot;
        }
        let bits = (slot >> 1) - 1;
        let high = (2 | (slot & 1)) << bits;
        if slot < 14 {
            return high + self.reversed(SPECIAL + (high - slot) as usize, bits, source);
        }
        let middle = self.direct(bits - 4, source) << 4;
        high.wrapping_add(middle).wrapping_add(self.reversed(ALIGN, 4, source))
    }

    fn tree(&mut self, base: usize, bits: u32, source: &mut Source<'_>) -> u32 {
        let mut symbol = 1;
        for _ in 0..bits {
            symbol = symbol << 1 | usize::from(self.bit(base + symbol, source));
        }
        symbol as u32 - (1 << bits)
    }

    fn reversed(&mut self, base: usize, bits: u32, source: &mut Source<'_>) -> u32 {
        let (mut symbol, mut value) = (1, 0);
        for place in 0..bits {
            let bit = self.bit(base + symbol, source);
            symbol = symbol << 1 | usize::from(bit);
            value |= u32::from(bit) << place;
        }
        value
    }

    /// Bits of equal chances.
    fn direct(&mut self, bits: u32, source: &mut Source<'_>) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            self.normalise(source);
            self.range >>= 1;
            let bit = self.code >= self.range;
            self.code -= if bit { self.range } else { 0 };
            value = value << 1 | u32::from(bit);
        }
        value
    }

    fn bit(&mut self, at: usize, source: &mut Source<'_>) -> bool {
        self.normalise(source);
        let Some(probability) = self.probabilities.get_mut(at) else { return false };
        let bound = (self.range >> 11) * u32::from(*probability);
        let bit = self.code >= bound;
        if bit {
            self.range -= bound;
            self.code -= bound;
            *probability -= *probability >> 5;
        } else {
            self.range = bound;
            *probability += (2 * HALF - *probability) >> 5;
        }
        bit
    }

    fn normalise(&mut self, source: &mut Source<'_>) {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | source.next();
        }
    }
}
