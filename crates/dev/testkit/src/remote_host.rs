//! Other people's mail hosts: they look up where mail goes, connect, and behave as their temper is.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

use crate::dialogue::Dialogue;
use crate::name_server::NameServer;
use crate::smtp_client::SmtpClient;

/// How a remote host behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temper {
    /// As the book says.
    Polite,
    /// Sends the whole envelope in one go (RFC 2920).
    Pipelining,
    /// Sends everything by BDAT in many chunks (RFC 3030).
    Chunking,
    /// Talks before it is greeted, like a spam robot.
    EarlyTalker,
    /// Sends one octet at a time.
    Dribbling,
    /// Hangs up in the middle of the message.
    DropsInData,
    /// Hangs up after the final dot without waiting for the answer.
    LeavesAfterDot,
}

/// Octets of a chunk of [`Temper::Chunking`].
const CHUNK_OCTETS: usize = 100;

/// A host that sends.
#[derive(Clone, Debug)]
pub struct RemoteHost {
    name: String,
    temper: Temper,
    names: NameServer,
    /// Where the small internet speaks SMTP instead of port 25.
    port: u16,
}

impl RemoteHost {
    /// A host with a name and a temper that asks this name server.
    #[must_use]
    pub fn new(name: &str, temper: Temper, names: &NameServer, port: u16) -> Self {
        Self { name: name.to_owned(), temper, names: names.clone(), port }
    }

    /// Sends a message (CRLF line ends) to one recipient by the recipient's MX; `Ok` is the text of the 250, or empty
    /// where this temper does not wait for one.
    ///
    /// # Errors
    /// When no host takes it, with what was said.
    pub fn send(&self, from: &str, to: &str, message: &[u8]) -> Result<String> {
        let domain = to.rsplit('@').next().unwrap_or_default();
        let mut last = None;
        for host in self.names.mail_hosts(domain)? {
            match self.send_to(SocketAddr::new(host, self.port), from, to, message) {
                Ok(said) => return Ok(said),
                Err(error) => last = Some(error),
            }
        }
        bail!("{:#}", last.context("no host")?)
    }

    fn send_to(&self, host: SocketAddr, from: &str, to: &str, message: &[u8]) -> Result<String> {
        if self.temper == Temper::EarlyTalker {
            let mut dialogue = Dialogue::connect(host)?;
            dialogue.send(&format!("HELO {}", self.name))?;
            dialogue.expect("220")?;
            dialogue.expect("250")?;
            return Self::talk(&mut dialogue, from, to, message);
        }
        let mut client = SmtpClient::connect(host)?;
        match self.temper {
            Temper::Chunking => return chunked(&mut client, from, to, message),
            Temper::Pipelining => return pipelined(&mut client, from, to, message),
            _ => {}
        }
        client.command(&format!("MAIL FROM:<{from}>"), "250")?;
        client.command(&format!("RCPT TO:<{to}>"), "250")?;
        client.command("DATA", "354")?;
        let wire = crate::smtp_client::dot_stuffed(message);
        match self.temper {
            Temper::DropsInData => {
                client.dialogue.send_octets(&wire[..wire.len() / 2])?;
                return Ok(String::new());
            }
            Temper::Dribbling => wire.chunks(1).try_for_each(|octet| client.dialogue.send_octets(octet))?,
            _ => client.dialogue.send_octets(&wire)?,
        }
        if self.temper == Temper::LeavesAfterDot {
            return Ok(String::new());
        }
        Ok(client.reply_of("250")?.join("\n"))
    }

    fn talk(dialogue: &mut Dialogue, from: &str, to: &str, message: &[u8]) -> Result<String> {
        for (line, code) in [
            (format!("MAIL FROM:<{from}>"), "250"),
            (format!("RCPT TO:<{to}>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            dialogue.send(&line)?;
            dialogue.expect(code)?;
        }
        dialogue.send_octets(&crate::smtp_client::dot_stuffed(message))?;
        dialogue.expect("250")
    }
}

fn pipelined(client: &mut SmtpClient, from: &str, to: &str, message: &[u8]) -> Result<String> {
    client.dialogue.send_octets(format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes())?;
    for code in ["250", "250", "354"] {
        client.reply_of(code)?;
    }
    client.dialogue.send_octets(&crate::smtp_client::dot_stuffed(message))?;
    Ok(client.reply_of("250")?.join("\n"))
}

fn chunked(client: &mut SmtpClient, from: &str, to: &str, message: &[u8]) -> Result<String> {
    client.command(&format!("MAIL FROM:<{from}>"), "250")?;
    client.command(&format!("RCPT TO:<{to}>"), "250")?;
    for chunk in message.chunks(CHUNK_OCTETS) {
        client.dialogue.send(&format!("BDAT {}", chunk.len()))?;
        client.dialogue.send_octets(chunk)?;
        client.reply_of("250")?;
    }
    Ok(client.command("BDAT 0 LAST", "250")?.join("\n"))
}
