//! Strangers before their mail is seen, by the whole program: lists well and ill, who has to come again and does so after a
//! restart, traps, a host that cannot wait. Strangers come by a load balancer's header from addresses of the Internet.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::{Dialogue, Humour, Internet, Record, Server, ServerOptions, Signing, WAIT_MAX};

use crate::attacks::wait_for_lines;
use crate::clients::{run, wait_for_messages};
use crate::clock::MovedClock;
use crate::debian::Postfix;

const EVE: &str = "eve@elsewhere.example";
/// A host whose name agrees, and one without a name.
const GOOD: &str = "11.0.0.7";
const NAMELESS: &str = "11.9.9.9";
/// The type of records that name addresses (RFC 1035 §3.2.2).
const PTR: u16 = 12;

/// A small internet in which elsewhere.example sends from [`GOOD`], and with the list of addresses bl.example.
fn internet() -> Result<Internet> {
    let internet = Internet::start()?;
    let names = &internet.names;
    names.add_raw("7.0.0.11.in-addr.arpa", PTR, b"\x02mx\x09elsewhere\x07example\0".to_vec());
    names.add("mx.elsewhere.example", &Record::Address([11, 0, 0, 7].into()));
    names.add("elsewhere.example", &Record::Text("v=spf1 ip4:11.0.0.0/8 -all".into()));
    Ok(internet)
}

/// A list that has what every list has.
fn list(internet: &mut Internet, zone: &str) -> Result<()> {
    internet.names.zone(zone, Signing::Unsigned)?;
    internet.names.add(&format!("2.0.0.127.{zone}"), &Record::Address([127, 0, 0, 2].into()));
    Ok(())
}

fn options(internet: &Internet, screen: &str) -> ServerOptions {
    let world = internet.settings("", "");
    let screen = format!("{world}[screen]\ngreet_pause = 0\ndomain_lists = []\n{screen}\n");
    let environment = vec![("MAILSTEAD_LISTEN_PROXY_NETWORKS".into(), "127.0.0.0/8".into())];
    ServerOptions { settings: screen, environment, ..ServerOptions::default() }
}

/// Brings a message to ann from an address of the Internet; the answer in the end.
fn bring(server: &Server, from: &str, sender: &str, recipient: &str) -> Result<String> {
    bring_text(server, from, (sender, recipient), "x")
}

fn bring_text(server: &Server, from: &str, (sender, recipient): (&str, &str), text: &str) -> Result<String> {
    let mut smtp = Dialogue::connect(server.address(25))?;
    smtp.send(&format!("PROXY TCP4 {from} 11.255.255.1 1000 25"))?;
    smtp.expect("220 ")?;
    for line in
        ["HELO mx.elsewhere.example", &format!("MAIL FROM:<{sender}>"), &format!("RCPT TO:<{recipient}>")]
    {
        smtp.send(line)?;
        let said = smtp.line()?;
        if !said.starts_with("250") {
            return Ok(said);
        }
    }
    smtp.send("DATA")?;
    smtp.expect("354 ")?;
    smtp.send(&format!("From: {sender}\r\nSubject: x\r\n\r\n{text}\r\n."))?;
    smtp.line()
}

/// Sends a message of one of our people from this machine.
fn submit(server: &Server, from: &str, to: &str) -> Result<()> {
    let mut smtp = Dialogue::connect(server.address(587))?;
    smtp.send("PROXY UNKNOWN")?;
    smtp.expect("220 ")?;
    smtp.send("HELO laptop")?;
    smtp.expect("250 ")?;
    let token = STANDARD.encode(format!("\0{from}\0{}", Server::PASSWORD));
    let (path, recipient) = (format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"));
    let message = format!("From: {from}\r\nSubject: hello\r\n\r\nhello\r\n.");
    let steps = [
        (format!("AUTH PLAIN {token}"), "235 "),
        (path, "250 "),
        (recipient, "250 "),
        ("DATA".into(), "354 "),
    ];
    for (line, expected) in steps.into_iter().chain([(message, "250 ")]) {
        smtp.send(&line)?;
        smtp.expect(expected)?;
    }
    Ok(())
}

fn json(server: &Server, command: &[&str]) -> Result<Value> {
    let told = server.command(&[&["--json"], command].concat())?;
    serde_json::from_str(&told).with_context(|| told.clone())
}

/// What the record tells of a message, as soon as it tells this.
fn traced(server: &Server, what: &str, word: &str) -> Result<String> {
    let begun = std::time::Instant::now();
    loop {
        let told = json(server, &["trace", what])?.to_string();
        if told.contains(word) {
            return Ok(told);
        }
        ensure!(begun.elapsed() < WAIT_MAX, "nothing of {word} in {told}");
    }
}

/// The state of a list, once it has been tested.
fn state(server: &Server, zone: &str) -> Result<(String, String)> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < WAIT_MAX {
        let told = json(server, &["screen", "status"])?;
        let lists = told["lists"].as_array().context("no lists")?;
        let found = lists.iter().find(|list| list["list"] == zone).with_context(|| told.to_string())?;
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        if text("state") != "untested" {
            return Ok((text("state"), text("why")));
        }
    }
    anyhow::bail!("{zone} is not tested")
}

#[test]
fn lists_are_asked_while_they_can_be_believed() -> Result<()> {
    let mut internet = internet()?;
    for zone in ["bl.example", "mad.example", "shy.example", "dead.example"] {
        list(&mut internet, zone)?;
    }
    let names = &internet.names;
    names.add("7.0.0.11.bl.example", &Record::Address([127, 0, 0, 4].into()));
    names.add("7.0.0.11.bl.example", &Record::Text("see https://bl.example/".into()));
    // One lists everybody, one refuses to answer, one is silent.
    for zone in ["mad.example", "shy.example"] {
        names.add(&format!("7.0.0.11.{zone}"), &Record::Address([127, 0, 0, 2].into()));
        names.add(&format!("9.9.9.11.{zone}"), &Record::Address([127, 0, 0, 2].into()));
    }
    names.add("1.0.0.127.mad.example", &Record::Address([127, 0, 0, 2].into()));
    names.clear("2.0.0.127.shy.example");
    names.add("2.0.0.127.shy.example", &Record::Address([127, 255, 255, 254].into()));
    let dead = names.responsible("dead.example").context("dead.example")?;
    names.set_humour(dead, Humour::Silent);
    let lists = "lists = [\"bl.example refuse\", \"mad.example refuse\", \"shy.example refuse\", \"dead.example refuse\"]";
    let server = Server::start(options(&internet, &format!("greylist = \"off\"\n{lists}")))?;
    for (zone, expected, why) in [
        ("bl.example", "healthy", ""),
        ("mad.example", "off", "it lists everybody"),
        ("shy.example", "off", "resolver of one's own"),
        ("dead.example", "off", ""),
    ] {
        let found = state(&server, zone)?;
        ensure!(found.0 == expected && found.1.contains(why), "{zone}: {found:?}");
    }
    let said = bring(&server, GOOD, EVE, Server::ANN)?;
    ensure!(said == "554 5.7.1 11.0.0.7 is listed by bl.example: see https://bl.example/", "{said}");
    let said = bring(&server, NAMELESS, EVE, Server::ANN)?;
    ensure!(said.starts_with("250"), "{said}");
    let log = server.log();
    ensure!(log.matches("a list is not asked until it is well again").count() == 3, "{log}");
    Ok(())
}

#[test]
fn who_comes_again_after_a_restart_is_taken() -> Result<()> {
    let internet = internet()?;
    let clock = MovedClock::new()?;
    let mut options = options(&internet, "lists = []");
    options.environment.extend(clock.environment());
    let mut server = Server::start(options)?;
    let said = bring(&server, NAMELESS, "eve@nospf.example", Server::ANN)?;
    ensure!(said.starts_with("451 4.7.1 Greylisted: come again in "), "{said}");
    traced(&server, "eve@nospf.example", "asked to come again, for REVERSE_NAME_MISSING")?;
    // Nobody has anything against a host whose name and SPF agree.
    let said = bring(&server, GOOD, EVE, Server::ANN)?;
    ensure!(said.starts_with("250"), "{said}");
    server.stop()?;
    clock.set(Duration::from_secs(301))?;
    server.up()?;
    let said = bring(&server, NAMELESS, "eve@nospf.example", Server::ANN)?;
    ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    let said = bring(&server, NAMELESS, "other@nospf.example", Server::BOB)?;
    ensure!(said.starts_with("250"), "known by now: {said}");
    Ok(())
}

#[test]
fn whom_our_people_write_to_need_not_come_again() -> Result<()> {
    let internet = internet()?;
    let server = Server::start(options(&internet, "lists = []\ngreylist = \"all\""))?;
    let said = bring(&server, GOOD, EVE, Server::ANN)?;
    ensure!(said.starts_with("451"), "{said}");
    submit(&server, Server::ANN, EVE)?;
    let said = bring(&server, GOOD, EVE, Server::BOB)?;
    ensure!(said.starts_with("451"), "bob did not write to her: {said}");
    let said = bring(&server, GOOD, EVE, Server::ANN)?;
    ensure!(said.starts_with("250"), "{said}");
    Ok(())
}

#[test]
fn traps_are_set_by_commands_and_remember() -> Result<()> {
    let internet = internet()?;
    let screen = "lists = [\"bl.example\"]\ntraps = [\"Lost@example.test\"]\ngreylist = \"off\"";
    let mut server = Server::start(options(&internet, screen))?;
    server.command(&["screen", "trap", "add", "old@example.test"])?;
    for (address, why) in
        [(Server::ANN, "somebody's address"), ("old@elsewhere.example", "no domain of ours")]
    {
        let refused = server.command(&["screen", "trap", "add", address]);
        ensure!(refused.is_err_and(|error| format!("{error:#}").contains(why)), "{address}");
    }
    let said = bring(&server, GOOD, EVE, "old@example.test")?;
    ensure!(said.starts_with("250"), "{said}");
    // The memory is on disk, and commands work without a server.
    server.stop()?;
    let traps = json(&server, &["screen", "trap", "list"])?;
    for (at, address, by) in [(0, "lost@example.test", "settings"), (1, "old@example.test", "command")] {
        ensure!(traps[at]["address"] == address && traps[at]["set_by"] == by, "{traps}");
    }
    let told = json(&server, &["screen", "status"])?;
    ensure!(told["lists"][0]["state"] == "untested", "{told}");
    server.up()?;
    ensure!(bring(&server, GOOD, EVE, Server::ANN)?.starts_with("250"));
    traced(&server, Server::ANN, "TRAPPED_ADDRESS")?;
    server.command(&["screen", "trap", "remove", "old@example.test"])?;
    let said = bring(&server, GOOD, EVE, "old@example.test")?;
    ensure!(said.starts_with("550 5.1.1"), "{said}");
    Ok(())
}

/// Names somebody who is not here; the answer, or why there is none.
fn name_unknown(server: &Server, from: &str, sender: &str, number: usize) -> Result<String> {
    let mut smtp = Dialogue::connect(server.address(25))?;
    smtp.send(&format!("PROXY TCP4 {from} 11.255.255.1 1000 25"))?;
    let greeting = smtp.line()?;
    if !greeting.starts_with("220 ") {
        return Ok(greeting);
    }
    for line in ["HELO mx.elsewhere.example", &format!("MAIL FROM:<{sender}>")] {
        smtp.send(line)?;
        smtp.expect("250 ")?;
    }
    smtp.send(&format!("RCPT TO:<gone{number}@example.test>"))?;
    smtp.line()
}

#[test]
fn a_list_with_old_addresses_goes_on_and_who_guesses_names_does_not() -> Result<()> {
    let internet = internet()?;
    let mut options = options(&internet, "lists = []\ngreylist = \"off\"");
    // Ten unknown people.
    options.environment.push(("MAILSTEAD_AUTH_FAILURES_MAX".into(), "2".into()));
    let server = Server::start(options)?;
    // One name for four messages, and some more: what was brought is noted a moment after it was taken.
    for _ in 0..72 {
        let said = bring(&server, GOOD, EVE, Server::ANN)?;
        ensure!(said.starts_with("250"), "{said}");
    }
    // One of four and some: what was taken fades from the first second on.
    for number in 0..14 {
        let said = name_unknown(&server, GOOD, EVE, number)?;
        ensure!(said.starts_with("550 5.1.1"), "{number}: {said}");
    }
    ensure!(bring(&server, GOOD, EVE, Server::ANN)?.starts_with("250"), "wanted mail goes on");
    // Another brings one message that is taken, and then guesses.
    let (guesser, spammer) = ("11.7.7.7", "once@spam.example");
    ensure!(bring(&server, guesser, spammer, Server::ANN)?.starts_with("250"));
    let mut answers: Vec<String> = Vec::new();
    // What is forgiven while time passes are some names, not many.
    while answers.len() < 30 && !answers.last().is_some_and(|said| said.starts_with("421 ")) {
        answers.push(name_unknown(&server, guesser, spammer, answers.len())?);
    }
    let named = answers.iter().filter(|said| said.starts_with("550 5.1.1")).count();
    ensure!(named >= 10 && named == answers.len() - 1, "{answers:?}");
    wait_for_lines(&server, "banned network=11.7.7.7/32", 1)?;
    ensure!(!server.log().contains("peer=11.0.0.7 kind=\"unknown-target\""), "{}", server.log());
    Ok(())
}

#[test]
fn real_hosts_wait_for_their_turn() -> Result<()> {
    let internet = internet()?;
    // swaks waits for the greeting, and sends together what may be sent together.
    let mut options = options(&internet, "lists = []");
    options.settings = options.settings.replace("greet_pause = 0", "greet_pause = 1");
    let server = Server::start(options)?;
    let port = server.address(25).port().to_string();
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &port, "--timeout", "60", "--pipeline", "--silent", "2"]);
    swaks.args(["--helo", "mx.elsewhere.example", "--from", EVE, "--to", Server::ANN]);
    swaks.args(["--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", GOOD]);
    swaks.args(["--proxy-source-port", "1000", "--proxy-dest", "11.255.255.1", "--proxy-dest-port", "25"]);
    run(&mut swaks)?;
    let told = traced(&server, EVE, "taken: ")?;
    ensure!(!told.contains("screen:"), "{told}");

    let settings = internet.settings("", "");
    let settings =
        format!("{settings}[senders]\nunchecked_networks = []\n[screen]\nlists = []\ndomain_lists = []\n");
    let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
    let postfix = Postfix::that_sends_to(server.address(25).port())?;
    let message = format!("From: {EVE}\r\nSubject: x\r\n\r\nHello.\r\n");
    postfix.send(EVE, &[Server::ANN, Server::BOB], &message)?;
    wait_for_messages(&server, Server::BOB, "INBOX", 1)?;
    let told = traced(&server, EVE, "taken: ")?;
    ensure!(!told.contains("screen:"), "{told}");
    Ok(())
}

#[test]
fn where_links_lead_is_asked_of_lists_of_domains() -> Result<()> {
    let mut internet = internet()?;
    for (zone, names) in
        [("dbl.example", ["test", "shop.example"]), ("dwl.example", ["test", "friend.example"])]
    {
        internet.names.zone(zone, Signing::Unsigned)?;
        for name in names {
            internet.names.add(&format!("{name}.{zone}"), &Record::Address([127, 0, 1, 2].into()));
        }
    }
    // What it thinks less of.
    for name in ["elsewhere.example", "garden.example"] {
        internet.names.add(&format!("{name}.dbl.example"), &Record::Address([127, 0, 1, 3].into()));
    }
    let mut options = options(&internet, "lists = []\ngreylist = \"off\"");
    let list = "domain_lists = [\"dbl.example=127.0.1.3*1\", \"dbl.example=127.0.1.2*5 refuse\", \"dwl.example*-9\"]";
    options.settings = options.settings.replace("domain_lists = []", list);
    let server = Server::start(options)?;
    ensure!(state(&server, "dbl.example")?.0 == "healthy" && state(&server, "dwl.example")?.0 == "healthy");
    let parties = (EVE, Server::ANN);
    // What a list says of a link is one reason among others, whatever it does to senders.
    let text = "See http://garden.example/ or http://www.shop.example/gnomes today.";
    let said = bring_text(&server, GOOD, parties, text)?;
    ensure!(said.starts_with("250 "), "{said}");
    // It counts once, as heavily as it can.
    let told = traced(&server, EVE, "a link leads to shop.example, which is listed by dbl.example")?;
    ensure!(told.contains("+5.00 LIST_DBL_EXAMPLE"), "{told}");
    // Anybody can link to a good friend.
    let other = "zoe@elsewhere.example";
    bring_text(&server, GOOD, (other, Server::ANN), "See http://www.friend.example/garden today.")?;
    let told = traced(&server, other, "content: score")?;
    ensure!(!told.contains("LIST_DWL"), "{told}");
    // Of more than are asked a few are drawn by lot: harmless ones in front do not hide the last one for long.
    let many: String = (0..25).map(|number| format!("http://decoy{number}.example/ ")).collect();
    for number in 0..10 {
        let another = format!("zoe{number}@garden.example");
        bring_text(&server, GOOD, (&another, Server::ANN), &format!("{many} http://shop.example/"))?;
        if traced(&server, &another, "content: score")?.contains("a link leads to shop.example") {
            return Ok(());
        }
    }
    anyhow::bail!("of 26 domains the last one was never among the 20 that are asked");
}

#[test]
fn a_host_that_cannot_wait_is_seen() -> Result<()> {
    let internet = internet()?;
    let screen = "lists = []\ngreylist = \"off\"\nearly_talkers = \"refuse\"";
    let mut options = options(&internet, screen);
    options.settings = options.settings.replace("greet_pause = 0", "greet_pause = 60");
    let server = Server::start(options)?;
    let mut smtp = Dialogue::connect(server.address(25))?;
    smtp.send(&format!("PROXY TCP4 {GOOD} 11.255.255.1 1000 25\r\nHELO mx.elsewhere.example"))?;
    smtp.expect("220 ")?;
    smtp.expect("250 ")?;
    smtp.send(&format!("MAIL FROM:<{EVE}>"))?;
    smtp.expect("250 ")?;
    smtp.send(&format!("RCPT TO:<{}>", Server::ANN))?;
    smtp.expect("554 5.5.1 ")?;
    Ok(())
}
