//! An IMAP client for stories: sends commands, gathers what comes back, keeps literals whole.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};

use crate::dialogue::Dialogue;

/// A client after its greeting.
#[derive(Debug)]
pub struct ImapClient {
    /// The connection, for what a story wants to say itself.
    pub dialogue: Dialogue,
    commands: u32,
}

/// What came back for one command.
#[derive(Debug)]
pub struct Answer {
    /// Untagged responses without the `* `; a literal stands where it came, its octets in `literals`.
    pub untagged: Vec<String>,
    /// Octets of literals, in the order they came.
    pub literals: Vec<Vec<u8>>,
    /// The tagged response without the tag: `OK [READ-WRITE] …`.
    pub tagged: String,
}

impl ImapClient {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// When the server does not greet with OK.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let mut dialogue = Dialogue::connect(address)?;
        dialogue.expect("* OK")?;
        Ok(Self { dialogue, commands: 0 })
    }

    /// Connects from another address of loopback and reads the greeting.
    ///
    /// # Errors
    /// When the server does not greet with OK.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Result<Self> {
        let mut dialogue = Dialogue::connect_from(source, address)?;
        dialogue.expect("* OK")?;
        Ok(Self { dialogue, commands: 0 })
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let mut client = Self::connect(address)?;
        client.ok(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(client)
    }

    /// Gives a command and gathers everything up to its tagged response.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn command(&mut self, command: &str) -> Result<Answer> {
        let tag = self.send(command)?;
        self.answer(&tag)
    }

    /// Gives a command that must succeed.
    ///
    /// # Errors
    /// When the answer is not OK.
    pub fn ok(&mut self, command: &str) -> Result<Answer> {
        let answer = self.command(command)?;
        if !answer.tagged.starts_with("OK") {
            bail!("{}", self.dialogue.told("expected OK"));
        }
        Ok(answer)
    }

    /// Gives a command and does not wait; the result is its tag.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, command: &str) -> Result<String> {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        self.dialogue.send(&format!("{tag} {command}"))?;
        Ok(tag)
    }

    /// Stores a message by APPEND with a non-synchronising literal.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn append(&mut self, mailbox: &str, options: &str, message: &[u8]) -> Result<Answer> {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        let space = if options.is_empty() { "" } else { " " };
        self.dialogue.send(&format!("{tag} APPEND \"{mailbox}\"{space}{options} {{{}+}}", message.len()))?;
        self.dialogue.send_octets(message)?;
        self.dialogue.send_octets(b"\r\n")?;
        let answer = self.answer(&tag)?;
        if !answer.tagged.starts_with("OK") {
            bail!("{}", self.dialogue.told("expected OK to APPEND"));
        }
        Ok(answer)
    }

    /// Fetches the octets of one message.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn fetch_octets(&mut self, uid: u32) -> Result<Vec<u8>> {
        let answer = self.ok(&format!("UID FETCH {uid} BODY.PEEK[]"))?;
        answer.literals.into_iter().next().with_context(|| format!("no message with UID {uid}"))
    }

    /// Reads one response, literals included; `None` where it is the tagged one, which is put into `tagged`.
    fn answer(&mut self, tag: &str) -> Result<Answer> {
        let mut answer = Answer { untagged: Vec::new(), literals: Vec::new(), tagged: String::new() };
        loop {
            let response = self.response(&mut answer.literals)?;
            if let Some(tagged) = response.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                answer.tagged = tagged.to_owned();
                return Ok(answer);
            }
            match response.strip_prefix("* ") {
                Some(untagged) => answer.untagged.push(untagged.to_owned()),
                None => bail!("{}", self.dialogue.told("a response that is neither untagged nor ours")),
            }
        }
    }

    /// Reads one response with its literals.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn response(&mut self, literals: &mut Vec<Vec<u8>>) -> Result<String> {
        let mut response = String::new();
        loop {
            let line = self.dialogue.line()?;
            response.push_str(&line);
            let Some(count) = literal(&line) else { return Ok(response) };
            literals.push(self.dialogue.octets(count)?);
        }
    }
}

/// The size of the literal that a line announces at its end.
fn literal(line: &str) -> Option<usize> {
    let inner = line.strip_suffix('}')?;
    inner.get(inner.rfind('{')? + 1..)?.parse().ok()
}

impl Answer {
    /// The untagged responses that contain a word: `answer.of("FETCH")`.
    pub fn of<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.untagged
            .iter()
            .map(String::as_str)
            .filter(move |line| line.split([' ', '(']).any(|part| part == word))
    }

    /// The number in front of an untagged response such as `23 EXISTS`.
    #[must_use]
    pub fn number_of(&self, word: &str) -> Option<u64> {
        self.of(word).last()?.split(' ').next()?.parse().ok()
    }

    /// What stands in brackets behind a code of the tagged response: `code("APPENDUID")`.
    #[must_use]
    pub fn code(&self, name: &str) -> Option<&str> {
        let inner = self.tagged.split_once('[')?.1.split(']').next()?;
        inner.strip_prefix(name).map(str::trim_start)
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_are_announced_at_the_end() {
        assert_eq!(literal("1 FETCH (BODY[] {12}"), Some(12));
        assert_eq!(literal("1 FETCH (BODY[] \"{12}\")"), None);
        assert_eq!(literal("x {}"), None);
    }
}
