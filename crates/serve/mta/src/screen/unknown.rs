//! How many people who are not here were named of late by strangers of one network, and how many one may name who also brings
//! wanted mail: lists and large providers have old addresses. Memory is constant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use mail_types::DomainName;
use parking_lot::Mutex;
use platform::clock::{Clock, Monotonic};
use platform::network::Network;

use super::senders::{NETWORK, block};

/// Networks and domains that are counted; those beyond have no credit.
const ORIGINS_MAX: usize = 10_000;
/// The day in which is counted.
const DAY_SECONDS: u64 = 24 * 3_600;
/// One unknown recipient of a day for so many messages taken: a fifth of all, as the breaker has it for our own people.
const MESSAGES_FOR_ONE: f32 = 4.0;
/// What a list that vouches for a client is worth in messages.
pub(crate) const VOUCHED_MESSAGES: f32 = 400.0;
/// Names of a day from which on others are asked about whoever says them: lists, and SPF. Before, they cost nobody a question.
pub(crate) const ASKED_FROM: u32 = 10;
/// Names of one connection that are answered at once.
const FREE: u32 = 5;
/// The longest that an answer waits.
const DELAY_SECONDS_MAX: u32 = 5;

#[derive(Debug, Default)]
pub(crate) struct Unknown(Mutex<HashMap<Whose, Day>>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Whose {
    Network(Network),
    /// One from which SPF lets the client send.
    Domain(DomainName),
}

#[derive(Clone, Copy, Debug)]
struct Day {
    begun: Monotonic,
    named: u32,
}

impl Unknown {
    /// Counts a name that somebody of a network says; how many of this day it makes, if that is known.
    pub(crate) fn count(&self, address: IpAddr, clock: &Clock) -> Option<u32> {
        self.count_of(Whose::Network(block(address, NETWORK)?), clock.monotonic())
    }

    /// The same of a domain, from wherever it lets its mail be sent.
    pub(crate) fn count_of_domain(&self, domain: &DomainName, clock: &Clock) -> Option<u32> {
        self.count_of(Whose::Domain(domain.clone()), clock.monotonic())
    }

    fn count_of(&self, whose: Whose, now: Monotonic) -> Option<u32> {
        let is_over = |day: &Day| now.since(day.begun).as_secs() >= DAY_SECONDS;
        let mut days = self.0.lock();
        if days.len() >= ORIGINS_MAX && !days.contains_key(&whose) {
            days.retain(|_, day| !is_over(day));
            if days.len() >= ORIGINS_MAX {
                return None;
            }
        }
        let new = Day { begun: now, named: 0 };
        let day = days.entry(whose).or_insert(new);
        if is_over(day) {
            *day = new;
        }
        day.named = day.named.saturating_add(1);
        Some(day.named)
    }
}

/// Whether so many names of a day are no more than one may say of whom so many messages were taken.
pub(crate) fn is_credited(named: u32, taken: f32) -> bool {
    // Far below what a float cannot tell apart; what is beyond has no credit.
    named as f32 * MESSAGES_FOR_ONE <= taken
}

/// How long the answer waits that tells a connection of one more.
pub(crate) fn delay(named: u32) -> Duration {
    Duration::from_secs(u64::from(named.saturating_sub(FREE).min(DELAY_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use platform::clock::Timestamp;

    use super::*;

    #[test]
    fn a_day_of_a_network_is_counted() {
        let (unknown, clock) = (Unknown::default(), Clock::settable(Timestamp::default()));
        let count = |text: &str| unknown.count(text.parse().unwrap(), &clock);
        assert_eq!((count("11.0.0.1"), count("11.0.0.2"), count("11.0.1.1")), (Some(1), Some(2), Some(1)));
        let domain = DomainName::parse("elsewhere.example").unwrap();
        assert_eq!(unknown.count_of_domain(&domain, &clock), Some(1));
        clock.advance(Duration::from_secs(DAY_SECONDS - 1));
        assert_eq!((count("11.0.0.1"), unknown.count_of_domain(&domain, &clock)), (Some(3), Some(2)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(count("11.0.0.1"), Some(1));
    }

    #[test]
    fn so_many_networks_are_counted() {
        let (unknown, clock) = (Unknown::default(), Clock::settable(Timestamp::default()));
        let count = |number: usize| {
            let octets = (u32::try_from(number).unwrap() << 8).to_be_bytes();
            unknown.count(IpAddr::from(octets), &clock)
        };
        assert!((0..ORIGINS_MAX).all(|number| count(number) == Some(1)));
        assert_eq!((count(ORIGINS_MAX), count(0)), (None, Some(2)));
        clock.advance(Duration::from_secs(DAY_SECONDS));
        assert_eq!(count(ORIGINS_MAX), Some(1));
    }

    #[test]
    fn one_message_is_no_credit_and_many_are() {
        for (named, taken, expected) in [
            (1, 0.0, false),
            (1, 1.0, false),
            (1, 3.9, false),
            (1, 4.0, true),
            (50, 199.0, false),
            (50, 200.0, true),
        ] {
            assert_eq!(is_credited(named, taken), expected, "{named} {taken}");
        }
        assert!(is_credited(100, VOUCHED_MESSAGES) && !is_credited(101, VOUCHED_MESSAGES));
        let delays = [0, FREE, FREE + 1, FREE + 5, FREE + 6].map(|named| delay(named).as_secs());
        assert_eq!(delays, [0, 0, 1, 5, 5]);
    }
}
