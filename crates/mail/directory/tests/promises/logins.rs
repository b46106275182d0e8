//! Logging in: by password, by each mechanism, what is remembered, what ends it.

use std::time::Duration;

use directory::sasl::{Channel, ChannelBindings, Mechanism};
use directory::{
    AccountState, Authenticated, AuthenticationError, Directory, LoginStep, NewPassword, PasswordClaim,
    PasswordCost, Settings,
};

use crate::fixture::{Fixture, cheap, domain, new_account};
use crate::scram::{ScramClient, decode, encode};

type Outcome = Result<Authenticated, AuthenticationError>;

const SHA512_CRYPT: &str = "{SHA512-CRYPT}$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/";

fn claim(user: &str, password: &str) -> PasswordClaim {
    PasswordClaim { user: user.to_owned(), password: password.into() }
}

async fn log_in(directory: &Directory, user: &str, password: &str) -> Outcome {
    directory.authenticate(claim(user, password)).await
}

fn address(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |session| session.address().to_string())
}

fn tls() -> Channel {
    Channel::Tls(ChannelBindings {
        exporter: Some(b"exported keying material".to_vec()),
        server_end_point: Some(b"hash of certificate".to_vec()),
    })
}

/// Runs a whole SCRAM exchange.
async fn scram(
    directory: &Directory,
    mechanism: Mechanism,
    channel: Channel,
    client: &ScramClient,
) -> Outcome {
    let mut login = directory.login(mechanism, channel).unwrap();
    let LoginStep::Challenge(challenge) = login.begin(Some(&client.first())).await? else { panic!() };
    assert_eq!(login.user(), Some(client.user.as_str()));
    let (last, signature) = client.last(&challenge);
    let LoginStep::Challenge(answer) = login.respond(&last).await? else { panic!() };
    assert_eq!(decode(&answer), signature);
    match login.respond(b"").await? {
        LoginStep::Done(session) => Ok(session),
        LoginStep::Challenge(challenge) => panic!("{challenge}"),
    }
}

#[tokio::test]
async fn the_right_password_logs_in_and_nothing_else_does() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    fixture.directory.add_account(new_account("bob@example.org", NewPassword::None)).unwrap();
    let directory = &fixture.directory;
    let session = log_in(directory, "Ann@Example.ORG", "secret of ann").await.unwrap();
    assert_eq!(session.account(), fixture.account("ann@example.org").id);
    assert_eq!(session.address().to_string(), "ann@example.org");
    for (user, password) in [
        ("ann@example.org", "secret of bob"),
        ("ann@example.org", ""),
        ("ann@example.org", &"x".repeat(1025)),
        ("ann+x@example.org", "secret of ann"),
        ("ann", "secret of ann"),
        ("", "secret of ann"),
        ("nobody@example.org", "secret of ann"),
        ("bob@example.org", "secret of bob"),
        ("bob@example.org", ""),
    ] {
        assert_eq!(log_in(directory, user, password).await, Err(AuthenticationError::Refused), "{user}");
    }
}

#[tokio::test]
async fn a_bare_name_means_the_default_domain() {
    let fixture =
        Fixture::with_accounts(Settings { default_domain: Some(domain("example.org")), ..cheap() }, &["ann"]);
    assert_eq!(address(&log_in(&fixture.directory, "Ann", "secret of ann").await), "ann@example.org");
    assert!(log_in(&fixture.directory, "ann@", "secret of ann").await.is_err());
}

#[tokio::test]
async fn passwords_work_after_a_restart() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]).reopened(cheap());
    assert!(log_in(&fixture.directory, "ann@example.org", "secret of ann").await.is_ok());
    let client = ScramClient::new("ann@example.org", "secret of ann");
    assert!(scram(&fixture.directory, Mechanism::ScramSha256, tls(), &client).await.is_ok());
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_although_remembered() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = &fixture.directory;
    let session = log_in(directory, "ann@example.org", "secret of ann").await.unwrap();
    assert!(directory.is_current(&session));
    directory.set_state(session.account(), AccountState::Disabled { reason: "left".into() }).unwrap();
    assert!(!directory.is_current(&session));
    let refused = Err(AuthenticationError::Refused);
    assert_eq!(log_in(directory, "ann@example.org", "secret of ann").await, refused);
    let client = ScramClient::new("ann@example.org", "secret of ann");
    assert_eq!(scram(directory, Mechanism::ScramSha256, tls(), &client).await, refused);
    directory.set_state(session.account(), AccountState::Enabled).unwrap();
    assert!(log_in(directory, "ann@example.org", "secret of ann").await.is_ok());
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_and_the_memory_of_the_former() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = &fixture.directory;
    let session = log_in(directory, "ann@example.org", "secret of ann").await.unwrap();
    directory.set_password(session.account(), NewPassword::Cleartext("another".into())).unwrap();
    assert!(!directory.is_current(&session));
    let former = log_in(directory, "ann@example.org", "secret of ann").await;
    assert_eq!(former, Err(AuthenticationError::Refused));
    let session = log_in(directory, "ann@example.org", "another").await.unwrap();
    directory.remove_account(session.account()).unwrap();
    assert!(!directory.is_current(&session));
    assert!(log_in(directory, "ann@example.org", "another").await.is_err());
    // A new account of the same address is another one.
    fixture.add("ann@example.org", "another").unwrap();
    assert!(!directory.is_current(&session));
}

#[tokio::test]
async fn an_imported_hash_gives_way_to_ours_at_the_first_log_in() {
    let fixture = Fixture::with_accounts(cheap(), &[]);
    let directory = &fixture.directory;
    directory.add_account(new_account("ann@example.org", NewPassword::Hash(SHA512_CRYPT.into()))).unwrap();
    assert!(!fixture.account("ann@example.org").has_scram_keys);
    assert_eq!(directory.mechanisms(&tls()), [Mechanism::Plain, Mechanism::Login]);
    assert!(directory.login(Mechanism::ScramSha256, tls()).is_none());

    let changes = directory.changes();
    assert!(log_in(directory, "ann@example.org", "wrong").await.is_err());
    assert!(!fixture.account("ann@example.org").has_scram_keys);
    let session = log_in(directory, "ann@example.org", "correct horse").await.unwrap();
    assert!(fixture.account("ann@example.org").has_scram_keys);
    assert!(directory.is_current(&session), "the password is the same");
    assert!(!changes.has_changed().unwrap());
    assert_eq!(directory.mechanisms(&tls()).first(), Some(&Mechanism::ScramSha256Plus));

    let fixture = fixture.reopened(cheap());
    let client = ScramClient::new("ann@example.org", "correct horse");
    assert!(scram(&fixture.directory, Mechanism::ScramSha256, tls(), &client).await.is_ok());
    assert!(log_in(&fixture.directory, "ann@example.org", "correct horse").await.is_ok());
}

#[tokio::test]
async fn accounts_that_cannot_log_in_do_not_hold_up_scram() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = &fixture.directory;
    directory.add_account(new_account("none@example.org", NewPassword::None)).unwrap();
    assert!(directory.mechanisms(&tls()).contains(&Mechanism::ScramSha256));
    let old = new_account("old@example.org", NewPassword::Hash(SHA512_CRYPT.into()));
    let old = directory.add_account(old).unwrap();
    assert!(!directory.mechanisms(&tls()).contains(&Mechanism::ScramSha256));
    directory.set_state(old.id, AccountState::Disabled { reason: "unused".into() }).unwrap();
    assert!(directory.mechanisms(&tls()).contains(&Mechanism::ScramSha256));
    directory.set_state(old.id, AccountState::Enabled).unwrap();
    directory.remove_account(old.id).unwrap();
    assert!(directory.mechanisms(&tls()).contains(&Mechanism::ScramSha256));
}

/// Keeps the one thread that verifies passwords busy and its queue full.
async fn crowd(directory: &Directory, user: &'static str) -> tokio::task::JoinSet<Outcome> {
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let directory = directory.clone();
        attempts.spawn(async move { log_in(&directory, user, "wrong").await });
    }
    // All twelve have asked by the time we go on.
    tokio::task::yield_now().await;
    attempts
}

/// One thread, room for one more, and hashes that take far longer than asking.
fn slow() -> Settings {
    Settings {
        password_cost: PasswordCost { memory_kib: 16 * 1024, passes: 2, lanes: 1 },
        verification_threads: 1,
        verification_queue_max: 1,
        ..cheap()
    }
}

#[tokio::test]
async fn a_verified_password_needs_no_hash_until_it_expires() {
    let lifetime = Duration::from_secs(600);
    let fixture = Fixture::with_accounts(Settings { verified_lifetime: lifetime, ..slow() }, &["ann", "bob"]);
    let directory = &fixture.directory;
    assert!(log_in(directory, "ann@example.org", "secret of ann").await.is_ok());
    fixture.clock.advance(lifetime - Duration::from_millis(1));
    let crowd = crowd(directory, "bob@example.org").await;
    assert!(log_in(directory, "ann@example.org", "secret of ann").await.is_ok());
    fixture.clock.advance(Duration::from_millis(1));
    let expired = log_in(directory, "ann@example.org", "secret of ann").await;
    assert_eq!(expired, Err(AuthenticationError::Busy));
    crowd.join_all().await;
    assert!(log_in(directory, "ann@example.org", "secret of ann").await.is_ok());
    assert!(log_in(directory, "ann@example.org", "secret of Ann").await.is_err());
}

/// Unknown users take the same way as known ones: through the queue, to a hash.
#[tokio::test]
async fn too_many_log_ins_at_once_are_put_off_whoever_they_are() {
    let fixture = Fixture::with_accounts(slow(), &["ann"]);
    for user in ["ann@example.org", "nobody@example.org"] {
        let outcomes = crowd(&fixture.directory, user).await.join_all().await;
        let count =
            |wanted: AuthenticationError| outcomes.iter().filter(|outcome| **outcome == Err(wanted)).count();
        let (refused, busy) = (count(AuthenticationError::Refused), count(AuthenticationError::Busy));
        assert_eq!(refused + busy, outcomes.len());
        assert!(refused >= 1 && busy >= 1, "{user}: {refused} refused, {busy} put off");
    }
}

#[tokio::test]
async fn plain_and_login_on_the_wire() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let start = |mechanism| fixture.directory.login(mechanism, Channel::Trusted).unwrap();
    let plain = encode(b"\0ann@example.org\0secret of ann");

    let done = start(Mechanism::Plain).begin(Some(&plain)).await.unwrap();
    assert!(matches!(done, LoginStep::Done(_)));

    let mut login = start(Mechanism::Plain);
    assert_eq!(login.begin(None).await, Ok(LoginStep::Challenge(String::new())));
    assert!(matches!(login.respond(&plain).await, Ok(LoginStep::Done(_))));
    assert_eq!(login.user(), Some("ann@example.org"));

    let mut login = start(Mechanism::Login);
    assert_eq!(login.begin(None).await, Ok(LoginStep::Challenge("VXNlcm5hbWU6".to_owned())));
    let asked = login.respond(&encode(b"ann@example.org")).await;
    assert_eq!(asked, Ok(LoginStep::Challenge("UGFzc3dvcmQ6".to_owned())));
    assert!(matches!(login.respond(&encode(b"secret of ann")).await, Ok(LoginStep::Done(_))));

    let mut login = start(Mechanism::Login);
    let asked = login.begin(Some(&encode(b"ann@example.org"))).await;
    assert_eq!(asked, Ok(LoginStep::Challenge("UGFzc3dvcmQ6".to_owned())));
    assert_eq!(login.respond(b"*").await, Err(AuthenticationError::Cancelled));

    let wrong = encode(b"\0ann@example.org\0wrong");
    let mut login = start(Mechanism::Plain);
    assert_eq!(login.begin(Some(&wrong)).await, Err(AuthenticationError::Refused));
    assert_eq!(login.user(), Some("ann@example.org"), "for throttling");
    assert_eq!(start(Mechanism::Plain).begin(Some(b"=")).await, Err(AuthenticationError::Malformed));
    assert_eq!(start(Mechanism::Plain).begin(Some(b"!")).await, Err(AuthenticationError::Malformed));
}

#[tokio::test]
async fn scram_with_and_without_a_channel() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = &fixture.directory;
    let plain = ScramClient::new("Ann@Example.org", "secret of ann");
    for channel in [tls(), Channel::Trusted] {
        let outcome = scram(directory, Mechanism::ScramSha256, channel, &plain).await;
        assert_eq!(address(&outcome), "ann@example.org");
    }
    for (name, octets) in
        [("tls-exporter", &b"exported keying material"[..]), ("tls-server-end-point", b"hash of certificate")]
    {
        let mut bound = ScramClient::new("ann@example.org", "secret of ann");
        bound.header = format!("p={name},,");
        bound.channel = octets.to_vec();
        let outcome = scram(directory, Mechanism::ScramSha256Plus, tls(), &bound).await;
        assert_eq!(address(&outcome), "ann@example.org");
        // Somebody between client and server has another channel to each.
        bound.channel = b"the channel of somebody between".to_vec();
        let outcome = scram(directory, Mechanism::ScramSha256Plus, tls(), &bound).await;
        assert_eq!(outcome, Err(AuthenticationError::Refused));
    }
    assert!(directory.login(Mechanism::ScramSha256Plus, Channel::Trusted).is_none());
    assert!(directory.login(Mechanism::Plain, Channel::Clear).is_none());

    let mut misled = ScramClient::new("ann@example.org", "secret of ann");
    misled.header = "y,,".to_owned();
    let downgraded = scram(directory, Mechanism::ScramSha256, tls(), &misled).await;
    assert_eq!(downgraded, Err(AuthenticationError::Refused));
    assert!(scram(directory, Mechanism::ScramSha256, Channel::Trusted, &misled).await.is_ok());
}

#[tokio::test]
async fn scram_tells_nothing_about_who_exists() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = fixture.directory.clone();
    let challenge = async |user: &str| {
        let mut login = directory.login(Mechanism::ScramSha256, tls()).unwrap();
        let first = ScramClient::new(user, "secret of ann").first();
        let LoginStep::Challenge(challenge) = login.begin(Some(&first)).await.unwrap() else { panic!() };
        let challenge = decode(&challenge);
        let (nonce, parameters) = challenge.split_once(',').unwrap();
        (nonce.to_owned(), parameters.to_owned())
    };
    let (ann_nonce, ann) = challenge("ann@example.org").await;
    let (eve_nonce, eve) = challenge("eve@example.org").await;
    assert_ne!(ann_nonce, eve_nonce);
    assert_eq!(ann_nonce.len(), eve_nonce.len());
    assert_eq!(ann.len(), eve.len());
    assert_ne!(ann, eve);
    assert_eq!(challenge("Eve@example.org").await.1, eve, "asking twice tells nothing");
    let fixture = fixture.reopened(cheap());
    let directory = fixture.directory.clone();
    let mut login = directory.login(Mechanism::ScramSha256, tls()).unwrap();
    let client = ScramClient::new("eve@example.org", "secret of ann");
    let LoginStep::Challenge(again) = login.begin(Some(&client.first())).await.unwrap() else { panic!() };
    assert!(decode(&again).ends_with(&eve), "nor does asking after a restart");
    let (last, _) = client.last(&again);
    assert_eq!(login.respond(&last).await, Err(AuthenticationError::Refused));
}

#[tokio::test]
async fn a_password_changed_during_the_exchange_is_refused() {
    let fixture = Fixture::with_accounts(cheap(), &["ann"]);
    let directory = &fixture.directory;
    let client = ScramClient::new("ann@example.org", "secret of ann");
    let mut login = directory.login(Mechanism::ScramSha256, tls()).unwrap();
    let LoginStep::Challenge(challenge) = login.begin(Some(&client.first())).await.unwrap() else { panic!() };
    let ann = fixture.account("ann@example.org").id;
    directory.set_password(ann, NewPassword::Cleartext("another".into())).unwrap();
    let (last, _) = client.last(&challenge);
    assert!(matches!(login.respond(&last).await, Ok(LoginStep::Challenge(_))));
    assert_eq!(login.respond(b"").await, Err(AuthenticationError::Refused));
}
