//! Whose mail an address's is, and who may send as whom.

use directory::{
    ALIAS_TARGETS_MAX, AccountState, AliasError, AliasSource, Directory, DirectoryError,
    EXPANSION_ADDRESSES_MAX, Resolution, Settings,
};

use crate::fixture::{Fixture, address, cheap, domain, path, source, targets};

/// A resolution as text: `ann+news@example.org (news), bob@elsewhere.example`, or a word.
fn resolved(directory: &Directory, text: &str) -> String {
    match directory.resolve(&path(text)) {
        Resolution::Deliver(recipients) => {
            let local = recipients.local.iter().map(|target| {
                let owner = directory.account(target.account).unwrap();
                let way = if owner.address == target.address {
                    owner.address.to_string()
                } else {
                    format!("{}={}", target.address, owner.address.local_part())
                };
                match &target.detail {
                    Some(detail) => format!("{way} ({detail})"),
                    None => way,
                }
            });
            local.chain(recipients.remote.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
        }
        other => format!("{other:?}"),
    }
}

fn check(fixture: &Fixture, expectations: &[(&str, &str)]) {
    for (address, expected) in expectations {
        assert_eq!(resolved(&fixture.directory, address), *expected, "{address}");
    }
}

#[test]
fn accounts_are_found_in_any_case() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    check(
        &fixture,
        &[
            ("ann@example.org", "ann@example.org"),
            ("ANN@EXAMPLE.ORG", "ANN@example.org=ann"),
            ("bob@example.org", "Unknown"),
            ("ann@elsewhere.example", "NotLocal"),
            ("ann@[192.0.2.1]", "NotLocal"),
        ],
    );
}

#[test]
fn each_delimiter_parts_name_and_detail_and_whole_names_win() {
    let settings = Settings { sub_address_delimiters: vec!['+', '-'], ..cheap() };
    let fixture = Fixture::with_accounts(settings, &["ann", "ann-marie", "a+b"]);
    fixture.alias("list-owner@example.org", &["ann@example.org"]).unwrap();
    check(
        &fixture,
        &[
            ("ann+News@example.org", "ann+News@example.org=ann (News)"),
            ("ann-news@example.org", "ann-news@example.org=ann (news)"),
            ("ann-marie@example.org", "ann-marie@example.org"),
            ("ann-marie+x@example.org", "ann-marie+x@example.org=ann-marie (x)"),
            ("ann-marie-x@example.org", "ann-marie-x@example.org=ann-marie (x)"),
            ("ann-mary+x@example.org", "ann-mary+x@example.org=ann (mary+x)"),
            ("ann+@example.org", "ann+@example.org=ann ()"),
            ("a+b@example.org", "a+b@example.org"),
            ("a+c@example.org", "Unknown"),
            ("+ann@example.org", "Unknown"),
            ("list-owner@example.org", "ann@example.org"),
            ("list-owner+x@example.org", "ann@example.org (x)"),
        ],
    );
}

#[test]
fn without_delimiters_nothing_is_parted() {
    let settings = Settings { sub_address_delimiters: Vec::new(), ..cheap() };
    let fixture = Fixture::with_accounts(settings, &["ann"]);
    check(&fixture, &[("ann+news@example.org", "Unknown")]);
}

#[test]
fn an_alias_has_many_targets_here_and_elsewhere() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    fixture
        .alias("all@example.org", &["team@example.org", "Zoe@elsewhere.example", "ann@example.org"])
        .unwrap();
    fixture
        .alias("team@example.org", &["ann@example.org", "bob+team@example.org", "gone@example.org"])
        .unwrap();
    check(
        &fixture,
        &[
            ("All@example.org", "ann@example.org, bob+team@example.org=bob (team), Zoe@elsewhere.example"),
            (
                "all+x@example.org",
                "ann@example.org (x), bob+team@example.org=bob (team), Zoe@elsewhere.example",
            ),
        ],
    );
}

#[test]
fn an_alias_wins_over_the_account_unless_it_lists_itself() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    fixture.alias("ann@example.org", &["bob@example.org"]).unwrap();
    check(&fixture, &[("ann@example.org", "bob@example.org"), ("ann+x@example.org", "bob@example.org (x)")]);
    fixture.alias("ann@example.org", &["Ann@example.org"]).unwrap();
    check(
        &fixture,
        &[
            ("ann@example.org", "ann@example.org, bob@example.org"),
            ("ann+x@example.org", "ann+x@example.org=ann (x), bob@example.org (x)"),
        ],
    );
}

#[test]
fn two_people_may_copy_each_other() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    fixture.alias("ann@example.org", &["ann@example.org", "bob@example.org"]).unwrap();
    fixture.alias("bob@example.org", &["bob@example.org", "ann@example.org"]).unwrap();
    check(&fixture, &[("ann@example.org", "ann@example.org, bob@example.org")]);
}

#[test]
fn the_catch_all_comes_last() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    fixture.alias("@example.org", &["bob@example.org"]).unwrap();
    check(
        &fixture,
        &[
            ("ann@example.org", "ann@example.org"),
            ("ann+x@example.org", "ann+x@example.org=ann (x)"),
            ("anybody@example.org", "bob@example.org"),
            ("postmaster@example.org", "bob@example.org"),
        ],
    );
}

#[test]
fn a_whole_domain_may_lead_to_another() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    fixture.directory.add_domain(&domain("example.net")).unwrap();
    fixture.alias("@example.net", &["@example.org"]).unwrap();
    check(
        &fixture,
        &[
            ("ann@example.net", "ann@example.org"),
            ("Ann+X@example.net", "Ann+X@example.org=ann (X)"),
            ("nobody@example.net", "Unknown"),
        ],
    );
    fixture.alias("info@example.net", &["@elsewhere.example"]).unwrap();
    check(&fixture, &[("info@example.net", "info@elsewhere.example")]);
}

#[test]
fn discarded_mail_is_taken() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    fixture.alias("noreply@example.org", &["/dev/null"]).unwrap();
    fixture.alias("both@example.org", &[":discard:", "ann@example.org"]).unwrap();
    check(&fixture, &[("noreply@example.org", "Discard"), ("both@example.org", "ann@example.org")]);
}

#[test]
fn disabled_accounts_receive_nothing() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob"]);
    fixture.alias("both@example.org", &["ann@example.org", "bob@example.org"]).unwrap();
    let ann = fixture.account("ann@example.org").id;
    fixture.directory.set_state(ann, AccountState::Disabled { reason: "left".into() }).unwrap();
    check(&fixture, &[("ann@example.org", "Disabled"), ("both@example.org", "bob@example.org")]);
    fixture.directory.set_state(ann, AccountState::Enabled).unwrap();
    check(&fixture, &[("ann@example.org", "ann@example.org")]);
}

#[test]
fn loops_are_refused_when_added() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    fixture.directory.add_domain(&domain("example.net")).unwrap();
    fixture.alias("a@example.org", &["b@example.org"]).unwrap();
    fixture.alias("b@example.org", &["c@example.org"]).unwrap();
    fixture.alias("@example.net", &["@example.org"]).unwrap();
    for (source, target) in [
        ("c@example.org", "A@example.org"),
        ("d@example.org", "d@example.org"),
        ("d@example.org", "d+x@example.org"),
        ("@example.org", "nobody@example.org"),
        ("@example.org", "@example.net"),
    ] {
        let refused = fixture.alias(source, &[target]);
        assert!(matches!(refused, Err(DirectoryError::Alias(AliasError::Loop(_)))), "{source} → {target}");
    }
    check(&fixture, &[("a@example.org", "Unknown")]);
    fixture.alias("c@example.org", &["a@example.org", "ann@example.org"]).unwrap();
    check(&fixture, &[("a@example.org", "ann@example.org")]);
}

#[test]
fn a_loop_that_arises_later_ends_and_is_told() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    fixture.alias("a@example.org", &["b@example.org"]).unwrap();
    fixture.alias("b@example.org", &["a@example.org", "ann@example.org"]).unwrap();
    fixture.directory.remove_alias(&source("b@example.org"), &targets(&["ann@example.org"])).unwrap();
    check(&fixture, &[("a@example.org", "Loop"), ("b@example.org", "Loop")]);
}

#[test]
fn targets_and_expansions_are_bounded() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let many = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{name}{number}@elsewhere.example")).collect()
    };
    let add = |source: &str, targets: &[String]| {
        fixture.alias(source, &targets.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let longest = many("x", ALIAS_TARGETS_MAX);
    add("x@example.org", &longest).unwrap();
    add("x@example.org", &longest).unwrap();
    let refused = fixture.alias("x@example.org", &["one-more@elsewhere.example"]);
    assert!(matches!(refused, Err(DirectoryError::Alias(AliasError::TooMany))));
    assert!(matches!(add("empty@example.org", &[]), Err(DirectoryError::Alias(AliasError::NoTarget))));

    // all, x and y are addresses on the way too.
    add("y@example.org", &many("y", EXPANSION_ADDRESSES_MAX - ALIAS_TARGETS_MAX - 3)).unwrap();
    fixture.alias("all@example.org", &["x@example.org", "y@example.org"]).unwrap();
    let Resolution::Deliver(recipients) = fixture.directory.resolve(&path("all@example.org")) else {
        panic!()
    };
    assert_eq!(recipients.remote.len(), EXPANSION_ADDRESSES_MAX - 3);
    fixture.alias("y@example.org", &["one-more@elsewhere.example"]).unwrap();
    check(&fixture, &[("all@example.org", "Loop")]);
}

#[test]
fn aliases_need_a_domain_of_ours() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    for source in ["info@elsewhere.example", "@elsewhere.example"] {
        let refused = fixture.alias(source, &["ann@example.org"]);
        assert!(matches!(refused, Err(DirectoryError::UnknownDomain(_))));
    }
    for unfit in [format!("{}@example.org", "Ⱥ".repeat(32)), "ann@[192.0.2.1]".to_owned()] {
        let source = AliasSource::Address(address(&unfit));
        let refused = fixture.directory.add_alias(&source, &targets(&["ann@example.org"]));
        assert!(matches!(refused, Err(DirectoryError::Alias(AliasError::BadText(_)))), "{unfit}");
    }
    let _ = fixture.reopened(cheap());
}

#[test]
fn aliases_are_listed_and_lose_targets() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]).reopened(cheap());
    fixture.alias("Info@example.org", &["Ann@example.org", "bob@elsewhere.example"]).unwrap();
    fixture.alias("@example.org", &["ann@example.org"]).unwrap();
    fixture.alias("info@example.org", &["ann@example.org", "zoe@elsewhere.example"]).unwrap();
    let fixture = fixture.reopened(cheap());
    let listed = |fixture: &Fixture| -> Vec<String> {
        let line = |alias: &directory::Alias| {
            let targets: Vec<_> = alias.targets.iter().map(ToString::to_string).collect();
            format!("{}: {}", alias.source, targets.join(" "))
        };
        fixture.directory.aliases().iter().map(line).collect()
    };
    assert_eq!(
        listed(&fixture),
        [
            "@example.org: ann@example.org",
            "info@example.org: Ann@example.org bob@elsewhere.example zoe@elsewhere.example"
        ]
    );
    let remove =
        |source: &str, names: &[&str]| fixture.directory.remove_alias(&self::source(source), &targets(names));
    remove("INFO@example.org", &["ANN@example.org", "zoe@elsewhere.example"]).unwrap();
    assert!(matches!(
        remove("info@example.org", &["bob@elsewhere.example", "zoe@elsewhere.example"]),
        Err(DirectoryError::UnknownAlias)
    ));
    assert!(matches!(remove("none@example.org", &[]), Err(DirectoryError::UnknownAlias)));
    remove("@example.org", &[]).unwrap();
    assert_eq!(listed(&fixture), ["info@example.org: bob@elsewhere.example"]);
    remove("info@example.org", &["bob@elsewhere.example"]).unwrap();
    assert!(listed(&fixture.reopened(cheap())).is_empty());
}

#[test]
fn somebody_reads_the_postmasters_mail() {
    let settings = Settings {
        hostname: Some(domain("mail.example.org")),
        host_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ..cheap()
    };
    let fixture = Fixture::new(settings.clone());
    fixture.directory.add_domain(&domain("example.net")).unwrap();
    fixture.directory.add_domain(&domain("example.org")).unwrap();
    check(&fixture, &[("postmaster", "Unknown"), ("postmaster@example.org", "Unknown")]);

    fixture.add("zoe@example.org", "secret").unwrap();
    fixture.add("ann@example.net", "secret").unwrap();
    fixture.add("bob@example.org", "secret").unwrap();
    check(
        &fixture,
        &[
            ("postmaster", "zoe@example.org"),
            ("Postmaster@Example.org", "zoe@example.org"),
            ("postmaster@example.net", "ann@example.net"),
            ("abuse@example.net", "ann@example.net"),
            ("postmaster@mail.example.org", "zoe@example.org"),
            ("postmaster@[192.0.2.1]", "zoe@example.org"),
            ("abuse@[IPv6:2001:db8::1]", "zoe@example.org"),
            ("zoe@[192.0.2.1]", "Unknown"),
            ("postmaster@[192.0.2.2]", "NotLocal"),
            ("zoe@mail.example.org", "NotLocal"),
        ],
    );

    let named = Settings {
        postmaster: Some(address("bob@example.org")),
        default_domain: Some(domain("example.net")),
        ..settings
    };
    fixture.directory.set_settings(named);
    check(&fixture, &[("postmaster", "bob@example.org"), ("postmaster@example.net", "bob@example.org")]);
    fixture.alias("postmaster@example.net", &["ann@example.net"]).unwrap();
    fixture.alias("root@example.org", &["postmaster@example.org"]).unwrap();
    check(
        &fixture,
        &[
            ("postmaster", "ann@example.net"),
            ("postmaster@example.net", "ann@example.net"),
            ("postmaster@example.org", "bob@example.org"),
            ("root@example.org", "bob@example.org"),
        ],
    );

    let disabled = || AccountState::Disabled { reason: "left".into() };
    fixture.directory.set_state(fixture.account("ann@example.net").id, disabled()).unwrap();
    check(&fixture, &[("postmaster@example.net", "bob@example.org")]);
    fixture.directory.set_state(fixture.account("bob@example.org").id, disabled()).unwrap();
    check(&fixture, &[("postmaster@example.net", "zoe@example.org"), ("root@example.org", "Disabled")]);
}

#[test]
fn accounts_send_as_addresses_whose_mail_they_get() {
    let fixture = Fixture::with_accounts(cheap(), &["ann", "bob", "ann+own"]);
    fixture.directory.add_domain(&domain("example.net")).unwrap();
    fixture.alias("info@example.org", &["team@example.org"]).unwrap();
    fixture.alias("team@example.org", &["ann@example.org", "zoe@elsewhere.example"]).unwrap();
    fixture.alias("bob@example.org", &["ann@example.org"]).unwrap();
    fixture.alias("@example.net", &["bob@example.org", "bob+net@example.org"]).unwrap();
    let may = |account: &str, sender: &str| {
        fixture.directory.may_send_as(fixture.account(account).id, &address(sender))
    };
    for sender in ["Ann@Example.org", "ann+news@example.org", "info@example.org", "team+x@example.org"] {
        assert!(may("ann@example.org", sender), "{sender}");
        assert!(!may("bob@example.org", sender), "{sender}");
    }
    // Whose mail goes to another by an alias still sends as himself.
    assert!(may("bob@example.org", "bob@example.org"));
    assert!(may("ann@example.org", "bob@example.org"));
    assert!(may("ann@example.org", "anything@example.net"));
    assert!(!may("bob@example.org", "anything@example.net"));
    for sender in ["ann+own@example.org", "nobody@example.org", "zoe@elsewhere.example", "ann@[192.0.2.1]"] {
        assert!(!may("ann@example.org", sender), "{sender}");
    }
    let ann = fixture.account("ann@example.org").id;
    fixture.directory.set_state(ann, AccountState::Disabled { reason: "left".into() }).unwrap();
    assert!(!fixture.directory.may_send_as(ann, &address("ann@example.org")));
}
