//! What leaves is signed, and the verifiers of others agree: dkimpy and OpenDKIM, pyspf, OpenDMARC.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Internet, Received, Record, Server, WAIT_MAX};

use super::{HERE, bring_in, domain, mail, peers, publish_ours, server_that_checks, unfolded};
use crate::debian::{OpenDkim, Postfix, TakesMail};

/// A body that each canonicalization and each dot on the wire could spoil.
const ODD_BODY: &str = ".\r\n..dots\r\n two  blanks \t\r\nFrom here\r\n\r\n\r\n";

/// What OpenDKIM says of a message.
fn opendkim(records: &[(String, String)], message: &[u8]) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    let lines = records.iter().map(|(name, record)| format!("{name} {record}\n"));
    std::fs::write(place("keys"), lines.collect::<String>())?;
    std::fs::write(
        place("conf"),
        format!("Syslog no\nMode v\nTestPublicKeys {}\n", place("keys").display()),
    )?;
    std::fs::write(place("message"), message)?;
    let output = Command::new("/usr/sbin/opendkim")
        .arg("-x")
        .arg(place("conf"))
        .arg("-t")
        .arg(place("message"))
        .arg("-vv")
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Demands that both keys of a domain signed a message and that everybody agrees on it.
fn ensure_signed_by(domain: &str, records: &[(String, String)], message: &[u8]) -> Result<()> {
    let said = peers("verify", records, &[], message)?;
    let signatures = said["dkim"].as_array().context("no list")?;
    let of = |algorithm: &str| {
        let is_it = |one: &&Value| one["algorithm"] == algorithm && one["domain"] == domain;
        signatures.iter().filter(is_it).filter(|one| one["passes"] == true).count()
    };
    ensure!(signatures.len() == 2, "{said}");
    let text = opendkim(records, message)?;
    for algorithm in ["rsa-sha256", "ed25519-sha256"] {
        ensure!(of(algorithm) == 1, "{said}\n{}", String::from_utf8_lossy(message));
        let passes =
            |line: &str| line.contains("dkim=pass") && line.contains(&format!("header.a={algorithm}"));
        ensure!(text.lines().any(passes), "{text}");
    }
    Ok(())
}

/// Demands that others find a message changed.
fn ensure_broken(records: &[(String, String)], message: &[u8]) -> Result<()> {
    let said = peers("verify", records, &[], message)?;
    let is_none_good =
        said["dkim"].as_array().is_some_and(|all| all.iter().all(|one| one["passes"] == false));
    let text = opendkim(records, message)?;
    ensure!(is_none_good && !text.contains("dkim=pass"), "{said}\n{text}");
    Ok(())
}

/// What pyspf says of how a message was brought.
fn spf_of(records: &[(String, String)], received: &Received) -> Result<Value> {
    let sender = received.sender.split(['<', '>']).nth(1).context("no sender")?;
    peers("spf", records, &["127.0.0.1", sender, &received.hello], b"")
}

fn dmarc_of(records: &[(String, String)], author: &str, spf: &str, dkim: &str) -> Result<Value> {
    Ok(peers("dmarc", records, &[author, spf, dkim], b"")?["policy"].clone())
}

#[test]
fn what_our_people_send_is_proven_to_others() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_that_checks(&internet, "", "")?;
    let mut records = publish_ours(&internet, &server)?;
    ensure!(records.len() == 2, "quickstart makes two keys: {records:?}");
    records.push(("example.test".to_owned(), HERE.to_owned()));
    records.push(("_dmarc.example.test".to_owned(), "v=DMARC1; p=reject; aspf=s; adkim=s".to_owned()));
    let letter = format!("From: Ann <{}>\r\nSubject: odd\r\n  folded\r\n\r\n{ODD_BODY}", Server::ANN);
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], letter.as_bytes())?;
    let received = &host.wait_for(1)?[0];
    ensure_signed_by("example.test", &records, &received.octets)?;
    ensure_broken(&records, &[&received.octets[..], b"PS: send money\r\n"].concat())?;
    let added = [&b"From: Bob <bob@example.test>\r\n"[..], &received.octets].concat();
    ensure!(peers("verify", &records, &[], &added)?["dkim"][0]["passes"] == false, "a second From");

    let spf = spf_of(&records, received)?;
    ensure!(spf["result"] == "pass", "{spf}");
    for (spf, dkim, expected) in [
        ("example.test", "example.test", "pass"),
        ("", "example.test", "pass"),
        ("example.test", "", "pass"),
        ("far.example", "far.example", "reject"),
    ] {
        let said = dmarc_of(&records, "example.test", spf, dkim)?;
        ensure!(said == expected, "{spf} {dkim}: {said}");
    }
    Ok(())
}

#[test]
fn each_domain_signs_with_keys_of_its_own() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_that_checks(&internet, "", "")?;
    server.command(&["domain", "add", "second.test"])?;
    let carl = "carl@second.test";
    server.command(&["account", "add", carl, "--password", Server::PASSWORD])?;
    let records = publish_ours(&internet, &server)?;
    ensure!(records.len() == 4, "{records:?}");
    for (count, person, domain) in [(1, carl, "second.test"), (2, Server::ANN, "example.test")] {
        let letter = format!("From: {person}\r\nSubject: whose?\r\n\r\n{ODD_BODY}");
        server.submission(person)?.send(person, &["eve@far.example"], letter.as_bytes())?;
        let received = &host.wait_for(count)?[count - 1];
        ensure_signed_by(domain, &records, &received.octets)?;
    }
    Ok(())
}

#[test]
fn one_of_us_believes_what_another_sends() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_that_checks(&internet, "", "")?;
    publish_ours(&internet, &server)?;
    domain(&internet, "example.test", HERE, "reject");
    let id = "one@strangers.example";
    let letter = format!("From: {}\r\nMessage-ID: <{id}>\r\n\r\n{ODD_BODY}", Server::ANN);
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], letter.as_bytes())?;
    let received = &host.wait_for(1)?[0];
    // Another server, with accounts of the same names: to it, this is a stranger's mail.
    let other = server_that_checks(&internet, "", "")?;
    bring_in(&other, Server::ANN, Server::BOB, &received.octets)?;
    let filed = super::filed(&other, id)?;
    let results = filed.results()?;
    ensure!(results.matches("dkim=pass").count() == 2 && results.contains("dmarc=pass"), "{results}");
    Ok(())
}

#[test]
fn reports_on_delivery_are_signed() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("strangers.example")?);
    // Whom nothing proves is told nothing.
    internet.names.add("strangers.example", &Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    far.refuse("gone@far.example", "550 5.1.1 unheard of");
    let server = server_that_checks(&internet, "", "report_from = \"postmaster@example.test\"")?;
    let records = publish_ours(&internet, &server)?;
    server.command(&["alias", "add", "friend@example.test", "gone@far.example"])?;
    let letter = mail("eve@strangers.example", "refused");
    bring_in(&server, "eve@strangers.example", "friend@example.test", letter.as_bytes())?;
    let report = &home.wait_for(1)?[0];
    ensure!(report.sender.starts_with("<>"), "{report:?}");
    ensure!(report.text().contains("multipart/report"), "{}", report.text());
    ensure_signed_by("example.test", &records, &report.octets)
}

#[test]
fn a_key_that_is_taken_up_from_elsewhere_signs() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_that_checks(&internet, "", "")?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().context("a path")?;
    let made = Command::new("/usr/sbin/opendkim-genkey")
        .args(["-d", "example.test", "-s", "mail", "-b", "2048", "-D", path])
        .status()?;
    ensure!(made.success());
    server.command(&["dkim", "import", "example.test", "mail", &format!("{path}/mail.private")])?;
    let zone = std::fs::read_to_string(directory.path().join("mail.txt"))?;
    let published: String = zone.split('"').skip(1).step_by(2).collect();
    let name = "mail._domainkey.example.test";
    internet.names.add(name, &Record::Text(published.clone()));
    let letter = format!("From: {}\r\n\r\n{ODD_BODY}", Server::ANN);
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], letter.as_bytes())?;
    let received = &host.wait_for(1)?[0];
    let said = opendkim(&[(name.to_owned(), published)], &received.octets)?;
    ensure!(said.contains("dkim=pass") && said.contains("header.s=mail"), "{said}");
    Ok(())
}

#[test]
fn a_key_that_is_too_short_is_refused_with_a_way_out() -> Result<()> {
    let server = Server::start(testkit::ServerOptions::default())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().context("a path")?;
    let made = Command::new("/usr/sbin/opendkim-genkey")
        .args(["-d", "example.test", "-s", "old", "-b", "1024", "-D", path])
        .status()?;
    ensure!(made.success());
    let said =
        server.try_command(&["dkim", "import", "example.test", "old", &format!("{path}/old.private")])?;
    let words = String::from_utf8_lossy(&said.stderr);
    ensure!(!said.status.success(), "{said:?}");
    for part in ["1024 bits", "2048", "mailstead dkim generate example.test --wait", "leave old in DNS"] {
        ensure!(words.contains(part), "{part} is not in {words}");
    }
    // The way out, as told.
    let made = server.command(&["dkim", "generate", "example.test", "--wait"])?;
    ensure!(made.contains("_domainkey.example.test"), "{made}");
    Ok(())
}

#[test]
fn a_postfix_with_opendkim_believes_both_signatures() -> Result<()> {
    let mut internet = Internet::start()?;
    let address = internet.address()?;
    internet.names.add("real.example", &Record::MailExchanger(10, "mx.real.example".into()));
    internet.names.add("mx.real.example", &Record::Address(address.ip()));
    let server = server_that_checks(&internet, "", "")?;
    let records = publish_ours(&internet, &server)?;
    let milter = OpenDkim::that_verifies(&records)?;
    let (certificate, key) = (server.certificate(), server.certificate().with_file_name("key.pem"));
    let postfix =
        Postfix::that_takes_through(&milter.socket(), "real.example", address, (&certificate, &key))?;
    let letter = format!("From: Ann <{}>\r\nSubject: odd\r\n  folded\r\n\r\n{ODD_BODY}", Server::ANN);
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@real.example"], letter.as_bytes())?;
    let begun = std::time::Instant::now();
    while postfix.kept()?.is_empty() {
        ensure!(begun.elapsed() < WAIT_MAX, "{}\n{}", server.log(), postfix.log());
        std::thread::yield_now();
    }
    let kept = std::fs::read_to_string(&postfix.kept()?[0])?.replace('\n', "\r\n");
    let text = unfolded(&kept);
    let name = format!("Authentication-Results: {};", OpenDkim::NAME);
    let results = text.lines().find_map(|line| line.strip_prefix(&name)).with_context(|| text.clone())?;
    ensure!(results.matches("dkim=pass").count() == 2 && !results.contains("fail"), "{results}");
    for algorithm in ["rsa-sha256", "ed25519-sha256"] {
        ensure!(results.contains(&format!("header.a={algorithm}")), "{results}");
    }
    Ok(())
}
