//! What the two sides agree on first: version, what the filter may change, which steps it sees and which it answers.

use super::macros::{STAGES, Stage};
use super::packet::{self, DATA_OCTETS};
use crate::Nonsense;

/// The version we speak, and the oldest that we understand.
pub(super) const VERSION: u32 = 6;
const VERSION_MIN: u32 = 2;
/// Most macros that a filter may ask for at one stage. There are not half as many.
pub const SYMBOLS_MAX: usize = 64;
/// Longest name of a macro.
const SYMBOL_OCTETS_MAX: usize = 64;

/// What a filter may do to messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Actions(u32);

impl Actions {
    /// Add and insert header fields.
    pub const ADD_HEADER: Self = Self(0x01);
    /// Replace the body.
    pub const CHANGE_BODY: Self = Self(0x02);
    /// Add recipients.
    pub const ADD_RECIPIENT: Self = Self(0x04);
    /// Take recipients away.
    pub const DELETE_RECIPIENT: Self = Self(0x08);
    /// Change and delete header fields.
    pub const CHANGE_HEADER: Self = Self(0x10);
    /// Have a message kept apart.
    pub const QUARANTINE: Self = Self(0x20);
    /// Change the sender.
    pub const CHANGE_SENDER: Self = Self(0x40);
    /// Add recipients with parameters.
    pub const ADD_RECIPIENT_WITH: Self = Self(0x80);
    /// Say which macros it wants.
    pub const SYMBOLS: Self = Self(0x100);
    /// All of these.
    pub const ALL: Self = Self(0x1ff);

    /// Whether these include all of `other`.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which steps a filter does not see, which it sees and does not answer, and what else is agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steps(u32);

impl Steps {
    pub(super) const NO_CONNECT: Self = Self(0x01);
    pub(super) const NO_HELLO: Self = Self(0x02);
    pub(super) const NO_SENDER: Self = Self(0x04);
    pub(super) const NO_RECIPIENT: Self = Self(0x08);
    pub(super) const NO_BODY: Self = Self(0x10);
    pub(super) const NO_HEADER: Self = Self(0x20);
    pub(super) const NO_END_OF_HEADER: Self = Self(0x40);
    pub(super) const MUTE_HEADER: Self = Self(0x80);
    pub(super) const NO_UNKNOWN: Self = Self(0x100);
    pub(super) const NO_DATA: Self = Self(0x200);
    /// It may say that it has seen enough of the body.
    pub(super) const SKIP: Self = Self(0x400);
    /// It wants to see recipients that were refused.
    pub(super) const REFUSED_RECIPIENTS: Self = Self(0x800);
    pub(super) const MUTE_CONNECT: Self = Self(0x1000);
    pub(super) const MUTE_HELLO: Self = Self(0x2000);
    pub(super) const MUTE_SENDER: Self = Self(0x4000);
    pub(super) const MUTE_RECIPIENT: Self = Self(0x8000);
    pub(super) const MUTE_DATA: Self = Self(0x1_0000);
    pub(super) const MUTE_UNKNOWN: Self = Self(0x2_0000);
    pub(super) const MUTE_END_OF_HEADER: Self = Self(0x4_0000);
    pub(super) const MUTE_BODY: Self = Self(0x8_0000);
    /// Values of header fields go and come with the blank after the colon.
    pub(super) const LEADING_SPACE: Self = Self(0x10_0000);
    /// Larger packets. Only what libmilter itself adds; it takes the larger of those that we name.
    const DATA_256K: Self = Self(0x1000_0000);
    const DATA_1M: Self = Self(0x2000_0000);
    /// What we offer.
    pub(super) const ALL: Self = Self(0x001f_ffff | Self::DATA_1M.0);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What was agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The version that the filter speaks.
    pub version: u32,
    /// What it may change.
    pub actions: Actions,
    /// Which steps it sees and answers.
    pub steps: Steps,
    symbols: [Option<Vec<String>>; STAGES],
}

impl Negotiated {
    /// Reads what the filter answers to our offer.
    pub(super) fn read(data: &[u8]) -> Result<Self, Nonsense> {
        let (version, rest) = packet::number(data)?;
        let (actions, rest) = packet::number(rest)?;
        let (steps, mut rest) = packet::number(rest)?;
        let (actions, steps) = (Actions(actions), Steps(steps));
        let is_offered =
            Actions::ALL.has(actions) && (Steps::ALL.0 | Steps::DATA_256K.0) & steps.0 == steps.0;
        if !(VERSION_MIN..=VERSION).contains(&version) || !is_offered {
            return Err(Nonsense::NotNegotiated);
        }
        let mut symbols: [Option<Vec<String>>; STAGES] = Default::default();
        while !rest.is_empty() {
            let (stage, list) = packet::number(rest)?;
            let (list, after) = packet::text(list)?;
            rest = after;
            let stage = usize::try_from(stage).ok().and_then(|stage| symbols.get_mut(stage));
            *stage.ok_or(Nonsense::Malformed)? = Some(read_symbols(list)?);
        }
        Ok(Self { version, actions, steps, symbols })
    }

    /// Octets of data of the packets that both sides may send.
    #[must_use]
    pub fn data_octets_max(&self) -> usize {
        let [usual, larger, largest] = DATA_OCTETS;
        match self.steps {
            steps if steps.has(Steps::DATA_1M) => largest,
            steps if steps.has(Steps::DATA_256K) => larger,
            _ => usual,
        }
    }

    /// The macros that it asked for at a stage, if it has asked.
    pub(super) fn symbols(&self, stage: Stage) -> Option<&[String]> {
        self.symbols.get(stage.index())?.as_deref()
    }
}

/// Our offer.
pub(super) fn offer(out: &mut Vec<u8>) {
    let numbers = [VERSION, Actions::ALL.0, Steps::ALL.0].map(u32::to_be_bytes);
    packet::write(b'O', &[numbers.as_flattened()], out);
}

/// Names parted by blanks or commas, in braces or not.
fn read_symbols(list: &[u8]) -> Result<Vec<String>, Nonsense> {
    let list = std::str::from_utf8(list).map_err(|_| Nonsense::Malformed)?;
    let mut names = Vec::new();
    for name in list.split([' ', ',', '\t']).filter(|name| !name.is_empty()) {
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        if names.len() == SYMBOLS_MAX || name.len() > SYMBOL_OCTETS_MAX {
            return Err(Nonsense::TooLong);
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: u32, actions: u32, steps: u32, rest: &[u8]) -> Vec<u8> {
        [[version, actions, steps].map(u32::to_be_bytes).as_flattened(), rest].concat()
    }

    #[test]
    fn a_filter_gets_no_more_than_was_offered() {
        for (version, actions, steps, fits) in [
            (6, 0x1ff, 0x1f_ffff, true),
            (2, 0, 0, true),
            (1, 0, 0, false),
            (7, 0, 0, false),
            (6, 0x200, 0, false),
            (6, 0, 0x20_0000, false),
            (6, 0, 0x1000_0000, true),
            (6, 0, 0x4000_0000, false),
        ] {
            let read = Negotiated::read(&answer(version, actions, steps, b""));
            assert_eq!(read.is_ok(), fits, "{version} {actions:x} {steps:x}");
        }
        assert!(Negotiated::read(&answer(6, 0, 0, b"")[..11]).is_err());
    }

    #[test]
    fn the_size_of_packets_is_agreed_on() {
        let octets = |steps| Negotiated::read(&answer(6, 0, steps, b"")).unwrap().data_octets_max();
        assert_eq!([0, 0x1000_0000, 0x2000_0000].map(octets), [65_535, 262_143, 1_048_575]);
    }

    #[test]
    fn macros_are_asked_for_by_stage() {
        let lists = [&3_u32.to_be_bytes()[..], b"i, {rcpt_addr}  j\0", &6_u32.to_be_bytes(), b"\0"].concat();
        let read = Negotiated::read(&answer(6, 0x100, 0, &lists)).unwrap();
        assert_eq!(read.symbols(Stage::Recipient).unwrap(), ["i", "rcpt_addr", "j"]);
        assert_eq!(read.symbols(Stage::EndOfHeader), Some(&[][..]));
        assert_eq!(read.symbols(Stage::Connect), None);
        let unknown = [&7_u32.to_be_bytes()[..], b"i\0"].concat();
        assert_eq!(Negotiated::read(&answer(6, 0, 0, &unknown)), Err(Nonsense::Malformed));
    }

    #[test]
    fn lists_of_macros_have_a_bound() {
        let read = |count: usize| {
            let list = [&0_u32.to_be_bytes()[..], &b"i ".repeat(count), b"\0"].concat();
            Negotiated::read(&answer(6, 0, 0, &list)).map(|_| ())
        };
        assert_eq!((read(SYMBOLS_MAX - 1), read(SYMBOLS_MAX)), (Ok(()), Ok(())));
        assert_eq!(read(SYMBOLS_MAX + 1), Err(Nonsense::TooLong));
    }
}
