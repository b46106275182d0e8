//! Sets of message numbers as sorted ranges: unique identifiers of a mailbox, small even for a hundred thousand messages.

use std::fmt;

use crate::ids::Uid;

/// A set of unique identifiers: ascending, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A set from ranges in any order, overlapping or reversed; zero is no identifier and is left out.
    #[must_use]
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b).max(1), a.max(b)))
            .filter(|&(_, last)| last > 0)
            .collect();
        sorted.sort_unstable();
        let mut set = Self::new();
        for (first, last) in sorted {
            set.push_range(first, last);
        }
        set
    }

    /// Adds an identifier not below any in the set: the cheap way to build a set in order.
    /// An identifier below the last range's start is ignored only if already contained; use [`Self::from_ranges`] for disorder.
    pub fn push(&mut self, uid: Uid) {
        self.push_range(uid.0, uid.0);
    }

    fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some(range) if first <= range.1.saturating_add(1) => range.1 = range.1.max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// Whether the identifier is in the set.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < uid.0);
        self.0.get(at).is_some_and(|&(first, _)| first <= uid.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many identifiers are in the set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The ranges, ascending, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Every identifier, ascending. Bounded by the caller: a range may span four thousand million.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0.iter().flat_map(|&(first, last)| (first..=last).map(Uid))
    }

    /// The least identifier.
    #[must_use]
    pub fn first(&self) -> Option<Uid> {
        self.0.first().map(|range| Uid(range.0))
    }

    /// The greatest identifier.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.0.last().map(|range| Uid(range.1))
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid.0, uid.0)))
    }
}

impl fmt::Display for UidSet {
    /// As a sequence set of RFC 9051 §9, without the `*`: `1:3,7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}:{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_and_joined() {
        let set = UidSet::from_ranges([(7, 9), (3, 1), (4, 4), (20, 20), (0, 0), (8, 12)]);
        assert_eq!(set.to_string(), "1:4,7:12,20");
        assert_eq!(set.count(), 11);
        assert!(set.contains(Uid(12)) && !set.contains(Uid(13)) && !set.contains(Uid(0)));
        assert_eq!((set.first(), set.last()), (Some(Uid(1)), Some(Uid(20))));
    }

    #[test]
    fn the_greatest_identifier_is_no_overflow() {
        let set = UidSet::from_ranges([(u32::MAX, u32::MAX), (u32::MAX - 1, u32::MAX)]);
        assert_eq!(set.count(), 2);
        assert!(set.contains(Uid(u32::MAX)));
    }
}
