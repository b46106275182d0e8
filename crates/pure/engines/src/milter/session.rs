//! One client's connection as one filter sees it: which commands are sent, which are answered, what the answers mean.

use std::net::SocketAddr;

use super::answer::{self, Answer, Modification, Verdict};
use super::macros::{self, Known, Stage};
use super::negotiation::{self, Negotiated, Steps};
use super::packet::{self, CHUNK_OCTETS_MAX, Packet, PacketReader};
use crate::Nonsense;

/// What the caller does after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Next {
    /// Goes on: the filter does not see this step, or does not answer it.
    GoOn,
    /// Sends what was written and reads, until [`Session::hear`] has a verdict.
    Listen,
}

/// What a filter said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It has agreed on how to talk.
    Agreed,
    /// It is still at work; its time begins anew.
    Progress,
    /// A change; a verdict follows.
    Modification(Modification),
    /// What becomes of what was asked.
    Verdict(Verdict),
}

/// Where a client comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAddress {
    /// A socket of this machine, whose path says nothing.
    Unix,
    /// The network.
    Inet(SocketAddr),
}

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Offer,
    Connect,
    Hello,
    Sender,
    Recipient,
    Data,
    Unknown,
    Field,
    EndOfHeader,
    Body,
    EndOfMessage,
}

/// How a command is sent: its letter, what leaves it out, what leaves its answer out, which macros go in front.
struct Form {
    command: u8,
    unseen: Option<Steps>,
    mute: Option<Steps>,
    stage: Option<Stage>,
}

impl Asked {
    const fn form(self) -> Form {
        let (command, unseen, mute, stage) = match self {
            Self::Offer => (b'O', None, None, None),
            Self::Connect => (b'C', Some(Steps::NO_CONNECT), Some(Steps::MUTE_CONNECT), Some(Stage::Connect)),
            Self::Hello => (b'H', Some(Steps::NO_HELLO), Some(Steps::MUTE_HELLO), Some(Stage::Hello)),
            Self::Sender => (b'M', Some(Steps::NO_SENDER), Some(Steps::MUTE_SENDER), Some(Stage::Sender)),
            Self::Recipient => {
                (b'R', Some(Steps::NO_RECIPIENT), Some(Steps::MUTE_RECIPIENT), Some(Stage::Recipient))
            }
            Self::Data => (b'T', Some(Steps::NO_DATA), Some(Steps::MUTE_DATA), Some(Stage::Data)),
            Self::Unknown => (b'U', Some(Steps::NO_UNKNOWN), Some(Steps::MUTE_UNKNOWN), None),
            Self::Field => (b'L', Some(Steps::NO_HEADER), Some(Steps::MUTE_HEADER), None),
            Self::EndOfHeader => (
                b'N',
                Some(Steps::NO_END_OF_HEADER),
                Some(Steps::MUTE_END_OF_HEADER),
                Some(Stage::EndOfHeader),
            ),
            Self::Body => (b'B', Some(Steps::NO_BODY), Some(Steps::MUTE_BODY), None),
            Self::EndOfMessage => (b'E', None, None, Some(Stage::EndOfMessage)),
        };
        Form { command, unseen, mute, stage }
    }
}

/// One filter's view of one connection.
#[derive(Debug)]
pub struct Session {
    reader: PacketReader,
    agreed: Option<Negotiated>,
    awaited: Option<Asked>,
    /// It wants to see no more of the connection.
    is_done_with_connection: bool,
    /// It wants to see no more of the message.
    is_done_with_message: bool,
    /// It wants to see no more of the body.
    has_seen_body: bool,
    is_within_message: bool,
}

impl Session {
    /// Begins to talk, with our offer.
    #[must_use]
    pub fn begin(out: &mut Vec<u8>) -> Self {
        negotiation::offer(out);
        Self {
            reader: PacketReader::new(),
            agreed: None,
            awaited: Some(Asked::Offer),
            is_done_with_connection: false,
            is_done_with_message: false,
            has_seen_body: false,
            is_within_message: false,
        }
    }

    /// What was agreed on.
    #[must_use]
    pub fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// Takes octets from the front of `input`, up to the end of one answer; the number says how many it took.
    ///
    /// # Errors
    /// [`Nonsense`]: the connection is of no further use.
    pub fn hear(&mut self, input: &[u8]) -> Result<(usize, Option<Heard>), Nonsense> {
        let (taken, packet) = self.reader.next(input)?;
        let heard = packet.map(|packet| self.on_packet(packet)).transpose()?;
        Ok((taken, heard))
    }

    fn on_packet(&mut self, packet: Packet) -> Result<Heard, Nonsense> {
        let asked = self.awaited.ok_or(Nonsense::OutOfPlace)?;
        if asked == Asked::Offer {
            if packet.command != b'O' {
                return Err(Nonsense::OutOfPlace);
            }
            let agreed = Negotiated::read(&packet.data)?;
            self.reader.allow(agreed.data_octets_max());
            self.agreed = Some(agreed);
            self.awaited = None;
            return Ok(Heard::Agreed);
        }
        match answer::read(packet)? {
            Answer::Progress => Ok(Heard::Progress),
            Answer::Modification(change) => {
                if asked != Asked::EndOfMessage {
                    return Err(Nonsense::OutOfPlace);
                }
                let may = self.agreed.as_ref().is_some_and(|agreed| agreed.actions.has(change.needs()));
                if may { Ok(Heard::Modification(change)) } else { Err(Nonsense::NotNegotiated) }
            }
            Answer::Verdict(verdict) => {
                self.on_verdict(asked, &verdict)?;
                Ok(Heard::Verdict(verdict))
            }
        }
    }

    fn on_verdict(&mut self, asked: Asked, verdict: &Verdict) -> Result<(), Nonsense> {
        let is_of_message = !matches!(asked, Asked::Offer | Asked::Connect | Asked::Hello | Asked::Unknown);
        match (verdict, asked) {
            (Verdict::Skip, Asked::Body) => {
                if !self.agreed.as_ref().is_some_and(|agreed| agreed.steps.has(Steps::SKIP)) {
                    return Err(Nonsense::NotNegotiated);
                }
                self.has_seen_body = true;
            }
            (Verdict::Skip, _) => return Err(Nonsense::OutOfPlace),
            (Verdict::Discard, _) if !is_of_message => return Err(Nonsense::OutOfPlace),
            (Verdict::Accept, Asked::Connect | Asked::Hello) => self.is_done_with_connection = true,
            (Verdict::Accept | Verdict::Discard, _) if is_of_message => self.is_done_with_message = true,
            // One recipient less; the others go on.
            (Verdict::Reject | Verdict::TempFail | Verdict::Refuse(_), Asked::Recipient) => {}
            (Verdict::Reject | Verdict::TempFail | Verdict::Refuse(_), _) if is_of_message => {
                self.is_done_with_message = true;
            }
            _ => {}
        }
        if asked == Asked::EndOfMessage {
            self.end_message();
        }
        self.awaited = None;
        Ok(())
    }

    /// A client has come; `host` is the name its address proves to have, else the address in brackets.
    pub fn connect(
        &mut self,
        host: &str,
        address: ClientAddress,
        known: &[Known<'_>],
        out: &mut Vec<u8>,
    ) -> Next {
        let host = [host.as_bytes(), b"\0"].concat();
        match address {
            ClientAddress::Unix => self.ask(Asked::Connect, known, &[&host, b"L\0\0unix\0"], out),
            ClientAddress::Inet(socket) => {
                let family: &[u8] = if socket.is_ipv4() { b"4" } else { b"6" };
                let port = socket.port().to_be_bytes();
                let text = format!("{}\0", socket.ip());
                self.ask(Asked::Connect, known, &[&host, family, &port, text.as_bytes()], out)
            }
        }
    }

    /// The client has greeted. A greeting ends a message.
    pub fn hello(&mut self, name: &str, known: &[Known<'_>], out: &mut Vec<u8>) -> Next {
        self.ask(Asked::Hello, known, &[name.as_bytes(), b"\0"], out)
    }

    /// A message begins; `path` in angle brackets, `parameters` as they were given.
    pub fn sender(
        &mut self,
        path: &str,
        parameters: &[&str],
        known: &[Known<'_>],
        out: &mut Vec<u8>,
    ) -> Next {
        self.end_message();
        self.is_within_message = true;
        self.ask(Asked::Sender, known, &[&texts(path, parameters)], out)
    }

    /// A recipient that is accepted unless the filter says otherwise.
    pub fn recipient(
        &mut self,
        path: &str,
        parameters: &[&str],
        known: &[Known<'_>],
        out: &mut Vec<u8>,
    ) -> Next {
        self.ask(Asked::Recipient, known, &[&texts(path, parameters)], out)
    }

    /// A recipient that was refused already, for filters that want to know. What they answer changes nothing.
    pub fn refused_recipient(&mut self, path: &str, known: &[Known<'_>], out: &mut Vec<u8>) -> Next {
        let is_wanted =
            self.agreed.as_ref().is_some_and(|agreed| agreed.steps.has(Steps::REFUSED_RECIPIENTS));
        if is_wanted { self.recipient(path, &[], known, out) } else { Next::GoOn }
    }

    /// The client wants to send the message.
    pub fn data(&mut self, known: &[Known<'_>], out: &mut Vec<u8>) -> Next {
        self.ask(Asked::Data, known, &[], out)
    }

    /// A command that nobody knows.
    pub fn unknown(&mut self, line: &str, out: &mut Vec<u8>) -> Next {
        self.ask(Asked::Unknown, &[], &[line.as_bytes(), b"\0"], out)
    }

    /// A header field, its value as it stands after the colon. A value beyond what fits into a packet is cut.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Next {
        let Some(agreed) = &self.agreed else { return Next::GoOn };
        let is_verbatim = agreed.steps.has(Steps::LEADING_SPACE);
        let value = if is_verbatim { value } else { value.trim_ascii_start() };
        let room = agreed.data_octets_max().saturating_sub(name.len() + 2);
        // Filters know lines that end with LF alone.
        let value: Vec<u8> =
            value.iter().copied().filter(|&octet| octet != 0 && octet != b'\r').take(room).collect();
        self.ask(Asked::Field, &[], &[name, b"\0", &value, b"\0"], out)
    }

    /// The header is whole.
    pub fn end_of_header(&mut self, known: &[Known<'_>], out: &mut Vec<u8>) -> Next {
        self.ask(Asked::EndOfHeader, known, &[], out)
    }

    /// Whether octets of the body are of use to it.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        !self.is_unseen(Asked::Body)
    }

    /// The next octets of the body, at most [`CHUNK_OCTETS_MAX`].
    pub fn body(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Next {
        debug_assert!(chunk.len() <= CHUNK_OCTETS_MAX, "a chunk too long for a packet");
        self.ask(Asked::Body, &[], &[chunk], out)
    }

    /// The message is whole: now the filter may change it.
    pub fn end_of_message(&mut self, known: &[Known<'_>], out: &mut Vec<u8>) -> Next {
        let next = self.ask(Asked::EndOfMessage, known, &[], out);
        if next == Next::GoOn {
            self.end_message();
        }
        next
    }

    /// The message will not come, or is refused.
    pub fn abort(&mut self, out: &mut Vec<u8>) {
        let is_known = self.is_within_message && !self.is_done_with_message && !self.is_done_with_connection;
        if is_known {
            packet::write(b'A', &[], out);
        }
        self.end_message();
    }

    /// The client has gone, and the filter's connection with it. There is QUIT_NC, too, which would leave the connection to the
    /// next client; libmilter passes it over after a message, so nobody says it.
    pub fn quit(&mut self, out: &mut Vec<u8>) {
        self.abort(out);
        packet::write(b'Q', &[], out);
    }

    fn end_message(&mut self) {
        self.is_within_message = false;
        self.is_done_with_message = false;
        self.has_seen_body = false;
    }

    /// Sends a command, if the filter wants to see it.
    fn ask(&mut self, asked: Asked, known: &[Known<'_>], parts: &[&[u8]], out: &mut Vec<u8>) -> Next {
        if self.is_unseen(asked) {
            return Next::GoOn;
        }
        let Some(agreed) = &self.agreed else { return Next::GoOn };
        let form = asked.form();
        if let Some(stage) = form.stage {
            macros::write(agreed, stage, form.command, known, out);
        }
        packet::write(form.command, parts, out);
        if form.mute.is_some_and(|mute| agreed.steps.has(mute)) {
            return Next::GoOn;
        }
        self.awaited = Some(asked);
        Next::Listen
    }

    fn is_unseen(&self, asked: Asked) -> bool {
        let Some(agreed) = &self.agreed else { return true };
        let is_of_message = !matches!(asked, Asked::Connect | Asked::Hello | Asked::Unknown);
        self.is_done_with_connection
            || (is_of_message && (self.is_done_with_message || !self.is_within_message))
            || (asked == Asked::Body && self.has_seen_body)
            || asked.form().unseen.is_some_and(|unseen| agreed.steps.has(unseen))
            // Steps that came with later versions.
            || (asked == Asked::Unknown && agreed.version < 3)
            || (asked == Asked::Data && agreed.version < 4)
    }
}

/// Texts that each end with a NUL.
fn texts(first: &str, rest: &[&str]) -> Vec<u8> {
    let all = std::iter::once(&first).chain(rest);
    all.flat_map(|text| text.bytes().filter(|&octet| octet != 0).chain([0])).collect()
}

#[cfg(test)]
mod tests;
