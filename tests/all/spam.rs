//! Mail is judged by what it says: where it goes for whom, what people are told of that, and what the filter learns from them.

mod asked_for;
mod attacked;
mod judged;
mod taught;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Internet, Server, ServerOptions, SmtpClient};

const ANN: &str = Server::ANN;
const BOB: &str = Server::BOB;
const EVE: &str = "eve@strangers.example";

/// The line that every filter takes for spam, so that it can be seen at work.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// A server in a small internet that judges whoever comes.
struct House {
    server: Server,
    internet: Internet,
}

impl House {
    /// With these lines in `[spam]`.
    fn new(spam: &str) -> Result<Self> {
        Self::build(spam, "")
    }

    /// With further tables, too.
    fn build(spam: &str, tables: &str) -> Result<Self> {
        let internet = Internet::start()?;
        let world = internet.settings("", "");
        let settings = format!(
            "{world}[senders]\nunchecked_networks = []\n[spam]\ntime_max = \"5m\"\n{spam}\n{tables}\n"
        );
        let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
        Ok(Self { server, internet })
    }

    /// Brings a message; the code and the text of the last reply.
    fn bring(&self, from: &str, to: &[&str], message: &str) -> Result<(String, String)> {
        let mut smtp = self.server.smtp()?;
        bring_by(&mut smtp, from, to, message)
    }

    /// Brings a message that is taken.
    fn take(&self, from: &str, to: &[&str], message: &str) -> Result<()> {
        let (code, text) = self.bring(from, to, message)?;
        ensure!(code == "250", "{code} {text}\n{}", self.server.log());
        Ok(())
    }

    /// What lies in a mailbox: flags and text of each message.
    fn lying(&self, who: &str, mailbox: &str) -> Result<Vec<(String, String)>> {
        let mut imap = self.server.imap(who)?;
        let selected = imap.command(&format!("SELECT \"{mailbox}\""))?;
        if selected.number_of("EXISTS").unwrap_or(0) == 0 {
            return Ok(Vec::new());
        }
        let answer = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])")?;
        let texts = answer.literals.iter().map(|octets| String::from_utf8_lossy(octets).into_owned());
        Ok(answer.of("FETCH").map(str::to_owned).zip(texts).collect())
    }

    /// The subjects of what lies in a mailbox.
    fn subjects(&self, who: &str, mailbox: &str) -> Result<Vec<String>> {
        let lying = self.lying(who, mailbox)?;
        Ok(lying.iter().map(|(_, text)| field(text, "Subject").unwrap_or_default().to_owned()).collect())
    }

    /// What the record of the last message from this sender says of its checks.
    fn record(&self, sender: &str) -> Result<String> {
        let told: Value = serde_json::from_str(&self.server.command(&["--json", "trace", sender])?)?;
        let steps = told.as_array().with_context(|| format!("no steps: {told}"))?;
        let last = steps.iter().rev().find(|step| step["step"] == "received").context("nothing came")?;
        let lines = last["checks"].as_array().context("no checks")?;
        Ok(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "))
    }

    /// Looks again and again until it is so.
    fn wait_for(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !is_so()? {
            ensure!(begun.elapsed() < testkit::WAIT_MAX, "{what}\n{}", self.server.log());
        }
        Ok(())
    }
}

fn bring_by(smtp: &mut SmtpClient, from: &str, to: &[&str], message: &str) -> Result<(String, String)> {
    smtp.command(&format!("MAIL FROM:<{from}>"), "250")?;
    for recipient in to {
        smtp.command(&format!("RCPT TO:<{recipient}>"), "250")?;
    }
    smtp.command("DATA", "354")?;
    smtp.dialogue.send_octets(format!("{message}.\r\n").as_bytes())?;
    let (code, texts) = smtp.reply()?;
    Ok((code, texts.join("\n")))
}

/// A letter from somebody to somebody.
fn letter(from: &str, to: &str, subject: &str, text: &str) -> String {
    let id = subject.replace(' ', "-");
    format!(
        "From: Somebody <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}@strangers.example>\r\n\r\n{text}\r\n"
    )
}

/// The value of the first field of this name.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let header = message.split("\r\n\r\n").next()?;
    header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
