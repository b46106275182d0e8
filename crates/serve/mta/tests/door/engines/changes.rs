//! What milters change: header, body, envelope, and where a message is kept; each sees what those before it have done.

use directory::DkimKeyState;
use mta::{Listener, Outcome};
use sender_auth::dkim::DkimResult;

use super::fake::{FakeMilter, Script};
use super::{MESSAGE, bring, greeted, house};
use crate::door::house::House;
use crate::door::senders::{key, results};

/// The octets below our trace fields.
async fn kept(house: &House) -> String {
    let message = house.only_message().await;
    let at = message.find("Received: ").unwrap();
    let rest = &message[at..];
    let mut end = 0;
    for line in rest.split_inclusive("\r\n") {
        if end > 0 && !line.starts_with([' ', '\t']) {
            break;
        }
        end += line.len();
    }
    rest[end..].to_owned()
}

#[tokio::test]
async fn a_milter_changes_header_and_body() {
    let milter = FakeMilter::start(Script::default().answering(
        b'E',
        &[
            b"hX-End\0 of header\nBcc: nobody@example.org\0",
            b"i\0\0\0\x01X-Top\0 of header\0",
            b"m\0\0\0\x01Subject\0 good day\0",
            b"m\0\0\0\x01From\0\0",
            b"p",
            b"bnew\r\nbo",
            b"bdy\n.\n",
            b"c",
        ],
    ));
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
    let expected = "X-Top: of header\r\nSubject: good day\r\nX-End: of header\r\n\tBcc: nobody@example.org\r\n\r\n\
                    new\r\nbody\r\n.\r\n";
    assert_eq!(kept(&house).await, expected);
}

#[tokio::test]
async fn each_milter_sees_what_those_before_it_did() {
    let first =
        FakeMilter::start(Script::default().answering(b'E', &[b"hX-First\0 yes\0", b"bother\r\n", b"a"]));
    let second = FakeMilter::start(Script::default().answering(b'E', &[b"m\0\0\0\x01X-First\0\0", b"c"]));
    let house = house(&[&first, &second]);
    let mut peer = greeted(&house).await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
    let heard = second.heard();
    assert!(heard.iter().any(|line| line == "L X-First| yes|"), "{heard:?}");
    assert!(heard.iter().any(|line| line == "B other.."), "{heard:?}");
    let expected = "From: someone@elsewhere.example\r\nSubject: hello\r\n\r\nother\r\n";
    assert_eq!(kept(&house).await, expected);
}

#[tokio::test]
async fn a_large_message_is_shown_in_pieces() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    let line = format!("{}\r\n", "x".repeat(998));
    let message = format!("Subject: long\r\n\r\n{}", line.repeat(300));
    assert!(bring(&mut peer, &message).await.starts_with("250"));
    let pieces: Vec<usize> =
        milter.heard().iter().filter(|line| line.starts_with("B ")).map(|line| line.len() - 2).collect();
    assert_eq!(pieces.iter().sum::<usize>(), 300_000);
    assert!(pieces.iter().all(|octets| *octets <= 65_535), "{pieces:?}");
    assert_eq!(pieces[0], 65_535);
}

#[tokio::test]
async fn a_milter_that_has_seen_enough_sees_no_more() {
    let milter = FakeMilter::start(Script::default().answering(b'B', &[b"s"]));
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    let message = format!("Subject: long\r\n\r\n{}", "x\r\n".repeat(100_000));
    assert!(bring(&mut peer, &message).await.starts_with("250"));
    let count = |first: char| milter.heard().iter().filter(|line| line.starts_with(first)).count();
    assert_eq!((count('B'), count('E')), (1, 1));
}

#[tokio::test]
async fn a_milter_changes_the_envelope() {
    let milter = FakeMilter::start(Script::default().answering(
        b'E',
        &[
            b"e<other@elsewhere.example>\0",
            b"e<lost@elsewhere.example>\0HOLDFOR=9\0",
            b"2<lost@example.org>\0COLOUR=RED\0",
            b"+<bob@example.org>\0",
            b"+<bob@example.org>\0",
            b"2team@example.org\0NOTIFY=NEVER\0",
            b"-<ANN@example.org>\0",
            b"+<stranger@far.example>\0",
            b"+<not an address\0",
            b"c",
        ],
    ));
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
    let ways = house.ways();
    let outcomes: Vec<(String, usize)> = ways[0]
        .recipients
        .iter()
        .map(|way| match &way.outcome {
            Outcome::Filed(filed) => (way.forward_path.to_string(), filed.len()),
            Outcome::Discarded => (way.forward_path.to_string(), 0),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("ann@example.org", 0), ("bob@example.org", 1), ("team@example.org", 2)];
    assert_eq!(outcomes, expected.map(|(path, copies)| (path.to_owned(), copies)));
    let filed = house.only_filings();
    let message = String::from_utf8(house.read(&filed[0]).await).unwrap();
    assert!(message.starts_with("Return-Path: <other@elsewhere.example>\r\n"), "{message}");
}

#[tokio::test]
async fn what_is_to_be_thrown_away_is_taken_and_thrown_away() {
    for stage in [b'M', b'R', b'T', b'L', b'B', b'E'] {
        let milter = FakeMilter::start(Script::default().answering(stage, &[b"d"]));
        let other = FakeMilter::start(Script::default());
        let house = house(&[&milter, &other]);
        let mut peer = greeted(&house).await;
        assert_eq!(bring(&mut peer, MESSAGE).await, "250 2.0.0 Taken as 0000000000000001");
        assert!(house.only_filings().is_empty());
        assert!(!other.heard().iter().any(|line| line == "E"));
        // The next message is one of its own.
        assert!(matches!(house.ways()[0].recipients[0].outcome, Outcome::Discarded));
    }
}

#[tokio::test]
async fn what_is_to_be_kept_apart_is_no_mail_of_the_inbox() {
    let milter = FakeMilter::start(Script::default().answering(b'E', &[b"qit smells\0", b"c"]));
    let house = house(&[&milter]);
    let mut peer = house.connect(Listener::Relay);
    peer.reply().await;
    peer.say("EHLO client.example").await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
    let ways = house.ways();
    assert!(
        ways[0].checks.iter().any(|line| line == "milter: to be kept apart: it smells"),
        "{:?}",
        ways[0].checks
    );
    // Not in any mailbox of hers.
    let filed = house.only_filings();
    assert_eq!(filed.len(), 1);
    assert_ne!(filed[0].account, house.account("ann@example.org"));
}

/// What leaves is what is signed, whatever a milter made of it.
#[tokio::test]
async fn what_a_milter_changes_is_signed_as_it_leaves() {
    let answers: [&[u8]; 4] = [b"m\0\0\0\x01Subject\0 good day\0", b"hX-End\0 y\0", b"bnew body\r\n", b"c"];
    let milter = FakeMilter::start(Script::default().answering(b'E', &answers));
    let house = house(&[&milter]);
    let key = key("example.org", "e1");
    house.directory.add_dkim_keys(vec![key.clone()], DkimKeyState::Signing).unwrap();
    let mut peer = house.connect_ann().await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    peer.say("RCPT TO:<bob@example.org>").await;
    peer.say("DATA").await;
    assert!(peer.say("From: ann@example.org\r\nSubject: hello\r\n\r\nold\r\n.").await.starts_with("250"));
    let message = house.only_message().await;
    assert!(message.ends_with("X-End: y\r\n\r\nnew body\r\n"), "{message}");
    assert_eq!(results(&message, &[key]), [("e1".to_owned(), DkimResult::Pass)]);
}
