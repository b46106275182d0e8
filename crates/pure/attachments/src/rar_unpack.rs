//! Entries of RAR archives, unpacked from pushed octets: what versions 4 and 5 have together. Their codings are in
//! `rar4_code.rs` and `rar5_code.rs` (facts by RAR's technote.txt and libarchive's readers). In a solid archive entries refer
//! back to those before them, so the window and what was learned goes on. Checksums are not asked.

use crate::allowance::Lease;
use crate::packed::{STEP_OCTETS, Step};
use crate::prefix_code::{Bits, Code};
use crate::rar_filter::Filters;
use crate::rar4_code::Rar4Code;
use crate::rar5_code::Rar5Code;
use crate::window::{Missing, Window};

/// Octets that are kept beyond the window: what a symbol may write behind a filter's stretch before that is read.
const WINDOW_SPARE_OCTETS: u64 = 8 * 1024;

/// Symbols of the code by which the lengths of the others are coded, four bits each.
const LENGTH_SYMBOLS: usize = 20;
const LENGTH_BITS: u32 = 4;
/// A length behind which stands how many zeros are meant; none means the length itself.
const LENGTH_ZEROS: u8 = 15;
const LENGTHS_QUICK_BITS: u32 = 7;

/// How often an entry's codes may begin anew, and octets of it for each time more: it costs what some thousand octets cost, and
/// programs begin anew where it pays.
const CODES_FREE: u64 = 64;
const CODES_OCTETS: u64 = 128;

#[derive(Debug)]
pub(crate) struct RarUnpacker {
    window: Window,
    coding: Coding,
    filters: Filters,
    /// Of the entry, in octets of the window: where it begins, where it ends if that is known, how far it is written.
    begins: u64,
    ends: Option<u64>,
    written: u64,
    /// Octets of the entry before the input, bits of its first octet that are used, and how often codes were read.
    passed: u64,
    bit: usize,
    codes: u64,
    state: State,
    /// What was decoded and waits for its filter.
    waiting: Vec<u8>,
    /// Octets of all entries since it began anew: what they were packed in and became.
    pub(crate) totals: (u64, u64),
}

#[derive(Debug)]
enum Coding {
    Rar4(Box<Rar4Code>),
    Rar5(Box<Rar5Code>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The coding's end was read.
    Coded,
    /// There would be more than the entry is said to have.
    GoesOn,
}

/// Which coding an archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// As packed since version 2.9.
    Rar4,
    Rar5,
}

/// What the header says of an entry that is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) generation: Generation,
    pub(crate) window_octets: u64,
    /// It goes on with what the entry before it has left.
    pub(crate) is_solid: bool,
    pub(crate) unpacked_octets: Option<u64>,
}

/// Where a coding writes to, and until when.
#[derive(Debug)]
pub(crate) struct Target<'t> {
    pub(crate) window: &'t mut Window,
    pub(crate) filters: &'t mut Filters,
    pub(crate) out: &'t mut Vec<u8>,
    until: u64,
    /// What is written is the entry's, as long as no filter waits for more.
    is_direct: bool,
    passed: u64,
    codes: &'t mut u64,
}

/// One thing that a symbol says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Symbol {
    Literal(u8),
    /// The distance is that to the last octet.
    Match {
        distance: u32,
        octets: usize,
    },
    Nothing,
}

impl Target<'_> {
    pub(crate) fn is_full(&self) -> bool {
        let has_to_wait = self.is_direct && !self.filters.is_empty();
        self.window.total() >= self.until || self.out.len() >= STEP_OCTETS || has_to_wait
    }

    /// Notes that codes begin anew here, unless they do too often.
    pub(crate) fn begin_codes(&mut self, bits: &Bits<'_>) -> Result<(), Step> {
        *self.codes += 1;
        let octets = self.passed + bits.at() as u64 / 8;
        if *self.codes > CODES_FREE + octets / CODES_OCTETS { Err(Step::Unknown) } else { Ok(()) }
    }

    pub(crate) fn write(&mut self, symbol: Symbol) -> Result<(), Step> {
        match symbol {
            Symbol::Literal(octet) => {
                self.window.put(octet);
                self.out.push(octet);
                Ok(())
            }
            Symbol::Match { distance, octets } => {
                self.window.repeat(distance, octets, self.out).map_err(Step::from)
            }
            Symbol::Nothing => Ok(()),
        }
    }
}

impl From<Missing> for Step {
    fn from(missing: Missing) -> Step {
        match missing {
            Missing::Never => Step::Damaged,
            Missing::Gone => Step::TooFar,
        }
    }
}

impl RarUnpacker {
    /// Before the first entry.
    pub(crate) fn new(lease: Lease, generation: Generation) -> RarUnpacker {
        RarUnpacker {
            window: Window::new(lease, 0),
            coding: match generation {
                Generation::Rar4 => Coding::Rar4(Box::default()),
                Generation::Rar5 => Coding::Rar5(Box::default()),
            },
            filters: Filters::default(),
            begins: 0,
            ends: None,
            written: 0,
            passed: 0,
            bit: 0,
            codes: 0,
            state: State::Coded,
            waiting: Vec::new(),
            totals: (0, 0),
        }
    }

    /// Begins the next entry.
    pub(crate) fn begin(&mut self, packing: Packing) {
        let window_octets = packing.window_octets + WINDOW_SPARE_OCTETS;
        self.filters.clear();
        if packing.is_solid {
            self.window.ask_for(window_octets);
        } else {
            self.window.begin_anew(window_octets);
            self.totals = (0, 0);
            match &mut self.coding {
                Coding::Rar4(code) => **code = Rar4Code::default(),
                Coding::Rar5(code) => **code = Rar5Code::default(),
            }
        }
        if let Coding::Rar5(code) = &mut self.coding {
            code.begin_entry();
        }
        self.begins = self.window.total();
        self.written = self.begins;
        self.ends = packing.unpacked_octets.map(|octets| self.begins.saturating_add(octets));
        (self.passed, self.bit, self.codes) = (0, 0, 0);
        self.state = State::Open;
    }

    pub(crate) fn step(&mut self, input: &[u8], is_all: bool, out: &mut Vec<u8>) -> (usize, Step) {
        let mut bits = Bits::new(input, self.bit);
        let step = self.run(&mut bits, is_all, out).err().unwrap_or(Step::More);
        if let Some(ends) = self.ends.filter(|ends| *ends < self.written) {
            // The last symbol may go beyond the entry.
            let beyond = usize::try_from(self.written - ends).unwrap_or(usize::MAX);
            out.truncate(out.len().saturating_sub(beyond));
            self.written = ends;
        }
        self.bit = bits.at() % 8;
        let used = (bits.at() / 8).min(input.len());
        self.passed += used as u64;
        (used, step)
    }

    fn run(&mut self, bits: &mut Bits<'_>, is_all: bool, out: &mut Vec<u8>) -> Result<(), Step> {
        while out.len() < STEP_OCTETS {
            if self.ends.is_some_and(|ends| self.written >= ends) {
                return Err(self.close(bits, is_all));
            }
            if self.written < self.window.total() {
                let made = self.filters.write(&self.window, self.written, self.begins, out)?;
                self.written += made;
                if made > 0 {
                    continue;
                }
            }
            if self.state != State::Open {
                // It should have become more, or some filter's stretch should.
                let is_whole = self.ends.is_none() && self.filters.is_empty();
                return Err(if is_whole { Step::Ended } else { Step::Damaged });
            }
            if self.ends.is_some_and(|ends| self.window.total() >= ends) {
                return Err(Step::Damaged);
            }
            self.decode(bits, is_all, out)?;
        }
        Ok(())
    }

    /// Decodes until there is something to be written; what no filter waits for is written at once.
    fn decode(&mut self, bits: &mut Bits<'_>, is_all: bool, out: &mut Vec<u8>) -> Result<(), Step> {
        let is_direct = self.filters.is_empty() && self.written == self.window.total();
        self.waiting.clear();
        let until = self.filters.first_ends().into_iter().chain(self.ends).min();
        let mut target = Target {
            window: &mut self.window,
            filters: &mut self.filters,
            out: if is_direct { &mut *out } else { &mut self.waiting },
            until: until.unwrap_or(u64::MAX),
            is_direct,
            passed: self.passed,
            codes: &mut self.codes,
        };
        let before = target.out.len();
        let decoded = match &mut self.coding {
            Coding::Rar4(code) => code.decode(bits, is_all, &mut target),
            Coding::Rar5(code) => code.decode(bits, is_all, &mut target),
        };
        if is_direct {
            self.written += (out.len() - before) as u64;
        }
        match decoded {
            Err(Step::Ended) => self.state = State::Coded,
            decoded => decoded?,
        }
        Ok(())
    }

    /// Whether what was unpacked of the entry is not all as it was before it was packed.
    pub(crate) fn has_unknown_change(&self) -> bool {
        self.filters.has_unknown()
    }

    /// All is written. What the coding has at an entry's end tells how the next begins.
    fn close(&mut self, bits: &mut Bits<'_>, is_all: bool) -> Step {
        if self.state != State::Open {
            return Step::Ended;
        }
        self.waiting.clear();
        let mut target = Target {
            window: &mut self.window,
            filters: &mut self.filters,
            out: &mut self.waiting,
            until: 0,
            is_direct: false,
            passed: self.passed,
            codes: &mut self.codes,
        };
        let closed = match &mut self.coding {
            Coding::Rar4(code) => code.close(bits, is_all).map(|()| true),
            Coding::Rar5(code) => code.close(bits, is_all, &mut target),
        };
        match closed {
            Err(Step::Wants) => return Step::Wants,
            Ok(false) => self.state = State::GoesOn,
            Ok(true) | Err(_) => self.state = State::Coded,
        }
        Step::Ended
    }

    /// Octets that were decoded and not written.
    pub(crate) fn octets_waiting(&self) -> usize {
        usize::try_from(self.window.total().saturating_sub(self.written)).unwrap_or(usize::MAX)
    }

    /// Whether what comes next may refer back to what has come.
    pub(crate) fn is_whole(&self) -> bool {
        self.state != State::GoesOn
    }
}

/// Reads the lengths of all codes' words behind each other, each added to what is there (modulo 16).
pub(crate) fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Option<()> {
    let code = length_code(bits);
    let mut at = 0;
    while at < lengths.len() {
        let symbol = bits.symbol(&code)?;
        let (times, length) = match symbol {
            0..16 => {
                let place = lengths.get_mut(at)?;
                *place = (*place + symbol as u8) % 16;
                at += 1;
                continue;
            }
            16 | 17 => (symbol - 16, *lengths.get(at.checked_sub(1)?)?),
            _ => (symbol - 18, 0),
        };
        let times = if times == 0 { 3 + bits.take(3) } else { 11 + bits.take(7) };
        let end = (at + times as usize).min(lengths.len());
        lengths.get_mut(at..end)?.fill(length);
        at = end;
    }
    Some(())
}

fn length_code(bits: &mut Bits<'_>) -> Code {
    let mut lengths = [0; LENGTH_SYMBOLS];
    let mut at = 0;
    while let Some(place) = lengths.get_mut(at) {
        *place = bits.take(LENGTH_BITS) as u8;
        at += 1;
        if *place == LENGTH_ZEROS {
            let zeros = bits.take(LENGTH_BITS) as usize;
            if zeros > 0 {
                *place = 0;
                at += zeros + 1;
            }
        }
    }
    Code::new(&lengths, LENGTHS_QUICK_BITS)
}
