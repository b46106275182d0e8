//! Senders are told that somebody is away: once in so many days, and never who must not be.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{ANN, BOB, EVE, House, Plan, field, letter};
use crate::clock::MovedClock;
use testkit::Internet;

const DAY: Duration = Duration::from_secs(86_400);
const AWAY: &str = "require [\"vacation\", \"fcc\", \"mailbox\", \"fileinto\"];
vacation :days 3 :subject \"Away\" :fcc \"Sent\" \"I am in the hills.\";";

#[test]
fn a_sender_is_answered_once_in_three_days() -> Result<()> {
    let mut internet = Internet::start()?;
    let home = internet.domain("strangers.example")?;
    let clock = MovedClock::new()?;
    let mut house = House::build(Plan {
        scripts: &[(ANN, AWAY)],
        tables: &internet.settings("", ""),
        environment: clock.environment(),
        ..Plan::default()
    })?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "one"))?;
    let answer = &home.wait_for(1)?[0];
    ensure!(answer.addresses() == [EVE] && answer.sender.starts_with("<>"), "{answer:?}");
    let text = answer.text();
    for (name, value) in [
        ("From", ANN),
        ("Subject", "Away"),
        ("In-Reply-To", "<one@strangers.example>"),
        ("Auto-Submitted", "auto-replied (vacation)"),
    ] {
        ensure!(field(&text, name) == Some(value), "{name}: {text}");
    }
    ensure!(text.contains("I am in the hills.") && text.contains("DKIM-Signature: "), "{text}");
    // Not again, over a restart either; the letters themselves are kept.
    house.take(EVE, &[ANN], &letter(EVE, ANN, "two"))?;
    // A host that dies before it has noted that the answer is gone sends it once more.
    crate::sending::wait_until_queue_is_empty(&house.server)?;
    house.server.kill()?;
    house.server.up()?;
    clock.set(DAY * 2)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "three"))?;
    let record = house.record(EVE)?;
    ensure!(record.contains("nothing sent, its sender was answered"), "{record}");
    // Somebody else is.
    house.take("mal@strangers.example", &[ANN], &letter("mal@strangers.example", ANN, "four"))?;
    ensure!(home.wait_for(2)?[1].addresses() == ["mal@strangers.example"]);
    clock.set(DAY * 3 + Duration::from_secs(60))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "five"))?;
    ensure!(home.wait_for(3)?[2].addresses() == [EVE]);
    ensure!(house.subjects(ANN, "INBOX")? == ["one", "two", "three", "four", "five"]);
    ensure!(house.subjects(ANN, "Sent")? == ["Away", "Away", "Away"]);
    Ok(())
}

#[test]
fn nobody_is_answered_who_must_not_be() -> Result<()> {
    let house = House::new(&[(ANN, AWAY)])?;
    let with = |line: &str| letter(BOB, ANN, "robot").replacen("Subject", &format!("{line}\r\nSubject"), 1);
    for (from, message) in [
        (BOB, with("Auto-Submitted: auto-replied")),
        (BOB, with("List-Id: <rust.example>")),
        (BOB, with("Precedence: bulk")),
        (BOB, letter(BOB, "everybody@example.test", "not for her")),
        ("", with("X-Plain: yes")),
        (ANN, with("X-Plain: yes")),
        ("owner-rust@example.test", with("X-Plain: yes")),
    ] {
        house.take(from, &[ANN], &message)?;
    }
    ensure!(house.lying(BOB, "INBOX")?.is_empty() && house.lying(ANN, "Sent")?.is_empty());
    // Whom it is addressed to by name, is answered, here too.
    house.take(BOB, &[ANN], &letter(BOB, ANN, "a letter"))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["Away"], "{}", house.server.log());
    Ok(())
}

#[test]
fn a_notification_tells_another_address() -> Result<()> {
    let house = House::new(&[(
        ANN,
        "require \"enotify\"; if header :is \"subject\" \"urgent\" { notify :message \"It burns\" \"mailto:bob@example.test\"; }",
    )])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "urgent"))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "calm"))?;
    let told = house.lying(BOB, "INBOX")?;
    ensure!(told.len() == 1, "{told:?}");
    let text = &told[0].1;
    ensure!(field(text, "Subject") == Some("It burns"), "{text}");
    ensure!(text.contains("Auto-Submitted: auto-notified; owner-email=\"ann@example.test\""), "{text}");
    ensure!(house.subjects(ANN, "INBOX")? == ["urgent", "calm"]);
    Ok(())
}

#[test]
fn a_script_cannot_speak_for_others() -> Result<()> {
    let script = "require \"vacation\"; vacation :from \"bob@example.test\" \"I am bob.\";";
    let house = House::new(&[(ANN, script)])?;
    house.take(BOB, &[ANN], &letter(BOB, ANN, "hello"))?;
    let answers = house.lying(BOB, "INBOX")?;
    ensure!(field(&answers[0].1, "From") == Some(ANN), "{answers:?}");
    Ok(())
}

#[test]
fn what_was_answered_and_sent_on_before_a_crash_is_so_once() -> Result<()> {
    let mut internet = Internet::start()?;
    let (home, far) = (internet.domain("strangers.example")?, internet.domain("far.example")?);
    let script = format!("{AWAY}\nredirect \"pal@far.example\";\nfileinto :create \"Kept\";")
        .replace("\"fileinto\"]", "\"fileinto\", \"copy\"]");
    let mut house = House::build(Plan {
        scripts: &[(ANN, &script)],
        tables: &internet.settings("", "retry_first = \"1s\""),
        ..Plan::default()
    })?;
    for number in 0..5 {
        let from = format!("eve{number}@strangers.example");
        house.take(&from, &[ANN], &letter(&from, ANN, &format!("letter {number}")))?;
        house.server.kill()?;
        house.server.up()?;
    }
    // What went out in the moment of a crash may go out twice; nothing is lost.
    let until_all =
        |exchanger: &testkit::Exchanger, name: &dyn Fn(&testkit::Received) -> String| -> Result<()> {
            loop {
                let received = exchanger.received();
                let known: std::collections::HashSet<String> = received.iter().map(name).collect();
                if known.len() == 5 {
                    return Ok(());
                }
                exchanger.wait_for(received.len() + 1)?;
            }
        };
    until_all(&home, &|answer| answer.addresses().concat())?;
    until_all(&far, &testkit::Received::message_id)?;
    ensure!(house.subjects(ANN, "Kept")?.len() == 5 && house.subjects(ANN, "Sent")?.len() == 5);
    Ok(())
}
