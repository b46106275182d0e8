//! Mail goes out: from our people, by the queue, to hosts of every temper; and what its senders hear of it.

mod arrival;
mod crash;
mod days;
mod full_disk;
mod other_hosts;
mod peers;
mod promises;
mod protection;
mod queue;
mod real_hosts;
mod reports;
mod slow;
mod ways;

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::{Internet, Server, ServerOptions};

/// A server in a small internet.
fn server_in(internet: &Internet) -> Result<Server> {
    server_with(internet, "", "", "")
}

/// The same, with more lines in `[outbound]` and `[queue]`, and further tables.
fn server_with(internet: &Internet, outbound: &str, queue: &str, tables: &str) -> Result<Server> {
    let settings = format!("{}{tables}\n", internet.settings(outbound, queue));
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// Ann submits a message with this Message-ID; the answer is the text of the 250.
fn ann_sends(server: &Server, to: &[&str], id: &str) -> Result<String> {
    server.submission(Server::ANN)?.send(Server::ANN, to, message(id).as_bytes())
}

fn message(id: &str) -> String {
    format!("From: ann@example.test\r\nSubject: outward\r\nMessage-ID: <{id}>\r\n\r\nThis is {id}.\r\n")
}

/// Runs a command that prints JSON.
fn json(server: &Server, arguments: &[&str]) -> Result<Value> {
    let mut all = vec!["--json"];
    all.extend_from_slice(arguments);
    Ok(serde_json::from_str(&server.command(&all)?)?)
}

/// What waits in the queue.
fn queued(server: &Server) -> Result<Vec<Value>> {
    let answer = json(server, &["queue", "list"])?;
    answer["messages"].as_array().cloned().with_context(|| format!("no list: {answer}"))
}

/// The name of the only message in the queue.
fn only_queued(server: &Server) -> Result<String> {
    let all = queued(server)?;
    ensure!(all.len() == 1, "{all:?}");
    Ok(all[0]["id"].as_str().context("no id")?.to_owned())
}

/// Looks again and again until something is so.
fn wait_until(what: &str, server: &Server, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = std::time::Instant::now();
    while !is_so()? {
        if begun.elapsed() > testkit::WAIT_MAX {
            bail!("{what}: it never comes so far; the queue: {:?}\n{}", queued(server), server.log());
        }
    }
    Ok(())
}

pub(crate) fn wait_until_queue_is_empty(server: &Server) -> Result<()> {
    wait_until("the queue gets empty", server, || Ok(queued(server)?.is_empty()))
}

/// Waits until the queue has noted what the last try came to.
fn wait_until_deferred(server: &Server, words: &str) -> Result<()> {
    wait_until(words, server, || {
        let all = queued(server)?;
        Ok(all.iter().any(|one| one["last"].as_str().is_some_and(|last| last.contains(words))))
    })
}

/// The messages of an INBOX, once there are so many.
fn inbox(server: &Server, person: &str, count: u64) -> Result<Vec<String>> {
    let mut imap = server.imap(person)?;
    if imap.ok("SELECT INBOX")?.number_of("EXISTS") < Some(count) {
        let tag = imap.send("IDLE")?;
        imap.dialogue.expect("+ ")?;
        loop {
            let line = imap.dialogue.line()?;
            let exists = line.strip_prefix("* ").and_then(|rest| rest.strip_suffix(" EXISTS"));
            if exists.and_then(|count| count.parse::<u64>().ok()).is_some_and(|exists| exists >= count) {
                break;
            }
        }
        imap.dialogue.send("DONE")?;
        while !imap.dialogue.line()?.starts_with(&format!("{tag} OK")) {}
    }
    let answer = imap.ok("FETCH 1:* BODY.PEEK[]")?;
    Ok(answer.literals.iter().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect())
}

/// How many messages an INBOX has now.
fn count(server: &Server, person: &str) -> Result<u64> {
    server.imap(person)?.ok("SELECT INBOX")?.number_of("EXISTS").context("no EXISTS")
}

/// A report as a stranger's parser reads it: `parts` are the types of its parts, `text` is for people, `status` has
/// the groups of fields of message/delivery-status, `returned` is what came back of the message.
fn parsed(report: &str) -> Result<Value> {
    const PARSE: &str = r#"
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert m.get_content_type() == "multipart/report", m.get_content_type()
parts = list(m.iter_parts())
assert not m.defects and not any(p.defects for p in parts), [m.defects] + [p.defects for p in parts]
groups = [{k.lower(): str(v) for k, v in g.items()} for g in parts[1].get_payload()]
print(json.dumps({
    "fields": {k.lower(): str(v) for k, v in m.items()},
    "report_type": m["content-type"].params["report-type"],
    "parts": [p.get_content_type() for p in parts],
    "text": parts[0].get_content(),
    "status": groups,
    "returned": parts[2].as_string(),
}))
"#;
    let mut child = Command::new("python3")
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(report.as_bytes())?;
    let output = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}\nof {report}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
