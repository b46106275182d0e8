//! Hosts as slow as they may be (RFC 5321 §4.5.3.2), and slower: within the time mail arrives, beyond it the attempt ends and
//! the mail waits.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, Internet, Phase, Server, Whim};

use super::{ann_sends, count, message, queued, server_with, wait_until_deferred, wait_until_queue_is_empty};

/// The patience of these stories in seconds, for the minutes of real life.
const PATIENCE: &str = "command_timeout = 3\ndata_timeout = 3\nidle_wait = 0";
/// For the answer to a message; what lies in sockets' buffers yet is taken in this time.
const OF_THE_END: &str = "final_timeout = 3";
const OF_THE_END_OF_MUCH: &str = "final_timeout = 60";
/// Half of it.
const WITHIN: Duration = Duration::from_millis(1_500);
/// Twice as much.
const BEYOND: Duration = Duration::from_secs(6);

const PHASES: [Phase; 6] =
    [Phase::Greeting, Phase::Hello, Phase::Sender, Phase::Recipient, Phase::Data, Phase::End];

/// Octets that no socket's buffers on the way swallow at once.
const LARGE_OCTETS: usize = 12 << 20;

fn scene(of_the_end: &str) -> Result<(Internet, Exchanger, Server)> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    // An answer of its own for each command, and the message behind DATA.
    host.set_extensions(&["8BITMIME"]);
    let server = server_with(
        &internet,
        &format!("{PATIENCE}\n{of_the_end}"),
        "",
        "[smtp]\nmessage_octets_max = \"60M\"\n",
    )?;
    Ok((internet, host, server))
}

#[test]
fn a_host_that_needs_all_its_time_for_every_answer_gets_the_mail() -> Result<()> {
    let (_internet, host, server) = scene(OF_THE_END)?;
    for phase in PHASES {
        host.plan(phase, Whim::Drags(WITHIN), 1);
    }
    ann_sends(&server, &["eve@far.example"], "slow@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "slow@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 1 && host.connections() == 1 && count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn an_octet_now_and_then_buys_no_more_time() -> Result<()> {
    let (_internet, host, server) = scene(OF_THE_END)?;
    for phase in PHASES {
        // Never silent for long, and never ready in time.
        host.plan(phase, Whim::Drags(BEYOND), u64::MAX);
        let id = format!("{phase:?}@example.test");
        ann_sends(&server, &["eve@far.example"], &id)?;
        wait_until_deferred(&server, "").with_context(|| format!("{phase:?}"))?;
        ensure!(queued(&server)?.len() == 1, "{phase:?}");
        host.behave();
        wait_until_queue_is_empty(&server).with_context(|| format!("{phase:?}"))?;
        // What was slow to say that it has the message has it already (RFC 1047).
        let times = host.counts().get(&id).copied().unwrap_or_default();
        let is_taken_before_its_answer = phase == Phase::End;
        ensure!(times == 1 || (is_taken_before_its_answer && times >= 2), "{phase:?}: {times} times");
    }
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

fn ann_sends_much(server: &Server, id: &str) -> Result<Vec<u8>> {
    let line = "a line of a message that is large for no good reason\r\n";
    let text = format!("{}{}", message(id), line.repeat(LARGE_OCTETS / line.len()));
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], text.as_bytes())?;
    Ok(text.into_bytes())
}

#[test]
fn a_host_that_takes_a_message_slowly_gets_it_and_one_that_stops_does_not_hold_us() -> Result<()> {
    let (_internet, host, server) = scene(OF_THE_END_OF_MUCH)?;
    host.plan(Phase::Message, Whim::Sips(LARGE_OCTETS / 5, WITHIN), 1);
    let sent = ann_sends_much(&server, "sips@example.test")?;
    let received = host.wait_for(1)?;
    let begin = sent.len() - LARGE_OCTETS / 2;
    ensure!(received[0].octets.ends_with(&sent[begin..]), "not what was sent");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.connections() == 1, "{} connections", host.connections());
    host.plan(Phase::Message, Whim::StopsReading, u64::MAX);
    ann_sends_much(&server, "stops@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    ensure!(host.received().len() == 1 && queued(&server)?.len() == 1);
    host.behave();
    ensure!(host.wait_for(2)?[1].message_id() == "stops@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(host.received().len() == 2 && count(&server, Server::ANN)? == 0);
    Ok(())
}
