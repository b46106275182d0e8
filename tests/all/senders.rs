//! Who really sent it: strangers' mail is judged, ours is signed, what aliases pass on is sealed and brings its bounces back.

mod deceit;
mod forwarded;
mod lists;
mod outage;
mod signed;
mod verdicts;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use mail_types::DomainName;
use sender_auth::dkim::{KeyFor, Selector, Signer, SigningKey, SigningOptions};
use serde_json::Value;
use testkit::{Internet, Record, Server, ServerOptions, SmtpClient};

/// Whom the strangers of these stories write to.
const BOB: &str = Server::BOB;

/// A server in a small internet that checks whoever comes, with more lines in `[senders]` and `[outbound]`.
fn server_that_checks(internet: &Internet, senders: &str, outbound: &str) -> Result<Server> {
    let world = internet.settings(outbound, "");
    // These stories are of senders, not of what they say.
    let content = "[spam]\ncheck = false\n[attachments]\ncheck = false";
    let settings = format!("{world}[senders]\nunchecked_networks = []\n{senders}\n{content}\n");
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// What the server said to a message in the end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    code: String,
    text: String,
}

/// Brings a message octet for octet; the answer is the first that refuses, or the last.
fn bring(server: &Server, hello: &str, reverse_path: &str, to: &str, message: &[u8]) -> Result<Said> {
    let mut smtp = SmtpClient::connect(server.address(25))?;
    let chunk = format!("BDAT {} LAST", message.len());
    let lines = [
        format!("EHLO {hello}"),
        format!("MAIL FROM:<{reverse_path}> BODY=8BITMIME"),
        format!("RCPT TO:<{to}>"),
        chunk,
    ];
    let mut said = Said { code: String::new(), text: String::new() };
    for line in lines {
        smtp.dialogue.send(&line)?;
        if line.starts_with("BDAT") {
            smtp.dialogue.send_octets(message)?;
        }
        let (code, texts) = smtp.reply()?;
        said = Said { code, text: texts.join("\n") };
        if said.code != "250" {
            break;
        }
    }
    Ok(said)
}

/// Brings a message that must be taken.
fn bring_in(server: &Server, reverse_path: &str, to: &str, message: &[u8]) -> Result<()> {
    let said = bring(server, "client.example", reverse_path, to, message)?;
    ensure!(said.code == "250", "{said:?}\n{}", server.log());
    Ok(())
}

/// A message as it lies in a mailbox.
#[derive(Debug)]
struct Filed {
    mailbox: &'static str,
    /// The FETCH response with the flags.
    fetched: String,
    /// The message, unfolded.
    text: String,
}

impl Filed {
    /// What our Authentication-Results field says, and that there is just one.
    fn results(&self) -> Result<&str> {
        let name = "Authentication-Results: localhost;";
        let mut ours = self.header().lines().filter_map(|line| line.strip_prefix(name));
        let found = ours.next().with_context(|| format!("no results in {}", self.text))?;
        ensure!(ours.next().is_none(), "two fields of ours in {}", self.text);
        Ok(found)
    }

    fn header(&self) -> &str {
        self.text.split("\r\n\r\n").next().unwrap_or_default()
    }
}

/// Where bob's message with this Message-ID lies.
fn find(server: &Server, id: &str) -> Result<Option<Filed>> {
    let mut imap = server.imap(BOB)?;
    for mailbox in ["INBOX", "Junk"] {
        if imap.ok(&format!("SELECT {mailbox}"))?.number_of("EXISTS") == Some(0) {
            continue;
        }
        let answer = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])")?;
        for (fetched, octets) in answer.of("FETCH").zip(&answer.literals) {
            let text = unfolded(&String::from_utf8_lossy(octets));
            if text.contains(&format!("Message-ID: <{id}>")) {
                return Ok(Some(Filed { mailbox, fetched: fetched.to_owned(), text }));
            }
        }
    }
    Ok(None)
}

/// The same, of a message that must be there.
fn filed(server: &Server, id: &str) -> Result<Filed> {
    find(server, id)?.with_context(|| format!("{id} lies nowhere"))
}

fn unfolded(message: &str) -> String {
    message.replace("\r\n\t", " ").replace("\r\n ", " ")
}

/// What the record of the last message of this sender tells of its checks.
fn checks_of(server: &Server, sender: &str) -> Result<Vec<String>> {
    let told: Value = serde_json::from_str(&server.command(&["--json", "trace", sender])?)?;
    let steps = told.as_array().with_context(|| format!("no steps: {told}"))?;
    let last = steps.iter().rev().find(|step| step["step"] == "received").context("nothing was received")?;
    let lines = last["checks"].as_array().with_context(|| format!("no checks: {last}"))?;
    Ok(lines.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A new key of a domain, published.
fn key(internet: &Internet, domain: &str, selector: &str) -> Result<KeyFor> {
    let key = unpublished_key(domain, selector, SigningKey::generate_ed25519()?)?;
    publish(internet, &key)?;
    Ok(key)
}

fn unpublished_key(domain: &str, selector: &str, key: SigningKey) -> Result<KeyFor> {
    Ok(KeyFor::new(DomainName::parse(domain)?, Selector::parse(selector)?, key)?)
}

fn publish(internet: &Internet, key: &KeyFor) -> Result<()> {
    internet.names.add(key.record_name().as_str(), &Record::Text(key.key().public_record()?));
    Ok(())
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A message with a signature on top, made at a time and good for so long.
fn signed_at(message: &str, key: &KeyFor, now: u64, good_for_seconds: Option<u64>) -> Result<String> {
    let (header, body) = message.split_once("\r\n\r\n").context("no body")?;
    let header = format!("{header}\r\n");
    let options = SigningOptions { now, good_for_seconds };
    let mut signer = Signer::new(header.as_bytes(), std::slice::from_ref(key), options);
    signer.body(body.as_bytes());
    Ok(format!("{}{message}", String::from_utf8(signer.finish()?)?))
}

fn signed(message: &str, key: &KeyFor) -> Result<String> {
    signed_at(message, key, now()?, None)
}

/// A message from somebody, whose Message-ID is `ID@strangers.example`.
fn mail(from: &str, id: &str) -> String {
    format!(
        "From: {from}\r\nTo: {BOB}\r\nSubject: a letter\r\nMessage-ID: <{id}@strangers.example>\r\n\r\nThis is {id}.\r\n"
    )
}

/// A domain with an SPF record and a DMARC policy; where one is empty there is none.
fn domain(internet: &Internet, name: &str, spf: &str, dmarc: &str) {
    if !spf.is_empty() {
        internet.names.add(name, &Record::Text(spf.to_owned()));
    }
    if !dmarc.is_empty() {
        internet.names.add(&format!("_dmarc.{name}"), &Record::Text(format!("v=DMARC1; p={dmarc}")));
    }
}

/// SPF records that let the strangers of these stories send, and that do not.
const HERE: &str = "v=spf1 ip4:127.0.0.1 -all";
const NOT_HERE: &str = "v=spf1 ip4:192.0.2.1 -all";

/// Publishes the keys of our own domain, as `mailstead dkim list` shows them, and gives their records.
fn publish_ours(internet: &Internet, server: &Server) -> Result<Vec<(String, String)>> {
    let told: Value = serde_json::from_str(&server.command(&["--json", "dkim", "list"])?)?;
    let keys = told.as_array().with_context(|| format!("no keys: {told}"))?;
    let mut records = Vec::new();
    for key in keys {
        let (name, record) =
            key["name"].as_str().zip(key["record"].as_str()).with_context(|| format!("no record: {key}"))?;
        let name = name.trim_end_matches('.').to_owned();
        internet.names.add(&name, &Record::Text(record.to_owned()));
        records.push((name, record.to_owned()));
    }
    Ok(records)
}

/// Asks Debian's verifiers (`senders/peers.py`) about something, with these TXT records for all DNS there is.
fn peers(verb: &str, records: &[(String, String)], arguments: &[&str], input: &[u8]) -> Result<Value> {
    let output = peer(verb, records, arguments, input)?;
    serde_json::from_slice(&output).with_context(|| String::from_utf8_lossy(&output).into_owned())
}

fn peer(verb: &str, records: &[(String, String)], arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    let lines = records.iter().map(|(name, record)| format!("{name} {record}\n"));
    std::fs::write(file.path(), lines.collect::<String>())?;
    // Debian's own Python has Debian's packages, whatever else is first in the path.
    let mut child = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/all/senders/peers.py"))
        .args([verb.as_ref(), file.path().as_os_str()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}
