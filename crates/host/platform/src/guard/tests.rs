//! What the guard promises, with a clock that tests move.

use super::*;
use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> GuardSettings {
    GuardSettings {
        connections_max: 5,
        connections_per_address_max: 2,
        failures_free: 2,
        delay_first: SECOND,
        delay_max: 5 * SECOND,
        failures_before_block: 8,
        failures_window: 10 * MINUTE,
        block: 30 * MINUTE,
        trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
    }
}

fn guard() -> (Guard, Clock) {
    let clock = Clock::settable(Timestamp::default());
    (Guard::new(settings(), clock.clone(), &Metrics::new()), clock)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn an_address_gets_its_share_and_no_more() {
    let (guard, _) = guard();
    let first = guard.admit(ip("192.0.2.1")).unwrap();
    let _second = guard.admit(ip("::ffff:192.0.2.1")).unwrap();
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressFull);
    let _other = guard.admit(ip("192.0.2.2")).unwrap();
    drop(first);
    let _again = guard.admit(ip("192.0.2.1")).unwrap();
}

#[test]
fn an_ipv6_household_is_one_peer() {
    let (guard, _) = guard();
    let _first = guard.admit(ip("2001:db8::1")).unwrap();
    let _second = guard.admit(ip("2001:db8::ffff:1")).unwrap();
    assert_eq!(guard.admit(ip("2001:db8::2")).unwrap_err(), Refusal::AddressFull);
    let _neighbour = guard.admit(ip("2001:db8:0:1::1")).unwrap();
}

#[test]
fn the_total_binds_everyone() {
    let (guard, _) = guard();
    let visits: Vec<_> = (0..5).map(|_| guard.admit(ip("10.1.2.3")).unwrap()).collect();
    assert_eq!(guard.admit(ip("10.1.2.3")).unwrap_err(), Refusal::ServerFull);
    assert_eq!(guard.admit(None).unwrap_err(), Refusal::ServerFull);
    drop(visits);
    guard.admit(None).unwrap();
}

#[test]
fn refusals_and_departures_leave_no_entry_behind() {
    let (guard, _) = guard();
    guard.reconfigure(GuardSettings { connections_per_address_max: 0, ..settings() });
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressFull);
    guard.reconfigure(settings());
    drop(guard.admit(ip("192.0.2.1")).unwrap());
    assert!(guard.0.state.lock().by_address.is_empty());
    assert_eq!(guard.0.state.lock().connections, 0);
}

#[test]
fn delays_grow_and_stop_growing() {
    let (guard, _) = guard();
    let mut delays = Vec::new();
    for _ in 0..7 {
        guard.failed(ip("192.0.2.1"), "ann@example.org");
        delays.push(guard.attempt(ip("192.0.2.1"), "bob@example.org"));
    }
    let expected = [0, 0, 1, 2, 4, 5, 5].map(|seconds| Attempt::After(seconds * SECOND));
    assert_eq!(delays, expected);
}

#[test]
fn too_many_failures_block_and_the_block_ends() {
    let (guard, clock) = guard();
    for _ in 0..8 {
        assert_ne!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::Blocked);
        guard.failed(ip("192.0.2.1"), "ann");
    }
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Blocked);
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::Blocked);
    assert_eq!(guard.attempt(ip("192.0.2.2"), "bob"), Attempt::After(Duration::ZERO));
    clock.advance(30 * MINUTE - SECOND);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Blocked);
    clock.advance(SECOND);
    guard.admit(ip("192.0.2.1")).unwrap();
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::After(5 * SECOND));
    // One more chance only.
    guard.failed(ip("192.0.2.1"), "ann");
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Blocked);
}

#[test]
fn failures_are_forgotten_after_a_quiet_time() {
    let (guard, clock) = guard();
    for _ in 0..7 {
        guard.failed(ip("192.0.2.1"), "ann");
    }
    clock.advance(10 * MINUTE);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
    guard.failed(ip("192.0.2.1"), "ann");
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
}

#[test]
fn a_guesser_cannot_wash_himself_with_his_own_account() {
    let (guard, _) = guard();
    for _ in 0..5 {
        guard.failed(ip("192.0.2.1"), "ann");
    }
    guard.failed(ip("192.0.2.1"), "mallory");
    guard.succeeded(ip("192.0.2.1"), "mallory");
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::After(5 * SECOND));
}

#[test]
fn one_address_of_a_household_can_be_trusted() {
    let (guard, _) = guard();
    guard.reconfigure(GuardSettings { trusted: vec!["::1".parse().unwrap()], ..settings() });
    let _visits: Vec<_> = (0..3).map(|_| guard.admit(ip("::1")).unwrap()).collect();
}

#[test]
fn success_forgives_typing_errors() {
    let (guard, _) = guard();
    for _ in 0..5 {
        guard.failed(ip("192.0.2.1"), "ann");
    }
    guard.succeeded(ip("192.0.2.1"), "ann");
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
}

#[test]
fn guesses_from_everywhere_slow_the_account_but_not_its_owner() {
    let (guard, _) = guard();
    guard.succeeded(ip("198.51.100.7"), "ann");
    for last in 1..=200 {
        guard.failed(ip(&format!("192.0.2.{last}")), "ann");
    }
    assert_eq!(guard.attempt(ip("203.0.113.1"), "ann"), Attempt::After(5 * SECOND));
    assert_eq!(guard.attempt(ip("198.51.100.7"), "ann"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(ip("203.0.113.1"), "bob"), Attempt::After(Duration::ZERO));
}

#[test]
fn trusted_networks_are_never_blocked() {
    let (guard, _) = guard();
    for _ in 0..100 {
        guard.failed(ip("10.9.9.9"), "ann");
        guard.failed(None, "ann");
    }
    assert_eq!(guard.attempt(ip("10.9.9.9"), "bob"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(None, "bob"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(ip("10.9.9.9"), "ann"), Attempt::After(5 * SECOND));
}
