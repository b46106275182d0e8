//! Mail in: Postfix's own load generator against each server.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::peer::{Peer, account};
use crate::report::{Better, Report};

/// Octets of a message's body.
const OCTETS: &str = "4096";

pub(crate) fn run(report: &mut Report, peer: &dyn Peer, messages: u32, connections: u32) -> Result<()> {
    for (way, more) in [("a connection each", &[][..]), ("connections kept", &["-d"][..])] {
        let before = peer.cpu_time()?;
        let begun = Instant::now();
        let mut command = Command::new("/usr/sbin/smtp-source");
        command.args(["-s", &connections.to_string(), "-m", &messages.to_string(), "-l", OCTETS]).args(more);
        command.args(["-f", "sender@elsewhere.example", "-t", &account(0)]).arg(peer.smtp().to_string());
        crate::dovecot::run(&mut command)?;
        let accepted = begun.elapsed();
        peer.wait_until_filed()?;
        let filed = begun.elapsed();
        // What is still being written into indexes and mailboxes belongs to the cost.
        let cpu = settled(peer)?.saturating_sub(before);
        let work = format!("SMTP in, 4 KiB, {connections} connections, {way}");
        for (until, time) in [("accepted", accepted), ("in the mailbox", filed)] {
            let rate = f64::from(messages) / time.as_secs_f64();
            report.add(&format!("{work}: {until}"), &peer.name(), rate, "messages/s", Better::More);
        }
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
pub(crate) fn settled(peer: &dyn Peer) -> Result<Duration> {
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
