//! What has broken other mail servers, tried on ours from outside: each class of published attack that touches mail coming
//! in, reading, login, TLS or the store. docs/internals/threat-model.md has the list.

mod house;
mod imap;
mod login;
mod mail;
mod model;
mod smtp;
mod tls;

use anyhow::{Context, Result, bail, ensure};
use testkit::{ImapClient, Server, ServerOptions, SmtpClient};

/// The address that strangers' mail comes from.
const EVE: &str = "eve@elsewhere.example";

/// A server with something of the environment set.
fn server_with(environment: &[(&str, &str)]) -> Result<Server> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Server::start(ServerOptions { environment, ..ServerOptions::default() })
}

/// A server that takes no password in clear, as on a network.
fn strict_server() -> Result<Server> {
    let settings = "[auth]\nplaintext_on_loopback = false".to_owned();
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// How many messages an INBOX has.
fn count(server: &Server, person: &str) -> Result<u64> {
    server.imap(person)?.ok("SELECT INBOX")?.number_of("EXISTS").context("no EXISTS")
}

/// The INBOX's only message.
fn only_message(server: &Server, person: &str) -> Result<Vec<u8>> {
    let mut imap = server.imap(person)?;
    ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(1), "not one message");
    imap.fetch_octets(1)
}

/// Whether the server still does its work: a message comes in and a person reads.
fn is_well(server: &Server) -> Result<()> {
    server.smtp()?.send(EVE, &[Server::BOB], b"Subject: still there?\r\n\r\nx\r\n")?;
    ensure!(count(server, Server::BOB)? > 0);
    let log = server.log();
    ensure!(!log.contains("panic"), "{log}");
    Ok(())
}

/// The log, once it has this in it.
fn log_with(server: &Server, text: &str) -> Result<String> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < testkit::WAIT_MAX {
        let log = server.log();
        if log.contains(text) {
            return Ok(log);
        }
        std::thread::yield_now();
    }
    bail!("the log never says {text:?}:\n{}", server.log())
}

/// Opens a transaction as a stranger.
fn begin_mail(smtp: &mut SmtpClient, recipient: &str) -> Result<()> {
    smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
    smtp.command(&format!("RCPT TO:<{recipient}>"), "250").map(drop)
}

/// Reads one line and demands that it begins with one of these.
fn expect_one_of(imap: &mut ImapClient, beginnings: &[&str]) -> Result<String> {
    let line = imap.dialogue.line()?;
    if !beginnings.iter().any(|beginning| line.starts_with(beginning)) {
        bail!("{}", imap.dialogue.told(&format!("expected one of {beginnings:?}")));
    }
    Ok(line)
}

/// What a process weighs, in octets (proc(5)).
#[derive(Clone, Copy, Debug)]
struct Weight {
    /// Resident now.
    now: u64,
    /// The most it ever had.
    peak: u64,
}

fn weight(server: &Server) -> Result<Weight> {
    let id = server.process_id().context("the server does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let octets = |name: &str| -> Result<u64> {
        let line =
            status.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1_024)
    };
    Ok(Weight { now: octets("VmRSS:")?, peak: octets("VmHWM:")? })
}

/// What Argon2id needs while it proves one password; several may be proved at once (RFC 9106 §4).
const LOGIN_OCTETS: u64 = 2 * (20 << 20);

/// Demands that the server's peak has grown by no more than this since, and what logging in to look at it needs.
fn ensure_grown_at_most(server: &Server, before: Weight, octets: u64) -> Result<()> {
    let after = weight(server)?;
    let grown = after.peak.saturating_sub(before.now);
    ensure!(grown <= octets + LOGIN_OCTETS, "the server grew by {grown} octets: {before:?}, {after:?}");
    Ok(())
}
