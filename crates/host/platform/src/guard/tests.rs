//! What the guard promises, with a clock that tests move.

use super::*;
use crate::clock::Timestamp;

mod banned;
mod connections;
mod kept;
mod passwords;
mod private;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn settings() -> GuardSettings {
    GuardSettings {
        connections_max: 5,
        connections_per_address_max: 2,
        failures_free: 2,
        delay_first: SECOND,
        delay_max: 5 * SECOND,
        points_before_ban: 80,
        window: 10 * MINUTE,
        ban_first: 30 * MINUTE,
        ban_longest: 24 * HOUR,
        trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        bans_private: true,
    }
}

fn guard() -> (Guard, Clock) {
    let clock = Clock::settable(Timestamp::default());
    (Guard::new(settings(), clock.clone(), &Metrics::new()), clock)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn offend(guard: &Guard, peer: &str, offence: Offence, times: u32) {
    for _ in 0..times {
        guard.offended(ip(peer), offence);
    }
}

fn is_banned(guard: &Guard, peer: &str) -> bool {
    guard.admit(ip(peer)).err() == Some(Refusal::Banned)
}

/// Fails with a password that is seen.
fn fail(guard: &Guard, peer: &str, account: &str, password: &str) -> Attempt {
    guard.failed(ip(peer), account, Offence::WrongPassword, Some(password.as_bytes()))
}
