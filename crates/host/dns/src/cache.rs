//! What was answered and may be told again: bounded in octets, by its own clock, the longest unused goes first.
//!
//! An answer outlives its time for a while, to be told when no server answers any more (RFC 8767): better mail to where
//! it went an hour ago than none. Absences and failures do not.

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
/// What is left of an answer's time when being asked for makes it worth a refresh: a tenth.
const ENDING_PART: u32 = 10;
/// Answers of a shorter time are not refreshed before they end: it would be nearly a question for each question.
const REFRESHED_MIN: Duration = Duration::from_secs(30);
/// How long a stale answer may be used, and how long nobody is asked again after that failed (RFC 8767 §4, §5).
pub(crate) const STALE_TOLD: Duration = Duration::from_secs(30);

/// Outcomes by question.
#[derive(Debug)]
pub(crate) struct Cache {
    octets_max: usize,
    stale_max: Duration,
    octets: usize,
    entries: HashMap<Question, Entry>,
    /// Questions by when they were last asked.
    order: BTreeMap<u64, Question>,
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    kept: Duration,
    ends: Monotonic,
    /// Somebody was told to refresh it.
    is_refreshed: bool,
    /// Asking again failed; until then it is told although its time is over.
    rests_until: Option<Monotonic>,
    octets: usize,
    used: u64,
}

/// What the cache knows of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// It may be told.
    Fresh(Outcome),
    /// It may be told, and whoever hears this first should ask again before its time is over.
    Ending(Outcome),
    /// Its time is over, and no server answered a moment ago.
    Stale(Outcome),
}

impl Cache {
    /// An empty one; answers are kept for `stale_max` beyond their time.
    pub(crate) fn new(octets_max: usize, stale_max: Duration) -> Self {
        Self { octets_max, stale_max, octets: 0, entries: HashMap::new(), order: BTreeMap::new(), turn: 0 }
    }

    /// Octets taken, about.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// What may be told at `now`, with the time that is left of it.
    pub(crate) fn find(&mut self, question: &Question, now: Monotonic) -> Option<Known> {
        let stale_max = self.stale_max;
        let entry = self.entries.get_mut(question)?;
        if entry.is_dead(now, stale_max) {
            self.remove(question);
            return None;
        }
        let left = entry.ends.since(now);
        let rests = entry.rests_until.is_some_and(|until| !until.since(now).is_zero());
        if left.is_zero() && !rests {
            return None;
        }
        self.turn += 1;
        if let Some(question) = self.order.remove(&entry.used) {
            self.order.insert(self.turn, question);
        }
        entry.used = self.turn;
        if left.is_zero() {
            return Some(Known::Stale(with_time(&entry.outcome, STALE_TOLD)));
        }
        let outcome = with_time(&entry.outcome, left);
        let is_ending = outcome.is_ok() && entry.kept >= REFRESHED_MIN && left <= entry.kept / ENDING_PART;
        if is_ending && !std::mem::replace(&mut entry.is_refreshed, true) {
            return Some(Known::Ending(outcome));
        }
        Some(Known::Fresh(outcome))
    }

    /// What may be told although asking came to `failure`: an answer whose time is not over, or, when no server
    /// answered, one whose time is not over for too long. A stale one is then told for a while without asking.
    pub(crate) fn rescue(
        &mut self,
        question: &Question,
        failure: &LookupError,
        now: Monotonic,
    ) -> Option<Known> {
        let stale_max = self.stale_max;
        let entry = self.entries.get_mut(question).filter(|entry| entry.outcome.is_ok())?;
        let left = entry.ends.since(now);
        if !left.is_zero() {
            return Some(Known::Fresh(with_time(&entry.outcome, left)));
        }
        // A server that answered, if only wrongly, has said that the old answer is old.
        let nobody_answered =
            matches!(failure, LookupError::Timeout | LookupError::Unreachable(_) | LookupError::Busy);
        if entry.is_dead(now, stale_max) || !nobody_answered {
            return None;
        }
        entry.rests_until = Some(now.saturating_add(STALE_TOLD));
        Some(Known::Stale(with_time(&entry.outcome, STALE_TOLD)))
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
        let entry = Entry {
            outcome,
            kept,
            ends: now.saturating_add(kept),
            is_refreshed: false,
            rests_until: None,
            octets,
            used: self.turn,
        };
        self.entries.insert(question, entry);
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.order.remove(&entry.used);
            self.octets -= entry.octets;
        }
    }
}

impl Entry {
    /// Whether it is of no use any more.
    fn is_dead(&self, now: Monotonic, stale_max: Duration) -> bool {
        let beyond = if self.outcome.is_ok() { stale_max } else { Duration::ZERO };
        self.ends.saturating_add(beyond).since(now).is_zero()
    }
}

/// The outcome, to be used for `left`.
fn with_time(outcome: &Outcome, left: Duration) -> Outcome {
    let mut outcome = outcome.clone();
    match &mut outcome {
        Ok(Answer { valid_for, .. })
        | Err(LookupError::NoSuchName { valid_for, .. } | LookupError::NoData { valid_for, .. }) => {
            *valid_for = left;
        }
        Err(_) => {}
    }
    outcome
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
    const HOUR: Duration = Duration::from_secs(3600);

    fn question(number: usize) -> Question {
        (Name::parse(&format!("host{number:04}.example.org")).unwrap(), RecordType::Txt)
    }

    fn cache(octets_max: usize) -> Cache {
        Cache::new(octets_max, HOUR)
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
        let mut cache = cache(10_000);
        cache.insert(question(1), text(1), MINUTE, clock.monotonic());
        clock.advance(Duration::from_secs(53));
        let Some(Known::Fresh(Ok(found))) = cache.find(&question(1), clock.monotonic()) else { panic!() };
        assert_eq!(found.valid_for, Duration::from_secs(7));
        clock.advance(Duration::from_secs(7));
        assert_eq!(cache.find(&question(1), clock.monotonic()), None);
        // It is kept for worse times, but not for ever.
        assert_ne!(cache.octets(), 0);
        clock.advance(HOUR);
        assert_eq!(cache.find(&question(1), clock.monotonic()), None);
        assert_eq!(cache.octets(), 0);
    }

    #[test]
    fn no_time_is_no_entry() {
        let now = Clock::settable(Timestamp::default()).monotonic();
        let mut cache = cache(10_000);
        cache.insert(question(1), text(1), MINUTE, now);
        cache.insert(question(1), text(1), Duration::ZERO, now);
        assert_eq!(cache.find(&question(1), now), None);
    }

    #[test]
    fn the_last_tenth_of_the_time_calls_for_one_refresh() {
        let clock = Clock::settable(Timestamp::default());
        let mut cache = cache(10_000);
        let absent = Err(LookupError::NoSuchName { security: Security::Secure, valid_for: MINUTE });
        cache.insert(question(1), text(1), MINUTE, clock.monotonic());
        cache.insert(question(2), text(1), REFRESHED_MIN - Duration::from_secs(1), clock.monotonic());
        cache.insert(question(3), absent, MINUTE, clock.monotonic());
        let mut is_ending =
            |number, now| matches!(cache.find(&question(number), now), Some(Known::Ending(Ok(_))));
        clock.advance(Duration::from_millis(53_999));
        assert!(!is_ending(1, clock.monotonic()));
        clock.advance(Duration::from_millis(1));
        assert!(is_ending(1, clock.monotonic()));
        assert!(!is_ending(1, clock.monotonic()), "only the first is told");
        assert!(!is_ending(3, clock.monotonic()), "absences end");
        cache.insert(question(2), text(1), REFRESHED_MIN - Duration::from_secs(1), clock.monotonic());
        clock.advance(Duration::from_secs(28));
        assert!(matches!(cache.find(&question(2), clock.monotonic()), Some(Known::Fresh(_))));
    }

    #[test]
    fn stale_answers_are_told_when_nobody_answers_and_not_for_ever() {
        let clock = Clock::settable(Timestamp::default());
        let mut cache = cache(10_000);
        let silence = LookupError::Timeout;
        cache.insert(question(1), text(1), MINUTE, clock.monotonic());
        clock.advance(MINUTE);
        for liar in [LookupError::Bogus("forged".into()), LookupError::Excessive("large".into())] {
            assert_eq!(cache.rescue(&question(1), &liar, clock.monotonic()), None);
        }
        let stale = cache.rescue(&question(1), &silence, clock.monotonic()).unwrap();
        let Known::Stale(Ok(answer)) = &stale else { panic!("{stale:?}") };
        assert_eq!((answer.valid_for, answer.security), (STALE_TOLD, Security::Secure));
        // For a while nobody is asked again, then somebody is.
        clock.advance(STALE_TOLD - Duration::from_secs(1));
        assert_eq!(cache.find(&question(1), clock.monotonic()), Some(stale.clone()));
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.find(&question(1), clock.monotonic()), None);
        clock.advance(HOUR - STALE_TOLD - Duration::from_secs(1));
        assert_eq!(cache.rescue(&question(1), &silence, clock.monotonic()), Some(stale));
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.rescue(&question(1), &silence, clock.monotonic()), None);
        assert_eq!(cache.find(&question(1), clock.monotonic()), None, "not even while it rests");
    }

    #[test]
    fn a_failed_refresh_harms_nobody_while_the_answer_is_good() {
        let clock = Clock::settable(Timestamp::default());
        let mut cache = cache(10_000);
        cache.insert(question(1), text(1), MINUTE, clock.monotonic());
        clock.advance(Duration::from_secs(55));
        for failure in [LookupError::Timeout, LookupError::Bogus("forged".into())] {
            let rescued = cache.rescue(&question(1), &failure, clock.monotonic());
            assert!(matches!(rescued, Some(Known::Fresh(Ok(_)))), "{rescued:?}");
        }
        // An absence is never told beyond its time.
        cache.insert(question(2), Err(LookupError::Timeout), MINUTE, clock.monotonic());
        assert_eq!(cache.rescue(&question(2), &LookupError::Timeout, clock.monotonic()), None);
    }

    #[test]
    fn octets_are_bounded_and_the_longest_unused_goes_first() {
        let now = Clock::settable(Timestamp::default()).monotonic();
        let mut sized = cache(usize::MAX);
        sized.insert(question(1), text(1000), MINUTE, now);
        let one = sized.octets();

        let mut cache = cache(3 * one);
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
        let mut cache = cache(100_000);
        for number in 0..5_000 {
            cache.insert(question(number), text(number % 300), MINUTE, now);
            assert!(cache.octets() <= 100_000);
        }
        assert_eq!(cache.entries.len(), cache.order.len());
        assert!(cache.find(&question(4_999), now).is_some());
    }
}
