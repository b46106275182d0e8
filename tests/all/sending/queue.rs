//! The queue in the hands of its operator, and of senders who change their minds or write too much.

use anyhow::{Context, Result, ensure};
use testkit::{Internet, Phase, Server, Whim};

use super::{
    ann_sends, count, json, message, only_queued, queued, server_with, wait_until, wait_until_deferred,
    wait_until_queue_is_empty,
};

/// Waits so long that no story lives to see it end.
const PATIENT: &str = "retry_first = 3600\nretry_longest = 3600";

#[test]
fn a_sender_who_thinks_again_takes_the_message_back() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_with(&internet, "", "", "[submission]\nundo_window = \"1h\"\n")?;
    ann_sends(&server, &["eve@far.example"], "regretted@example.test")?;
    let id = only_queued(&server)?;
    let shown = json(&server, &["queue", "show", &id])?;
    ensure!(shown["recipients"][0]["address"] == "eve@far.example", "{shown}");
    server.command(&["queue", "drop", &id])?;
    ensure!(queued(&server)?.is_empty());
    ensure!(!server.try_command(&["queue", "show", &id])?.status.success());
    ensure!(!server.try_command(&["queue", "drop", &id])?.status.success());
    ann_sends(&server, &["eve@far.example"], "meant@example.test")?;
    // Who is in a hurry need not wait.
    server.command(&["queue", "release", "--all"])?;
    ensure!(host.wait_for(1)?[0].message_id() == "meant@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 0 && host.received().len() == 1);
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

#[test]
fn held_mail_stays_across_a_restart_until_it_is_released() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.plan(Phase::Sender, Whim::Says("450 4.3.2 Later".into()), 1);
    let mut server = server_with(&internet, "", PATIENT, "")?;
    ann_sends(&server, &["eve@far.example"], "held@example.test")?;
    wait_until_deferred(&server, "450")?;
    server.command(&["queue", "hold", "--sender", Server::ANN])?;
    let listed = json(&server, &["queue", "list", "--held"])?;
    ensure!(listed["messages"][0]["state"] == "held", "{listed}");
    server.stop()?;
    server.up()?;
    let id = only_queued(&server)?;
    server.command(&["queue", "retry", "--all"])?;
    ensure!(queued(&server)?[0]["state"] == "held" && host.received().is_empty());
    server.command(&["queue", "release", &id])?;
    server.command(&["queue", "retry", &id])?;
    ensure!(host.wait_for(1)?[0].message_id() == "held@example.test");
    wait_until_queue_is_empty(&server)
}

#[test]
fn the_operator_tries_one_destination_again() -> Result<()> {
    let mut internet = Internet::start()?;
    let (one, other) = (internet.domain("one.example")?, internet.domain("other.example")?);
    one.down()?;
    other.down()?;
    let server = server_with(&internet, "", PATIENT, "")?;
    ann_sends(&server, &["eve@one.example"], "one@example.test")?;
    ann_sends(&server, &["eve@other.example"], "other@example.test")?;
    wait_until("both are out of reach", &server, || {
        Ok(json(&server, &["queue", "status"])?["destinations_unreachable"] == 2)
    })?;
    one.up()?;
    other.up()?;
    server.command(&["queue", "retry", "--destination", "one.example"])?;
    ensure!(one.wait_for(1)?[0].addresses() == ["eve@one.example"]);
    wait_until("one is left", &server, || Ok(queued(&server)?.len() == 1))?;
    ensure!(other.received().is_empty());
    server.command(&["queue", "retry", "--all"])?;
    ensure!(other.wait_for(1)?[0].addresses() == ["eve@other.example"]);
    wait_until_queue_is_empty(&server)?;
    ensure!(one.received().len() == 1);
    Ok(())
}

#[test]
fn the_queue_is_looked_at_and_changed_without_a_running_server() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.down()?;
    let mut server = server_with(&internet, "", PATIENT, "")?;
    for number in 0..3 {
        ann_sends(&server, &["eve@far.example"], &format!("{number}@example.test"))?;
    }
    server.stop()?;
    let waiting = queued(&server)?;
    ensure!(waiting.len() == 3, "{waiting:?}");
    let first = waiting[0]["id"].as_str().context("no id")?;
    server.command(&["queue", "drop", first])?;
    host.up()?;
    server.up()?;
    server.command(&["queue", "retry", "--all"])?;
    let ids: Vec<String> = host.wait_for(2)?.iter().map(testkit::Received::message_id).collect();
    ensure!(!ids.contains(&"0@example.test".to_owned()), "{ids:?}");
    wait_until_queue_is_empty(&server)
}

#[test]
fn an_account_that_sends_too_much_has_to_wait() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let limits = "[submission]\nmessages_an_hour = 5\nrecipients_an_hour = 20\n";
    let server = server_with(&internet, "", "", limits)?;
    for number in 0..5 {
        ann_sends(&server, &["eve@far.example"], &format!("{number}@example.test"))?;
    }
    let refused = ann_sends(&server, &["eve@far.example"], "sixth@example.test");
    let told = format!("{:#}", refused.err().context("a sixth message was taken")?);
    ensure!(told.contains("450") && told.contains("try again later"), "{told}");
    // Another account has its own.
    let people: Vec<String> = (0..20).map(|number| format!("p{number}@far.example")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let bobs = message("bob@example.test").replace(Server::ANN, Server::BOB);
    server.submission(Server::BOB)?.send(Server::BOB, &people, bobs.as_bytes())?;
    ensure!(server.submission(Server::BOB)?.send(Server::BOB, &people[..1], bobs.as_bytes()).is_err());
    host.wait_for(6)?;
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 6);
    Ok(())
}

#[test]
fn mail_for_tomorrow_leaves_tomorrow() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_with(&internet, "", "", "")?;
    let submit = |asked: &str, id: &str| -> Result<()> {
        let mut submission = server.submission(Server::ANN)?;
        let offered = submission.extensions().iter().any(|line| line.starts_with("FUTURERELEASE "));
        ensure!(offered, "{:?}", submission.extensions());
        submission.command(&format!("MAIL FROM:<{}> {asked}", Server::ANN), "250")?;
        submission.command("RCPT TO:<eve@far.example>", "250")?;
        submission.command("DATA", "354")?;
        submission.dialogue.send_octets(format!("{}.\r\n", message(id)).as_bytes())?;
        submission.reply_of("250").map(drop)
    };
    submit("HOLDFOR=86400", "tomorrow@example.test")?;
    submit("HOLDFOR=2", "soon@example.test")?;
    submit("", "now@example.test")?;
    let ids: Vec<String> = host.wait_for(2)?.iter().map(testkit::Received::message_id).collect();
    ensure!(ids == ["now@example.test", "soon@example.test"], "{ids:?}");
    wait_until("one is left", &server, || Ok(queued(&server)?.len() == 1))?;
    let mut submission = server.submission(Server::ANN)?;
    let refused = submission.reply_after(&format!("MAIL FROM:<{}> HOLDFOR=99999999", Server::ANN))?;
    ensure!(refused.starts_with('5'), "{refused}");
    // Strangers have no say in when their mail is passed on.
    ensure!(!server.smtp()?.extensions().iter().any(|line| line.starts_with("FUTURERELEASE")));
    Ok(())
}

#[test]
fn urgent_mail_goes_first() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.down()?;
    let queue = format!("{PATIENT}\ndestination_connections_first = 1\ndestination_connections_max = 1");
    let server = server_with(&internet, "", &queue, "")?;
    for (asked, id) in [("-4", "slow"), ("0", "usual"), ("6", "urgent")] {
        let mut submission = server.submission(Server::ANN)?;
        submission.command(&format!("MAIL FROM:<{}> MT-PRIORITY={asked}", Server::ANN), "250")?;
        submission.command("RCPT TO:<eve@far.example>", "250")?;
        submission.command("DATA", "354")?;
        submission.dialogue.send_octets(format!("{}.\r\n", message(id)).as_bytes())?;
        submission.reply_of("250")?;
    }
    wait_until_deferred(&server, "mx.far.example")?;
    host.up()?;
    server.command(&["queue", "retry", "--all"])?;
    let ids: Vec<String> = host.wait_for(3)?.iter().map(testkit::Received::message_id).collect();
    ensure!(ids == ["urgent", "usual", "slow"], "{ids:?}");
    Ok(())
}
