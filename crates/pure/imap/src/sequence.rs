//! Sequence sets as clients write them: `2,4:7,9,12:*`, or `$` for the saved search result (RFC 9051 §9, RFC 5182).

use mail_types::{Uid, UidSet};

/// Whether numbers are message sequence numbers or, after `UID`, unique identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Numbering {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers.
    Uid,
}

/// A sequence set as the client wrote it, not yet held against a mailbox.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SequenceSet {
    /// `$`: the result that a SEARCH saved (RFC 5182 §2.1).
    Saved,
    /// Ranges in the order given, ends in any order, 0 for `*`, which is never a number on the wire.
    Ranges(Vec<(u32, u32)>),
}

/// A sequence number beyond the last message, for which the command is BAD (RFC 9051 §9 seq-number).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no message has sequence number {number}: there are {exists}")]
pub struct OutOfRange {
    /// The number.
    pub number: u32,
    /// How many messages there are.
    pub exists: u32,
}

/// Message sequence numbers: ascending, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SequenceNumbers(UidSet);

impl SequenceNumbers {
    /// The ranges, ascending, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        self.0.ranges()
    }

    /// Every number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.ranges().iter().flat_map(|&(first, last)| first..=last)
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.0.contains(Uid(number))
    }
}

impl SequenceSet {
    /// Most elements between commas that a set may have: what fits on our longest line.
    pub const ELEMENTS_MAX: usize = 131_072;

    /// The message sequence numbers meant in a mailbox of this many messages; `None` for `$`, which the session knows.
    /// An empty mailbox has no `*` and no number.
    ///
    /// # Errors
    /// [`OutOfRange`] for a number that no message has.
    pub fn sequence_numbers(&self, exists: u32) -> Option<Result<SequenceNumbers, OutOfRange>> {
        let Self::Ranges(ranges) = self else { return None };
        let beyond = ranges
            .iter()
            .flat_map(|&(a, b)| [a, b])
            .find(|&number| number > exists || (number == 0 && exists == 0));
        Some(match beyond {
            Some(number) => Err(OutOfRange { number, exists }),
            None => Ok(SequenceNumbers(UidSet::from_ranges(Self::with_last(ranges, exists)))),
        })
    }

    /// The unique identifiers meant in a mailbox whose greatest is `last`; `None` for `$`.
    /// Identifiers that no message has are no error (RFC 9051 §6.4.9). `7:*` always holds the last message, even below 7.
    #[must_use]
    pub fn uids(&self, last: Option<Uid>) -> Option<UidSet> {
        let Self::Ranges(ranges) = self else { return None };
        let Some(Uid(last)) = last else { return Some(UidSet::new()) };
        Some(UidSet::from_ranges(Self::with_last(ranges, last)))
    }

    /// The numbers, when the set is without `*` and `$`, as in the parameters of QRESYNC.
    #[must_use]
    pub fn known_uids(&self) -> Option<UidSet> {
        match self {
            Self::Ranges(ranges) if ranges.iter().all(|&(a, b)| a > 0 && b > 0) => {
                Some(UidSet::from_ranges(ranges.iter().copied()))
            }
            _ => None,
        }
    }

    fn with_last(ranges: &[(u32, u32)], last: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let number = move |number: u32| if number == 0 { last } else { number };
        ranges.iter().map(move |&(a, b)| (number(a), number(b)))
    }
}
