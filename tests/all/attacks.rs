//! Attacks as they come: guesses from a thousand addresses and at a thousand names, a stolen account, mail in others'
//! names. What is theirs is kept from the attackers, and nobody else feels any of it.

mod backscatter;
mod firewall;
mod guesses;
mod office;
mod stolen;

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::{Dialogue, Server, ServerOptions};

/// A server to which addresses of loopback are strangers' like all others.
fn server_among_strangers(environment: Vec<(String, String)>) -> Result<Server> {
    let mut environment = environment;
    environment.push(("MAILSTEAD_LISTEN_TRUSTED_NETWORKS".into(), String::new()));
    environment.push(("MAILSTEAD_BANS_PRIVATE".into(), "true".into()));
    Server::start(ServerOptions { environment, ..ServerOptions::default() })
}

/// Tries to log in as somebody with a wrong proof, and does not wait for the answer; whether the server let that happen.
fn guess(server: &Server, source: Ipv4Addr, user: &str) -> Result<bool> {
    let mut smtp = Dialogue::connect_from(source, server.address(587))?;
    if !smtp.line()?.starts_with("220 ") {
        return Ok(false);
    }
    smtp.send("EHLO client.example")?;
    while !smtp.line()?.starts_with("250 ") {}
    smtp.send(&format!(
        "AUTH SCRAM-SHA-256 {}",
        STANDARD.encode(format!("n,,n={user},r=rOprNGfwEbeRWgbNEkqO"))
    ))?;
    let line = smtp.line()?;
    let Some(challenge) = line.strip_prefix("334 ") else { return Ok(false) };
    let challenge = String::from_utf8(STANDARD.decode(challenge)?)?;
    let nonce = challenge.split(',').find_map(|part| part.strip_prefix("r=")).context("no nonce")?;
    smtp.send(&STANDARD.encode(format!("c=biws,r={nonce},p={}", STANDARD.encode([7; 32]))))?;
    Ok(true)
}

/// Whether an address is let in.
fn is_let_in(server: &Server, source: Ipv4Addr) -> Result<bool> {
    Ok(Dialogue::connect_from(source, server.address(25))?.line()?.starts_with("220 "))
}

/// Waits until the log has so many lines with this in them.
pub(crate) fn wait_for_lines(server: &Server, text: &str, count: usize) -> Result<()> {
    wait_until(&format!("{count} times {text:?}"), server, || {
        Ok(server.log().lines().filter(|line| line.contains(text)).count() >= count)
    })
}

/// Looks again and again until something is so.
pub(crate) fn wait_until(what: &str, server: &Server, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = std::time::Instant::now();
    while !is_so()? {
        if begun.elapsed() > testkit::WAIT_MAX {
            bail!("{what}: it never comes so far\n{}", server.log());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Runs a command that prints JSON.
fn json(server: &Server, arguments: &[&str]) -> Result<Value> {
    let mut all = vec!["--json"];
    all.extend_from_slice(arguments);
    Ok(serde_json::from_str(&server.command(&all)?)?)
}

/// Whom the bans in force keep out.
fn banned(server: &Server) -> Result<Vec<String>> {
    let bans = json(server, &["ban", "list"])?;
    let bans = bans.as_array().with_context(|| format!("no list: {bans}"))?;
    Ok(bans.iter().filter_map(|ban| Some(ban["network"].as_str()?.to_owned())).collect())
}

/// Brings a message as a stranger.
fn bring(server: &Server, from: &str, to: &str, id: &str) -> Result<String> {
    let message = format!("From: <{from}>\r\nMessage-ID: <{id}>\r\nSubject: x\r\n\r\nx\r\n");
    server.smtp()?.send(from, &[to], message.as_bytes())
}

#[test]
fn scanners_at_the_wrong_door_are_banned_by_every_door() -> Result<()> {
    let server = server_among_strangers(Vec::new())?;
    let scanner = Ipv4Addr::new(127, 7, 7, 7);
    for (port, line) in [
        (25, "GET / HTTP/1.1"),
        (25, "VRFY root"),
        (587, "SSH-2.0-Go"),
        (143, "GET / HTTP/1.1"),
        (4190, "POST / HTTP/1.1"),
    ] {
        let mut dialogue = Dialogue::connect_from(scanner, server.address(port))?;
        dialogue.line()?;
        dialogue.send(line)?;
        drop(dialogue);
    }
    wait_for_lines(&server, "kind=\"probe\"", 5)?;
    for _ in 0..5 {
        let mut imaps = Dialogue::connect_from(scanner, server.address(993))?;
        imaps.send("a1 CAPABILITY")?;
    }
    wait_until("it is banned", &server, || Ok(banned(&server)? == ["127.7.7.7/32"]))?;
    ensure!(!is_let_in(&server, scanner)? && is_let_in(&server, Ipv4Addr::new(127, 7, 7, 8))?);
    wait_for_lines(&server, "banned network=127.7.7.7/32 seconds=600 times=1 reason=\"probe\"", 1)
}
