//! Submission: TLS and log-in first, then only as oneself, and the header made whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mta::{ContentSettings, Listener, Settings, Taste};
use platform::guard::GuardSettings;
use platform::stream::Endpoint;
use std::sync::Arc;
use std::time::Duration;

use super::house::{House, settings};
use crate::foundation::{Peer, guard_settings};

fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

async fn logged_in(house: &House) -> Peer {
    let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop.home.example").await;
    let reply = peer.say(&format!("AUTH PLAIN {}", plain("ann@example.org", "secret"))).await;
    assert_eq!(reply, "235 2.7.0 Authentication succeeded");
    peer
}

async fn submit(peer: &mut Peer, message: &str) -> String {
    peer.send(b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n").await;
    assert_eq!(peer.reply().await, "250 2.1.0 Sender ok");
    assert_eq!(peer.reply().await, "250 2.1.5 Recipient ok");
    assert!(peer.reply().await.starts_with("354"));
    peer.send(format!("{message}.\r\n").as_bytes()).await;
    peer.reply().await
}

#[tokio::test]
async fn only_files_that_nobody_may_send_count_against_their_sender() {
    use attachments::{Action, Class, Rules};
    for (action, counted) in [(Action::Junk, 0), (Action::Quarantine, 0), (Action::Reject, 1)] {
        let house = House::new();
        let mut rules = Rules::default();
        rules.policy.set(Class::Script, action);
        let everybody = Taste { tag2: 9_000.0, kill: 9_000.0, ..Taste::default() };
        let attachments = Some(Arc::new(rules));
        house.content.reconfigure(ContentSettings { everybody, attachments, ..ContentSettings::default() });
        let mut peer = logged_in(&house).await;
        let message = "From: ann@example.org\r\nSubject: as you asked\r\nMIME-Version: 1.0\r\n\
                       Content-Type: application/javascript\r\n\
                       Content-Disposition: attachment; filename=a.js\r\n\r\nvar a = 1;\r\n";
        assert!(submit(&mut peer, message).await.starts_with("250"));
        let metrics = house.metrics.render();
        assert!(metrics.contains(&format!("mailstead_spam_own_total {counted}")), "{action:?}");
    }
}

#[tokio::test]
async fn nothing_without_tls_and_login() {
    let house = House::new();
    let mut peer = house.connect(Listener::Submission);
    peer.dialogue(
        "
        S: 220 *
        C: EHLO laptop.home.example
        S: 250-mail.example.org
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-STARTTLS
        S: 250 LIMITS RCPTMAX=1000 MAILMAX=1000
        C: MAIL FROM:<ann@example.org>
        S: 530 5.7.0 Must issue STARTTLS first
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 538 5.7.11 Encryption required; say STARTTLS first
        C: STARTTLS
        C: EHLO injected.example
        C: MAIL FROM:<mallory@example.org>
        S: 220 2.0.0 Ready to start TLS
        tls
        C: MAIL FROM:<ann@example.org>
        S: 503 5.5.1 Say hello first
        C: EHLO laptop.home.example
        S: 250-mail.example.org
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN
        S: 250 LIMITS RCPTMAX=1000 MAILMAX=1000
        C: MAIL FROM:<ann@example.org>
        S: 530 5.7.0 Authentication required
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5uQGV4YW1wbGUub3Jn
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 Authentication succeeded
        C: MAIL FROM:<ann@example.org>
        S: 250 2.1.0 Sender ok
    ",
    )
    .await;
}

#[tokio::test]
async fn the_header_is_made_whole_and_the_client_hidden() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    let message = "Subject: hello\r\nBcc: carl@example.org,\r\n\tdora@example.org\r\nTo: bob@example.org\r\n\r\nBcc: text\r\n";
    assert!(submit(&mut peer, message).await.starts_with("250 2.0.0 Kept as"));
    let stored = house.only_message().await;
    let (header, body) = stored.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "Bcc: text\r\n");
    let header = header.replace("\r\n\t", " ").replace("\r\n ", " ");
    let names: Vec<&str> = header.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["Return-Path", "Received", "From", "Date", "Message-ID", "Subject", "To"]);
    assert!(header.contains("Received: by mail.example.org with ESMTPSA (TLS"), "{header}");
    assert!(!header.contains("192.0.2.1") && !header.contains("laptop"), "{header}");
    assert!(header.contains("\nFrom: <ann@example.org>\r\n"));
    assert!(header.contains("@example.org>\r\nSubject"), "{header}");
}

#[tokio::test]
async fn a_whole_header_stays_as_it_is() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    let message = "from: Ann <ann+lists@example.org>\r\ndate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
                   MESSAGE-ID: <x@y>\r\nX-Odd : a\r\n\r\n";
    assert!(submit(&mut peer, message).await.starts_with("250"));
    assert!(house.only_message().await.ends_with(message));
    assert_eq!(house.ways()[0].message_id.as_deref(), Some("<x@y>"));
}

#[tokio::test]
async fn nobody_sends_as_somebody_else() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    assert_eq!(peer.say("MAIL FROM:<bob@example.org>").await, "550 5.7.1 You may not send as this address");
    assert_eq!(
        peer.say("MAIL FROM:<x@elsewhere.example>").await,
        "550 5.7.1 You may not send as this address"
    );
    // An alias that ann gets mail by is hers as well.
    assert_eq!(peer.say("MAIL FROM:<team@example.org>").await, "250 2.1.0 Sender ok");
    peer.say("RSET").await;
    for from in [
        "From: bob@example.org\r\n\r\n",
        "From: Ann <ann@example.org>, bob@example.org\r\n\r\n",
        "From: ann@example.org\r\nSender: bob@example.org\r\n\r\n",
        "From: =?utf-8?q?ann=40example.org?= <bob@example.org>\r\n\r\n",
    ] {
        let reply = submit(&mut peer, from).await;
        assert_eq!(reply, "550 5.7.1 You may not send with this From address", "{from}");
    }
    for from in [
        "From: ann@example.org\r\nFROM: bob@example.org\r\n\r\n",
        "From: Ann\r\n\r\n",
        "From:\r\n\r\n",
        "From: ann@-example-\r\n\r\n",
        &format!("From: {}bob@example.org\r\n\r\n", "ann@example.org,\r\n ".repeat(100)),
    ] {
        let reply = submit(&mut peer, from).await;
        assert_eq!(reply, "550 5.6.0 From must be one field with a whole address", "{from}");
    }
    let forwarded = "Resent-From: ann@example.org\r\nFrom: x@elsewhere.example\r\n\r\n";
    assert!(submit(&mut peer, forwarded).await.starts_with("250"));
    assert_eq!(house.only_filings().len(), 1);
}

#[tokio::test]
async fn mail_for_elsewhere_is_put_off() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    assert_eq!(
        peer.say("RCPT TO:<x@elsewhere.example>").await,
        "451 4.3.5 This server does not send to others; try again later"
    );
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    let header = format!("X: {}\r\n", "y".repeat(70)).repeat(40_000);
    assert_eq!(submit(&mut peer, &header).await, "552 5.3.4 Header too large");
    assert!(submit(&mut peer, "X: a message that is all header\r\n").await.starts_with("250"));
    assert!(house.only_message().await.ends_with("X: a message that is all header\r\n"));
}

#[tokio::test]
async fn wrong_passwords_are_refused_counted_and_end_the_session() {
    let house = House::new();
    let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop.home.example").await;
    for (user, password) in [("ann@example.org", "wrong"), ("nobody@example.org", "secret")] {
        let reply = peer.say(&format!("AUTH PLAIN {}", plain(user, password))).await;
        assert_eq!(reply, "535 5.7.8 Authentication failed");
    }
    // carl's password is right, and carl is disabled.
    let reply = peer.say(&format!("AUTH PLAIN {}", plain("carl@example.org", "secret"))).await;
    assert_eq!(reply, "535 5.7.8 Authentication failed");
    assert_eq!(peer.reply().await, "421 4.7.0 Too many failed log-ins");
    peer.expect_end().await;
    assert!(house.metrics.render().contains("mailstead_login_failures_total 3"));
}

#[tokio::test]
async fn malformed_exchanges_are_told_apart() {
    let house = House::with(Settings { login_failures_max: 10, ..settings() });
    let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop.home.example").await;
    assert_eq!(peer.say("AUTH PLAIN !").await, "501 5.5.2 Malformed authentication exchange");
    assert_eq!(peer.say("AUTH PLAIN").await, "334 ");
    assert_eq!(peer.say("*").await, "501 5.7.0 Authentication cancelled");
    // CVE-2026-33603: a tab in base64 split what the next process read.
    assert_eq!(peer.say("AUTH PLAIN").await, "334 ");
    assert_eq!(peer.say("AGFubg\tBzZWNyZXQ=").await, "501 5.5.2 Malformed authentication exchange");
    assert_eq!(peer.say("AUTH CRAM-MD5").await, "504 5.5.4 Mechanism not offered");
}

#[tokio::test]
async fn an_address_that_failed_too_often_has_to_wait() {
    let house = House::new();
    house.guard.reconfigure(GuardSettings {
        points_before_ban: 10,
        ban_first: Duration::from_secs(3_600),
        ban_longest: Duration::from_secs(3_600),
        ..guard_settings()
    });
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
        peer.reply().await;
        peer.say("EHLO laptop.home.example").await;
        peers.push(peer);
    }
    // Neither the right password nor another connection that was there before helps.
    for (mut peer, password) in peers.into_iter().zip(["wrong", "secret"]) {
        let reply = peer.say(&format!("AUTH PLAIN {}", plain("ann@example.org", password))).await;
        assert_eq!(reply, "454 4.7.0 Too many failed log-ins; try again later", "{password}");
        assert!(peer.reply().await.starts_with("421 4.7.0 Too much came"));
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn a_session_ends_with_its_password() {
    let house = House::new();
    let mut peer = logged_in(&house).await;
    let ann = house.account("ann@example.org");
    house.directory.set_password(ann, directory::NewPassword::Cleartext("other".into())).unwrap();
    assert_eq!(
        peer.say("MAIL FROM:<ann@example.org>").await,
        "535 5.7.8 Account or password has changed; log in again"
    );
}

#[tokio::test]
async fn loopback_may_do_without_tls_where_the_operator_says_so() {
    let loopback = Endpoint::Inet("127.0.0.1:4711".parse().unwrap());
    let house = House::with(Settings { plaintext_on_loopback: true, ..settings() });
    let mut peer = house.connect_from(Listener::Submission, loopback);
    peer.reply().await;
    let offers = peer.say("EHLO laptop.home.example").await;
    assert!(offers.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{offers}");
    let reply = peer.say(&format!("AUTH PLAIN {}", plain("ann@example.org", "secret"))).await;
    assert_eq!(reply, "235 2.7.0 Authentication succeeded");
    assert_eq!(peer.say("MAIL FROM:<ann@example.org>").await, "250 2.1.0 Sender ok");
    // Others still may not.
    let mut stranger = house.connect(Listener::Submission);
    stranger.reply().await;
    stranger.say("EHLO laptop.home.example").await;
    assert!(stranger.say("AUTH PLAIN =").await.starts_with("538"));
}
