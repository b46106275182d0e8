//! What goes with a message and what a host cannot carry.

use std::time::Duration;

use super::host::Manner;
use super::world::{Wishes, World, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const GRUESSE: &str = "From: ann@example.org\r\nSubject: x\r\n\r\nGrüße";

#[tokio::test]
async fn eight_bits_do_not_fit_into_seven() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["PIPELINING"])).await;
    world.submit_asking("BODY=8BITMIME", &["bob@far.example"], GRUESSE).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 5.6.3 "), "{outcome}");
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Status: 5.6.3"), "{report}");
    assert!(
        report.contains("Content-Transfer-Encoding: 8bit\r\n\r\nReceived:"),
        "whole, for it stays here: {report}"
    );
    // What was announced as such and is ASCII all the same goes through.
    world.submit_asking("BODY=8BITMIME", &["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    assert!(!soon(far.mail(1)).await[0].from.contains("BODY"));
}

#[tokio::test]
async fn eight_bits_go_where_they_are_taken() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["8BITMIME"])).await;
    world.submit(&["bob@far.example"], GRUESSE).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    let mail = soon(far.mail(1)).await;
    assert!(mail[0].from.ends_with("BODY=8BITMIME"), "{}", mail[0].from);
    assert!(mail[0].text.ends_with("Grüße\r\n"));
}

#[tokio::test]
async fn addresses_beyond_ascii_need_a_host_that_knows_them() {
    let mut world = World::new().await;
    world.far(Manner::polite()).await;
    world.submit_asking("SMTPUTF8", &["jürgen@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 5.6.7 "), "{outcome}");
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Ask the recipient for an address in plain Latin letters."), "{report}");
    world.exchanger("knows.example", 10, "mx.knows.example", "127.0.0.3");
    let knows = world.host("127.0.0.3", Manner::offering(&["SMTPUTF8", "8BITMIME"])).await;
    world.submit_asking("SMTPUTF8", &["jürgen@knows.example"], LUNCH).await;
    assert!(soon(knows.mail(1)).await[0].from.contains(" SMTPUTF8"));
}

#[tokio::test]
async fn large_messages_are_streamed_in_chunks() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["CHUNKING", "PIPELINING"])).await;
    let body = "0123456789abcdef\r\n".repeat(160_000);
    world.submit(&["bob@far.example"], &format!("{LUNCH}\r\n{body}end")).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    let mail = soon(far.mail(1)).await;
    assert!(mail[0].text.ends_with("0123456789abcdef\r\nend\r\n"));
    assert!(mail[0].text.contains(&body));
    let chunks = far.heard().iter().filter(|line| line.starts_with("BDAT")).count();
    assert_eq!(chunks, 3);
}

#[tokio::test]
async fn large_messages_are_streamed_with_dots() {
    let mut world = World::new().await;
    let far = world.far(Manner::polite()).await;
    let body = ".123456789abcdef\r\n".repeat(10_000);
    let said = world
        .submit(&["bob@far.example"], &format!("{LUNCH}\r\n{}end", body.replace("\r\n.", "\r\n..")))
        .await;
    assert!(said.starts_with("250"));
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    assert!(soon(far.mail(1)).await[0].text.contains(&body[17..]));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_offered() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["SIZE 100"])).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 5.3.4 "), "{outcome}");
    assert!(!far.heard().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn recipients_are_divided_as_the_host_likes() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["LIMITS RCPTMAX=2 MAILMAX=2"])).await;
    let to = ["a@far.example", "b@far.example", "c@far.example", "d@far.example", "e@far.example"];
    world.submit(&to, LUNCH).await;
    let mail = soon(far.mail(3)).await;
    let (counts, connections): (Vec<usize>, Vec<usize>) =
        mail.iter().map(|mail| (mail.to.len(), mail.connection)).unzip();
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(connections, [1, 1, 2]);
    assert_eq!(world.outcomes().await.len(), 5);
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    let mut world = World::with(Wishes::outbound(|out| out.idle_wait = Duration::from_secs(20))).await;
    let far = world.far(Manner::polite()).await;
    for count in 1..=5 {
        world.submit(&["bob@far.example"], LUNCH).await;
        soon(far.mail(count)).await;
        assert_eq!(world.outcome().await, "bob@far.example: relayed");
    }
    assert_eq!(far.connections(), 1);
}

#[tokio::test]
async fn what_was_asked_for_goes_on() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["DSN", "MT-PRIORITY", "DELIVERBY", "SIZE"])).await;
    let asked = "RET=HDRS ENVID=QQ+2B1 MT-PRIORITY=3 BY=120;N";
    let recipient = "bob@far.example NOTIFY=SUCCESS,DELAY ORCPT=rfc822;robert+2Bx@far.example";
    let said = world.submit_asking(asked, &[recipient], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    let mail = soon(far.mail(1)).await;
    let words: Vec<&str> = mail[0].from.split(' ').skip(3).collect();
    assert_eq!(words, ["RET=HDRS", "ENVID=QQ+2B1", "MT-PRIORITY=3", "BY=120;N"]);
    assert_eq!(
        mail[0].to,
        ["RCPT TO:<bob@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;robert+2Bx@far.example"]
    );
    assert_eq!(world.outcome().await, "bob@far.example: delivered", "that host reports by itself");
}

#[tokio::test]
async fn a_deadline_needs_a_host_that_keeps_it() {
    let mut world = World::new().await;
    world.far(Manner::polite()).await;
    world.submit_asking("BY=120;R", &["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 5.4.7 "), "{outcome}");
    world.inbox("ann@example.org", 1).await;
    world.submit_asking("BY=120;N", &["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    let report = world.inbox("ann@example.org", 2).await;
    assert!(report.contains("Action: relayed"), "{report}");
}

#[tokio::test]
async fn octets_without_lines_go_where_they_are_taken_and_nowhere_else() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["8BITMIME", "CHUNKING", "BINARYMIME"])).await;
    world.exchanger("lines.example", 10, "mx.lines.example", "127.0.0.3");
    world.host("127.0.0.3", Manner::offering(&["8BITMIME", "CHUNKING"])).await;
    let text = "From: ann@example.org\r\nMIME-Version: 1.0\r\n\r\na\nb\rc\0d";
    for (recipient, words) in
        [("bob@far.example", "relayed"), ("bob@lines.example", "failed mx.lines.example: 5.6.3 ")]
    {
        let mut peer = world.log_in("ann@example.org").await;
        assert!(peer.say("MAIL FROM:<ann@example.org> BODY=BINARYMIME").await.starts_with("250"));
        assert!(peer.say(&format!("RCPT TO:<{recipient}>")).await.starts_with("250"));
        peer.send(format!("BDAT {} LAST\r\n{text}", text.len()).as_bytes()).await;
        assert!(peer.reply().await.starts_with("250 2.0.0 Queued"));
        let outcome = world.outcome().await;
        assert!(outcome.contains(words), "{outcome}");
    }
    let mail = soon(far.mail(1)).await;
    assert!(mail[0].from.ends_with("BODY=BINARYMIME"), "{}", mail[0].from);
    assert!(mail[0].text.ends_with("\r\n\r\na\nb\rc\0d"), "{:?}", mail[0].text);
}

#[tokio::test]
async fn a_transaction_has_so_many_recipients_and_a_connection_so_many_messages() {
    let five = ["a@far.example", "b@far.example", "c@far.example", "d@far.example", "e@far.example"];
    for (recipients_max, expected) in [(4, vec![4, 1]), (5, vec![5]), (6, vec![5])] {
        let world = World::with(Wishes::outbound(move |out| out.recipients_max = recipients_max)).await;
        let far = world.far(Manner::polite()).await;
        world.submit(&five, LUNCH).await;
        let mail = soon(far.mail(expected.len())).await;
        assert_eq!(mail.iter().map(|mail| mail.to.len()).collect::<Vec<_>>(), expected);
    }
    for (messages_max, connections) in [(1, 3), (2, 2), (3, 1)] {
        let change = move |out: &mut mta::OutboundSettings| {
            out.messages_max = messages_max;
            out.recipients_max = 2;
        };
        let world = World::with(Wishes::outbound(change)).await;
        let far = world.far(Manner::polite()).await;
        world.submit(&five, LUNCH).await;
        soon(far.mail(3)).await;
        assert_eq!(far.connections(), connections);
    }
}
