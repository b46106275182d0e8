//! Domains and accounts: added, changed, removed, and the same after a restart.

use directory::{
    AccountState, DISPLAY_NAME_OCTETS_MAX, DirectoryError, HashError, NewAccount, NewPassword, Quota, Removal,
};
use mail_types::AccountId;

use crate::fixture::{Fixture, address, cheap, domain, new_account};

#[test]
fn domains_are_kept_in_one_form() {
    let fixture = Fixture::new(cheap());
    let added = fixture.directory.add_domain(&domain("Bücher.example")).unwrap();
    assert_eq!((added.name.as_str(), added.created), ("xn--bcher-kva.example", fixture.clock.now()));
    let again = fixture.directory.add_domain(&domain("xn--bcher-kva.example"));
    assert!(matches!(again, Err(DirectoryError::Exists(_))));
    let fixture = fixture.reopened(cheap());
    assert_eq!(fixture.directory.domains(), [added]);
    assert!(fixture.directory.is_local_domain(&domain("bücher.example")));
}

#[test]
fn a_domain_in_use_stays_unless_all_goes() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    let name = domain("example.org");
    fixture.alias("info@example.org", &["ann@example.org"]).unwrap();
    fixture.alias("@example.org", &["ann@example.org"]).unwrap();
    let refused = fixture.directory.remove_domain(&name, Removal::IfUnused);
    assert!(
        matches!(refused, Err(DirectoryError::DomainInUse { accounts: 2, aliases: 2, .. })),
        "{refused:?}"
    );
    let removed = fixture.directory.remove_domain(&name, Removal::WithContents).unwrap();
    assert_eq!(removed, [AccountId(1), AccountId(2)]);
    let fixture = fixture.reopened(cheap());
    assert!(fixture.directory.domains().is_empty());
    assert!(fixture.directory.accounts().is_empty());
    assert!(fixture.directory.aliases().is_empty());
    let unknown = fixture.directory.remove_domain(&name, Removal::IfUnused);
    assert!(matches!(unknown, Err(DirectoryError::UnknownDomain(_))));
}

#[test]
fn numbers_are_never_given_twice() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    let bob = fixture.account("bob@example.org");
    assert_eq!(bob.id, AccountId(2));
    fixture.directory.remove_account(bob.id).unwrap();
    assert!(matches!(fixture.directory.remove_account(bob.id), Err(DirectoryError::UnknownAccount)));
    let fixture = fixture.reopened(cheap());
    assert_eq!(fixture.add("bob@example.org", "secret").unwrap().id, AccountId(3));
}

#[test]
fn accounts_are_the_same_after_a_restart() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    let quota = Quota { octets_max: Some(5 << 30), messages_max: Some(100_000) };
    let new = NewAccount {
        display_name: Some("Zoë Example".to_owned()),
        quota,
        ..new_account("Zoe@Example.ORG", NewPassword::None)
    };
    let zoe = fixture.directory.add_account(new).unwrap();
    assert_eq!(zoe.address, address("zoe@example.org"));
    let bob = fixture.account("bob@example.org").id;
    fixture.directory.set_quota(bob, Quota { octets_max: Some(u64::MAX), messages_max: None }).unwrap();
    fixture.directory.set_display_name(bob, Some("Bob")).unwrap();
    fixture.directory.set_state(bob, AccountState::Disabled { reason: "left".into() }).unwrap();
    let before = fixture.directory.accounts();
    let fixture = fixture.reopened(cheap());
    let after = fixture.directory.accounts();
    let addresses: Vec<_> = after.iter().map(|account| account.address.to_string()).collect();
    assert_eq!(addresses, ["ann@example.org", "bob@example.org", "zoe@example.org"]);
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert_eq!(after[1].state, AccountState::Disabled { reason: "left".into() });
    assert_eq!(after[1].quota.octets_max, Some(i64::MAX as u64));
    assert_eq!((after[2].quota, after[2].has_password, after[2].has_scram_keys), (quota, false, false));
    assert_eq!((after[0].has_password, after[0].has_scram_keys), (true, true));
}

#[test]
fn accounts_that_cannot_be_are_refused() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let refused = |address: &str, password: &str| fixture.add(address, password).unwrap_err();
    assert!(matches!(refused("ANN@example.org", "secret"), DirectoryError::Exists(_)));
    assert!(matches!(refused("ann@elsewhere.example", "secret"), DirectoryError::UnknownDomain(_)));
    assert!(matches!(refused("ann@[192.0.2.1]", "secret"), DirectoryError::BadAddress(_)));
    assert!(matches!(refused("bob@example.org", ""), DirectoryError::Password(HashError::BadPassword)));
    // 32 letters of two octets that become three in lower case.
    let grows = format!("{}@example.org", "Ⱥ".repeat(32));
    assert!(matches!(refused(&grows, "secret"), DirectoryError::BadAddress(_)));
    let unknown = new_account("bob@example.org", NewPassword::Hash("{CRAM-MD5}00".into()));
    let error = fixture.directory.add_account(unknown).unwrap_err();
    assert!(matches!(error, DirectoryError::Password(HashError::UnknownScheme)));
    assert_eq!(fixture.directory.accounts().len(), 1);
}

#[test]
fn display_names_are_bounded() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let ann = fixture.account("ann@example.org").id;
    let longest = "x".repeat(DISPLAY_NAME_OCTETS_MAX);
    fixture.directory.set_display_name(ann, Some(&longest)).unwrap();
    for bad in [format!("{longest}x"), "Ann\r\nBcc: bob".to_owned()] {
        let refused = fixture.directory.set_display_name(ann, Some(&bad));
        assert!(matches!(refused, Err(DirectoryError::BadDisplayName)), "{bad:?}");
    }
    assert_eq!(fixture.account("ann@example.org").display_name.as_deref(), Some(longest.as_str()));
    fixture.directory.set_display_name(ann, None).unwrap();
    assert_eq!(fixture.account("ann@example.org").display_name, None);
}

#[test]
fn a_batch_adds_what_can_be_and_says_what_cannot() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let new = |address: &str, password: &str| new_account(address, NewPassword::Cleartext(password.into()));
    let results = fixture
        .directory
        .add_accounts(vec![
            new("bob@example.org", "one"),
            new("ann@example.org", "two"),
            new("Bob@example.org", "three"),
            new("eve@elsewhere.example", "four"),
            new("zoe@example.org", ""),
            new("carl@example.org", "six"),
        ])
        .unwrap();
    let summary: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(account) => account.address.to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        summary,
        [
            "bob@example.org",
            "ann@example.org is already there",
            "bob@example.org is already there",
            "elsewhere.example is not a domain of this server; add it first",
            "a password has 1 to 1024 octets",
            "carl@example.org",
        ]
    );
    assert_eq!(fixture.reopened(cheap()).directory.accounts().len(), 3);
}

#[test]
fn changes_are_announced() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let mut changes = fixture.directory.changes();
    let mut check = |what: &str| {
        assert!(changes.has_changed().unwrap(), "{what}");
        changes.mark_unchanged();
    };
    let ann = fixture.account("ann@example.org").id;
    fixture.alias("info@example.org", &["ann@example.org"]).unwrap();
    check("alias");
    fixture.directory.set_quota(ann, Quota { octets_max: Some(1), messages_max: None }).unwrap();
    check("quota");
    fixture.directory.set_password(ann, NewPassword::None).unwrap();
    check("password");
    fixture.directory.remove_account(ann).unwrap();
    check("removal");
    assert!(matches!(
        fixture.directory.set_quota(ann, Quota::default()),
        Err(DirectoryError::UnknownAccount)
    ));
    assert!(!fixture.directory.changes().has_changed().unwrap());
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let clock = platform::clock::Clock::system();
    let open =
        || directory::Directory::open(&path, cheap(), clock.clone(), &platform::metrics::Metrics::new());
    drop(open().unwrap());
    let connection = storage::rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    assert!(matches!(open(), Err(DirectoryError::Storage(_))));
}

#[test]
fn damage_is_told_and_not_guessed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let clock = platform::clock::Clock::system();
    let open =
        || directory::Directory::open(&path, cheap(), clock.clone(), &platform::metrics::Metrics::new());
    let directory = open().unwrap();
    directory.add_domain(&domain("example.org")).unwrap();
    directory.add_account(new_account("ann@example.org", NewPassword::Cleartext("secret".into()))).unwrap();
    drop(directory);
    let connection = storage::rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE account SET password_hash = 'nonsense'", []).unwrap();
    drop(connection);
    let error = open().unwrap_err();
    assert_eq!(error.to_string(), "directory.db is damaged: password of ann@example.org");
}
