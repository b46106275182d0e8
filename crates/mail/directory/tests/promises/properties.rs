//! Whatever is done in whatever order: memory and disk agree, resolving ends, and what it names can receive.

use std::collections::HashSet;

use directory::{AccountState, EXPANSION_ADDRESSES_MAX, NewPassword, Removal, Resolution, Settings};
use mail_types::{AccountId, Address};
use proptest::prelude::*;

use crate::fixture::{Fixture, address, cheap, domain, new_account, path, source, targets};

#[derive(Clone, Debug)]
enum Change {
    AddDomain(&'static str),
    RemoveDomain(&'static str, bool),
    AddAccount(String),
    RemoveAccount(u32),
    Disable(u32),
    Enable(u32),
    AddAlias(String, Vec<String>),
    RemoveAlias(String, Vec<String>),
}

fn any_domain() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a.example"), Just("b.example")]
}

fn any_address() -> impl Strategy<Value = String> {
    let local =
        prop_oneof![Just("ann"), Just("Bob"), Just("ann+x"), Just("c-d"), Just("c"), Just("postmaster")];
    let domain = prop_oneof![4 => any_domain(), 1 => Just("elsewhere.example")];
    (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn any_source() -> impl Strategy<Value = String> {
    prop_oneof![4 => any_address(), 1 => any_domain().prop_map(|domain| format!("@{domain}"))]
}

fn any_target() -> impl Strategy<Value = String> {
    prop_oneof![8 => any_address(), 2 => any_domain().prop_map(|domain| format!("@{domain}")), 1 => Just("/dev/null".to_owned())]
}

fn any_change() -> impl Strategy<Value = Change> {
    let targets = || proptest::collection::vec(any_target(), 0..4);
    prop_oneof![
        2 => any_domain().prop_map(Change::AddDomain),
        1 => (any_domain(), any::<bool>()).prop_map(|(domain, all)| Change::RemoveDomain(domain, all)),
        4 => any_address().prop_map(Change::AddAccount),
        1 => (1..8u32).prop_map(Change::RemoveAccount),
        1 => (1..8u32).prop_map(Change::Disable),
        1 => (1..8u32).prop_map(Change::Enable),
        8 => (any_source(), targets()).prop_map(|(source, targets)| Change::AddAlias(source, targets)),
        3 => (any_source(), targets()).prop_map(|(source, targets)| Change::RemoveAlias(source, targets)),
    ]
}

/// Makes a change; whether it was possible does not matter.
fn apply(fixture: &Fixture, change: &Change) {
    let directory = &fixture.directory;
    let read = |texts: &[String]| targets(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let _ = match change {
        Change::AddDomain(name) => directory.add_domain(&domain(name)).map(drop),
        Change::RemoveDomain(name, all) => {
            let removal = if *all { Removal::WithContents } else { Removal::IfUnused };
            directory.remove_domain(&domain(name), removal).map(drop)
        }
        Change::AddAccount(name) => directory.add_account(new_account(name, NewPassword::None)).map(drop),
        Change::RemoveAccount(id) => directory.remove_account(AccountId(*id)),
        Change::Disable(id) => {
            directory.set_state(AccountId(*id), AccountState::Disabled { reason: "test".into() })
        }
        Change::Enable(id) => directory.set_state(AccountId(*id), AccountState::Enabled),
        Change::AddAlias(name, names) => directory.add_alias(&source(name), &read(names)).map(drop),
        Change::RemoveAlias(name, names) => directory.remove_alias(&source(name), &read(names)),
    };
}

fn all_addresses() -> Vec<Address> {
    let locals = ["ann", "bob", "ann+x", "ann-y", "c-d", "c-d+z", "c", "postmaster", "nobody"];
    let domains = ["a.example", "b.example", "elsewhere.example"];
    domains.iter().flat_map(|domain| locals.map(|local| address(&format!("{local}@{domain}")))).collect()
}

fn check_resolution(fixture: &Fixture, asked: &Address) {
    let directory = &fixture.directory;
    let Resolution::Deliver(recipients) = directory.resolve(&path(&asked.to_string())) else { return };
    assert!(!recipients.local.is_empty() || !recipients.remote.is_empty(), "{asked}: nobody");
    assert!(recipients.local.len() + recipients.remote.len() <= EXPANSION_ADDRESSES_MAX);
    let accounts: HashSet<_> = recipients.local.iter().map(|target| target.account).collect();
    assert_eq!(accounts.len(), recipients.local.len(), "{asked}: an account twice");
    for target in &recipients.local {
        let account = directory.account(target.account).unwrap();
        assert_eq!(account.state, AccountState::Enabled);
        assert!(directory.may_send_as(target.account, asked), "{asked}: who receives may send");
    }
    for remote in &recipients.remote {
        assert!(remote.domain_name().is_none_or(|name| !directory.is_local_domain(name)), "{remote}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_what_the_disk_is(changes in proptest::collection::vec(any_change(), 1..40)) {
        let settings = Settings { sub_address_delimiters: vec!['+', '-'], ..cheap() };
        let fixture = Fixture::new(settings.clone());
        fixture.directory.add_domain(&domain("a.example")).unwrap();
        let mut known = HashSet::new();
        for change in &changes {
            apply(&fixture, change);
            for account in fixture.directory.accounts() {
                known.insert((account.id, account.address.clone()));
            }
        }
        let numbers: HashSet<_> = known.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(numbers.len(), known.len(), "a number was given twice");
        let asked = all_addresses();
        for address in &asked {
            check_resolution(&fixture, address);
        }
        let state = |fixture: &Fixture| {
            let directory = &fixture.directory;
            let resolved: Vec<_> = asked.iter().map(|asked| directory.resolve(&path(&asked.to_string()))).collect();
            (directory.domains(), directory.accounts(), directory.aliases(), resolved)
        };
        let before = state(&fixture);
        let after = state(&fixture.reopened(settings));
        prop_assert_eq!(before, after);
    }
}
