//! Days pass, on a calendar that is moved: for hosts that are away so long, and for a server that was.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Internet, Server, ServerOptions};

use super::{
    ann_sends, count, inbox, only_queued, parsed, queued, wait_until_deferred, wait_until_queue_is_empty,
};
use crate::clock::MovedClock;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A server with the usual patience, whose calendar can be moved.
fn server_at(internet: &Internet, clock: &MovedClock) -> Result<Server> {
    let settings = internet.settings("", "retry_first = \"1m\"");
    let environment = clock.environment();
    Server::start(ServerOptions { settings, environment, ..ServerOptions::default() })
}

/// What the newest of so many reports says became of the message.
fn action(server: &Server, reports: u64) -> Result<String> {
    let all = inbox(server, Server::ANN, reports)?;
    ensure!(all.len() as u64 == reports, "{} reports", all.len());
    let report = parsed(all.last().map_or("", String::as_str))?;
    Ok(report["status"][1]["action"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_host_that_is_down_for_days_gets_the_mail_and_ann_hears_of_the_delay_once() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.down()?;
    let clock = MovedClock::new()?;
    let mut server = server_at(&internet, &clock)?;
    ann_sends(&server, &["eve@far.example"], "days@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    clock.set(HOUR)?;
    ensure!(count(&server, Server::ANN)? == 0);
    clock.set(HOUR * 5)?;
    ensure!(action(&server, 1)? == "delayed");
    // The server is started anew meanwhile: what it has told, it remembers.
    clock.set(DAY * 2)?;
    server.stop()?;
    server.up()?;
    clock.set(DAY * 4 + HOUR * 20)?;
    server.command(&["queue", "retry", "--all"])?;
    only_queued(&server)?;
    host.up()?;
    clock.set(DAY * 4 + HOUR * 22)?;
    ensure!(host.wait_for(1)?[0].message_id() == "days@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 1);
    Ok(())
}

#[test]
fn a_host_that_stays_away_is_given_up_after_five_days() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.down()?;
    let clock = MovedClock::new()?;
    let server = server_at(&internet, &clock)?;
    ann_sends(&server, &["eve@far.example"], "given-up@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    clock.set(HOUR * 5)?;
    ensure!(action(&server, 1)? == "delayed");
    clock.set(DAY * 5 + HOUR)?;
    ensure!(action(&server, 2)? == "failed");
    wait_until_queue_is_empty(&server)?;
    host.up()?;
    clock.set(DAY * 6)?;
    ann_sends(&server, &["eve@far.example"], "next@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "next@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 1 && count(&server, Server::ANN)? == 2);
    Ok(())
}

#[test]
fn a_server_that_was_off_for_a_week_tries_once_more_before_it_gives_up() -> Result<()> {
    let mut internet = Internet::start()?;
    let (host, gone) = (internet.domain("far.example")?, internet.domain("gone.example")?);
    host.down()?;
    gone.down()?;
    let clock = MovedClock::new()?;
    let mut server = server_at(&internet, &clock)?;
    ann_sends(&server, &["eve@far.example"], "back@example.test")?;
    ann_sends(&server, &["eve@gone.example"], "gone@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    wait_until_deferred(&server, "mx.gone.example")?;
    server.stop()?;
    clock.set(DAY * 7)?;
    host.up()?;
    ensure!(queued(&server)?.len() == 2);
    server.up()?;
    ensure!(host.wait_for(1)?[0].message_id() == "back@example.test");
    ensure!(action(&server, 1)? == "failed");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 1);
    Ok(())
}
