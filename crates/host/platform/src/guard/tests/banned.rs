//! Who is banned, by counting and by an operator, for what and for how long.

use super::*;

#[test]
fn too_many_failures_ban_and_the_ban_ends() {
    let (guard, clock) = guard();
    for _ in 0..8 {
        assert_ne!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::Banned);
        let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Banned);
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::Banned);
    assert_eq!(guard.attempt(ip("192.0.2.2"), "bob"), Attempt::After(Duration::ZERO));
    clock.advance(30 * MINUTE - SECOND);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Banned);
    clock.advance(SECOND);
    guard.admit(ip("192.0.2.1")).unwrap();
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::After(5 * SECOND));
    // One more chance only.
    let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), Attempt::Banned);
}

#[test]
fn trusted_networks_are_never_banned_by_counting() {
    let (guard, _) = guard();
    for _ in 0..100 {
        let _ = guard.failed(ip("10.9.9.9"), "ann", Offence::WrongPassword, None);
        let _ = guard.failed(None, "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("10.9.9.9"), "bob"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(None, "bob"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(ip("10.9.9.9"), "ann"), Attempt::After(5 * SECOND));
}

#[test]
fn each_offence_has_its_weight() {
    for offence in Offence::ALL {
        let (guard, _) = guard();
        let most = u32::try_from(80_000 / offence.thousandths()).unwrap();
        offend(&guard, "192.0.2.1", offence, most - 1);
        assert!(!is_banned(&guard, "192.0.2.1"), "{offence:?}");
        offend(&guard, "192.0.2.1", offence, 1);
        assert!(is_banned(&guard, "192.0.2.1"), "{offence:?}");
        assert!(!is_banned(&guard, "192.0.2.2"), "{offence:?}");
        assert_eq!(&*guard.bans()[0].reason, offence.as_str());
    }
}

#[test]
fn points_drain_away() {
    let (guard, clock) = guard();
    // Four of the eight that ban drain away in half a window: a busy mail server with some old addresses goes on.
    for _ in 0..50 {
        offend(&guard, "192.0.2.1", Offence::Probe, 3);
        clock.advance(4 * MINUTE);
    }
    assert!(!is_banned(&guard, "192.0.2.1"));
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    assert!(is_banned(&guard, "192.0.2.1"));
}

#[test]
fn bans_grow_with_repetition_and_are_forgotten_in_the_end() {
    let (guard, clock) = guard();
    let mut lengths = Vec::new();
    for _ in 0..5 {
        offend(&guard, "192.0.2.1", Offence::Probe, 8);
        let ban = guard.bans().pop().unwrap();
        let length = ban.until.unwrap().since(ban.since);
        lengths.push(length);
        clock.advance(length - SECOND);
        assert!(is_banned(&guard, "192.0.2.1"));
        clock.advance(SECOND);
        assert!(!is_banned(&guard, "192.0.2.1"));
    }
    assert_eq!(lengths, [HOUR / 2, 2 * HOUR, 8 * HOUR, 24 * HOUR, 24 * HOUR]);
    clock.advance(28 * 24 * HOUR - SECOND);
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    assert_eq!(guard.bans()[0].times, 6, "remembered to the last second");
    clock.advance(24 * HOUR + 28 * 24 * HOUR);
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    assert_eq!(guard.bans()[0].times, 1);
}

#[test]
fn a_network_is_banned_for_what_many_in_it_do_but_not_those_who_are_known() {
    for (attackers, stranger, owner, outside) in [
        ("192.0.2.", "192.0.2.200", "192.0.2.7", "192.0.3.1"),
        ("2001:db8:1:", "2001:db8:1:ff00::1", "2001:db8:1:aa::1", "2001:db8:2::1"),
    ] {
        let (guard, _) = guard();
        assert_eq!(guard.succeeded(ip(owner), "ann"), Place::New);
        assert_eq!(guard.succeeded(ip(owner), "ann"), Place::Known);
        for number in 0..64 {
            assert!(!is_banned(&guard, stranger), "{number}");
            let ending = if attackers.contains(':') { "::1" } else { "" };
            offend(&guard, &format!("{attackers}{}{ending}", 100 + number), Offence::Probe, 1);
        }
        assert!(is_banned(&guard, stranger));
        assert!(!is_banned(&guard, outside));
        assert!(!is_banned(&guard, owner));
        assert_eq!(guard.attempt(ip(owner), "ann"), Attempt::After(Duration::ZERO));
        // What it does itself counts all the same.
        offend(&guard, owner, Offence::Probe, 8);
        assert!(is_banned(&guard, owner));
    }
}

#[test]
fn an_operators_ban_is_for_everybody_until_it_is_lifted() {
    let (guard, clock) = guard();
    let _ = guard.succeeded(ip("192.0.2.7"), "ann");
    guard.ban("192.0.2.0/24".parse().unwrap(), None, "no reason").unwrap();
    guard.ban("10.0.0.0/8".parse().unwrap(), Some(clock.now().saturating_add(HOUR)), "").unwrap();
    assert!(
        is_banned(&guard, "192.0.2.7")
            && is_banned(&guard, "::ffff:192.0.2.8")
            && is_banned(&guard, "10.1.1.1")
    );
    clock.advance(1000 * 24 * HOUR);
    assert!(is_banned(&guard, "192.0.2.7") && !is_banned(&guard, "10.1.1.1"));
    assert_eq!(guard.bans().len(), 1);
    assert!(guard.lift("192.0.2.0/24".parse().unwrap()));
    assert!(!guard.lift("192.0.2.0/24".parse().unwrap()));
    assert!(!is_banned(&guard, "192.0.2.7"));
}

#[test]
fn an_operators_bans_are_bounded() {
    let (guard, _) = guard();
    let ban = |text: &str, reason: &str| guard.ban(text.parse().unwrap(), None, reason);
    assert_eq!(ban("0.0.0.0/7", ""), Err(BanError::TooWide));
    assert_eq!(ban("4.0.0.0/8", ""), Ok(()));
    assert_eq!(ban("2000::/15", ""), Err(BanError::TooWide));
    assert_eq!(ban("2000::/16", ""), Ok(()));
    assert_eq!(ban("4.0.0.0/8", &"x".repeat(REASON_OCTETS_MAX)), Ok(()));
    assert_eq!(ban("4.0.0.0/8", &"x".repeat(REASON_OCTETS_MAX + 1)), Err(BanError::Reason));
    assert_eq!(ban("4.0.0.0/8", "a\nb"), Err(BanError::Reason));
    let address = |number: u32| Network::single(IpAddr::V4((0x0a00_0000 + number).into()));
    for number in 2..10_000 {
        guard.ban(address(number), None, "").unwrap();
    }
    assert_eq!(guard.ban(address(1), None, ""), Err(BanError::TooMany));
    assert_eq!(guard.ban(address(2), None, "once more"), Ok(()), "one that is there");
    assert!(guard.lift(address(3)));
    assert_eq!(guard.ban(address(1), None, ""), Ok(()));
}

#[test]
fn an_operators_bans_that_have_ended_leave_room() {
    let (guard, clock) = guard();
    let address = |number: u32| Network::single(IpAddr::V4((0x0a00_0000 + number).into()));
    let until = Some(clock.now().saturating_add(HOUR));
    for number in 0..10_000 {
        guard.ban(address(number), until, "").unwrap();
    }
    assert_eq!(guard.ban(address(10_000), None, ""), Err(BanError::TooMany));
    clock.advance(HOUR);
    assert_eq!(guard.ban(address(10_000), None, ""), Ok(()));
    assert_eq!(guard.ban(address(1), None, ""), Ok(()), "one that was there");
}

#[test]
fn bans_by_counting_are_bounded_and_the_longest_stay() {
    let mut bans = Bans::default();
    let at = Timestamp::from_unix_seconds;
    let address = |number: u32| Network::single(IpAddr::V4(number.into()));
    let settings = settings();
    // The first has been banned before, so that it lasts longer than the others.
    bans.count(address(1), "probe", &settings, at(-1801)).unwrap();
    bans.count(address(1), "probe", &settings, at(0)).unwrap();
    for number in 2..=70_000 {
        bans.count(address(number), "probe", &settings, at(i64::from(number) / 1_000)).unwrap();
        assert!(bans.len() <= bans::BANS_MAX);
    }
    let now = at(70);
    let found = |number: u32| bans.around(IpAddr::V4(number.into()), now).next().is_some();
    assert!(found(1) && found(70_000) && !found(2));
}

#[test]
fn a_lifted_ban_leaves_nothing_behind() {
    let (guard, _) = guard();
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    assert!(guard.lift("192.0.2.1".parse().unwrap()));
    offend(&guard, "192.0.2.1", Offence::Probe, 7);
    assert!(!is_banned(&guard, "192.0.2.1"));
}
