//! One conversation of a host that takes mail (RFC 5321, RFC 2033, RFC 3030), with what was planned for it.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dialogue::Dialogue;
use crate::exchanger::{HeardSender, House, Phase, Received, Tongue, Whim, address_in};

/// Octets of a message after which its middle has come.
const PART_OCTETS: usize = 200;

struct Session<'a> {
    house: &'a House,
    dialogue: Option<Dialogue>,
    connection: usize,
    era: u64,
    hello: String,
    is_encrypted: bool,
    user: Option<String>,
    sender: Option<String>,
    recipients: Vec<String>,
    chunks: Vec<u8>,
}

/// Speaks until the other side says good-bye; an error ends the connection too.
pub(crate) fn converse(house: &House, stream: TcpStream, connection: usize, era: u64) -> Result<()> {
    let dialogue = Some(Dialogue::over(stream)?);
    let mut session = Session {
        house,
        dialogue,
        connection,
        era,
        hello: String::new(),
        is_encrypted: false,
        user: None,
        sender: None,
        recipients: Vec::new(),
        chunks: Vec::new(),
    };
    if house.lock().is_implicit {
        session.encrypt()?;
    }
    session.say_at(Phase::Greeting, None, &format!("220 {} ready", house.name()))?;
    loop {
        let line = session.dialogue()?.line()?;
        if !session.command(&line)? {
            return Ok(());
        }
    }
}

impl Session<'_> {
    fn dialogue(&mut self) -> Result<&mut Dialogue> {
        self.dialogue.as_mut().context("the connection was given away")
    }

    /// Obeys one command; false after the last.
    fn command(&mut self, line: &str) -> Result<bool> {
        let upper = line.to_ascii_uppercase();
        let (verb, _) = upper.split_once(' ').unwrap_or((&upper, ""));
        match verb {
            "EHLO" | "LHLO" | "HELO" => self.hello(line)?,
            "STARTTLS" => self.start_tls()?,
            "AUTH" => self.login(line)?,
            "MAIL" => self.mail(line)?,
            "RCPT" => self.rcpt(line)?,
            "DATA" => self.data()?,
            "BDAT" => self.chunk(line)?,
            "RSET" => {
                self.forget();
                self.dialogue()?.send("250 2.0.0 Ok")?;
            }
            "NOOP" => self.dialogue()?.send("250 2.0.0 Ok")?,
            "QUIT" => {
                self.dialogue()?.send("221 2.0.0 Bye")?;
                return Ok(false);
            }
            _ => self.dialogue()?.send("500 5.5.1 What?")?,
        }
        Ok(true)
    }

    /// Says this, or does what was planned instead; true if it said this.
    fn say_at(&mut self, phase: Phase, recipient: Option<&str>, reply: &str) -> Result<bool> {
        let whim = self.house.whim(phase, recipient);
        let dialogue = self.dialogue()?;
        match whim {
            None | Some(Whim::Babbles | Whim::Sips(..) | Whim::StopsReading) => dialogue.send(reply)?,
            Some(Whim::Says(other)) => {
                dialogue.send(&other)?;
                return Ok(other.starts_with(['2', '3']));
            }
            Some(Whim::HangsUp) => bail!("planned"),
            Some(Whim::IsSilent) => {
                while !dialogue.is_closed()? {
                    dialogue.line()?;
                }
                bail!("planned");
            }
            Some(Whim::Dribbles) => dialogue.dribble(reply, Duration::ZERO)?,
            Some(Whim::Drags(time)) => dialogue.dribble(reply, time)?,
            Some(Whim::Injects(more)) => dialogue.send_octets(format!("{reply}\r\n{more}\r\n").as_bytes())?,
        }
        Ok(true)
    }

    fn hello(&mut self, line: &str) -> Result<()> {
        self.forget();
        self.hello = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut lines = vec![self.house.name().to_owned()];
        {
            let state = self.house.lock();
            lines.extend(state.extensions.iter().cloned());
            if state.acceptor.is_some() && !self.is_encrypted {
                lines.push("STARTTLS".into());
            }
            if !state.logins.is_empty() && self.is_encrypted {
                lines.push("AUTH PLAIN".into());
            }
        }
        let last = lines.len() - 1;
        let line =
            |(number, text): (usize, &String)| format!("250{}{text}", if number == last { ' ' } else { '-' });
        let reply: Vec<String> = lines.iter().enumerate().map(line).collect();
        self.say_at(Phase::Hello, None, &reply.join("\r\n")).map(drop)
    }

    fn start_tls(&mut self) -> Result<()> {
        let babbles = {
            let mut state = self.house.lock();
            if state.acceptor.is_none() { None } else { Some(state.take_babble()) }
        };
        let Some(babbles) = babbles else { return self.dialogue()?.send("502 5.5.1 No") };
        if babbles {
            self.dialogue()?.send("220 2.0.0 Go ahead")?;
            // The first octets of the other side's handshake.
            self.dialogue()?.octets(5)?;
            self.dialogue()?.send("This is no handshake at all.")?;
            bail!("planned");
        }
        if self.say_at(Phase::StartTls, None, "220 2.0.0 Go ahead")? {
            self.encrypt()?;
        }
        Ok(())
    }

    fn encrypt(&mut self) -> Result<()> {
        let acceptor = self.house.lock().acceptor.clone().context("no certificate")?;
        let dialogue = self.dialogue.take().context("no connection")?;
        self.dialogue = Some(dialogue.accept_tls(&acceptor)?);
        self.is_encrypted = true;
        self.forget();
        Ok(())
    }

    fn login(&mut self, line: &str) -> Result<()> {
        let token = match line.split(' ').nth(2) {
            Some(token) => token.to_owned(),
            None => {
                self.dialogue()?.send("334 ")?;
                self.dialogue()?.line()?
            }
        };
        let token = String::from_utf8(STANDARD.decode(token)?)?;
        let mut parts = token.split('\0').skip(1);
        let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_right = self.house.lock().logins.get(user).is_some_and(|known| known == password);
        let reply = if is_right { "235 2.7.0 Welcome" } else { "535 5.7.8 Wrong" };
        if self.say_at(Phase::Login, None, reply)? && is_right {
            self.user = Some(user.to_owned());
        }
        Ok(())
    }

    fn mail(&mut self, line: &str) -> Result<()> {
        self.forget();
        let sender = line.get("MAIL FROM:".len()..).unwrap_or_default().to_owned();
        self.house.hear_sender(HeardSender { sender: sender.clone(), is_encrypted: self.is_encrypted });
        if !self.house.lock().logins.is_empty() && self.user.is_none() {
            return self.dialogue()?.send("530 5.7.0 Log in first");
        }
        if self.say_at(Phase::Sender, None, "250 2.1.0 Ok")? {
            self.sender = Some(sender);
        }
        Ok(())
    }

    fn rcpt(&mut self, line: &str) -> Result<()> {
        if self.sender.is_none() {
            return self.dialogue()?.send("503 5.5.1 MAIL first");
        }
        let path = line.get("RCPT TO:".len()..).unwrap_or_default().to_owned();
        if self.say_at(Phase::Recipient, Some(address_in(&path)), "250 2.1.5 Ok")? {
            self.recipients.push(path);
        }
        Ok(())
    }

    fn data(&mut self) -> Result<()> {
        if self.recipients.is_empty() {
            return self.dialogue()?.send("554 5.5.1 No valid recipients");
        }
        if !self.say_at(Phase::Data, None, "354 Go ahead")? {
            self.forget();
            return Ok(());
        }
        let mut octets = Vec::new();
        let mut is_begun = false;
        let mut rest = None;
        loop {
            let line = self.dialogue()?.raw_line()?;
            if line == b".\r\n" {
                return self.end(octets);
            }
            octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if !is_begun && octets.len() > PART_OCTETS {
                is_begun = true;
                rest = self.middle()?.map(|(portion, time)| (portion, time, portion));
            }
            if let Some((portion, time, next)) = &mut rest
                && octets.len() >= *next
            {
                std::thread::sleep(*time);
                *next += *portion;
            }
        }
    }

    fn chunk(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ').skip(1);
        let count: usize = words.next().context("no size")?.parse()?;
        let is_last = words.next().is_some();
        let is_first = self.chunks.is_empty();
        let octets = self.dialogue()?.octets(count)?;
        if self.recipients.is_empty() {
            return self.dialogue()?.send("554 5.5.1 No valid recipients");
        }
        self.chunks.extend_from_slice(&octets);
        if is_first {
            match self.house.whim(Phase::Data, None) {
                Some(Whim::Says(reply)) => {
                    self.forget();
                    return self.dialogue()?.send(&reply);
                }
                Some(Whim::HangsUp) => bail!("planned"),
                Some(Whim::IsSilent) => {
                    self.dialogue()?.is_closed()?;
                    bail!("planned");
                }
                _ => drop(self.middle()?),
            }
        }
        if is_last {
            let octets = std::mem::take(&mut self.chunks);
            return self.end(octets);
        }
        self.dialogue()?.send("250 2.0.0 Go on")
    }

    /// Some of the message has come. How the rest is to be taken: in which portions, with how long a rest after each.
    fn middle(&mut self) -> Result<Option<(usize, Duration)>> {
        match self.house.whim(Phase::Message, None) {
            Some(Whim::HangsUp) => bail!("planned"),
            Some(Whim::IsSilent) => loop {
                // Takes what comes, and never answers.
                self.dialogue()?.raw_line()?;
            },
            Some(Whim::Sips(portion, time)) => Ok(Some((portion, time))),
            Some(Whim::StopsReading) => {
                self.house.wait_until_it_behaves();
                bail!("planned");
            }
            _ => Ok(None),
        }
    }

    /// The whole message has come.
    fn end(&mut self, octets: Vec<u8>) -> Result<()> {
        let planned = self.house.whim(Phase::End, None);
        if let Some(Whim::Says(reply)) = &planned
            && !reply.starts_with('2')
        {
            self.forget();
            return self.dialogue()?.send(reply);
        }
        let received = Received {
            hello: self.hello.clone(),
            sender: self.sender.take().unwrap_or_default(),
            recipients: std::mem::take(&mut self.recipients),
            octets,
            is_encrypted: self.is_encrypted,
            user: self.user.clone(),
            connection: self.connection,
            era: self.era,
        };
        let answers = match self.house.lock().tongue {
            Tongue::Smtp => 1,
            Tongue::Lmtp => received.recipients.len(),
        };
        self.house.keep(received);
        match planned {
            Some(Whim::HangsUp) => bail!("planned"),
            Some(Whim::IsSilent) => {
                self.dialogue()?.is_closed()?;
                bail!("planned");
            }
            Some(Whim::Drags(time)) => {
                (0..answers).try_for_each(|_| self.dialogue()?.dribble("250 2.0.0 Taken", time))
            }
            _ => (0..answers).try_for_each(|_| self.dialogue()?.send("250 2.0.0 Taken")),
        }
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
        self.chunks.clear();
    }
}
