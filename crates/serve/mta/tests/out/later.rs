//! Mail that does not arrive at the first try: greylists, hosts that are down for days, one bad recipient of three.

use std::time::Duration;

use super::host::{Act, Manner};
use super::world::{World, on_one_line, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_greylist_lets_us_in_at_the_second_try() {
    let mut world = World::new().await;
    let grey = Act::Say("450 4.7.1 greylisted, come back in a minute");
    let manner = Manner::with_ears(move |heard, connection| {
        (heard.starts_with("RCPT TO:<bob@") && connection == 1).then_some(grey)
    });
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 450 4.7.1 greylisted"), "{outcome}");
    // The host itself is not avoided: others' mail goes at once.
    world.submit(&["carl@far.example"], LUNCH).await;
    assert_eq!(soon(far.mail(1)).await[0].to, ["RCPT TO:<carl@far.example>"]);
    assert_eq!(world.outcome().await, "carl@far.example: relayed");
    world.pass(2 * MINUTE).await;
    assert_eq!(soon(far.mail(2)).await[1].to, ["RCPT TO:<bob@far.example>"]);
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    world.empty_queue().await;
}

#[tokio::test]
async fn a_host_that_is_down_for_days_costs_a_warning_and_then_a_report() {
    let mut world = World::new().await;
    world.exchanger("far.example", 10, "mx.far.example", "127.0.0.2");
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.4.1 The mail server"), "{outcome}");
    // Hours later its sender hears that it is late.
    for _ in 0..5 {
        world.pass(HOUR).await;
        world.attempt().await;
    }
    let warning = world.inbox("ann@example.org", 1).await;
    assert!(warning.contains("Subject: Not yet delivered: Lunch?"), "{warning}");
    assert!(warning.contains("Action: delayed\r\nStatus: 4.4.1"), "{warning}");
    assert!(warning.contains("Will-Retry-Until: Mon, 30 Nov 2026"), "{warning}");
    // Days later that it is given up.
    world.pass(5 * 24 * HOUR).await;
    world.attempt().await;
    let report = world.inbox("ann@example.org", 2).await;
    assert!(report.starts_with("Return-Path: <>\r\nDate:"), "{report}");
    assert!(report.contains("Subject: Not delivered: Lunch?"), "{report}");
    assert!(report.contains("Action: failed\r\nStatus: 5.4.1"), "{report}");
    let words = on_one_line(&report);
    assert!(words.contains("in all the time it was tried. The mail server of this domain does not answer."));
    assert!(report.contains("\r\n\r\nAt noon.\r\n"), "it comes back whole: {report}");
    world.empty_queue().await;
}

#[tokio::test]
async fn a_host_that_comes_back_gets_what_waited() {
    let mut world = World::new().await;
    world.exchanger("far.example", 10, "mx.far.example", "127.0.0.2");
    world.submit(&["bob@far.example"], LUNCH).await;
    world.attempt().await;
    let far = world.host("127.0.0.2", Manner::polite()).await;
    world.pass(2 * MINUTE).await;
    soon(far.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
}

#[tokio::test]
async fn one_bad_recipient_of_three_does_not_hold_up_the_others() {
    let mut world = World::new().await;
    let no = Act::Say("550 5.1.1 <nobody@far.example> unknown");
    let far = world.far(Manner::answering("RCPT TO:<nobody@", no)).await;
    world.submit(&["bob@far.example", "nobody@far.example", "carl@far.example"], LUNCH).await;
    let mail = soon(far.mail(1)).await;
    assert_eq!(mail[0].to, ["RCPT TO:<bob@far.example>", "RCPT TO:<carl@far.example>"]);
    assert_eq!(
        world.outcomes().await,
        [
            "bob@far.example: relayed",
            "nobody@far.example: failed mx.far.example: 550 5.1.1 <nobody@far.example> unknown",
            "carl@far.example: relayed"
        ]
    );
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("  nobody@far.example\r\n    There is no such mailbox.\r\n"), "{report}");
    assert!(
        report.contains("    mx.far.example said:\r\n      550 5.1.1 <nobody@far.example> unknown"),
        "{report}"
    );
    assert!(report.contains("Check the address"), "{report}");
    assert_eq!(report.matches("Final-Recipient:").count(), 1);
    world.empty_queue().await;
}

#[tokio::test]
async fn what_the_names_do_not_say_today_they_may_say_tomorrow() {
    let mut world = World::new().await;
    let (name, kind) = (super::world::name("far.example"), dns::RecordType::Mx);
    world.names.fail(&name, kind, dns::LookupError::Timeout);
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred 4.4.3 The domain could not be looked up."), "{outcome}");
    world.names.clear(&name);
    let far = world.far(Manner::polite()).await;
    world.pass(2 * MINUTE).await;
    soon(far.mail(1)).await;
}
