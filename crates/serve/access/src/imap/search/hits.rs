//! Which messages of a view a search still has in hand: one bit each, so that sets meet and part at the speed of
//! memory.

use mail_types::UidSet;
use mailstore::View;

/// A set of messages by their sequence numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hits {
    words: Vec<u64>,
}

impl Hits {
    /// No message of a view with this many.
    pub(crate) fn none(messages: u32) -> Self {
        Self { words: vec![0; (messages as usize).div_ceil(64)] }
    }

    /// All messages of a view with this many.
    pub(crate) fn all(messages: u32) -> Self {
        let mut hits = Self::none(messages);
        hits.add_range(1, messages);
        hits
    }

    /// Adds one message.
    pub(crate) fn add(&mut self, number: u32) {
        self.add_range(number, number);
    }

    /// Adds the messages from `first` to `last`; those beyond the view are none.
    pub(crate) fn add_range(&mut self, first: u32, last: u32) {
        let Some(first) = first.checked_sub(1) else { return };
        let (mut at, end) = (first as usize, (last as usize).min(self.words.len() * 64));
        while at < end {
            let (index, bit) = (at / 64, at % 64);
            let bits = (end - at).min(64 - bit);
            let mask = (u64::MAX >> (64 - bits)) << bit;
            if let Some(word) = self.words.get_mut(index) {
                *word |= mask;
            }
            at += bits;
        }
    }

    /// Whether the message is in the set.
    pub(crate) fn contains(&self, number: u32) -> bool {
        let Some(at) = (number as usize).checked_sub(1) else { return false };
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether no message is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// How many messages.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Keeps what is in the other too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Takes out what is in the other.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Takes in what is in the other.
    pub(crate) fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// The sequence numbers, ascending.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                // A view has at most 2^32 messages.
                Some((index * 64) as u32 + bit + 1)
            })
        })
    }

    /// The identifiers of the messages.
    pub(crate) fn uids(&self, view: &View) -> UidSet {
        let mut uids = UidSet::new();
        for (number, entry) in view.iter() {
            if self.contains(number) {
                uids.push(entry.uid);
            }
        }
        uids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(messages: u32, ranges: &[(u32, u32)]) -> Hits {
        let mut hits = Hits::none(messages);
        ranges.iter().for_each(|&(first, last)| hits.add_range(first, last));
        hits
    }

    #[test]
    fn ranges_cross_words() {
        for messages in [1, 63, 64, 65, 128, 200] {
            let all = Hits::all(messages);
            assert_eq!(all.count(), u64::from(messages));
            assert!(all.numbers().eq(1..=messages));
            assert!(
                all.contains(1) && all.contains(messages) && !all.contains(messages + 1) && !all.contains(0)
            );
        }
        assert!(Hits::all(0).is_empty());
    }

    #[test]
    fn sets_meet_part_and_unite() {
        let (one, other) = (hits(200, &[(1, 70), (130, 130)]), hits(200, &[(60, 140)]));
        let check = |change: fn(&mut Hits, &Hits), expected: &[(u32, u32)]| {
            let mut result = one.clone();
            change(&mut result, &other);
            assert_eq!(result, hits(200, expected));
        };
        check(Hits::intersect, &[(60, 70), (130, 130)]);
        check(Hits::subtract, &[(1, 59)]);
        check(Hits::unite, &[(1, 140)]);
    }
}
