//! Mail from strangers and by LMTP: who gets it, what is put in front, what is refused.

use mta::{Listener, Outcome};
use platform::stream::Endpoint;

use super::house::House;

#[tokio::test]
async fn mail_from_a_stranger_is_filed() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: EHLO client.example
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
        C: MAIL FROM:<someone@elsewhere.example> SIZE=100 BODY=8BITMIME
        C: RCPT TO:<Ann+news@Example.ORG>
        C: RCPT TO:<nobody@example.org>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 550 5.1.1 No such mailbox here
        S: 354 *
        C: Subject: hello
        C:
        C: ..dot
        C: .
        S: 250 2.0.0 Kept as 0000000000000001
        C: QUIT
        S: 221 2.0.0 Bye
        end
    ",
    )
    .await;
    let message = house.only_message().await;
    let (trace, rest) = message.split_once("Subject: hello\r\n").unwrap();
    assert_eq!(rest, "\r\n.dot\r\n");
    let trace = trace.replace("\r\n\t", " ").replace("\r\n ", " ");
    let received = "Return-Path: <someone@elsewhere.example>\r\n\
                    Received: from client.example ([192.0.2.1]) by mail.example.org with ESMTP id \
                    0000000000000001 for <Ann+news@example.org>; ";
    assert!(trace.starts_with(received), "{trace}");

    let ways = house.ways();
    assert_eq!(ways.len(), 1);
    assert_eq!(ways[0].recipients.len(), 2);
    assert_eq!(ways[0].octets, Some(message.len() as u64));
    assert!(matches!(&ways[0].recipients[1].outcome, Outcome::Refused(reply) if reply.code.value() == 550));
}

#[tokio::test]
async fn all_recipients_share_one_copy() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        C: RCPT TO:<team@example.org>
        C: RCPT TO:<ann@example.org>
        C: DATA
        C: text
        C: .
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        S: 250 2.0.0 Kept as *
    ",
    )
    .await;
    let filings = house.only_filings();
    let accounts: Vec<_> = filings.iter().map(|filed| filed.account).collect();
    let (ann, bob) = (house.account("ann@example.org"), house.account("bob@example.org"));
    assert_eq!(accounts, [ann, bob, ann]);
    // ann, named twice, has it once.
    assert_eq!(filings[0].uid, filings[2].uid);
    let message = String::from_utf8(house.read(&filings[1]).await).unwrap();
    assert!(message.starts_with("Return-Path: <>\r\n"));
    assert!(message.contains("with SMTP id"));
    assert!(!message.contains(" for <"), "who else got it is nobody's business");
}

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<ann@example.org>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<someone@elsewhere.example>
        S: 550 5.7.1 We do not relay for strangers
        C: RCPT TO:<ann%elsewhere.example@example.org>
        S: 550 5.1.1 No such mailbox here
        C: RCPT TO:<carl@example.org>
        S: 550 5.2.1 Mailbox disabled
        C: RCPT TO:<away@example.org>
        S: 451 4.3.5 This server does not send to others; try again later
        C: DATA
        S: 503 5.5.1 Need RCPT first
        C: RSET
        S: 250 2.0.0 Reset
    ",
    )
    .await;
    let ways = house.ways();
    assert_eq!(ways.len(), 1, "refusals leave a record too");
    assert_eq!(ways[0].recipients.len(), 4);
    assert_eq!(ways[0].octets, None);
}

#[tokio::test]
async fn postmaster_is_always_there() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<Postmaster>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<postmaster@example.org>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<postmaster@mail.example.org>
        S: 250 2.1.5 Recipient ok
    ",
    )
    .await;
}

#[tokio::test]
async fn what_nobody_wants_is_taken_and_not_kept() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        C: RCPT TO:<nothing@example.org>
        C: DATA
        C: .
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        S: 250 2.0.0 Taken as *
    ",
    )
    .await;
    assert!(matches!(house.ways()[0].recipients[0].outcome, Outcome::Discarded));
}

#[tokio::test]
async fn a_loop_is_cut() {
    let house = House::with(mta::Settings { received_max: 2, ..super::house::settings() });
    let mut peer = house.connect(Listener::Relay);
    let begin = "
        C: MAIL FROM:<>
        C: RCPT TO:<ann@example.org>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        C: Received: one
        C: received: two";
    let end = "
        C:
        C: Received: in the body
        C: .";
    peer.dialogue("S: 220 *\nC: HELO client.example\nS: 250 mail.example.org").await;
    peer.dialogue(&format!("{begin}{end}\nS: 250 2.0.0 Kept as *")).await;
    peer.dialogue(&format!("{begin}\nC: Received: three{end}\nS: 554 5.4.6 Mail loop: *")).await;
    let ways = house.ways();
    assert!(matches!(&ways[1].recipients[0].outcome, Outcome::Refused(reply) if reply.code.value() == 554));
}

#[tokio::test]
async fn lmtp_answers_for_each() {
    let house = House::new();
    let mut peer = house.connect_from(Listener::Lmtp, Endpoint::Unix);
    peer.dialogue(
        "
        S: 220 mail.example.org LMTP mailstead
        C: LHLO front.example
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
        C: MAIL FROM:<someone@elsewhere.example>
        C: RCPT TO:<ann@example.org>
        C: RCPT TO:<nothing@example.org>
        C: RCPT TO:<bob@example.org>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        C: text
        C: .
        S: 250 2.0.0 Kept as *
        S: 250 2.0.0 Taken as *
        S: 250 2.0.0 Kept as *
        C: QUIT
        S: 221 2.0.0 Bye
    ",
    )
    .await;
    let filings = house.only_filings();
    let message = String::from_utf8(house.read(&filings[0]).await).unwrap();
    assert!(message.contains("with LMTP"), "{message}");
}

/// A client that leaves in the middle of a message has sent nothing.
#[tokio::test]
async fn half_a_message_is_none() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
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
        C: half a
    ",
    )
    .await;
    drop(peer);
    while house.ways().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(house.ways()[0].recipients[0].outcome, Outcome::Abandoned));
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let house = House::new();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        C: RCPT TO:<ann@example.org>
        C: RCPT TO:<nobody@example.org>
        C: DATA
        C: .
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 550 5.1.1 No such mailbox here
        S: 354 *
        S: 250 2.0.0 Kept as *
    ",
    )
    .await;
    let text = house.metrics.render();
    for line in [
        "mailstead_smtp_messages_total{listener=\"smtp\"} 1",
        "mailstead_smtp_refused_total{stage=\"recipient\"} 1",
        "mailstead_smtp_recipients_filed_total 1",
        "mailstead_smtp_filing_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
