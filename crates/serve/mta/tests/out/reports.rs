//! What senders are told, and what they are not.

use std::time::Duration;

use super::host::{Act, Manner};
use super::world::{Wishes, World, on_one_line, send, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const NOBODY: Act = Act::Say("550 5.1.1 unknown");

async fn refusing() -> World {
    let world = World::new().await;
    let words = Act::Say("550 5.1.1 <carl@far.example> unknown");
    world.far(Manner::answering("RCPT", words)).await;
    world
}

#[tokio::test]
async fn who_wants_to_hear_nothing_hears_nothing() {
    let mut world = refusing().await;
    for notify in ["NEVER", "SUCCESS", "DELAY"] {
        world.submit(&[&format!("bob@far.example NOTIFY={notify}")], LUNCH).await;
        assert!(world.outcome().await.contains("failed"));
        world.empty_queue().await;
    }
    world.submit(&["bob@far.example NOTIFY=FAILURE"], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Action: failed"), "{report}");
}

#[tokio::test]
async fn a_report_repeats_what_its_sender_called_things() {
    let world = refusing().await;
    let recipient = "bob@far.example ORCPT=rfc822;robert+2Bx@far.example";
    world.submit_asking("RET=HDRS ENVID=QQ+2B1", &[recipient], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Original-Envelope-Id: QQ+1\r\n"), "{report}");
    assert!(report.contains("Original-Recipient: rfc822; robert+x@far.example\r\n"), "{report}");
    assert!(report.contains("Final-Recipient: rfc822; bob@far.example\r\n"), "{report}");
    assert!(report.contains("Content-Type: text/rfc822-headers"), "{report}");
    assert!(!report.contains("At noon."), "{report}");
}

#[tokio::test]
async fn success_is_told_where_the_next_server_will_not_tell() {
    let mut world = World::new().await;
    world.far(Manner::polite()).await;
    world.submit(&["bob@far.example NOTIFY=SUCCESS"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Subject: Passed on: Lunch?"), "{report}");
    assert!(
        report.contains("Action: relayed\r\nStatus: 2.1.9\r\nRemote-MTA: dns; mx.far.example\r\n"),
        "{report}"
    );
}

#[tokio::test]
async fn success_here_is_told_too() {
    let world = World::new().await;
    world.submit(&["bob@example.org NOTIFY=SUCCESS"], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Subject: Delivered: Lunch?"), "{report}");
    assert!(report.contains("Final-Recipient: rfc822; bob@example.org\r\nAction: delivered"), "{report}");
}

#[tokio::test]
async fn a_stranger_is_told_by_mail_from_nobody_and_that_is_the_end() {
    let mut world = refusing().await;
    world.exchanger("strange.example", 10, "mx.strange.example", "127.0.0.3");
    let strange = world.host("127.0.0.3", Manner::answering("RCPT TO:<gone@", NOBODY)).await;
    let mut stranger = world.stranger().await;
    send(&mut stranger, "<x@strange.example>", &["moved@example.org"], LUNCH).await;
    let mail = soon(strange.mail(1)).await;
    assert!(mail[0].from.starts_with("MAIL FROM:<> "), "{}", mail[0].from);
    assert_eq!(mail[0].to, ["RCPT TO:<x@strange.example>"]);
    assert!(mail[0].text.starts_with("Date:"), "{}", mail[0].text);
    assert!(mail[0].text.contains("Final-Recipient: rfc822; moved@example.org"), "{}", mail[0].text);
    // A report that cannot be delivered is reported to nobody.
    send(&mut stranger, "<gone@strange.example>", &["moved@example.org"], LUNCH).await;
    send(&mut stranger, "<>", &["moved@example.org"], LUNCH).await;
    for _ in 0..5 {
        world.attempt().await;
    }
    world.empty_queue().await;
    assert_eq!(strange.mail_so_far().len(), 1);
}

/// A report as a stranger gets it, who wrote to an alias of ours that leads to carl@far.example.
async fn told_a_stranger(recipient: &str) -> String {
    let world = World::new().await;
    // Hosts repeat addresses in any form, and name themselves.
    let words = Act::Say("550 5.1.1 <CARL@FAR.EXAMPLE>: mx.far.example knows no carl");
    world.far(Manner::answering("RCPT", words)).await;
    world.exchanger("strange.example", 10, "mx.strange.example", "127.0.0.3");
    let strange = world.host("127.0.0.3", Manner::polite()).await;
    let mut stranger = world.stranger().await;
    send(&mut stranger, "<x@strange.example>", &[recipient], LUNCH).await;
    soon(strange.mail(1)).await[0].text.clone()
}

#[tokio::test]
async fn where_an_alias_leads_to_is_its_owners_affair() {
    let report = told_a_stranger("moved@example.org").await;
    assert!(
        report.contains("\r\nFinal-Recipient: rfc822; moved@example.org\r\nAction: failed\r\n"),
        "{report}"
    );
    assert!(
        report.contains("Diagnostic-Code: smtp; 550 5.1.1 (its words are not passed on)\r\n"),
        "{report}"
    );
    // Nobody gave an original recipient (RFC 3461 §6.3 (d)).
    assert!(!report.contains("Original-Recipient") && !report.contains("Remote-"), "{report}");
    let lower = report.to_ascii_lowercase();
    assert!(!lower.contains("far.example") && !lower.contains("carl"), "{report}");
    let report = told_a_stranger("moved@example.org ORCPT=rfc822;Moved@example.org").await;
    assert!(
        report.contains("Original-Recipient: rfc822; Moved@example.org\r\nFinal-Recipient: rfc822; moved@"),
        "{report}"
    );
}

#[tokio::test]
async fn one_of_us_is_told_where_an_alias_failed() {
    let world = refusing().await;
    world.submit(&["moved@example.org"], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    for field in [
        "\r\nFinal-Recipient: rfc822; moved@example.org\r\nAction: failed\r\n",
        "Remote-MTA: dns; mx.far.example\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 <carl@far.example> unknown\r\n",
        "SMTP-Remote-Recipient: rfc822; carl@far.example\r\n",
        "  moved@example.org\r\n    (passed on to carl@far.example)\r\n",
    ] {
        assert!(report.contains(field), "{field}: {report}");
    }
    assert!(!report.contains("Original-Recipient"), "{report}");
}

#[tokio::test]
async fn an_alias_of_several_is_told_as_expanded_and_then_only_if_it_fails() {
    let world = World::new().await;
    let far = world.far(Manner::offering(&["PIPELINING", "DSN"])).await;
    world.submit(&["away@example.org NOTIFY=SUCCESS,FAILURE"], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Subject: Passed on: Lunch?"), "{report}");
    assert!(
        report.contains("Final-Recipient: rfc822; away@example.org\r\nAction: expanded\r\nStatus: 2.0.0"),
        "{report}"
    );
    let to = soon(far.mail(1)).await[0].to.clone();
    assert_eq!(to, ["RCPT TO:<bob@far.example> NOTIFY=FAILURE ORCPT=rfc822;away@example.org"]);
    world.inbox("bob@example.org", 1).await;
    world.submit(&["away@example.org NOTIFY=SUCCESS"], LUNCH).await;
    let to = soon(far.mail(2)).await[1].to.clone();
    assert_eq!(to, ["RCPT TO:<bob@far.example> NOTIFY=NEVER ORCPT=rfc822;away@example.org"]);
    // An alias of one is as that one (§5.2.7.2).
    world.submit(&["moved@example.org NOTIFY=SUCCESS"], LUNCH).await;
    let to = soon(far.mail(3)).await[2].to.clone();
    assert_eq!(to, ["RCPT TO:<carl@far.example> NOTIFY=SUCCESS ORCPT=rfc822;moved@example.org"]);
}

#[tokio::test]
async fn a_stranger_gets_eight_bits_back_as_a_header() {
    let world = refusing().await;
    world.exchanger("strange.example", 10, "mx.strange.example", "127.0.0.3");
    let strange = world.host("127.0.0.3", Manner::offering(&[])).await;
    let mut stranger = world.stranger().await;
    let text = "From: x@strange.example\r\nSubject: x\r\n\r\nGrüße";
    send(&mut stranger, "<x@strange.example>", &["moved@example.org"], text).await;
    let mail = soon(strange.mail(1)).await;
    assert!(mail[0].text.is_ascii() && mail[0].text.contains("text/rfc822-headers"), "{}", mail[0].text);
}

#[tokio::test]
async fn a_deadline_that_passes_is_told() {
    let mut world = World::new().await;
    world.exchanger("far.example", 10, "mx.far.example", "127.0.0.2");
    world.submit_asking("BY=60;R", &["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred"));
    world.pass(Duration::from_secs(120)).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Action: failed\r\nStatus: 5.4.7"), "{report}");
    assert!(report.contains("by the time that was asked for."), "{report}");
    world.empty_queue().await;
}

#[tokio::test]
async fn what_was_put_off_for_days_is_given_up_with_the_last_words() {
    let mut world = World::new().await;
    world.far(Manner::answering("RCPT", Act::Say("452 4.2.2 mailbox full"))).await;
    world.submit(&["bob@far.example NOTIFY=FAILURE"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred"));
    world.pass(Duration::from_secs(6 * 24 * 3_600)).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Status: 5.2.2"), "{report}");
    let words = on_one_line(&report);
    assert!(words.contains("in all the time it was tried. The mailbox is full."), "{report}");
    assert!(report.contains("      452 4.2.2 mailbox full"), "{report}");
}

#[tokio::test]
async fn of_large_mail_the_header_comes_back() {
    // With an identifier of its own, it is as long each time.
    let lunch = &format!("Message-ID: <lunch.1@example.org>\r\n{LUNCH}");
    let world = World::new().await;
    let far = world.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], lunch).await;
    let octets = soon(far.mail(1)).await[0].text.len() as u64;
    for (most, comes_back) in [(octets - 1, false), (octets, true), (octets + 1, true)] {
        let world = World::with(Wishes::outbound(move |out| out.returned_octets_max = most)).await;
        world.far(Manner::answering("RCPT", NOBODY)).await;
        world.submit(&["bob@far.example"], lunch).await;
        let report = world.inbox("ann@example.org", 1).await;
        assert_eq!(report.contains("At noon."), comes_back, "{most}: {report}");
    }
}

#[tokio::test]
async fn a_list_that_is_told_has_so_many_readers() {
    for (count, readers) in [(19, 19), (20, 20), (21, 20)] {
        let mut world = refusing().await;
        let people: Vec<String> = (0..count).map(|at| format!("p{at}@example.org")).collect();
        world.add_list("many@example.org", &people);
        let mut stranger = world.stranger().await;
        send(&mut stranger, "<many@example.org>", &["moved@example.org"], LUNCH).await;
        world.attempt().await;
        world.empty_queue().await;
        let written = format!("mailstead_out_reports_total{{result=\"written\"}} {readers}\n");
        assert!(world.metrics.render().contains(&written), "{count}");
    }
}
