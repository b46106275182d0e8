//! BDAT and large messages, through the door to the disk.

use mta::{Listener, Outcome};

use super::house::{House, settings};
use crate::foundation::Peer;

async fn greeted(house: &House) -> Peer {
    let mut peer = house.connect(Listener::Relay);
    peer.reply().await;
    peer.say("EHLO client.example").await;
    peer
}

const ENVELOPE: &[u8] = b"MAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\n";

async fn envelope(peer: &mut Peer, octets: &[u8]) {
    peer.send(octets).await;
    assert_eq!(peer.reply().await, "250 2.1.0 Sender ok");
    assert_eq!(peer.reply().await, "250 2.1.5 Recipient ok");
}

fn without_trace(message: &[u8]) -> &[u8] {
    let start = message.windows(3).position(|octets| octets == b"X: ").unwrap();
    &message[start..]
}

#[tokio::test]
async fn binary_octets_come_through_untouched() {
    let house = House::new();
    let mut peer = greeted(&house).await;
    envelope(&mut peer, b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<ann@example.org>\r\n").await;
    let body: Vec<u8> = b"X: y\r\n\r\n".iter().copied().chain((0..=255).cycle().take(100_000)).collect();
    let (first, second) = body.split_at(50_001);
    peer.send(format!("BDAT {}\r\n", first.len()).as_bytes()).await;
    peer.send(first).await;
    assert_eq!(peer.reply().await, "250 2.0.0 Chunk received");
    peer.send(format!("BDAT {} LAST\r\n", second.len()).as_bytes()).await;
    peer.send(second).await;
    assert!(peer.reply().await.starts_with("250 2.0.0 Kept as"));
    let stored = house.read(&house.only_filings()[0]).await;
    assert_eq!(without_trace(&stored), body);
}

#[tokio::test]
async fn a_chunk_that_came_too_early_costs_nothing_but_itself() {
    let house = House::new();
    let mut peer = greeted(&house).await;
    peer.say("MAIL FROM:<>").await;
    peer.send(b"BDAT 6 LAST\r\nRSET\r\n").await;
    assert_eq!(peer.reply().await, "503 5.5.1 Need RCPT first");
    peer.send(b"RCPT TO:<ann@example.org>\r\nBDAT 11 LAST\r\nX: y\r\n\r\nz\r\n").await;
    assert_eq!(peer.reply().await, "250 2.1.5 Recipient ok");
    assert!(peer.reply().await.starts_with("250 2.0.0 Kept as"));
    let stored = house.read(&house.only_filings()[0]).await;
    assert_eq!(without_trace(&stored), b"X: y\r\n\r\nz\r\n");
}

#[tokio::test]
async fn a_large_message_comes_through() {
    let house = House::new();
    let mut peer = greeted(&house).await;
    envelope(&mut peer, ENVELOPE).await;
    peer.say("DATA").await;
    let mut text = b"X: y\r\n\r\n".to_vec();
    for line in 0..60_000 {
        text.extend_from_slice(format!(".line {line} of a long message {line:x}\r\n").as_bytes());
    }
    let mut wire = Vec::new();
    let mut writer = smtp::client::DataWriter::default();
    writer.write(&text, &mut wire);
    writer.finish(&mut wire);
    peer.send(&wire).await;
    assert!(peer.reply().await.starts_with("250 2.0.0 Kept as"));
    let stored = house.read(&house.only_filings()[0]).await;
    assert!(without_trace(&stored) == text.as_slice());
}

#[tokio::test]
async fn a_message_too_large_is_read_over() {
    let house = House::with(mta::Settings { message_octets_max: 1_000, ..settings() });
    let mut peer = greeted(&house).await;
    assert_eq!(peer.say("MAIL FROM:<> SIZE=1001").await, "552 5.3.4 Message too large");
    envelope(&mut peer, ENVELOPE).await;
    peer.say("DATA").await;
    peer.send(&b"QUIT\r\n".repeat(50_000)).await;
    peer.send(b".\r\n").await;
    assert_eq!(peer.reply().await, "552 5.3.4 Message too large");
    envelope(&mut peer, ENVELOPE).await;
    peer.send(b"BDAT 100000 LAST\r\n").await;
    peer.send(&[b'x'; 100_000]).await;
    assert_eq!(peer.reply().await, "552 5.3.4 Message too large");
    assert_eq!(peer.say("RSET").await, "250 2.0.0 Reset");
    assert!(house.only_filings().is_empty());
    let ways = house.ways();
    assert_eq!(ways.len(), 2);
    for way in ways {
        let [recipient] = way.recipients.as_slice() else { panic!("{way:?}") };
        assert!(matches!(&recipient.outcome, Outcome::Refused(reply) if reply.code.value() == 552));
    }
}

/// A chunked message that was begun and given up leaves nothing behind that could get into the next one.
#[tokio::test]
async fn chunks_given_up_are_forgotten() {
    let house = House::new();
    let mut peer = greeted(&house).await;
    envelope(&mut peer, ENVELOPE).await;
    peer.send(b"BDAT 6\r\nX: a\r\n").await;
    assert_eq!(peer.reply().await, "250 2.0.0 Chunk received");
    assert_eq!(peer.say("RSET").await, "250 2.0.0 Reset");
    envelope(&mut peer, ENVELOPE).await;
    peer.send(b"BDAT 6 LAST\r\nX: b\r\n").await;
    assert!(peer.reply().await.starts_with("250 2.0.0 Kept as"));
    let message = house.only_message().await;
    assert_eq!(without_trace(message.as_bytes()), b"X: b\r\n");
}
