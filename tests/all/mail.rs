//! What stories about mail have in common: a message is brought, lies somewhere, and has a record.

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::{Server, SmtpClient};

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

/// What lies in a mailbox: flags and text of each message.
pub(crate) fn lying(server: &Server, who: &str, mailbox: &str) -> Result<Vec<(String, String)>> {
    let mut imap = server.imap(who)?;
    let selected = imap.command(&format!("SELECT \"{mailbox}\""))?;
    if selected.number_of("EXISTS").unwrap_or(0) == 0 {
        return Ok(Vec::new());
    }
    let answer = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])")?;
    let texts = answer.literals.iter().map(|octets| String::from_utf8_lossy(octets).into_owned());
    Ok(answer.of("FETCH").map(str::to_owned).zip(texts).collect())
}

/// The subjects of what lies in a mailbox.
pub(crate) fn subjects(server: &Server, who: &str, mailbox: &str) -> Result<Vec<String>> {
    let lying = lying(server, who, mailbox)?;
    Ok(lying.iter().map(|(_, text)| field(text, "Subject").unwrap_or_default().to_owned()).collect())
}

/// How the last message from this sender was received, by its record.
pub(crate) fn received(server: &Server, sender: &str) -> Result<Value> {
    let told: Value = serde_json::from_str(&server.command(&["--json", "trace", sender])?)?;
    let steps = told.as_array().with_context(|| format!("no steps: {told}"))?;
    steps.iter().rev().find(|step| step["step"] == "received").cloned().context("nothing came")
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
