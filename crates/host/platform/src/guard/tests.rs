//! What the guard promises, with a clock that tests move.

use super::*;
use crate::clock::Timestamp;

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
        let _ = guard.failed(ip("192.0.2.1"), "ann@example.org", Offence::WrongPassword, None);
        delays.push(guard.attempt(ip("192.0.2.1"), "bob@example.org"));
    }
    let expected = [0, 0, 1, 2, 4, 5, 5].map(|seconds| Attempt::After(seconds * SECOND));
    assert_eq!(delays, expected);
}

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
fn failures_are_forgotten_after_a_quiet_time() {
    let (guard, clock) = guard();
    for _ in 0..7 {
        let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    }
    clock.advance(10 * MINUTE);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
    let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
}

#[test]
fn a_guesser_cannot_wash_himself_with_his_own_account() {
    let (guard, _) = guard();
    for _ in 0..5 {
        let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    }
    let _ = guard.failed(ip("192.0.2.1"), "mallory", Offence::WrongPassword, None);
    let _ = guard.succeeded(ip("192.0.2.1"), "mallory");
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
        let _ = guard.failed(ip("192.0.2.1"), "ann", Offence::WrongPassword, None);
    }
    let _ = guard.succeeded(ip("192.0.2.1"), "ann");
    assert_eq!(guard.attempt(ip("192.0.2.1"), "ann"), Attempt::After(Duration::ZERO));
}

#[test]
fn guesses_from_everywhere_slow_the_account_but_not_its_owner() {
    let (guard, _) = guard();
    let _ = guard.succeeded(ip("198.51.100.7"), "ann");
    for last in 1..=200 {
        let _ = guard.failed(ip(&format!("192.0.2.{last}")), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("203.0.113.1"), "ann"), Attempt::After(5 * SECOND));
    assert_eq!(guard.attempt(ip("198.51.100.7"), "ann"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(ip("203.0.113.1"), "bob"), Attempt::After(Duration::ZERO));
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

fn offend(guard: &Guard, peer: &str, offence: Offence, times: u32) {
    for _ in 0..times {
        guard.offended(ip(peer), offence);
    }
}

fn is_banned(guard: &Guard, peer: &str) -> bool {
    guard.admit(ip(peer)).err() == Some(Refusal::Banned)
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
fn the_network_of_an_owner_does_not_feel_the_accounts_delay() {
    let (guard, clock) = guard();
    let _ = guard.succeeded(ip("198.51.100.7"), "ann");
    for last in 1..=200 {
        let _ = guard.failed(ip(&format!("192.0.2.{last}")), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("198.51.100.8"), "ann"), Attempt::After(Duration::ZERO));
    assert_eq!(guard.attempt(ip("198.51.101.8"), "ann"), Attempt::After(5 * SECOND));
    clock.advance(59 * 24 * HOUR);
    let _ = guard.failed(ip("203.0.113.1"), "ann", Offence::WrongPassword, None);
    for _ in 0..5 {
        let _ = guard.failed(ip("203.0.113.1"), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("198.51.100.7"), "ann"), Attempt::After(Duration::ZERO));
    clock.advance(24 * HOUR);
    for _ in 0..6 {
        let _ = guard.failed(ip("203.0.113.1"), "ann", Offence::WrongPassword, None);
    }
    assert_eq!(guard.attempt(ip("198.51.100.7"), "ann"), Attempt::After(5 * SECOND), "after 60 days");
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
    assert_eq!(
        ban(
            "4.0.0.0/8",
            "a
b"
        ),
        Err(BanError::Reason)
    );
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
fn what_fails_without_a_name_makes_nobody_else_wait() {
    let (guard, _) = guard();
    for _ in 0..7 {
        let _ = guard.failed(ip("192.0.2.1"), "", Offence::WrongPassword, None);
    }
    // By SASL the name is not known at first.
    for peer in [ip("203.0.113.1"), None] {
        assert_eq!(guard.attempt(peer, ""), Attempt::After(Duration::ZERO));
    }
    assert_eq!(guard.attempt(ip("192.0.2.1"), ""), Attempt::After(5 * SECOND));
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
fn what_could_not_be_kept_has_changed_still() {
    let (guard, clock) = guard();
    guard.ban("203.0.113.0/24".parse().unwrap(), None, "spam").unwrap();
    let _ = guard.succeeded(ip("198.51.100.7"), "ann");
    let unkept = guard.take_changes();
    assert!(guard.lift("203.0.113.0/24".parse().unwrap()));
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    guard.give_back(unkept);
    let Changes { bans, known } = guard.take_changes();
    let bans: Vec<_> = bans.iter().map(|(network, ban)| (network.as_str(), ban.is_some())).collect();
    assert_eq!(bans, [("192.0.2.1/32", true), ("203.0.113.0/24", false)], "as it is now");
    assert_eq!(known.len(), 3);

    // What counts no more is not kept for ever.
    let ban = guard.bans().remove(0);
    clock.advance(30 * 24 * HOUR);
    let later = Guard::new(settings(), clock, &Metrics::new());
    let _ = later.restore(Kept { bans: vec![ban], ..Kept::default() });
    assert_eq!(later.take_changes().bans, [("192.0.2.1/32".to_owned(), None)]);
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
fn what_was_kept_goes_on_after_a_restart() {
    let (guard, clock) = guard();
    let key = guard.restore(Kept::default());
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    guard.ban("203.0.113.0/24".parse().unwrap(), None, "spam").unwrap();
    let _ = guard.succeeded(ip("198.51.100.7"), "ann");
    let Changes { bans, known } = guard.take_changes();
    assert_eq!(known.len(), 3);
    assert!(guard.take_changes().bans.is_empty());
    assert!(guard.lift("203.0.113.0/24".parse().unwrap()));
    assert_eq!(guard.take_changes().bans, [("203.0.113.0/24".to_owned(), None)]);

    clock.advance(29 * MINUTE);
    let later = Guard::new(settings(), clock.clone(), &Metrics::new());
    let bans = bans.into_iter().filter_map(|(_, ban)| ban).collect();
    assert_eq!(later.restore(Kept { key: Some(key), since: Some(clock.now()), bans, known }), key);
    assert!(later.take_changes().bans.is_empty(), "it is kept already");
    assert!(is_banned(&later, "192.0.2.1") && is_banned(&later, "203.0.113.9"));
    assert_eq!(later.succeeded(ip("198.51.100.7"), "ann"), Place::Known);
    clock.advance(MINUTE);
    assert!(!is_banned(&later, "192.0.2.1"));
    offend(&later, "192.0.2.1", Offence::Probe, 8);
    assert_eq!(later.bans().iter().find(|ban| ban.set_by == SetBy::Counting).unwrap().times, 2);
}

#[test]
fn in_its_first_days_no_place_is_called_new() {
    let (guard, clock) = guard();
    let key = guard.restore(Kept::default());
    let since = clock.now();
    assert_eq!(guard.succeeded(ip("198.51.100.7"), "ann"), Place::Learned);
    assert_eq!(guard.succeeded(ip("198.51.100.7"), "ann"), Place::Known);
    clock.advance(7 * 24 * HOUR - SECOND);
    // A restart in between begins nothing anew.
    let later = Guard::new(settings(), clock.clone(), &Metrics::new());
    let _ = later.restore(Kept { key: Some(key), since: Some(since), ..Kept::default() });
    assert_eq!(later.succeeded(ip("198.51.100.8"), "ann"), Place::Learned);
    clock.advance(SECOND);
    assert_eq!(later.succeeded(ip("198.51.100.9"), "ann"), Place::New);
}

#[test]
fn a_lifted_ban_leaves_nothing_behind() {
    let (guard, _) = guard();
    offend(&guard, "192.0.2.1", Offence::Probe, 8);
    assert!(guard.lift("192.0.2.1".parse().unwrap()));
    offend(&guard, "192.0.2.1", Offence::Probe, 7);
    assert!(!is_banned(&guard, "192.0.2.1"));
}

/// Fails with a password that is seen.
fn fail(guard: &Guard, peer: &str, account: &str, password: &str) -> Attempt {
    guard.failed(ip(peer), account, Offence::WrongPassword, Some(password.as_bytes()))
}

#[test]
fn the_same_wrong_password_again_bans_nobody_and_makes_nobody_wait() {
    let (guard, clock) = guard();
    let now = Attempt::After(Duration::ZERO);
    for _ in 0..12 {
        // A telephone and a program of another account, for an hour.
        for (account, password) in [("ann", "former"), ("dan", "older")] {
            for _ in 0..5 {
                let _ = fail(&guard, "192.0.2.1", account, password);
            }
        }
        assert_eq!(guard.attempt(ip("192.0.2.1"), ""), now);
        assert_eq!(guard.attempt(ip("192.0.2.1"), "bob"), now);
        assert_eq!(guard.attempt(ip("203.0.113.9"), "ann"), now, "nor does the account's owner elsewhere");
        clock.advance(5 * MINUTE);
    }
    assert!(!is_banned(&guard, "192.0.2.1"));
    // A name that nobody has any more is no other.
    for _ in 0..100 {
        let _ = guard.failed(ip("192.0.2.1"), "left@house", Offence::UnknownName, Some(b"mine"));
    }
    assert!(!is_banned(&guard, "192.0.2.1"));
}

#[test]
fn the_same_again_is_answered_as_late_as_others_and_is_no_flood() {
    let (guard, _) = guard();
    let (other, _) = self::guard();
    for number in 0..8 {
        let same = fail(&guard, "192.0.2.1", "ann", "former");
        let new = fail(&other, "192.0.2.1", "ann", &number.to_string());
        if number < 7 {
            assert_eq!(same, new, "{number}");
        } else {
            assert_eq!((same, new), (Attempt::After(5 * SECOND), Attempt::Banned));
        }
    }
    // The first is one of the eight that ban, a hundred of the others another.
    for number in 9..=700 {
        assert_ne!(fail(&guard, "192.0.2.1", "ann", "former"), Attempt::Banned, "{number}");
    }
    assert_eq!(fail(&guard, "192.0.2.1", "ann", "former"), Attempt::Banned);
    assert_eq!(&*guard.bans()[0].reason, "repeated-password");
}

#[test]
fn another_password_account_or_address_is_not_the_same() {
    for differs in ["password", "account", "address"] {
        let (guard, _) = guard();
        for number in 0..64 {
            let other = number.to_string();
            let (account, password) = match differs {
                "password" => ("ann", other.as_str()),
                "account" => (other.as_str(), "summer"),
                _ => ("ann", "summer"),
            };
            let last = if differs == "address" { number + 1 } else { 1 };
            let _ = fail(&guard, &format!("192.0.2.{last}"), account, password);
        }
        assert!(is_banned(&guard, "192.0.2.1"), "{differs}");
    }
}

#[test]
fn wrong_passwords_are_remembered_so_many() {
    let mut records = Records::default();
    let most = records::ENTRIES_MAX as u64;
    assert!((0..most).all(|number| !records.is_repeated(number)));
    assert!(records.is_repeated(0), "the last ones are");
    assert!((most..3 * most).all(|number| !records.is_repeated(number)));
    assert!(!records.is_repeated(1), "those before are not");
}

#[test]
fn a_wrong_proof_where_the_owner_has_been_is_a_fifth_of_one() {
    let (guard, _) = guard();
    let now = Attempt::After(Duration::ZERO);
    let _ = guard.succeeded(ip("192.0.2.1"), "ann");
    let prove = |account| guard.failed(ip("192.0.2.1"), account, Offence::WrongPassword, None);
    for number in 0..39 {
        assert_ne!(prove("ann"), Attempt::Banned, "{number}");
    }
    assert_eq!(prove("ann"), Attempt::Banned);
    assert!(guard.lift("192.0.2.1".parse().unwrap()));
    for _ in 0..3 {
        assert_eq!((prove("ann"), guard.attempt(ip("192.0.2.1"), "bob")).1, now);
    }
    // Whose owner has not been here is guessed at.
    for number in 0..6 {
        assert_ne!(prove("bob"), Attempt::Banned, "{number}");
    }
    assert_eq!(prove("bob"), Attempt::Banned);
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
