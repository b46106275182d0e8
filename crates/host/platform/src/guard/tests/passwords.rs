//! Wrong passwords: who has to wait for them, and which of them count.

use super::*;

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
