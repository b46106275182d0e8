//! What was answered and may be told again: bounded in octets, by its own clock, the longest unused goes first.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use platform::clock::Monotonic;

use crate::answer::{Answer, LookupError};
use crate::name::Name;
use crate::record::{RecordData, RecordType};

/// What a question is known by.
pub(crate) type Question = (Name, RecordType);
/// What a question comes to.
pub(crate) type Outcome = Result<Answer<RecordData>, LookupError>;

/// Octets that an entry takes beside its name and its records: the two maps' nodes, about.
const ENTRY_OCTETS: usize = 256;

/// Outcomes by question.
#[derive(Debug)]
pub(crate) struct Cache {
    octets_max: usize,
    octets: usize,
    entries: HashMap<Question, Entry>,
    /// Questions by when they were last asked.
    order: BTreeMap<u64, Question>,
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    ends: Monotonic,
    octets: usize,
    used: u64,
}

impl Cache {
    /// An empty one.
    pub(crate) fn new(octets_max: usize) -> Self {
        Self { octets_max, octets: 0, entries: HashMap::new(), order: BTreeMap::new(), turn: 0 }
    }

    /// Octets taken, about.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// What is known at `now`, with the time that is left of it.
    pub(crate) fn find(&mut self, question: &Question, now: Monotonic) -> Option<Outcome> {
        let entry = self.entries.get_mut(question)?;
        let left = entry.ends.since(now);
        if left.is_zero() {
            self.remove(question);
            return None;
        }
        self.turn += 1;
        if let Some(question) = self.order.remove(&entry.used) {
            self.order.insert(self.turn, question);
        }
        entry.used = self.turn;
        let mut outcome = entry.outcome.clone();
        match &mut outcome {
            Ok(Answer { valid_for, .. })
            | Err(LookupError::NoSuchName { valid_for, .. } | LookupError::NoData { valid_for, .. }) => {
                *valid_for = left;
            }
            Err(_) => {}
        }
        Some(outcome)
    }

    /// Remembers an outcome for `kept`; not at all if that is no time, or if it alone is larger than the cache.
    pub(crate) fn insert(&mut self, question: Question, outcome: Outcome, kept: Duration, now: Monotonic) {
        self.remove(&question);
        let octets = ENTRY_OCTETS + 2 * question.0.as_str().len() + octets_of(&outcome);
        if kept.is_zero() || octets > self.octets_max {
            return;
        }
        while self.octets + octets > self.octets_max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
        self.turn += 1;
        self.octets += octets;
        self.order.insert(self.turn, question.clone());
        let entry = Entry { outcome, ends: now.saturating_add(kept), octets, used: self.turn };
        self.entries.insert(question, entry);
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.order.remove(&entry.used);
            self.octets -= entry.octets;
        }
    }
}

fn octets_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(answer) => {
            answer.canonical.as_str().len() + answer.records.iter().map(RecordData::octets).sum::<usize>()
        }
        Err(LookupError::Bogus(why) | LookupError::Unreachable(why) | LookupError::Excessive(why)) => {
            why.len()
        }
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use platform::clock::{Clock, Timestamp};

    use super::*;
    use crate::answer::Security;

    const MINUTE: Duration = Duration::from_secs(60);

    fn question(number: usize) -> Question {
        (Name::parse(&format!("host{number:04}.example.org")).unwrap(), RecordType::Txt)
    }

    fn text(octets: usize) -> Outcome {
        Ok(Answer {
            records: vec![RecordData::Text(vec![b'x'; octets])],
            canonical: Name::root(),
            security: Security::Secure,
            valid_for: MINUTE,
        })
    }

    #[test]
    fn an_answer_ends_when_its_time_is_over() {
        let clock = Clock::settable(Timestamp::default());
        let mut cache = Cache::new(10_000);
        cache.insert(question(1), text(1), MINUTE, clock.monotonic());
        clock.advance(Duration::from_secs(59));
        let found = cache.find(&question(1), clock.monotonic()).unwrap().unwrap();
        assert_eq!(found.valid_for, Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.find(&question(1), clock.monotonic()), None);
        assert_eq!(cache.octets(), 0);
    }

    #[test]
    fn no_time_is_no_entry() {
        let now = Clock::settable(Timestamp::default()).monotonic();
        let mut cache = Cache::new(10_000);
        cache.insert(question(1), text(1), MINUTE, now);
        cache.insert(question(1), text(1), Duration::ZERO, now);
        assert_eq!(cache.find(&question(1), now), None);
    }

    #[test]
    fn octets_are_bounded_and_the_longest_unused_goes_first() {
        let now = Clock::settable(Timestamp::default()).monotonic();
        let mut sized = Cache::new(usize::MAX);
        sized.insert(question(1), text(1000), MINUTE, now);
        let one = sized.octets();

        let mut cache = Cache::new(3 * one);
        for number in 1..=3 {
            cache.insert(question(number), text(1000), MINUTE, now);
        }
        assert_eq!(cache.octets(), 3 * one);
        assert!(cache.find(&question(1), now).is_some());
        cache.insert(question(4), text(1000), MINUTE, now);
        let known = |cache: &mut Cache| -> Vec<usize> {
            (1..=4).filter(|number| cache.find(&question(*number), now).is_some()).collect()
        };
        assert_eq!(known(&mut cache), [1, 3, 4]);
        // Larger than all the cache: nobody else has to go for it.
        cache.insert(question(2), text(3 * one), MINUTE, now);
        assert_eq!(known(&mut cache), [1, 3, 4]);
        assert!(cache.octets() <= 3 * one);
    }

    #[test]
    fn a_flood_of_names_takes_no_more_than_the_bound() {
        let now = Clock::settable(Timestamp::default()).monotonic();
        let mut cache = Cache::new(100_000);
        for number in 0..5_000 {
            cache.insert(question(number), text(number % 300), MINUTE, now);
            assert!(cache.octets() <= 100_000);
        }
        assert_eq!(cache.entries.len(), cache.order.len());
        assert!(cache.find(&question(4_999), now).is_some());
    }
}
