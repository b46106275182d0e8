//! A door without sockets: drives a session as `mta` does, with a small policy of its own.

use std::sync::Arc;

use mail_types::Priority;

use super::super::*;
use crate::command::BodyType;
use crate::framing::{ChunkDestiny, LineFound, LineReader, Piece};

pub(super) fn settings() -> Settings {
    Settings {
        protocol: Protocol::Smtp,
        hostname: "mail.example.org".into(),
        message_octets_max: 1_000,
        recipients_max: 5,
        transactions_max: 6,
        errors_max: 10,
        refused_recipients_max: 8,
        idle_commands_max: 20,
        login_failures_max: 3,
        starttls: StartTlsOffer::Offered,
        auth: AuthOffer::Absent,
        bare_newlines: BareNewlines::Normalise,
        offers: Offers::NONE,
        asks: false,
    }
}

/// A message as the door got it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text {
    pub(super) octets: Vec<u8>,
    body: BodyType,
}

impl Text {
    pub(super) fn is_binary(&self) -> bool {
        self.body == BodyType::BinaryMime
    }

    pub(super) fn has_bare_newline(&self) -> bool {
        let without = String::from_utf8_lossy(&self.octets).replace("\r\n", "");
        without.contains(['\r', '\n'])
    }
}

enum Reading {
    Lines,
    Data(DataReader),
    Chunk(ChunkReader),
}

pub(super) struct Door {
    session: Session<()>,
    lines: LineReader,
    reading: Reading,
    input: Vec<u8>,
    out: Vec<u8>,
    message: Vec<u8>,
    delivered: Vec<(Envelope<()>, Text)>,
    closed: bool,
    /// Set by tests that want the delivery refused.
    pub(super) outcome: Vec<Reply>,
    /// What those say who have a say in more.
    pub(super) objection: Option<Reply>,
}

impl Door {
    pub(super) fn new(settings: Settings) -> Self {
        // The door of submission offers nothing in clear.
        let mechanisms = if settings.auth == AuthOffer::Optional { vec!["PLAIN"] } else { Vec::new() };
        let session = Session::new(Arc::new(settings), Channel::Clear, mechanisms);
        let mut out = Vec::new();
        session.greet(&mut out);
        Self {
            session,
            lines: LineReader::default(),
            reading: Reading::Lines,
            input: Vec::new(),
            out,
            message: Vec::new(),
            delivered: Vec::new(),
            closed: false,
            outcome: vec![Reply::fixed(250, (2, 0, 0), "Kept")],
            objection: None,
        }
    }

    /// A door whose client has said EHLO or LHLO; those replies are gone.
    pub(super) fn greeted(settings: Settings) -> Self {
        let hello = match settings.protocol {
            Protocol::Smtp => "EHLO client.example",
            Protocol::Lmtp => "LHLO client.example",
        };
        let mut door = Self::new(settings);
        door.say(hello);
        door
    }

    pub(super) fn say(&mut self, line: &str) -> String {
        self.feed(format!("{line}\r\n").as_bytes())
    }

    /// Gives octets and takes all replies.
    pub(super) fn feed(&mut self, octets: &[u8]) -> String {
        self.input.extend_from_slice(octets);
        while !self.closed && self.advance() {}
        String::from_utf8(std::mem::take(&mut self.out)).unwrap()
    }

    pub(super) fn delivered(&self) -> &[(Envelope<()>, Text)] {
        &self.delivered
    }

    /// The octets of the only message.
    pub(super) fn only_message(&self) -> String {
        let [(_, text)] = self.delivered.as_slice() else { panic!("{:?}", self.delivered) };
        String::from_utf8(text.octets.clone()).unwrap()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn tell_time(&mut self, unix_seconds: i64) {
        self.session.on_time(unix_seconds);
    }

    pub(super) fn start_tls(&mut self) {
        self.session.on_tls_started(vec!["PLAIN"]);
    }

    fn advance(&mut self) -> bool {
        match std::mem::replace(&mut self.reading, Reading::Lines) {
            Reading::Lines => self.advance_line(),
            Reading::Data(reader) => self.advance_data(reader),
            Reading::Chunk(reader) => self.advance_chunk(reader),
        }
    }

    fn advance_line(&mut self) -> bool {
        let input = std::mem::take(&mut self.input);
        let (consumed, step) = match self.lines.next(&input) {
            LineFound::Line { line, consumed } => (consumed, Some(self.session.on_line(line, &mut self.out))),
            LineFound::Incomplete { consumed } => (consumed, None),
            LineFound::TooLong { consumed } => (consumed, Some(self.session.on_overlong_line(&mut self.out))),
            LineFound::BareNewline => (0, Some(self.session.on_bare_newline(&mut self.out))),
        };
        self.input = input[consumed..].to_vec();
        let progress = step.is_some();
        if let Some(step) = step {
            self.carry_out(step);
        }
        progress
    }

    fn advance_data(&mut self, mut reader: DataReader) -> bool {
        let input = std::mem::take(&mut self.input);
        let (taken, piece) = reader.next(&input);
        self.input = input[taken..].to_vec();
        match piece {
            Piece::Octets(octets) => self.message.extend_from_slice(octets),
            Piece::NeedMore => {
                self.reading = Reading::Data(reader);
                return false;
            }
            Piece::End(end) => {
                let step = self.session.on_end_of_data(end, Ok(()), &mut self.out);
                self.carry_out(step);
                return true;
            }
        }
        self.reading = Reading::Data(reader);
        true
    }

    fn advance_chunk(&mut self, mut reader: ChunkReader) -> bool {
        let input = std::mem::take(&mut self.input);
        let (taken, piece) = reader.next(&input);
        self.input = input[taken..].to_vec();
        match piece {
            Piece::Octets(octets) => {
                assert!(octets.is_empty() || reader.destiny() == ChunkDestiny::Keep);
                self.message.extend_from_slice(octets);
            }
            Piece::NeedMore => {
                self.reading = Reading::Chunk(reader);
                return false;
            }
            Piece::End(end) => {
                let step = self.session.on_end_of_chunk(end, Ok(()), &mut self.out);
                self.carry_out(step);
                return true;
            }
        }
        self.reading = Reading::Chunk(reader);
        true
    }

    fn carry_out(&mut self, step: Step<()>) {
        let out = &mut self.out;
        let step = match step {
            Step::NextLine | Step::AuthAborted => return,
            Step::Ask(question) => {
                let verdict = self.objection.clone().map_or(Ok(()), Err);
                self.session.on_asked(question, verdict, out)
            }
            Step::JudgeSender(mut question) => {
                // Nobody's mail goes before all other.
                question.parameters.priority =
                    question.parameters.priority.map(|priority| priority.min(Priority::new(4).unwrap()));
                let verdict = match question.reverse_path.to_string().as_str() {
                    "banned@example.org" => Err(Reply::fixed(550, (5, 7, 1), "Not you")),
                    _ => Ok(()),
                };
                self.message.clear();
                self.session.on_sender(question, verdict, out)
            }
            Step::JudgeRecipient(question) => {
                let verdict = match question.forward_path.to_string().as_str() {
                    "unknown@example.org" => Err(Reply::fixed(550, (5, 1, 1), "No such user")),
                    "busy@example.org" => Err(Reply::fixed(451, (4, 3, 0), "Try again later")),
                    _ => Ok(()),
                };
                self.session.on_recipient(question, verdict, out)
            }
            Step::Authenticate { mechanism, initial_response } => {
                assert_eq!(mechanism, "PLAIN");
                let answer =
                    initial_response.map_or(AuthAnswer::Challenge(String::new()), |secret| judge(&secret));
                self.session.on_auth(answer, out)
            }
            Step::AuthResponse(secret) => self.session.on_auth(judge(&secret), out),
            Step::StartTls => {
                self.input.clear();
                return;
            }
            Step::ReadData(reader) => {
                self.reading = Reading::Data(reader);
                return;
            }
            Step::ReadChunk(reader) => {
                self.reading = Reading::Chunk(reader);
                return;
            }
            Step::Deliver(envelope) => {
                let text = Text { octets: std::mem::take(&mut self.message), body: envelope.parameters.body };
                self.delivered.push((envelope, text));
                let outcome = self.outcome.clone();
                self.session.on_delivered(&outcome, out)
            }
            Step::Close => {
                self.closed = true;
                return;
            }
        };
        self.carry_out(step);
    }

    /// Runs a script: `C:` lines go in with CRLF, those in a row at once; `S:` lines are all that comes out. `c:`
    /// lines go in without CRLF, with `\r`, `\n` and `\0` spelled out. `tls` shakes hands, `closed` checks.
    pub(super) fn dialogue(script: &str) -> Self {
        Self::dialogue_with(settings(), script)
    }

    pub(super) fn dialogue_with(settings: Settings, script: &str) -> Self {
        let mut door = Self::new(settings);
        let mut unsent = Vec::new();
        let mut replies = String::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("C:") {
                assert_eq!(replies, "", "unexpected, before {line}");
                unsent.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
                unsent.extend_from_slice(b"\r\n");
            } else if let Some(text) = line.strip_prefix("c: ") {
                assert_eq!(replies, "", "unexpected, before {line}");
                let text = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
                unsent.extend_from_slice(text.as_bytes());
            } else {
                replies.push_str(&door.feed(&std::mem::take(&mut unsent)));
                match line.strip_prefix("S: ") {
                    Some(expected) => {
                        let (reply, rest) = replies.split_once("\r\n").unwrap_or_else(|| panic!("no {line}"));
                        assert_eq!(reply, expected);
                        replies = rest.to_owned();
                    }
                    None if line == "tls" => door.start_tls(),
                    None if line == "closed" => assert!(door.is_closed()),
                    None => panic!("what is {line}?"),
                }
            }
        }
        replies.push_str(&door.feed(&unsent));
        assert_eq!(replies, "", "unexpected at the end");
        door
    }
}

fn judge(secret: &Secret) -> AuthAnswer {
    match secret.reveal() {
        b"AGFubgBzZWNyZXQ=" => AuthAnswer::Accepted,
        b"*" => AuthAnswer::Refused(Reply::fixed(501, (5, 7, 0), "Cancelled")),
        _ => AuthAnswer::Refused(Reply::fixed(535, (5, 7, 8), "Wrong")),
    }
}
