//! Time, quota, shutdown: what ends a session or a transaction from our side.

use std::time::Duration;

use directory::Quota;
use mta::{Listener, Settings};

use platform::stream::Endpoint;

use super::house::{House, settings};
use crate::foundation::Peer;

/// Nothing but time passes here, so it may pass at once.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_hung_up_on() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue("S: 220 *").await;
    let begin = tokio::time::Instant::now();
    peer.dialogue("S: 421 4.4.2 Silent too long\nend").await;
    assert!(begin.elapsed() >= settings().command_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_an_end() {
    let house = House::with(Settings {
        session_timeout: Duration::from_secs(700),
        idle_commands_max: 1_000,
        ..settings()
    });
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue("S: 220 *").await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(peer.say("NOOP").await, "250 2.0.0 Nothing done");
    }
    peer.dialogue("S: 421 4.4.2 Connected too long; come again\nend").await;
}

#[tokio::test]
async fn a_shutdown_is_told_between_messages() {
    let house = House::new();
    let mut idle = house.connect(Listener::Relay);
    let mut busy = house.connect(Listener::Relay);
    idle.dialogue("S: 220 *").await;
    busy.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        C: RCPT TO:<ann@example.org>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        C: half
    ",
    )
    .await;
    house.shut_down();
    idle.dialogue("S: 421 4.3.2 Shutting down; *\nend").await;
    busy.dialogue("C: the other half\nC: .\nS: 250 2.0.0 Kept as *\nS: 421 4.3.2 Shutting down; *\nend")
        .await;
}

#[tokio::test]
async fn a_full_mailbox_is_told_at_rcpt() {
    let house = House::new();
    let quota = Quota { octets_max: Some(2_000), messages_max: Some(2) };
    house.directory.set_quota(house.account("ann@example.org"), quota).unwrap();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<> SIZE=2001
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<ann@example.org>
        S: 452 4.2.2 Mailbox full
        C: RSET
        S: 250 2.0.0 Reset
    ",
    )
    .await;
    let message = "
        C: MAIL FROM:<>
        C: RCPT TO:<ann@example.org>
        C: DATA
        C: text
        C: .
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        S: 250 2.0.0 Kept as *
    ";
    peer.dialogue(message).await;
    peer.dialogue(message).await;
    peer.dialogue("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<team@example.org>\nS: 452 4.2.2 Mailbox full")
        .await;
}

/// Recipients that are large aliases must not add up without end.
#[tokio::test]
async fn aliases_of_one_message_have_a_bound() {
    let house = House::with(Settings { targets_max: 5, ..settings() });
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<team+1@example.org>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<team+2@example.org>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<team+3@example.org>
        S: 452 4.5.3 Too many recipients behind aliases for one message
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<bob@example.org>
        S: 452 4.5.3 Too many recipients behind aliases for one message
        C: DATA
        C: .
        S: 354 *
        S: 250 2.0.0 Kept as *
    ",
    )
    .await;
    assert_eq!(house.only_filings().len(), 5);
}

/// A full disk is the operator's trouble, not the sender's fault: 452, and the session goes on.
#[tokio::test]
async fn a_full_disk_puts_mail_off() {
    let mut disk = mailstore::Settings::default();
    disk.packs.free_octets_min = u64::MAX;
    let house = House::on_a_disk(settings(), disk);
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue("S: 220 *\nC: HELO client.example\nS: 250 mail.example.org").await;
    for _ in 0..2 {
        peer.dialogue(
            "
            C: MAIL FROM:<>
            C: RCPT TO:<ann@example.org>
            C: DATA
            C: text
            C: .
            S: 250 2.1.0 Sender ok
            S: 250 2.1.5 Recipient ok
            S: 354 *
            S: 452 4.3.1 No room for mail at this moment
        ",
        )
        .await;
    }
    assert_eq!(house.ways().len(), 2);
    assert!(house.only_filings().is_empty());
}

#[tokio::test]
async fn new_settings_hold_for_new_sessions() {
    let house = House::new();
    let mut old = house.connect(Listener::Relay);
    old.reply().await;
    house.door.reconfigure(Settings { message_octets_max: 4_711, ..settings() });
    let mut new = house.connect(Listener::Relay);
    new.reply().await;
    assert!(old.say("EHLO client.example").await.contains("SIZE 52428800"));
    assert!(new.say("EHLO client.example").await.contains("SIZE 4711"));
}

/// A client that sends and never reads cannot make us hold its replies for ever.
#[tokio::test]
async fn errors_and_idle_commands_have_bounds() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.send(&b"NOOP\r\n".repeat(5_000)).await;
    peer.reply().await;
    for _ in 0..settings().idle_commands_max {
        assert_eq!(peer.reply().await, "250 2.0.0 Nothing done");
    }
    assert!(peer.reply().await.starts_with("421 4.7.0"));
    peer.expect_end().await;
}

/// What an idle connection costs beside its socket buffers and TLS: this future, and no buffers. 64 KiB is all an idle
/// session may weigh.
#[tokio::test]
async fn an_idle_session_is_small() {
    let house = House::new();
    let future_octets = house.session_octets();
    assert!(future_octets <= 4 * 1024, "{future_octets}");
}

/// A stranger's large header that does not end.
async fn endless_header(house: &House, number: u8) -> Peer {
    let mut peer = house.connect_from(Listener::Relay, Endpoint::Inet(([192, 0, 2, number], 4_711).into()));
    peer.reply().await;
    for line in ["EHLO client.example", "MAIL FROM:<>", "RCPT TO:<ann@example.org>", "DATA"] {
        peer.say(line).await;
    }
    peer.send(format!("X: {}\r\n", "y".repeat(70)).repeat(2_000).as_bytes()).await;
    peer
}

#[tokio::test]
async fn large_headers_that_never_end_take_a_bounded_number_of_places() {
    let house = House::new();
    let mut unfinished = Vec::new();
    for number in 0..32 {
        unfinished.push(endless_header(&house, number).await);
    }
    let mut late = endless_header(&house, 32).await;
    let mut small = house.connect(Listener::Relay);
    small.reply().await;
    for line in ["EHLO client.example", "MAIL FROM:<>", "RCPT TO:<ann@example.org>", "DATA"] {
        small.say(line).await;
    }
    // A small header needs no place; the late one waits for one.
    tokio::select! {
        biased;
        reply = late.say("\r\nbody\r\n.") => panic!("it did not wait: {reply}"),
        reply = small.say("X: y\r\n\r\nbody\r\n.") => assert!(reply.starts_with("250"), "{reply}"),
    }
    // A place given back is another's.
    let mut first = unfinished.remove(0);
    assert!(first.say("\r\nbody\r\n.").await.starts_with("250"));
    assert!(late.reply().await.starts_with("250"));
}
