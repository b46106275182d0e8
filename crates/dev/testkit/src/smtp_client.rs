//! An SMTP client for stories: says what it is told, and knows how to hand over a message.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dialogue::Dialogue;

/// A client after its greeting and EHLO.
#[derive(Debug)]
pub struct SmtpClient {
    /// The connection, for what a story wants to say itself.
    pub dialogue: Dialogue,
    extensions: Vec<String>,
}

impl SmtpClient {
    /// Connects, reads the greeting, says EHLO.
    ///
    /// # Errors
    /// When the server does not answer 220 and 250.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let mut client = Self { dialogue: Dialogue::connect(address)?, extensions: Vec::new() };
        client.reply_of("220")?;
        client.dialogue.send("EHLO client.example")?;
        client.extensions = client.reply_of("250")?.into_iter().skip(1).collect();
        Ok(client)
    }

    /// Lays TLS over the connection and says EHLO again.
    ///
    /// # Errors
    /// When the server refuses or the handshake fails.
    pub fn start_tls(mut self) -> Result<Self> {
        self.command("STARTTLS", "220")?;
        let (dialogue, _) = self.dialogue.start_tls()?;
        let mut client = Self { dialogue, extensions: Vec::new() };
        client.extensions = client.command("EHLO client.example", "250")?.into_iter().skip(1).collect();
        Ok(client)
    }

    /// What EHLO told, a line each without the code.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Reads a whole reply, all its lines without the code.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn reply(&mut self) -> Result<(String, Vec<String>)> {
        let mut texts = Vec::new();
        loop {
            let line = self.dialogue.line()?;
            let (code, rest) = line.split_at(line.len().min(3));
            texts.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok((code.to_owned(), texts));
            }
        }
    }

    /// Reads a reply and demands its code.
    ///
    /// # Errors
    /// When it is another.
    pub fn reply_of(&mut self, code: &str) -> Result<Vec<String>> {
        let (got, texts) = self.reply()?;
        if got != code {
            bail!("{}", self.dialogue.told(&format!("expected {code}")));
        }
        Ok(texts)
    }

    /// Says a command and demands the reply's code.
    ///
    /// # Errors
    /// When it is another.
    pub fn command(&mut self, line: &str, code: &str) -> Result<Vec<String>> {
        self.dialogue.send(line)?;
        self.reply_of(code)
    }

    /// Says a command and gives the whole reply.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn say(&mut self, line: &str) -> Result<(String, Vec<String>)> {
        self.dialogue.send(line)?;
        self.reply()
    }

    /// Says a command and gives the reply's code.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn reply_after(&mut self, line: &str) -> Result<String> {
        self.dialogue.send(line)?;
        Ok(self.reply()?.0)
    }

    /// Logs in with AUTH PLAIN.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let token = STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {token}"), "235").map(drop)
    }

    /// Hands a message over; `Ok` is the text of its 250. Line ends must be CRLF already.
    ///
    /// # Errors
    /// When any step is refused.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> Result<String> {
        self.command(&format!("MAIL FROM:<{from}>"), "250")?;
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"), "250")?;
        }
        self.command("DATA", "354")?;
        self.dialogue.send_octets(&dot_stuffed(message))?;
        Ok(self.reply_of("250")?.join("\n"))
    }

    /// Hands a message over by BDAT in one chunk, octet for octet.
    ///
    /// # Errors
    /// When any step is refused.
    pub fn send_chunk(&mut self, from: &str, to: &[&str], message: &[u8]) -> Result<String> {
        self.command(&format!("MAIL FROM:<{from}> BODY=8BITMIME"), "250")?;
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"), "250")?;
        }
        self.dialogue.send(&format!("BDAT {} LAST", message.len()))?;
        self.dialogue.send_octets(message)?;
        Ok(self.reply_of("250")?.join("\n"))
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the server does not answer 221.
    pub fn quit(mut self) -> Result<()> {
        self.command("QUIT", "221").map(drop)
    }
}

/// A message as it stands between DATA and its end (RFC 5321 §4.5.2).
pub(crate) fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 16);
    let mut line_begins = true;
    for &octet in message {
        if line_begins && octet == b'.' {
            wire.push(b'.');
        }
        wire.push(octet);
        line_begins = octet == b'\n';
    }
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::dot_stuffed;

    #[test]
    fn dots_are_stuffed_at_the_beginning_of_lines_alone() {
        assert_eq!(dot_stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n");
        assert_eq!(dot_stuffed(b"a"), b"a\r\n.\r\n");
        assert_eq!(dot_stuffed(b""), b".\r\n");
    }
}
