//! What stories about mail have in common: a message is brought, lies somewhere, and has a record.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Server, SmtpClient};

use crate::attacks::wait_until;

/// Brings a message; the code and the text of the last reply.
pub(crate) fn bring_by(
    smtp: &mut SmtpClient,
    from: &str,
    to: &[&str],
    message: &str,
) -> Result<(String, String)> {
    smtp.command(&format!("MAIL FROM:<{from}>"), "250")?;
    for recipient in to {
        smtp.command(&format!("RCPT TO:<{recipient}>"), "250")?;
    }
    smtp.command("DATA", "354")?;
    smtp.dialogue.send_octets(format!("{message}.\r\n").as_bytes())?;
    let (code, texts) = smtp.reply()?;
    Ok((code, texts.join("\n")))
}

/// A server, and the world around it.
pub(crate) struct House<W> {
    pub(crate) server: Server,
    pub(crate) world: W,
}

impl<W> House<W> {
    /// Brings a message; the code and the text of the last reply.
    pub(crate) fn bring(&self, from: &str, to: &[&str], message: &str) -> Result<(String, String)> {
        bring_by(&mut self.server.smtp()?, from, to, message)
    }

    /// Brings a message that is taken.
    pub(crate) fn take(&self, from: &str, to: &[&str], message: &str) -> Result<()> {
        let (code, text) = self.bring(from, to, message)?;
        ensure!(code == "250", "{code} {text}\n{}", self.server.log());
        Ok(())
    }

    /// What lies in a mailbox: flags and text of each message.
    pub(crate) fn lying(&self, who: &str, mailbox: &str) -> Result<Vec<(String, String)>> {
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
    pub(crate) fn subjects(&self, who: &str, mailbox: &str) -> Result<Vec<String>> {
        let lying = self.lying(who, mailbox)?;
        Ok(lying.iter().map(|(_, text)| field(text, "Subject").unwrap_or_default().to_owned()).collect())
    }

    /// How the last message from this sender was received, by its record.
    pub(crate) fn received(&self, sender: &str) -> Result<Value> {
        let told: Value = serde_json::from_str(&self.server.command(&["--json", "trace", sender])?)?;
        let steps = told.as_array().with_context(|| format!("no steps: {told}"))?;
        steps.iter().rev().find(|step| step["step"] == "received").cloned().context("nothing came")
    }

    /// Looks again and again until it is so.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl FnMut() -> Result<bool>) -> Result<()> {
        wait_until(what, &self.server, is_so)
    }
}

/// A letter from somebody to somebody.
pub(crate) fn letter(from: &str, to: &str, subject: &str, text: &str) -> String {
    let id = subject.replace(' ', "-");
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}@strangers.example>\r\n\r\n{text}\r\n"
    )
}

/// Lines of a record, one behind the other.
pub(crate) fn in_one_line(lines: &Value) -> Result<String> {
    let lines = lines.as_array().context("no lines")?;
    Ok(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "))
}

/// The value of the first field of this name.
pub(crate) fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let header = message.split("\r\n\r\n").next()?;
    header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
