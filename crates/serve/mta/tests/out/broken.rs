//! Hosts that break off, in each phase; that are slow; that are not there.

use std::time::Duration;

use super::host::{Act, Manner};
use super::world::{Wishes, World, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const MINUTES: Duration = Duration::from_secs(300);

/// Whatever the first connection does, the second one takes the message, once.
async fn recovers(phase: &'static str, offers: &[&'static str], act: Act, words: &str) {
    let is_silent = matches!(act, Act::Silence);
    let wishes = Wishes::outbound(move |out| {
        if is_silent {
            out.timeouts.greeting = Duration::from_secs(1);
            out.timeouts.command = Duration::from_secs(1);
            out.timeouts.final_reply = Duration::from_secs(1);
        }
    });
    let mut world = World::with(wishes).await;
    let manner = Manner {
        offers: offers.to_vec(),
        ..Manner::with_ears(move |heard, connection| {
            (connection == 1 && heard.starts_with(phase)).then_some(act)
        })
    };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: ") && outcome.contains(words), "{phase}: {outcome}");
    assert_eq!(far.mail_so_far().len(), 0);
    world.pass(MINUTES).await;
    soon(far.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed", "{phase}");
    world.empty_queue().await;
    assert_eq!(far.mail_so_far().len(), 1);
}

#[tokio::test]
async fn a_connection_may_break_in_each_phase() {
    for phase in ["connect", "EHLO", "MAIL", "RCPT", "DATA", "octets", "."] {
        for offers in [&["PIPELINING", "8BITMIME"][..], &["8BITMIME"]] {
            recovers(phase, offers, Act::HangUp, "4.4.2 The connection").await;
        }
    }
    for phase in ["MAIL", "RCPT", "BDAT", "."] {
        recovers(phase, &["PIPELINING", "CHUNKING"], Act::HangUp, "4.4.2 The connection").await;
    }
}

#[tokio::test]
async fn a_server_may_say_good_bye_in_each_phase() {
    for phase in ["connect", "MAIL", "RCPT", "DATA", "."] {
        let bye = Act::SayAndHangUp("421 4.3.2 shutting down");
        recovers(phase, &["PIPELINING", "8BITMIME"], bye, "421 4.3.2 shutting down").await;
    }
}

#[tokio::test]
async fn silence_has_an_end() {
    let phases = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "."];
    let waits = phases.map(|phase| {
        tokio::spawn(async move {
            recovers(phase, &["8BITMIME"], Act::Silence, "4.4.2 The connection").await;
        })
    });
    for wait in waits {
        wait.await.unwrap();
    }
}

#[tokio::test]
async fn a_host_that_does_not_greet_makes_room_for_one_that_may() {
    let queue = queue::Settings { connections_max: 2, ..queue::Settings::default() };
    let world = World::with(Wishes { queue, ..Wishes::default() }).await;
    let far = world.far(Manner::polite()).await;
    let mut silent = Vec::new();
    for (domain, place) in [("one.example", "127.0.0.3"), ("two.example", "127.0.0.4")] {
        world.exchanger(domain, 10, &format!("mx.{domain}"), place);
        silent.push(world.host(place, Manner::answering("connect", Act::Silence)).await);
        world.submit(&[&format!("bob@{domain}")], LUNCH).await;
    }
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(async {
        while silent.iter().any(|host| host.connections() == 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.clock.advance(Duration::from_secs(1));
    soon(far.mail(1)).await;
    let text = world.metrics.render();
    assert!(text.contains("mailstead_out_connections_total{result=\"given_up\"} 1"), "{text}");
    assert!(text.contains("mailstead_out_connections_total{result=\"failed\"} 0"), "{text}");
    assert_eq!(world.queue.stats().await.unwrap().destinations_unreachable, 0);
}

#[tokio::test]
async fn words_without_sense_are_no_answer() {
    for phase in ["EHLO", "MAIL", "."] {
        recovers(phase, &["8BITMIME"], Act::Say("hello there"), "4.5.0 The mail server").await;
    }
}

#[tokio::test]
async fn the_next_exchanger_takes_over() {
    let mut world = World::new().await;
    world.exchanger("far.example", 10, "dead.far.example", "127.0.0.2");
    world.exchanger("far.example", 20, "rude.far.example", "127.0.0.3");
    world.exchanger("far.example", 30, "kind.far.example", "127.0.0.4");
    let rude = world.host("127.0.0.3", Manner::answering("connect", Act::Say("554 5.7.1 go away"))).await;
    let kind = world.host("127.0.0.4", Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(kind.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    assert_eq!(rude.connections(), 1);
}

#[tokio::test]
async fn an_address_that_does_not_answer_does_not_hold_up_the_host() {
    let mut world = World::new().await;
    // Of a documentation network: packets to it go nowhere.
    world.exchanger("far.example", 10, "mx.far.example", "2001:db8::1");
    world.names.add(&super::world::name("mx.far.example"), dns::RecordData::Address([127, 0, 0, 2].into()));
    let far = world.host("127.0.0.2", Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(far.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
}

#[tokio::test]
async fn a_connection_that_was_kept_and_has_gone_stale_costs_nothing() {
    let mut world = World::with(Wishes::outbound(|out| out.idle_wait = Duration::from_secs(20))).await;
    let manner = Manner::with_ears(|heard, connection| {
        (connection == 1 && heard.contains("<bob2@")).then_some(Act::HangUp)
    });
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    world.submit(&["bob2@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob2@far.example: relayed");
    assert_eq!(soon(far.mail(2)).await.len(), 2);
    assert_eq!(far.connections(), 2);
}

#[tokio::test]
async fn a_host_that_takes_no_mail_says_so_once() {
    let mut world = World::new().await;
    world.far(Manner::answering("connect", Act::SayAndHangUp("521 5.3.2 no mail here"))).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 521 5.3.2 no mail here"), "{outcome}");
    world.inbox("ann@example.org", 1).await;
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_message_is_heard() {
    let mut world = World::new().await;
    let manner = Manner::answering(".", Act::Say("554 5.7.1 looks like spam"));
    world.far(manner).await;
    world.submit(&["bob@far.example", "carl@far.example"], LUNCH).await;
    let outcomes = world.outcomes().await;
    assert_eq!(outcomes.len(), 2);
    assert!(
        outcomes.iter().all(|outcome| outcome.contains("failed mx.far.example: 554 5.7.1")),
        "{outcomes:?}"
    );
    let report = world.inbox("ann@example.org", 1).await;
    assert_eq!(report.matches("Action: failed").count(), 2, "one report tells of both");
}

#[tokio::test]
async fn a_host_that_has_had_enough_of_us_is_left_alone_for_a_while() {
    let mut world = World::new().await;
    let manner = Manner::with_ears(|heard, connection| {
        let enough = heard.starts_with("MAIL") && connection == 1;
        enough.then_some(Act::Say("451 4.7.1 too much from you"))
    });
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 451 4.7.1 too much from you"), "{outcome}");
    world.pass(MINUTES).await;
    soon(far.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
}

#[tokio::test]
async fn a_shutdown_lets_the_message_at_hand_end_and_keeps_the_others() {
    let mut world = World::with(Wishes::outbound(|out| out.idle_wait = Duration::from_secs(20))).await;
    let far = world.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    // The connection is kept open for more, and ends with a word.
    world.queue.stop();
    let drained = soon(world.tasks.drain(Duration::from_secs(20))).await;
    assert_eq!(drained.aborted, 0);
    assert_eq!(far.heard().last().map(String::as_str), Some("QUIT"));
    world.submit(&["carl@far.example"], LUNCH).await;
    assert_eq!(world.queue.stats().await.unwrap().messages, 1);
    assert_eq!(far.mail_so_far().len(), 1);
}

#[tokio::test]
async fn a_good_bye_behind_the_last_answer_takes_nothing_back() {
    let mut world = World::with(Wishes::outbound(|out| out.idle_wait = Duration::from_secs(20))).await;
    let manner = Manner::with_ears(|heard, connection| {
        let words = Act::SayAndHangUp("250 2.0.0 taken\r\n421 4.4.2 enough");
        (heard == "." && connection == 1).then_some(words)
    });
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    world.submit(&["carl@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "carl@far.example: relayed");
    assert_eq!(far.connections(), 2);
}

#[tokio::test]
async fn a_server_that_closes_in_the_middle_is_heard_out() {
    let mut world = World::new().await;
    let too_much = Act::SayAndHangUp("552 5.3.4 that is too much");
    world.far(Manner { offers: vec!["PIPELINING"], ..Manner::answering("octets", too_much) }).await;
    let body = "0123456789abcdef\r\n".repeat(300_000);
    world.submit(&["bob@far.example"], &format!("{LUNCH}\r\n{body}end")).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("failed mx.far.example: 552 5.3.4 that is too much"), "{outcome}");
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Send less, or send a link to it instead."), "{report}");
}
