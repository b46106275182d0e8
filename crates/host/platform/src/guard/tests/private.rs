//! Private addresses, by way of which anybody may come: slowed, and not banned.

use super::*;

#[test]
fn who_only_looks_from_within_the_house_is_no_offender() {
    for (peer, is_stranger) in [
        ("192.168.1.1", false),
        ("172.17.0.1", false),
        ("100.64.0.1", false),
        ("fd12::1", false),
        ("fe80::1", false),
        ("192.0.2.1", true),
        ("2001:db8::1", true),
    ] {
        let (guard, _) = guard();
        guard.reconfigure(GuardSettings { trusted: Vec::new(), ..settings() });
        offend(&guard, peer, Offence::Silence, 200);
        assert_eq!(is_banned(&guard, peer), is_stranger, "{peer}");
        // Whatever else it does counts.
        offend(&guard, peer, Offence::Probe, 8);
        assert!(is_banned(&guard, peer), "{peer}");
    }
}

#[test]
fn a_private_address_is_slowed_and_not_banned() {
    for (peer, is_private) in [
        ("192.168.1.1", true),
        ("172.17.0.1", true),
        ("100.64.0.1", true),
        ("169.254.7.7", true),
        ("127.0.0.1", true),
        ("fd12::1", true),
        ("fe80::1", true),
        ("192.0.2.1", false),
        ("100.128.0.1", false),
        ("2001:db8::1", false),
    ] {
        let (guard, _) = guard();
        let spares = GuardSettings { trusted: Vec::new(), bans_private: false, ..settings() };
        guard.reconfigure(spares.clone());
        for number in 0..100 {
            let _ = fail(&guard, peer, "ann", &number.to_string());
        }
        offend(&guard, peer, Offence::Probe, 100);
        assert_eq!(is_banned(&guard, peer), !is_private, "{peer}");
        if is_private {
            assert_eq!(guard.attempt(ip(peer), "bob"), Attempt::After(5 * SECOND), "{peer}");
            assert!(guard.bans().is_empty());
            // Where people in it may be hostile.
            guard.reconfigure(GuardSettings { bans_private: true, ..spares.clone() });
            offend(&guard, peer, Offence::Probe, 1);
            assert!(is_banned(&guard, peer), "{peer}");
            guard.reconfigure(spares);
            assert!(!is_banned(&guard, peer), "{peer}");
            assert!(guard.bans().is_empty(), "the kernel's firewall keeps out who stands here: {peer}");
            guard.ban(Network::single(peer.parse().unwrap()), None, "").unwrap();
            assert!(is_banned(&guard, peer), "an operator's ban is for everybody");
        }
    }
}

#[test]
fn nobodys_place_is_everybodys() {
    let (guard, _) = guard();
    guard.reconfigure(GuardSettings { trusted: Vec::new(), bans_private: false, ..settings() });
    let _ = guard.succeeded(ip("172.17.0.1"), "ann");
    for _ in 0..7 {
        let _ = guard.failed(ip("172.17.0.1"), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("172.17.0.1"), "ann"), Attempt::After(5 * SECOND), "guesses are slow");
}

#[test]
fn guesses_by_way_of_a_private_address_wait_for_each_other() {
    let (guard, clock) = guard();
    guard.reconfigure(GuardSettings { trusted: Vec::new(), bans_private: false, ..settings() });
    let tries = |peer: &str, count: u32| {
        let attempts = (0..count).map(|_| guard.attempt(ip(peer), ""));
        attempts.filter(|attempt| matches!(attempt, Attempt::After(_))).count()
    };
    // Who has guessed nothing waits for nobody.
    assert_eq!(tries("172.17.0.1", 5_000), 5_000);
    for number in 0..10 {
        let _ = fail(&guard, "172.17.0.1", "ann", &number.to_string());
    }
    // As many connections as there may be are no more guesses.
    let most = usize::try_from(records::TURNS_WAIT_MAX.as_millis() / records::TURN.as_millis()).unwrap() + 1;
    assert_eq!(guard.attempt(ip("172.17.0.1"), ""), Attempt::After(5 * SECOND));
    assert_eq!(guard.attempt(ip("172.17.0.1"), ""), Attempt::After(5 * SECOND + records::TURN));
    assert_eq!(tries("172.17.0.1", 5_000), most - 2);
    assert_eq!(guard.attempt(ip("172.17.0.1"), ""), Attempt::Banned);
    assert_eq!(guard.attempt(ip("172.17.0.2"), ""), Attempt::After(Duration::ZERO), "others do not wait");
    clock.advance(records::TURN);
    assert_eq!(tries("172.17.0.1", 5_000), 1);
    // Afterwards it is as before.
    clock.advance(10 * MINUTE);
    assert_eq!(tries("172.17.0.1", 5_000), 5_000);
}

#[test]
fn a_private_address_has_half_of_all_connections() {
    let (guard, _) = guard();
    let spares = GuardSettings { connections_max: 9, trusted: Vec::new(), bans_private: false, ..settings() };
    guard.reconfigure(spares);
    let _visits: Vec<_> = (0..4).map(|_| guard.admit(ip("172.17.0.1")).unwrap()).collect();
    assert_eq!(guard.admit(ip("172.17.0.1")).unwrap_err(), Refusal::AddressFull);
    let _others: Vec<_> = (0..2).map(|_| guard.admit(ip("192.0.2.1")).unwrap()).collect();
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressFull);
}

#[test]
fn of_a_private_address_it_is_told_once_a_day() {
    let mut records = Records::default();
    let address = |text: &str| Network::single(text.parse().unwrap());
    assert!(records.is_first_of_day(address("172.17.0.1"), 20_000));
    assert!(!records.is_first_of_day(address("172.17.0.1"), 20_000));
    assert!(records.is_first_of_day(address("172.17.0.2"), 20_000));
    assert!(records.is_first_of_day(address("172.17.0.1"), 20_001));
}
