//! What was noted of one account lately, and whether it is enough to stop it.

use std::collections::HashMap;

use platform::clock::Timestamp;
use platform::guard::neighbourhood;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{BreakerSettings, Signal};

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
/// Different things of one kind that are told apart; settings ask for no more.
pub(crate) const DISTINCT_MAX: usize = 10_000;
/// One refused recipient of so many is nothing to mind: addresses grow old.
const REFUSED_SHARE: u32 = 5;
/// Different people who have to complain before their complaints alone stop an account.
const COMPLAINERS_MIN: u32 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Signs {
    taken: Window,
    refused: Window,
    new_recipients: Distinct,
    new_networks: Distinct,
    unwanted: Window,
    complaints: Distinct,
    complainers: Distinct,
    last: Timestamp,
}

impl Default for Signs {
    fn default() -> Self {
        Self {
            taken: Window::of(DAY_SECONDS),
            refused: Window::of(DAY_SECONDS),
            new_recipients: Distinct::of(HOUR_SECONDS),
            new_networks: Distinct::of(HOUR_SECONDS),
            unwanted: Window::of(HOUR_SECONDS),
            complaints: Distinct::of(DAY_SECONDS),
            complainers: Distinct::of(DAY_SECONDS),
            last: Timestamp::default(),
        }
    }
}

impl Signs {
    pub(super) fn note(&mut self, signal: Signal, now: Timestamp) {
        self.last = now;
        match signal {
            Signal::RecipientTaken => self.taken.count(now),
            Signal::RecipientRefused => self.refused.count(now),
            Signal::NewRecipient(key) => self.new_recipients.see(key.0.cast_unsigned(), now),
            Signal::NewPlace(address) => {
                let mut hasher = DefaultHasher::new();
                neighbourhood(address).hash(&mut hasher);
                self.new_networks.see(hasher.finish(), now);
            }
            Signal::Unwanted => self.unwanted.count(now),
            Signal::Complaint { message, by } => {
                self.complaints.see(message, now);
                self.complainers.see(by, now);
            }
        }
    }

    /// Why the account is to be stopped, if it is: the parts of what is enough of each kind make a whole.
    pub(super) fn reason(&mut self, settings: &BreakerSettings, now: Timestamp) -> Option<String> {
        let (taken, refused) = (self.taken.recent(now), self.refused.recent(now));
        let is_share = refused.saturating_mul(REFUSED_SHARE) >= taken.saturating_add(refused);
        // One person alone does not stop an account, however much he dislikes its mail.
        let complaints = match self.complainers.recent(now) {
            COMPLAINERS_MIN.. => self.complaints.recent(now),
            _ => self.complaints.recent(now).min(settings.complaints / 2),
        };
        let kinds = [
            (
                self.new_recipients.recent(now),
                settings.new_recipients,
                "addresses never written to before, in an hour",
            ),
            (
                if is_share { refused } else { 0 },
                settings.wrong_recipients,
                "recipients that nobody has, in a day",
            ),
            (
                self.new_networks.recent(now),
                settings.new_networks,
                "networks from which it was logged in for the first time, in an hour",
            ),
            (self.unwanted.recent(now), settings.unwanted, "unwanted messages, in an hour"),
            (complaints, settings.complaints, "messages that somebody complains about, in a day"),
        ];
        let part = |(count, most, _): &(u32, u32, _)| u64::from(*count) * 1_000 / u64::from((*most).max(1));
        let whole: u64 = kinds.iter().map(part).sum();
        if whole < 1_000 {
            return None;
        }
        let words = kinds.iter().filter(|kind| part(kind) >= 100);
        let words: Vec<String> = words.map(|(count, _, words)| format!("{count} {words}")).collect();
        Some(words.join("; "))
    }

    /// Whether something was noted in the last day.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        now.unix_seconds() - self.last.unix_seconds() < DAY_SECONDS
    }
}

/// A count of the time that has just passed: this span's, and of the one before as much as is not over.
#[derive(Debug)]
struct Window {
    seconds: i64,
    span: i64,
    now: u32,
    before: u32,
}

impl Window {
    const fn of(seconds: i64) -> Self {
        Self { seconds, span: 0, now: 0, before: 0 }
    }

    fn count(&mut self, now: Timestamp) {
        self.go_on(now);
        self.now = self.now.saturating_add(1);
    }

    fn recent(&mut self, now: Timestamp) -> u32 {
        self.go_on(now);
        let left = self.seconds - now.unix_seconds().rem_euclid(self.seconds);
        let before = i64::from(self.before) * left / self.seconds;
        self.now.saturating_add(u32::try_from(before).unwrap_or(0))
    }

    /// A clock that goes back changes nothing.
    fn go_on(&mut self, now: Timestamp) {
        let span = now.unix_seconds().div_euclid(self.seconds);
        if span > self.span {
            self.before = if span == self.span + 1 { self.now } else { 0 };
            (self.now, self.span) = (0, span);
        }
    }
}

/// Different things of the time that has just passed.
#[derive(Debug)]
struct Distinct {
    seconds: i64,
    seen: HashMap<u64, i64>,
}

impl Distinct {
    fn of(seconds: i64) -> Self {
        Self { seconds, seen: HashMap::new() }
    }

    fn see(&mut self, what: u64, now: Timestamp) {
        if self.seen.len() < DISTINCT_MAX || self.seen.contains_key(&what) {
            self.seen.insert(what, now.unix_seconds());
        }
    }

    fn recent(&mut self, now: Timestamp) -> u32 {
        let since = now.unix_seconds() - self.seconds;
        self.seen.retain(|_, seen| *seen > since);
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::RecipientKey;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_640_400 + seconds)
    }

    fn is_stopped(signs: &mut Signs, now: Timestamp) -> bool {
        signs.reason(&BreakerSettings::default(), now).is_some()
    }

    #[test]
    fn each_kind_stops_at_its_threshold() {
        let network = |number: u32| Signal::NewPlace(std::net::IpAddr::V4((number << 8).into()));
        let settings = BreakerSettings::default();
        type Numbered = Box<dyn Fn(u32) -> Signal>;
        let kinds: [(u32, Numbered); 5] = [
            (settings.new_recipients, Box::new(|number| Signal::NewRecipient(RecipientKey(number.into())))),
            (settings.wrong_recipients, Box::new(|_| Signal::RecipientRefused)),
            (settings.new_networks, Box::new(network)),
            (settings.unwanted, Box::new(|_| Signal::Unwanted)),
            (
                settings.complaints,
                Box::new(|number| Signal::Complaint { message: number.into(), by: number.into() }),
            ),
        ];
        for (most, signal) in kinds {
            let mut signs = Signs::default();
            for number in 1..most {
                signs.note(signal(number), at(0));
                assert!(!is_stopped(&mut signs, at(0)), "{:?} {number}", signal(number));
            }
            // The same once more is nothing new where kinds are told apart.
            signs.note(signal(most), at(0));
            assert!(is_stopped(&mut signs, at(0)), "{:?}", signal(most));
        }
    }

    #[test]
    fn one_who_complains_of_everything_stops_nobody() {
        let mut signs = Signs::default();
        (0..100).for_each(|message| signs.note(Signal::Complaint { message, by: 1 }, at(0)));
        assert!(!is_stopped(&mut signs, at(0)));
        signs.note(Signal::Complaint { message: 100, by: 2 }, at(1));
        assert!(is_stopped(&mut signs, at(1)));
    }

    #[test]
    fn several_kinds_add_up() {
        let mut signs = Signs::default();
        (0..250).for_each(|number| signs.note(Signal::NewRecipient(RecipientKey(number)), at(0)));
        (0..250).for_each(|number| signs.note(Signal::NewRecipient(RecipientKey(number)), at(1)));
        assert!(!is_stopped(&mut signs, at(1)), "the same ones again");
        (0..24).for_each(|_| signs.note(Signal::RecipientRefused, at(2)));
        assert!(!is_stopped(&mut signs, at(2)));
        signs.note(Signal::RecipientRefused, at(2));
        let reason = signs.reason(&BreakerSettings::default(), at(2)).unwrap();
        assert_eq!(
            reason,
            "250 addresses never written to before, in an hour; 25 recipients that nobody has, in a day"
        );
    }

    #[test]
    fn what_is_over_does_not_count() {
        let mut signs = Signs::default();
        (0..499).for_each(|number| signs.note(Signal::NewRecipient(RecipientKey(number)), at(0)));
        signs.note(Signal::NewRecipient(RecipientKey(1_000)), at(3_600));
        assert!(!is_stopped(&mut signs, at(3_600)));
        (0..19).for_each(|_| signs.note(Signal::Unwanted, at(0)));
        assert!(!is_stopped(&mut signs, at(60)));
        assert!(signs.is_recent(at(24 * 3_600 - 1)) && !signs.is_recent(at(24 * 3_600)));
    }

    #[test]
    fn a_list_with_some_old_addresses_is_nothing_to_mind() {
        let mut signs = Signs::default();
        (0..1_000).for_each(|_| signs.note(Signal::RecipientTaken, at(0)));
        (0..249).for_each(|_| signs.note(Signal::RecipientRefused, at(0)));
        assert!(!is_stopped(&mut signs, at(0)));
        signs.note(Signal::RecipientRefused, at(0));
        assert!(is_stopped(&mut signs, at(0)), "a fifth");
    }

    #[test]
    fn different_things_are_bounded() {
        let mut distinct = Distinct::of(HOUR_SECONDS);
        for number in 0..=DISTINCT_MAX as u64 {
            distinct.see(number, at(0));
        }
        assert_eq!(distinct.recent(at(0)) as usize, DISTINCT_MAX);
    }
}
