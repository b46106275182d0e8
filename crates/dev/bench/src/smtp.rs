//! Mail in: Postfix's own load generator against each server.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::dovecot::{Format, run};
use crate::mailstead::Mailstead;
use crate::peer::{Peer, account};
use crate::postfix::PostfixDovecot;
use crate::report::{Better, Report};

/// Octets of a message's body.
const OCTETS: &str = "4096";

pub(crate) fn run_on(
    report: &mut Report,
    peer: &dyn Peer,
    messages: u32,
    connections: u32,
    delivered: impl Fn() -> Result<()>,
) -> Result<()> {
    for (way, more) in [("a connection each", &[][..]), ("connections kept", &["-d"][..])] {
        let before = peer.cpu_time()?;
        let begun = Instant::now();
        let mut command = Command::new("/usr/sbin/smtp-source");
        command.args(["-s", &connections.to_string(), "-m", &messages.to_string(), "-l", OCTETS]).args(more);
        command.args(["-f", "sender@elsewhere.example", "-t", &account(0)]).arg(peer.smtp().to_string());
        run(&mut command)?;
        let accepted = begun.elapsed();
        delivered()?;
        // What is still being written into indexes and mailboxes belongs to the cost.
        let cpu = settled(peer)?.saturating_sub(before);
        let work = format!("SMTP in, 4 KiB, {connections} connections, {way}");
        report.add(
            &work,
            &peer.name(),
            f64::from(messages) / accepted.as_secs_f64(),
            "messages/s",
            Better::More,
        );
        report.add(
            &format!("{work}: CPU"),
            &peer.name(),
            cpu.as_secs_f64() * 1e3 / f64::from(messages),
            "ms/message",
            Better::Less,
        );
    }
    Ok(())
}

/// CPU time once the server rests.
fn settled(peer: &dyn Peer) -> Result<Duration> {
    let mut last = peer.cpu_time()?;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = peer.cpu_time()?;
        if now.saturating_sub(last) < Duration::from_millis(4) {
            return Ok(now);
        }
        last = now;
    }
}

pub(crate) fn run_all(report: &mut Report, messages: u32, connections: &[u32]) -> Result<()> {
    {
        let ours = Mailstead::start()?;
        for &count in connections {
            run_on(report, &ours, messages, count, || Ok(()))?;
        }
    }
    for format in [Format::Maildir, Format::Mdbox] {
        let theirs = PostfixDovecot::start(format)?;
        for &count in connections {
            run_on(report, &theirs, messages, count, || theirs.wait_until_delivered())?;
        }
    }
    Ok(())
}

pub(crate) use run_all as run;
