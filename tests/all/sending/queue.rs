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
    server.command(&["queue", "retry", "--all"])?;
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
    let mut server = server_with(&internet, "", "", limits)?;
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
    // A restart is no way around it.
    server.stop()?;
    server.up()?;
    ensure!(ann_sends(&server, &["eve@far.example"], "seventh@example.test").is_err());
    ensure!(server.submission(Server::BOB)?.send(Server::BOB, &people[..1], bobs.as_bytes()).is_err());
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

#[test]
fn a_stop_in_order_doubles_nothing() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let mut server = server_with(&internet, "idle_wait = 0", "", "")?;
    let mut sent = 0;
    for _ in 0..5 {
        let mut submission = server.submission(Server::ANN)?;
        for _ in 0..30 {
            submission.send(
                Server::ANN,
                &["eve@far.example"],
                message(&format!("{sent}@example.test")).as_bytes(),
            )?;
            sent += 1;
        }
        // In the middle of sending: what is on its way is ended, what is not stays.
        server.stop()?;
        server.up()?;
    }
    wait_until_queue_is_empty(&server)?;
    let counts = host.counts();
    ensure!(counts.len() == sent && counts.values().all(|&times| times == 1), "{counts:?}");
    Ok(())
}

#[test]
fn the_queues_index_may_be_lost_and_is_made_anew() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.refuse("later@far.example", "450 4.2.0 Later");
    let mut server = server_with(&internet, "", PATIENT, "")?;
    for number in 0..10 {
        ann_sends(&server, &["eve@far.example"], &format!("done.{number}@example.test"))?;
    }
    ann_sends(&server, &["eve@far.example", "later@far.example"], "half@example.test")?;
    host.wait_for(11)?;
    wait_until("one is left", &server, || Ok(queued(&server)?.len() == 1))?;
    wait_until_deferred(&server, "450")?;
    let id = only_queued(&server)?;
    server.stop()?;
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        drop(std::fs::remove_file(server.data().join(name)));
    }
    host.behave();
    server.up()?;
    // Who has it does not get it again.
    let received = host.wait_for(12)?;
    ensure!(received[11].addresses() == ["later@far.example"], "{:?}", received[11]);
    wait_until_queue_is_empty(&server)?;
    ensure!(
        host.received().len() == 12 && server.try_command(&["queue", "show", &id])?.status.code() == Some(1)
    );
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

#[test]
fn a_purge_leaves_what_waits_and_takes_what_is_gone() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.refuse("later@far.example", "450 4.2.0 Later");
    let store = "[store]\nrecoverable = 0\npurge_dead_percent = 1\npack_octets = \"1M\"\n";
    let server = server_with(&internet, "", PATIENT, store)?;
    ann_sends(&server, &["later@far.example"], "waits@example.test")?;
    let lines = (0..20_000_u32).map(|n| format!("{:08x}{:08x}\r\n", n.wrapping_mul(2_654_435_761), n * 7));
    let filler: String = lines.collect();
    for number in 0..12 {
        let text = format!("{}{filler}", message(&format!("large.{number}@example.test")));
        server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], text.as_bytes())?;
    }
    host.wait_for(12)?;
    wait_until("one is left", &server, || Ok(queued(&server)?.len() == 1))?;
    let octets = || -> Result<u64> {
        let status = json(&server, &["store", "status"])?;
        status["pack_octets"].as_u64().with_context(|| format!("no size: {status}"))
    };
    let before = octets()?;
    server.command(&["store", "purge"])?;
    ensure!(octets()? < before / 2, "{before} octets became {}", octets()?);
    host.behave();
    server.command(&["queue", "retry", "--all"])?;
    let received = host.wait_for(13)?;
    ensure!(received[12].text().ends_with("This is waits@example.test.\r\n"), "{}", received[12].text());
    wait_until_queue_is_empty(&server)?;
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

#[test]
fn a_reload_sends_mail_another_way() -> Result<()> {
    let mut internet = Internet::start()?;
    let (host, relay) = (internet.domain("far.example")?, internet.host("relay.example")?);
    let server = server_with(&internet, "idle_wait = 0", "", "")?;
    ann_sends(&server, &["eve@far.example"], "direct@example.test")?;
    host.wait_for(1)?;
    let text = std::fs::read_to_string(server.config())?;
    let line = format!("[outbound]\nrelay = \"relay.example:{} plain\"\n", internet.port());
    std::fs::write(server.config(), text.replace("[outbound]\n", &line))?;
    server.signal("HUP")?;
    let mut sent = 0;
    // Mail of before the reload was taken up goes the old way.
    wait_until("the relay is used", &server, || {
        sent += 1;
        ann_sends(&server, &["eve@far.example"], &format!("{sent}@example.test"))?;
        wait_until_queue_is_empty(&server)?;
        Ok(!relay.received().is_empty())
    })?;
    ensure!(host.received().len() + relay.received().len() == sent + 1);
    Ok(())
}
