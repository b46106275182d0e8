//! The keys of domains: what signs, what waits, and that all of it comes back from the disk.

use std::time::Duration;

use directory::{DKIM_KEYS_MAX, DirectoryError, DkimKeyState, Removal};
use sender_auth::dkim::{KeyFor, Selector, SigningKey};

use crate::fixture::{Fixture, cheap, domain};

fn key(name: &str) -> KeyFor {
    let key = SigningKey::generate_ed25519().unwrap();
    KeyFor::new(domain("example.org"), selector(name), key).unwrap()
}

fn selector(name: &str) -> Selector {
    Selector::parse(name).unwrap()
}

fn signing(fixture: &Fixture) -> Vec<String> {
    let keys = fixture.directory.signing_keys(&domain("example.org"));
    keys.iter().map(|key| key.selector().to_string()).collect()
}

fn states(fixture: &Fixture) -> Vec<(String, DkimKeyState)> {
    let keys = fixture.directory.dkim_keys();
    keys.iter().map(|key| (key.key.selector().to_string(), key.state)).collect()
}

#[test]
fn a_new_key_waits_then_signs_and_the_old_one_retires() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    let rsa = KeyFor::new(domain("example.org"), selector("rsa"), SigningKey::generate_rsa().unwrap());
    fixture.directory.add_dkim_keys(vec![key("one"), rsa.unwrap()], DkimKeyState::Signing).unwrap();
    assert_eq!(signing(&fixture), ["one", "rsa"]);
    fixture.clock.advance(Duration::from_secs(60));
    fixture.directory.add_dkim_keys(vec![key("two")], DkimKeyState::Waiting).unwrap();
    assert_eq!(signing(&fixture), ["one", "rsa"]);
    fixture.clock.advance(Duration::from_secs(60));
    fixture.directory.begin_signing(&domain("example.org"), &selector("two")).unwrap();
    assert_eq!(signing(&fixture), ["rsa", "two"], "the key of the other algorithm signs on");

    let records = |fixture: &Fixture| {
        let keys = fixture.directory.dkim_keys();
        keys.iter().map(|key| key.key.key().public_record().unwrap()).collect::<Vec<_>>()
    };
    let (before, records_before) = (states(&fixture), records(&fixture));
    let fixture = fixture.reopened(cheap());
    assert_eq!(states(&fixture), before);
    assert_eq!(records(&fixture), records_before);
    let one = fixture.directory.dkim_keys().into_iter().find(|key| key.key.selector().as_str() == "one");
    let one = one.unwrap();
    assert_eq!(one.state, DkimKeyState::Retired);
    assert_eq!(one.since.unix_seconds() - one.created.unix_seconds(), 120);

    fixture.directory.remove_dkim_key(&domain("example.org"), &selector("one")).unwrap();
    let gone = fixture.directory.begin_signing(&domain("example.org"), &selector("one"));
    assert!(matches!(gone, Err(DirectoryError::UnknownKey(_))));
}

#[test]
fn a_selector_is_given_once() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    fixture.directory.add_dkim_keys(vec![key("one")], DkimKeyState::Signing).unwrap();
    for keys in [vec![key("one")], vec![key("two"), key("two")]] {
        let refused = fixture.directory.add_dkim_keys(keys, DkimKeyState::Waiting);
        assert!(matches!(refused, Err(DirectoryError::Exists(_))));
    }
    assert_eq!(states(&fixture).len(), 1, "all or none");
    let elsewhere =
        KeyFor::new(domain("example.net"), selector("one"), SigningKey::generate_ed25519().unwrap());
    let refused = fixture.directory.add_dkim_keys(vec![elsewhere.unwrap()], DkimKeyState::Waiting);
    assert!(matches!(refused, Err(DirectoryError::UnknownDomain(_))));
}

#[test]
fn keys_of_a_domain_have_a_bound_and_go_with_it() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    let keys = |range: std::ops::Range<usize>| range.map(|number| key(&format!("k{number}"))).collect();
    fixture.directory.add_dkim_keys(keys(0..DKIM_KEYS_MAX - 1), DkimKeyState::Waiting).unwrap();
    let refused = fixture.directory.add_dkim_keys(keys(90..92), DkimKeyState::Waiting);
    assert!(matches!(refused, Err(DirectoryError::Full(_))));
    fixture.directory.add_dkim_keys(keys(90..91), DkimKeyState::Waiting).unwrap();
    let refused = fixture.directory.add_dkim_keys(keys(91..92), DkimKeyState::Waiting);
    assert!(matches!(refused, Err(DirectoryError::Full(_))));
    fixture.directory.remove_domain(&domain("example.org"), Removal::IfUnused).unwrap();
    assert!(fixture.directory.dkim_keys().is_empty());
    let fixture = fixture.reopened(cheap());
    fixture.directory.add_domain(&domain("example.org")).unwrap();
    assert!(states(&fixture).is_empty());
}

#[test]
fn srs_keys_are_renewed_and_the_old_ones_known() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    let secrets = |fixture: &Fixture| {
        let keys = fixture.directory.srs_keys(90).unwrap();
        keys.into_iter().map(|key| (key.made_on, key.secret.reveal().to_vec())).collect::<Vec<_>>()
    };
    let first = secrets(&fixture);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].1.len(), 32);
    fixture.clock.advance(Duration::from_secs(89 * 24 * 3_600));
    assert_eq!(secrets(&fixture), first);
    fixture.clock.advance(Duration::from_secs(24 * 3_600));
    let second = secrets(&fixture);
    assert_eq!(second.len(), 2);
    assert_eq!(second[1], first[0]);
    assert_eq!(second[0].0, first[0].0 + 90);
    let fixture = fixture.reopened(cheap());
    assert_eq!(secrets(&fixture), second);
    for _ in 0..20 {
        fixture.clock.advance(Duration::from_secs(90 * 24 * 3_600));
        fixture.directory.srs_keys(90).unwrap();
    }
    assert_eq!(secrets(&fixture).len(), 8);
}
