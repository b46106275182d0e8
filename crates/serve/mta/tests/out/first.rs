//! A message leaves.

use super::host::Manner;
use super::world::{World, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n.\r\n..dots";

#[tokio::test]
async fn a_submitted_message_reaches_the_other_host() {
    let mut world = World::new().await;
    let far = world.far(Manner::polite()).await;
    let said = world.submit(&["bob@far.example"], &LUNCH.replace("\r\n.", "\r\n..")).await;
    assert!(said.starts_with("250 2.0.0 Queued as "), "{said}");
    let mail = soon(far.mail(1)).await;
    assert!(mail[0].from.starts_with("MAIL FROM:<ann@example.org> SIZE="), "{}", mail[0].from);
    assert_eq!(mail[0].to, ["RCPT TO:<bob@far.example>"]);
    assert!(mail[0].text.starts_with("Received: by mail.example.org"), "{}", mail[0].text);
    assert!(!mail[0].text.contains("Return-Path"), "that is for the last server to write");
    assert!(mail[0].text.ends_with("\r\n\r\nAt noon.\r\n.\r\n..dots\r\n"), "{}", mail[0].text);
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    world.empty_queue().await;
    let metrics = world.metrics.render();
    for line in [
        "mailstead_out_recipients_total{result=\"relayed\"} 1",
        "mailstead_out_connections_total{result=\"made\"} 1",
        "mailstead_out_tls_total{version=\"none\"} 1",
        "mailstead_smtp_recipients_queued_total 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn people_here_and_elsewhere_get_the_same_message_by_one_write() {
    let mut world = World::new().await;
    let far = world.far(Manner::polite()).await;
    let said = world.submit(&["bob@example.org", "bob@far.example", "carl@far.example"], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    let mail = soon(far.mail(1)).await;
    assert_eq!(mail[0].to, ["RCPT TO:<bob@far.example>", "RCPT TO:<carl@far.example>"]);
    let local = world.inbox("bob@example.org", 1).await;
    assert!(local.starts_with("Return-Path: <ann@example.org>\r\nReceived:"), "{local}");
    assert_eq!(local.split_once("\r\n").unwrap().1, mail[0].text);
    assert_eq!(world.outcomes().await.len(), 2);
}
