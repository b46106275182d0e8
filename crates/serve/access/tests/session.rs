//! Greeting, logging in, what is offered when, and how sessions end.

mod house;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

use access::{Security, Settings};
use directory::{AccountState, Quota};
use house::{Client, House, PASSWORD};
use platform::lines::{Wire, WireSettings};

#[tokio::test]
async fn a_session_from_greeting_to_goodbye() {
    let house = House::new().await;
    let mut client = Client::new(house.connect(Security::Trusted));
    client
        .play(&format!(
            "S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=…] mailstead is ready
             C: a1 CAPABILITY
             S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=…
             S: a1 OK CAPABILITY completed
             C: a2 ID (\"name\" \"test\" \"version\" NIL)
             S: * ID (\"name\" \"mailstead\")
             S: a2 OK ID completed
             C: a3 SELECT INBOX
             S: a3 BAD Log in first
             C: a4 LOGIN ann@example.org \"{PASSWORD}\"
             S: a4 OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE …APPENDLIMIT=52428800] Logged in
             C: a5 LOGIN ann@example.org \"{PASSWORD}\"
             S: a5 BAD Somebody has logged in already
             C: a6 NAMESPACE
             S: * NAMESPACE ((\"\" \"/\")) NIL NIL
             S: a6 OK NAMESPACE completed
             C: a7 LOGOUT
             S: * BYE Goodbye
             S: a7 OK LOGOUT completed
             S: <closed>"
        ))
        .await;
}

#[tokio::test]
async fn passwords_are_refused_in_clear_text() {
    let house = House::new().await;
    let mut client = Client::new(house.connect(Security::StartTls));
    client
        .play(&format!(
            "S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS LOGINDISABLED] …
             C: a1 LOGIN ann@example.org \"{PASSWORD}\"
             S: a1 NO [PRIVACYREQUIRED] Start TLS before you log in
             C: a2 AUTHENTICATE PLAIN
             S: a2 NO [PRIVACYREQUIRED] …
             C: a3 AUTHENTICATE SCRAM-SHA-256
             S: a3 NO [PRIVACYREQUIRED] …"
        ))
        .await;
}

#[tokio::test]
async fn starttls_forgets_what_came_before_it() {
    let house = House::new().await;
    let mut clear = Client::new(house.connect(Security::StartTls));
    clear.line().await;
    // A command injected in clear text behind STARTTLS must never be answered (CVE-2011-0411, CVE-2021-33515).
    clear.send("a1 STARTTLS\r\nx1 CAPABILITY\r\nx2 NOOP\r\n").await;
    assert_eq!(clear.line().await, "a1 OK Begin TLS negotiation now");
    let (mut client, _) = house::secured(clear.stream).await;
    client
        .play(&format!(
            "C: a2 CAPABILITY
             S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE AUTH=…
             S: a2 OK CAPABILITY completed
             C: a3 STARTTLS
             S: a3 BAD TLS cannot be started here
             C: a4 LOGIN ann@example.org \"{PASSWORD}\"
             S: a4 OK [CAPABILITY …"
        ))
        .await;
}

#[tokio::test]
async fn implicit_tls_offers_channel_binding() {
    let house = House::new().await;
    let (mut client, session) = house::secured(house.connect(Security::ImplicitTls)).await;
    assert!(session.bindings.exporter.is_some());
    let greeting = client.line().await;
    assert!(greeting.contains(" AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN"), "{greeting}");
    assert!(!greeting.contains("STARTTLS") && !greeting.contains("LOGINDISABLED"), "{greeting}");
}

#[tokio::test]
async fn authenticate_plain_with_and_without_initial_response() {
    let house = House::new().await;
    // "\0ann@example.org\0secret word"
    let response = "AGFubkBleGFtcGxlLm9yZwBzZWNyZXQgd29yZA==";
    let mut client = house.stranger().await;
    client
        .play(&format!(
            "C: a1 AUTHENTICATE PLAIN
             S: +…
             C: {response}
             S: a1 OK [CAPABILITY …"
        ))
        .await;
    let mut client = house.stranger().await;
    client
        .play(&format!(
            "C: a1 AUTHENTICATE PLAIN {response}
             S: a1 OK [CAPABILITY …"
        ))
        .await;
}

#[tokio::test]
async fn a_cancelled_or_malformed_exchange_is_bad() {
    let house = House::new().await;
    let mut client = house.stranger().await;
    client
        .play(
            "C: a1 AUTHENTICATE PLAIN
             S: +…
             C: *
             S: a1 BAD Authentication cancelled
             C: a2 AUTHENTICATE PLAIN
             S: +…
             C: %%%
             S: a2 BAD Malformed authentication exchange
             C: a3 AUTHENTICATE GSSAPI
             S: a3 NO Authentication mechanism is not offered here
             C: a4 NOOP
             S: a4 OK NOOP completed",
        )
        .await;
}

#[tokio::test]
async fn wrong_passwords_are_all_the_same_and_end_in_a_block() {
    let house = House::new().await;
    let mut client = house.stranger().await;
    for user in ["ann@example.org", "nobody@example.org", "ann@elsewhere.example"] {
        let answer = client.command(&format!("a LOGIN {user} wrong")).await;
        assert_eq!(answer, ["a NO [AUTHENTICATIONFAILED] User name or password is wrong"]);
    }
    for number in 0..20 {
        client.command(&format!("a LOGIN ann@example.org wrong{number}")).await;
    }
    let answer = client.command("a LOGIN ann@example.org wrong").await;
    assert_eq!(answer, ["a NO [UNAVAILABLE] Too many failed logins, try again later"]);
}

#[tokio::test]
async fn the_same_wrong_password_again_ends_in_no_block() {
    let house = House::new().await;
    for number in 0..30 {
        let answer = house.stranger().await.command("a LOGIN ann@example.org former").await;
        assert_eq!(answer, ["a NO [AUTHENTICATIONFAILED] User name or password is wrong"], "{number}");
        // By SASL it is the same, whatever the letters of the name.
        let token = STANDARD.encode("\0Ann@example.org\0former");
        let answer = house.stranger().await.command(&format!("a AUTHENTICATE PLAIN {token}")).await;
        assert_eq!(answer, ["a NO [AUTHENTICATIONFAILED] User name or password is wrong"], "{number}");
    }
    house.ann().await;
}

#[tokio::test]
async fn a_disabled_account_cannot_log_in_and_is_parted_from() {
    let house = House::new().await;
    let mut idle = house.ann().await;
    idle.play(
        "C: a1 SELECT INBOX
         S: * FLAGS …",
    )
    .await;
    idle.until("a1").await;
    idle.play(
        "C: a2 IDLE
         S: + Idling",
    )
    .await;
    let mut waiting = house.ann().await;
    let directory = house.directory.clone();
    let account = house.account("ann");
    let disabled = AccountState::Disabled { reason: "gone fishing".into() };
    tokio::task::spawn_blocking(move || directory.set_state(account, disabled)).await.unwrap().unwrap();
    for client in [&mut idle, &mut waiting] {
        assert_eq!(client.line().await, "* BYE [EXPIRED] Log in again");
        assert_eq!(client.line().await, "<closed>");
    }
    let mut client = house.stranger().await;
    let answer = client.command(&format!("a LOGIN ann@example.org \"{PASSWORD}\"")).await;
    assert_eq!(answer, ["a NO [AUTHENTICATIONFAILED] User name or password is wrong"]);
}

#[tokio::test]
async fn shutdown_says_goodbye_to_everybody() {
    let house = House::new().await;
    let mut stranger = house.stranger().await;
    let mut person = house.ann().await;
    let mut idle = house.ann().await;
    idle.play("C: a1 IDLE\n S: + Idling").await;
    house.shut_down();
    for client in [&mut stranger, &mut person, &mut idle] {
        assert_eq!(client.line().await, "* BYE [UNAVAILABLE] Server is going down");
        assert_eq!(client.line().await, "<closed>");
    }
}

#[tokio::test]
async fn sessions_of_one_account_are_bounded() {
    let settings = Settings { sessions_per_account_max: 2, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let _first = house.ann().await;
    let second = house.ann().await;
    let mut third = house.stranger().await;
    let login = format!("a LOGIN ann@example.org \"{PASSWORD}\"");
    assert_eq!(third.command(&login).await, ["a NO [LIMIT] Too many sessions of this account"]);
    let _other = house.person("bob").await;
    drop(second);
    // The place is free as soon as the session has noticed that its client is gone.
    while !third.command(&login).await[0].starts_with("a OK") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn endless_mistakes_end_the_session() {
    let settings = Settings { errors_max: 3, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    for mut client in [house.stranger().await, house.ann().await] {
        client
            .play(
                "C: a1 NONSENSE
                 S: a1 BAD Unknown command
                 C: a2 NONSENSE
                 S: a2 BAD Unknown command
                 C: a3 NOOP extra
                 S: a3 BAD …
                 S: * BYE Too many errors
                 S: <closed>",
            )
            .await;
    }
}

#[tokio::test]
async fn silence_ends_the_session() {
    let short = Duration::from_millis(50);
    let settings = Settings { login_timeout: short, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut silent = house.stranger().await;
    assert_eq!(silent.line().await, "* BYE Nobody logged in");
    assert_eq!(silent.line().await, "<closed>");

    let settings = Settings { idle_timeout: short, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut silent = house.ann().await;
    assert_eq!(silent.line().await, "* BYE Idle too long");
    assert_eq!(silent.line().await, "<closed>");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let commands: String = (0..500).map(|number| format!("t{number} NOOP\r\n")).collect();
    client.send(&commands).await;
    for number in 0..500 {
        assert_eq!(client.line().await, format!("t{number} OK NOOP completed"));
    }
}

#[tokio::test]
async fn enable_switches_on_what_is_known() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            "C: a1 ENABLE CONDSTORE X-NONSENSE
             S: * ENABLED CONDSTORE
             S: a1 OK ENABLE completed
             C: a2 ENABLE QRESYNC IMAP4rev2
             S: * ENABLED QRESYNC IMAP4rev2
             S: a2 OK ENABLE completed
             C: a3 ENABLE NONSENSE
             S: * ENABLED
             S: a3 OK ENABLE completed",
        )
        .await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let settings = Settings { write_timeout: Duration::from_millis(200), ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 3).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    // Far more answers than the pipe holds, and nobody reads them.
    let commands = "f FETCH 1:3 (UID FLAGS ENVELOPE BODYSTRUCTURE)\r\n".repeat(30_000);
    let mut wire = Wire::new(
        client.stream,
        WireSettings { input_octets_max: 1_024, write_timeout: Duration::from_secs(20) },
    );
    wire.put(commands.as_bytes());
    // Our own writing ends when the server hangs up.
    let written = wire.flush().await;
    assert!(written.is_err(), "{written:?}");
}

#[tokio::test]
async fn a_session_between_commands_is_small() {
    let house = House::new().await;
    let session = house.session(Security::Trusted).1;
    // Of the 24 KiB that an idle session may cost, most must be left for TLS and the kernel.
    let octets = size_of_val(&session);
    assert!(octets <= 2_048, "{octets}");
}
