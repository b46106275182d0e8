//! People behind one address: an old telephone that knows a former password, and a proxy that hides from where all come.
//! Nobody innocent is locked out with whoever errs.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::{Dialogue, ImapClient, Server, ServerOptions};

use super::{banned, is_let_in, server_among_strangers, wait_for_lines, wait_until};
use crate::clock::MovedClock;

const OFFICE: Ipv4Addr = Ipv4Addr::new(127, 4, 4, 4);
/// What one waits who shares an address with somebody who guesses.
const LONGEST_DELAY: Duration = Duration::from_secs(8);
const FORMER: &str = Server::PASSWORD;

/// Logs in from the office, without having to wait.
fn log_in(server: &Server, user: &str, password: &str) -> Result<()> {
    let begun = Instant::now();
    ImapClient::connect_from(OFFICE, server.address(143))?.ok(&format!("LOGIN {user} \"{password}\""))?;
    ensure!(begun.elapsed() < LONGEST_DELAY, "{user} had to wait: {:?}", begun.elapsed());
    Ok(())
}

/// A telephone looks for mail; its answer comes when it comes.
fn poll(server: &Server, user: &str) -> Result<Dialogue> {
    let mut imap = Dialogue::connect_from(OFFICE, server.address(143))?;
    imap.expect("* OK ")?;
    imap.send(&format!("a1 LOGIN {user} \"{FORMER}\""))?;
    Ok(imap)
}

/// A mail program wants to send.
fn send(server: &Server, user: &str) -> Result<Dialogue> {
    let mut smtp = Dialogue::connect_from(OFFICE, server.address(587))?;
    smtp.expect("220 ")?;
    smtp.send("EHLO laptop.example")?;
    while !smtp.line()?.starts_with("250 ") {}
    smtp.send(&format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{FORMER}"))))?;
    Ok(smtp)
}

#[test]
fn an_old_telephone_does_not_lock_its_office_out() -> Result<()> {
    let clock = MovedClock::new()?;
    let mut environment = clock.environment();
    // Answers wait, while the next ones come.
    environment.push(("MAILSTEAD_LISTEN_CONNECTIONS_PER_ADDRESS_MAX".into(), "1000".into()));
    let server = server_among_strangers(environment)?;
    let people = ["carl", "dora", "emil"].map(|name| format!("{name}@example.test"));
    for person in &people {
        server.command(&["account", "add", person, "--password", FORMER])?;
    }
    let people = [Server::BOB.to_owned()].into_iter().chain(people).collect::<Vec<_>>();
    people.iter().try_for_each(|person| log_in(&server, person, FORMER))?;
    log_in(&server, Server::ANN, FORMER)?;
    let new = "another horse 8";
    server.command(&["account", "password", Server::ANN, "--password", new])?;
    let mut waiting = Vec::new();
    for minute in 1..=60 {
        clock.set(Duration::from_secs(minute * 60))?;
        waiting.push(poll(&server, Server::ANN)?);
        waiting.push(send(&server, Server::ANN)?);
        let seen = usize::try_from(minute)? * 2;
        wait_for_lines(&server, "-password\"", seen)?;
        if minute % 20 == 0 {
            people.iter().try_for_each(|person| log_in(&server, person, FORMER))?;
            log_in(&server, Server::ANN, new)?;
        }
    }
    let log = server.log();
    let count = |kind: &str| log.lines().filter(|line| line.contains(kind)).count();
    ensure!(count("kind=\"repeated-password\"") >= 118, "{log}");
    // Two that came at once may both have been the first.
    ensure!(count("kind=\"wrong-password\"") <= 2 && banned(&server)?.is_empty(), "{log}");
    // It gets no other answer than anybody whose password is wrong.
    waiting.remove(0).expect("a1 NO [AUTHENTICATIONFAILED]")?;
    waiting.remove(0).expect("535 ")?;
    // Who tries new words from there is a guesser all the same.
    for number in 0..10 {
        let mut imap = Dialogue::connect_from(OFFICE, server.address(143))?;
        if !imap.line()?.starts_with("* OK ") {
            break;
        }
        imap.send(&format!("a1 LOGIN {} guess{number}", Server::BOB))?;
        waiting.push(imap);
    }
    wait_until("the guesser is banned", &server, || Ok(banned(&server)? == ["127.4.4.4/32"]))?;
    ensure!(!is_let_in(&server, OFFICE)?);
    Ok(())
}

#[test]
fn an_address_by_way_of_which_all_come_is_not_banned() -> Result<()> {
    let environment = vec![("MAILSTEAD_LISTEN_TRUSTED_NETWORKS".into(), String::new())];
    let server = Server::start(ServerOptions { environment, ..ServerOptions::default() })?;
    let gateway = Ipv4Addr::new(127, 17, 0, 1);
    for _ in 0..30 {
        let mut dialogue = Dialogue::connect_from(gateway, server.address(25))?;
        dialogue.expect("220 ")?;
        dialogue.send("GET / HTTP/1.1")?;
    }
    wait_for_lines(&server, "kind=\"probe\"", 31)?;
    ensure!(banned(&server)?.is_empty() && is_let_in(&server, gateway)?);
    let log = server.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("a private address misbehaves")).collect();
    ensure!(told.len() == 1 && told[0].contains("peer=127.17.0.1"), "{told:?}");
    // What the operator says holds for it, too.
    server.command(&["ban", "add", "127.17.0.1"])?;
    ensure!(!is_let_in(&server, gateway)?);
    server.command(&["ban", "remove", "127.17.0.1"])?;
    ensure!(is_let_in(&server, gateway)?);
    Ok(())
}
