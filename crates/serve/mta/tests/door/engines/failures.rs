//! Engines that are not there, say half of what they should, or what makes no sense: the policy says what follows.

use std::time::Duration;

use mta::{EnginePlace, MilterSettings, OnEngineFailure};

use super::fake::{FakeMilter, Script};
use super::{MESSAGE, bring, greeted, house_with};

fn policy(place: EnginePlace, on_failure: OnEngineFailure) -> MilterSettings {
    let patience = Duration::from_millis(200);
    MilterSettings {
        places: vec![place],
        on_failure,
        connect_timeout: patience,
        command_timeout: patience,
        message_timeout: patience,
        ..MilterSettings::default()
    }
}

const AWAY: &str = "451 4.3.0 A filter does not answer; try again later";

#[tokio::test]
async fn a_milter_that_is_not_there() {
    let nowhere = EnginePlace::Unix("/nonexistent/milter.sock".into());
    let house = house_with(policy(nowhere.clone(), OnEngineFailure::Defer));
    let mut peer = greeted(&house).await;
    assert_eq!(peer.say("MAIL FROM:<a@b.example>").await, AWAY);
    let house = house_with(policy(nowhere, OnEngineFailure::Pass));
    let mut peer = greeted(&house).await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
}

/// Silence, an answer that is none, one that is cut short, one that was not agreed on, a change out of place, a field that
/// is none, a hang-up.
#[tokio::test]
async fn a_milter_that_breaks_off_at_any_stage() {
    let faults: [&[&[u8]]; 6] =
        [&[], &[b"X"], &[b"m\0\0"], &[b"y250 2.0.0 Fine\0"], &[b"hX\r\nBcc: a\0b\0"], &[b"s"]];
    for fault in faults {
        for stage in [b'O', b'C', b'H', b'M', b'R', b'T', b'L', b'N', b'B', b'E'] {
            // Silence and nonsense at each stage, the others where most is at stake.
            if fault.first().is_some_and(|fault| *fault != b"X") && !matches!(stage, b'M' | b'E') {
                continue;
            }
            let script = Script::default().answering(stage, fault);
            let milter = FakeMilter::start(script.clone());
            let house = house_with(policy(milter.place(), OnEngineFailure::Pass));
            let mut peer = greeted(&house).await;
            assert!(bring(&mut peer, MESSAGE).await.starts_with("250"), "{} {fault:?}", char::from(stage));
            let message = house.only_message().await;
            assert!(message.ends_with(MESSAGE), "{message}");

            let milter = FakeMilter::start(script);
            let house = house_with(policy(milter.place(), OnEngineFailure::Defer));
            let mut peer = greeted(&house).await;
            let mut said = peer.say("MAIL FROM:<a@b.example>").await;
            for line in ["RCPT TO:<ann@example.org>", "DATA", &format!("{MESSAGE}.")] {
                if said.starts_with(['2', '3']) {
                    said = peer.say(line).await;
                }
            }
            assert_eq!(said, AWAY, "{} {fault:?}", char::from(stage));
            assert!(house.only_filings().is_empty());
        }
    }
}

#[tokio::test]
async fn a_milter_that_changes_without_end_is_left() {
    let field = b"hX-More\0 of it\0";
    for (changes, fits) in [(999, true), (1_000, true), (1_001, false)] {
        let mut answers: Vec<&[u8]> = vec![field; changes];
        answers.push(b"c");
        let milter = FakeMilter::start(Script::default().answering(b'E', &answers));
        let mut settings = policy(milter.place(), OnEngineFailure::Defer);
        settings.message_timeout = Duration::from_secs(30);
        let house = house_with(settings);
        let mut peer = greeted(&house).await;
        let said = bring(&mut peer, MESSAGE).await;
        assert_eq!(said.starts_with("250"), fits, "{changes}: {said}");
    }
}

#[tokio::test]
async fn an_engine_that_fails_is_left_alone_for_a_while() {
    let milter = FakeMilter::start(Script::default().answering(b'O', &[b"X"]));
    let house = house_with(policy(milter.place(), OnEngineFailure::Pass));
    for _ in 0..5 {
        let mut peer = greeted(&house).await;
        peer.say("QUIT").await;
    }
    assert_eq!(milter.connections(), 2);
}
