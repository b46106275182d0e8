//! Guessing: one account from a thousand addresses, a thousand names from one address; bans that grow, outlive a restart
//! and are an operator's to set and to lift.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::{Server, ServerOptions};

use super::{banned, guess, is_let_in, json, server_among_strangers, wait_for_lines};
use crate::clock::MovedClock;

/// What whoever is no friend of an account under attack waits for each try.
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Logs in as the owner from where the owner always does, without the delay of strangers.
fn owner_logs_in(server: &Server) -> Result<()> {
    let begun = Instant::now();
    drop(server.imap(Server::ANN)?);
    ensure!(begun.elapsed() < LONGEST_DELAY, "the owner was delayed: {:?}", begun.elapsed());
    Ok(())
}

#[test]
fn a_thousand_addresses_do_not_keep_the_owner_out() -> Result<()> {
    let server = server_among_strangers(Vec::new())?;
    owner_logs_in(&server)?;
    let crowd = (0..250).flat_map(|net| (1..=4).map(move |host| Ipv4Addr::new(127, 1, net, host)));
    for (number, source) in crowd.enumerate() {
        ensure!(guess(&server, source, Server::ANN)?, "{source} was not let in");
        if number % 250 == 0 {
            owner_logs_in(&server)?;
        }
    }
    wait_for_lines(&server, "kind=\"wrong-password\"", 1_000)?;
    owner_logs_in(&server)?;
    ensure!(banned(&server)?.is_empty(), "few guesses of each are nobody's ban");
    // Now the owner's own neighbours, until all of their network is banned.
    let mut neighbours = 10..190;
    while guess(&server, Ipv4Addr::new(127, 0, 0, neighbours.next().context("none left")?), Server::ANN)? {}
    // Eighty, and some for what drains away meanwhile and for those who are counted a moment after they left.
    ensure!(neighbours.start > 90 && banned(&server)? == ["127.0.0.0/24"], "{neighbours:?}");
    ensure!(!is_let_in(&server, Ipv4Addr::new(127, 0, 0, 200))?);
    ensure!(is_let_in(&server, Ipv4Addr::new(127, 0, 1, 1))?);
    owner_logs_in(&server)
}

#[test]
fn who_tries_a_thousand_names_gets_to_five() -> Result<()> {
    let mut server = server_among_strangers(Vec::new())?;
    let guesser = Ipv4Addr::new(127, 9, 9, 9);
    let mut tried = 0;
    for number in 0..1_000 {
        if !guess(&server, guesser, &format!("person{number}@example.test"))? {
            break;
        }
        tried += 1;
        wait_for_lines(&server, "kind=\"unknown-name\"", tried)?;
    }
    ensure!(tried == 5, "{tried} names were tried");
    let bans = json(&server, &["ban", "list"])?;
    ensure!(bans[0]["network"] == "127.9.9.9/32" && bans[0]["reason"] == "unknown-name", "{bans}");
    ensure!(bans[0]["set_by"] == "counting" && bans[0]["until"].is_string(), "{bans}");
    drop(server.imap(Server::ANN)?);
    server.stop()?;
    server.up()?;
    ensure!(!is_let_in(&server, guesser)?, "a restart has lifted the ban");
    server.command(&["ban", "remove", "127.9.9.9"])?;
    ensure!(is_let_in(&server, guesser)?);
    Ok(())
}

#[test]
fn bans_are_longer_each_time() -> Result<()> {
    let clock = MovedClock::new()?;
    let server = server_among_strangers(clock.environment())?;
    let guesser = Ipv4Addr::new(127, 9, 9, 9);
    for number in 0..5 {
        ensure!(guess(&server, guesser, &format!("person{number}@example.test"))?);
        wait_for_lines(&server, "kind=\"unknown-name\"", number + 1)?;
    }
    wait_for_lines(&server, "banned network=127.9.9.9/32 seconds=600 times=1", 1)?;
    clock.set(Duration::from_secs(9 * 60))?;
    ensure!(!is_let_in(&server, guesser)?);
    clock.set(Duration::from_secs(11 * 60))?;
    ensure!(is_let_in(&server, guesser)?);
    // One more chance, not a clean sheet.
    ensure!(guess(&server, guesser, "person5@example.test")?);
    wait_for_lines(&server, "banned network=127.9.9.9/32 seconds=2400 times=2", 1)?;
    clock.set(Duration::from_secs(50 * 60))?;
    ensure!(!is_let_in(&server, guesser)?);
    clock.set(Duration::from_secs(53 * 60))?;
    ensure!(is_let_in(&server, guesser)?);
    Ok(())
}

#[test]
fn an_operator_bans_beside_a_running_server_and_without_one() -> Result<()> {
    let mut server = Server::start(ServerOptions::default())?;
    let (inside, outside) = (Ipv4Addr::new(127, 9, 9, 9), Ipv4Addr::new(127, 9, 10, 9));
    server.command(&["ban", "add", "127.9.9.0/24", "--for", "2h", "--reason", "sends nothing but spam"])?;
    ensure!(!is_let_in(&server, inside)? && is_let_in(&server, outside)?);
    let failed = server.try_command(&["ban", "remove", "127.9.9.9"])?;
    let why = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(!failed.status.success() && why.contains("127.9.9.0/24 around it is"), "{why}");
    server.stop()?;
    server.command(&["ban", "add", "127.9.10.9"])?;
    let bans = json(&server, &["ban", "list"])?;
    ensure!(bans[0]["reason"] == "sends nothing but spam" && bans[0]["set_by"] == "operator", "{bans}");
    ensure!(bans[1]["network"] == "127.9.10.9/32" && bans[1]["until"].is_null(), "{bans}");
    server.command(&["ban", "remove", "127.9.9.0/24"])?;
    server.up()?;
    ensure!(is_let_in(&server, inside)? && !is_let_in(&server, outside)?);
    for wrong in ["0.0.0.0/0", "127.9.9.9/24", "somewhere"] {
        ensure!(!server.try_command(&["ban", "add", wrong])?.status.success(), "{wrong}");
    }
    ensure!(
        !server.try_command(&["ban", "add", "127.9.11.9", "--for", "0s"])?.status.success(),
        "for no time"
    );
    Ok(())
}
