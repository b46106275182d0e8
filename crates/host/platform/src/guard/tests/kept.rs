//! What outlives the process: bans, and places from which owners have logged in.

use super::*;

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
