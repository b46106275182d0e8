//! What a sender may demand of a message's way: that it stays encrypted (REQUIRETLS, RFC 8689), that it is there by a time
//! (DELIVERBY, RFC 2852).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Exchanger, Internet, Phase, Server, ServerOptions, SmtpClient, Whim};

use super::{
    ann_sends, count, inbox, message, parsed, queued, server_in, server_with, wait_until_deferred,
    wait_until_queue_is_empty,
};
use crate::clock::MovedClock;

/// What a host offers that keeps mail encrypted.
const KEEPS: [&str; 4] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"];

/// Hands over a message with these parameters of MAIL.
fn submit(mut client: SmtpClient, asked: &str, to: &[&str], id: &str) -> Result<()> {
    client.command(&format!("MAIL FROM:<{}> {asked}", Server::ANN), "250")?;
    for recipient in to {
        client.command(&format!("RCPT TO:<{recipient}>"), "250")?;
    }
    client.command("DATA", "354")?;
    client.dialogue.send_octets(format!("{}.\r\n", message(id)).as_bytes())?;
    client.reply_of("250").map(drop)
}

fn submit_secret(server: &Server, to: &str, id: &str) -> Result<()> {
    submit(server.submission_under_tls(Server::ANN)?, "REQUIRETLS", &[to], id)
}

/// The status of the report's only recipient.
fn only_status(report: &str) -> Result<Value> {
    let parsed = parsed(report)?;
    ensure!(parsed["status"].as_array().is_some_and(|groups| groups.len() == 2), "{parsed}");
    Ok(parsed["status"][1].clone())
}

/// The newest report of so many, which must tell that a secret message failed with this status, without telling it.
fn secret_failed(server: &Server, reports: u64, status: &str) -> Result<()> {
    let report = inbox(server, Server::ANN, reports)?.pop().context("no report")?;
    let told = only_status(&report)?;
    ensure!(told["action"] == "failed" && told["status"] == status, "{told}");
    ensure!(!report.contains("This is secret"), "it gives the message away: {report}");
    wait_until_queue_is_empty(server)
}

/// Nothing of a secret message was ever said in clear.
fn heard_nothing_in_clear(host: &Exchanger) -> Result<()> {
    let heard = host.senders_heard();
    ensure!(heard.iter().all(|one| one.is_encrypted), "{heard:?}");
    Ok(())
}

#[test]
fn mail_that_must_stay_encrypted_goes_on_with_that_demand() -> Result<()> {
    let mut internet = Internet::start_signed()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    host.set_extensions(&KEEPS);
    let server = server_in(&internet)?;
    submit_secret(&server, "eve@far.example", "secret@example.test")?;
    let received = &host.wait_for(1)?[0];
    ensure!(received.is_encrypted && received.sender.contains("REQUIRETLS"), "{received:?}");
    wait_until_queue_is_empty(&server)?;
    // It is asked for each message, not for the connection.
    ann_sends(&server, &["eve@far.example"], "open@example.test")?;
    let received = &host.wait_for(2)?[1];
    ensure!(!received.sender.contains("REQUIRETLS"), "{received:?}");
    ensure!(count(&server, Server::ANN)? == 0);
    // In clear nobody may ask, or anybody in between could have heard it.
    let mut clear = server.submission(Server::ANN)?;
    ensure!(!clear.extensions().iter().any(|line| line == "REQUIRETLS"));
    ensure!(clear.reply_after(&format!("MAIL FROM:<{}> REQUIRETLS", Server::ANN))?.starts_with('5'));
    Ok(())
}

#[test]
fn mail_that_must_stay_encrypted_comes_back_where_it_cannot() -> Result<()> {
    let mut internet = Internet::start_signed()?;
    let host = internet.domain("far.example")?;
    let server = server_with(&internet, "idle_wait = 0", "", "")?;
    let certified = |name: &str| internet.certified(&[name]).map(Some);
    let cases = [
        ("no promise", certified("mx.far.example")?, &KEEPS[..3], "5.7.30"),
        ("another's certificate", certified("mx.else.example")?, &KEEPS[..], "5.7.10"),
        ("nobody's certificate", Some(internet.self_signed(&["mx.far.example"])?), &KEEPS[..], "5.7.10"),
        ("no TLS, and a promise all the same", None, &KEEPS[..], "5.7.10"),
    ];
    for (number, (what, acceptor, extensions, status)) in (1..).zip(cases) {
        host.set_tls(acceptor);
        host.set_extensions(extensions);
        submit_secret(&server, "eve@far.example", &format!("secret.{number}@example.test"))?;
        secret_failed(&server, number, status).context(what)?;
        ensure!(host.connections() > 0, "{what}: it was never asked");
    }
    ensure!(host.received().is_empty());
    heard_nothing_in_clear(&host)?;
    // A name that anybody may have put there is no name to trust, whatever certificate is shown for it.
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    host.set_extensions(&KEEPS);
    let server = server_in(&internet)?;
    submit_secret(&server, "eve@far.example", "secret.unsigned@example.test")?;
    secret_failed(&server, 1, "5.7.10")?;
    ensure!(host.received().is_empty());
    heard_nothing_in_clear(&host)
}

#[test]
fn mail_that_must_stay_encrypted_waits_while_tls_fails_for_a_moment() -> Result<()> {
    let mut internet = Internet::start_signed()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    host.set_extensions(&KEEPS);
    host.plan(Phase::StartTls, Whim::Says("454 4.7.0 TLS not available".into()), u64::MAX);
    let server = server_in(&internet)?;
    submit_secret(&server, "eve@far.example", "patient@example.test")?;
    wait_until_deferred(&server, "454")?;
    ensure!(host.received().is_empty() && queued(&server)?.len() == 1);
    host.behave();
    let received = &host.wait_for(1)?[0];
    ensure!(received.is_encrypted && received.sender.contains("REQUIRETLS"), "{received:?}");
    wait_until_queue_is_empty(&server)?;
    heard_nothing_in_clear(&host)?;
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn a_smart_host_is_asked_to_keep_mail_encrypted_too() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.host("relay.example")?;
    host.set_tls(Some(internet.certified(&["relay.example"])?));
    host.set_extensions(&KEEPS);
    let port = internet.port();
    let server = server_with(&internet, &format!("relay = \"relay.example:{port} starttls\""), "", "")?;
    submit_secret(&server, "eve@far.example", "relayed@example.test")?;
    ensure!(host.wait_for(1)?[0].sender.contains("REQUIRETLS"));
    wait_until_queue_is_empty(&server)?;
    // One whose certificate nobody looks at is no such host.
    let lines = format!("relay = \"relay.example:{port} opportunistic\"\nidle_wait = 0");
    let server = server_with(&internet, &lines, "", "")?;
    submit_secret(&server, "eve@far.example", "secret.careless@example.test")?;
    secret_failed(&server, 1, "5.7.10")?;
    ensure!(host.received().len() == 1);
    heard_nothing_in_clear(&host)
}

/// A server whose calendar can be moved, with the usual patience between tries.
fn server_at(internet: &Internet, clock: &MovedClock) -> Result<Server> {
    let settings = internet.settings("idle_wait = 0", "retry_first = \"1m\"");
    let environment = clock.environment();
    Server::start(ServerOptions { settings, environment, ..ServerOptions::default() })
}

fn submit_by(server: &Server, asked: &str, id: &str) -> Result<()> {
    let submission = server.submission(Server::ANN)?;
    let offered = submission.extensions().iter().any(|line| line.split(' ').next() == Some("DELIVERBY"));
    ensure!(offered, "{:?}", submission.extensions());
    submit(submission, asked, &["eve@far.example"], id)
}

/// The seconds and the mode of what a host was asked, `BY=seconds;mode`.
fn asked_by(sender: &str) -> Result<(i64, String)> {
    let asked = sender.split(' ').find_map(|word| word.strip_prefix("BY="));
    let (seconds, mode) = asked.and_then(|asked| asked.split_once(';')).with_context(|| sender.to_owned())?;
    Ok((seconds.parse()?, mode.to_owned()))
}

#[test]
fn the_time_that_is_left_goes_on_with_the_message() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_extensions(&["8BITMIME", "DSN", "DELIVERBY 60"]);
    let clock = MovedClock::new()?;
    let server = server_at(&internet, &clock)?;
    submit_by(&server, "BY=7200;R", "at-once@example.test")?;
    let (seconds, mode) = asked_by(&host.wait_for(1)?[0].sender)?;
    ensure!((7_000..=7_200).contains(&seconds) && mode == "R", "{seconds};{mode}");
    wait_until_queue_is_empty(&server)?;
    host.down()?;
    submit_by(&server, "BY=7200;R", "returned@example.test")?;
    submit_by(&server, "BY=600;NT", "told@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    // An hour passes: of the one an hour is left, the other is late and goes on all the same.
    host.up()?;
    clock.set(Duration::from_secs(3_600))?;
    let received = host.wait_for(3)?;
    let of = |id: &str| received.iter().find(|one| one.message_id() == id).with_context(|| id.to_owned());
    let (seconds, mode) = asked_by(&of("returned@example.test")?.sender)?;
    ensure!((3_300..=3_600).contains(&seconds) && mode == "R", "{seconds};{mode}");
    let (seconds, mode) = asked_by(&of("told@example.test")?.sender)?;
    ensure!((-3_300..=-3_000).contains(&seconds) && mode == "NT", "{seconds};{mode}");
    wait_until_queue_is_empty(&server)
}

#[test]
fn mail_that_is_not_there_by_its_time_comes_back() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_extensions(&["8BITMIME", "DSN", "DELIVERBY"]);
    host.down()?;
    let clock = MovedClock::new()?;
    let server = server_at(&internet, &clock)?;
    submit_by(&server, "BY=120;R", "by@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    clock.set(Duration::from_secs(100))?;
    ensure!(queued(&server)?.len() == 1 && count(&server, Server::ANN)? == 0);
    clock.set(Duration::from_secs(121))?;
    let report = &inbox(&server, Server::ANN, 1)?[0];
    let status = only_status(report)?;
    ensure!(status["action"] == "failed" && status["status"] == "5.4.7", "{status}");
    ensure!(report.contains("could not be delivered by the time that was asked for"), "{report}");
    wait_until_queue_is_empty(&server)?;
    host.up()?;
    ann_sends(&server, &["eve@far.example"], "later@example.test")?;
    clock.set(Duration::from_secs(7_200))?;
    ensure!(host.wait_for(1)?[0].message_id() == "later@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 1 && count(&server, Server::ANN)? == 1);
    Ok(())
}

#[test]
fn mail_that_is_late_and_may_be_is_told_of_and_goes_on() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.down()?;
    let clock = MovedClock::new()?;
    let server = server_at(&internet, &clock)?;
    submit_by(&server, "BY=120;N", "by@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    clock.set(Duration::from_secs(121))?;
    let status = only_status(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(status["action"] == "delayed", "{status}");
    ensure!(status["will-retry-until"].is_string() && queued(&server)?.len() == 1, "{status}");
    host.up()?;
    clock.set(Duration::from_secs(7_200))?;
    ensure!(host.wait_for(1)?[0].message_id() == "by@example.test");
    wait_until_queue_is_empty(&server)?;
    // The host does not know of times: that the message went on there is the last that Ann hears.
    let status = only_status(&inbox(&server, Server::ANN, 2)?[1])?;
    ensure!(status["action"] == "relayed", "{status}");
    Ok(())
}

#[test]
fn mail_with_a_time_does_not_go_where_times_are_unknown() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_extensions(&["8BITMIME", "DSN"]);
    let server = server_in(&internet)?;
    submit_by(&server, "BY=7200;R", "strict@example.test")?;
    let status = only_status(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(status["action"] == "failed" && status["status"] == "5.4.7", "{status}");
    submit_by(&server, "BY=7200;N", "lenient@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "lenient@example.test");
    let status = only_status(&inbox(&server, Server::ANN, 2)?[1])?;
    ensure!(status["action"] == "relayed", "{status}");
    // A host that needs more time than there is does not get it either.
    host.set_extensions(&["8BITMIME", "DSN", "DELIVERBY 86400"]);
    host.down()?;
    host.up()?;
    submit_by(&server, "BY=7200;R", "short@example.test")?;
    let status = only_status(&inbox(&server, Server::ANN, 3)?[2])?;
    ensure!(status["action"] == "failed" && status["status"] == "5.4.7", "{status}");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 1);
    Ok(())
}
