//! From octets as they arrive to commands: the IMAP door's first stop. Frames, parses what it framed, streams what APPEND brings.

use crate::command::append::{Prefix, next_message, prefix};
use crate::command::{Append, AppendForm, AppendMessage, BadCommand, BadKind, Tag, TaggedCommand};
use crate::dialect::Dialect;
use crate::framing::{Announcement, Framed, Framer, LineKind};
use crate::limits::Limits;

/// Most messages in one APPEND (RFC 3502).
pub(crate) const APPEND_MESSAGES_MAX: usize = 1_000;

/// What came out of the octets received.
#[derive(PartialEq, Eq, Debug)]
pub enum Received<'a> {
    /// All octets are taken and nothing is complete: read more.
    NeedMore,
    /// The client waits for leave to send a literal: write a continuation request and flush.
    NeedContinuation,
    /// A complete command.
    Command(Box<TaggedCommand>),
    /// An APPEND begins; [`Received::AppendMessage`] follows at once.
    Append(Append),
    /// A message of the APPEND begins. To have it: open a place for it, and write a continuation request if it is synchronising.
    /// To refuse it: [`Receiver::refuse_append`], and answer.
    AppendMessage(Box<AppendMessage>),
    /// The next octets of the message.
    AppendOctets(&'a [u8]),
    /// All octets of the message have come. Another message or the end follows, or [`Received::Bad`] instead.
    AppendMessageEnd,
    /// The APPEND is complete: file its messages and answer.
    AppendEnd,
    /// A line that is no command, after [`Receiver::expect_line`]; without its line end.
    Line(Vec<u8>),
    /// A command that could not be read, an APPEND under way included, which is to be taken back.
    /// Without a tag where a line was expected and was too long.
    Bad(Box<BadCommand>),
}

/// The receiving half of one connection. Keeps no more than one command, and nothing between commands.
#[derive(Debug)]
pub struct Receiver {
    framer: Framer,
    dialect: Dialect,
    awaited: Awaited,
}

/// What the next octets are to be.
#[derive(Debug)]
enum Awaited {
    Command,
    Line,
    /// The octets of a message, once its [`AppendMessage`] has been handed out.
    Message {
        append: Underway,
        announced: Option<Box<AppendMessage>>,
    },
    /// The line behind a message.
    AfterMessage {
        append: Underway,
        before: AppendForm,
    },
}

/// What must be remembered of an APPEND.
#[derive(Debug)]
struct Underway {
    tag: Tag,
    messages: usize,
    form: AppendForm,
}

impl Receiver {
    /// Starts to receive.
    #[must_use]
    pub fn new(limits: Limits, dialect: Dialect) -> Self {
        Self { framer: Framer::new(limits), dialect, awaited: Awaited::Command }
    }

    /// Sets new limits, from the next command on: after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.framer.set_limits(limits);
    }

    /// Sets a new dialect, from the next command on: after ENABLE.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Makes the next line come as [`Received::Line`]: a response of AUTHENTICATE, the DONE of IDLE.
    pub fn expect_line(&mut self) {
        self.awaited = Awaited::Line;
    }

    /// Refuses the APPEND under way, at any moment between [`Received::Append`] and [`Received::AppendEnd`].
    /// What the client still sends of it is skipped; the next thing received is the next command.
    pub fn refuse_append(&mut self) {
        if matches!(self.awaited, Awaited::Message { .. } | Awaited::AfterMessage { .. }) {
            self.framer.refuse();
            self.awaited = Awaited::Command;
        }
    }

    /// Takes octets from the front of `input` until something has been received.
    /// After STARTTLS the caller must throw away what is left of the input, unread.
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Received<'a> {
        loop {
            let received = match std::mem::replace(&mut self.awaited, Awaited::Command) {
                Awaited::Command => self.command(input),
                Awaited::Line => Some(self.line(input)),
                Awaited::Message { append, announced } => Some(self.message(input, append, announced)),
                Awaited::AfterMessage { append, before } => Some(self.after_message(input, append, before)),
            };
            if let Some(received) = received {
                return received;
            }
        }
    }

    fn command<'a>(&mut self, input: &mut &'a [u8]) -> Option<Received<'a>> {
        match self.framer.next(input, LineKind::Command) {
            // A stray empty line does no harm; some clients send one behind an APPEND.
            Framed::Whole([]) => None,
            Framed::Whole(octets) => Some(parsed(octets, self.dialect)),
            Framed::Gathered => {
                let octets = self.framer.gathered();
                let received = if octets.is_empty() { None } else { Some(parsed(octets, self.dialect)) };
                self.framer.start_over();
                received
            }
            Framed::Announced(announcement) => self.announced(&announcement),
            Framed::TooLarge(what) => Some(self.too_large(what)),
            Framed::OutOfStep => Some(bad(None, BadKind::OutOfStep)),
            Framed::NeedMore | Framed::Octets(_) | Framed::StreamEnd => Some(Received::NeedMore),
        }
    }

    fn announced<'a>(&mut self, announcement: &Announcement) -> Option<Received<'a>> {
        match prefix(self.framer.gathered(), announcement, self.dialect) {
            Prefix::Message(append, message) => {
                let underway = Underway { tag: append.tag.clone(), messages: 1, form: message.form };
                self.awaited = Awaited::Message { append: underway, announced: Some(message) };
                Some(Received::Append(append))
            }
            Prefix::Bad(tag, kind) => {
                self.framer.refuse();
                Some(bad(tag, kind))
            }
            Prefix::Ordinary => match self.framer.gather_literal() {
                Ok(()) => announcement.synchronising.then_some(Received::NeedContinuation),
                Err(what) => {
                    let tag = first_tag(self.framer.gathered());
                    self.framer.refuse();
                    Some(bad(tag, BadKind::TooLarge(what)))
                }
            },
        }
    }

    fn line<'a>(&mut self, input: &mut &'a [u8]) -> Received<'a> {
        match self.framer.next(input, LineKind::Plain) {
            Framed::Whole(line) => Received::Line(line.to_vec()),
            Framed::Gathered => {
                let line = self.framer.gathered().to_vec();
                self.framer.start_over();
                Received::Line(line)
            }
            Framed::TooLarge(what) => {
                self.framer.give_up();
                bad(None, BadKind::TooLarge(what))
            }
            Framed::OutOfStep => bad(None, BadKind::OutOfStep),
            _ => {
                self.awaited = Awaited::Line;
                Received::NeedMore
            }
        }
    }

    fn message<'a>(
        &mut self,
        input: &mut &'a [u8],
        append: Underway,
        announced: Option<Box<AppendMessage>>,
    ) -> Received<'a> {
        if let Some(message) = announced {
            self.awaited = Awaited::Message { append, announced: None };
            return Received::AppendMessage(message);
        }
        // Nobody has refused the message that was announced.
        self.framer.stream_literal();
        let framed = self.framer.next(input, LineKind::Command);
        if framed == Framed::StreamEnd {
            let before = append.form;
            self.awaited = Awaited::AfterMessage { append, before };
            return Received::AppendMessageEnd;
        }
        self.awaited = Awaited::Message { append, announced: None };
        match framed {
            Framed::Octets(octets) => Received::AppendOctets(octets),
            _ => Received::NeedMore,
        }
    }

    fn after_message<'a>(
        &mut self,
        input: &mut &'a [u8],
        append: Underway,
        before: AppendForm,
    ) -> Received<'a> {
        let next = match self.framer.next(input, LineKind::Command) {
            Framed::Whole(line) => next_message(line, before, None, self.dialect),
            Framed::Gathered => {
                let next = next_message(self.framer.gathered(), before, None, self.dialect);
                self.framer.start_over();
                next
            }
            Framed::Announced(announcement) => {
                let next = next_message(self.framer.gathered(), before, Some(&announcement), self.dialect);
                if append.messages == APPEND_MESSAGES_MAX {
                    Err(BadKind::TooLarge("it has too many messages"))
                } else {
                    next
                }
            }
            Framed::TooLarge(what) => Err(BadKind::TooLarge(what)),
            Framed::OutOfStep => Err(BadKind::OutOfStep),
            _ => {
                self.awaited = Awaited::AfterMessage { append, before };
                return Received::NeedMore;
            }
        };
        match next {
            Ok(Some(message)) => {
                let append = Underway { messages: append.messages + 1, form: message.form, ..append };
                self.awaited = Awaited::Message { append, announced: None };
                Received::AppendMessage(Box::new(message))
            }
            Ok(None) => Received::AppendEnd,
            Err(kind) => {
                self.framer.give_up();
                bad(Some(append.tag), kind)
            }
        }
    }

    fn too_large<'a>(&mut self, what: &'static str) -> Received<'a> {
        let tag = first_tag(self.framer.gathered());
        self.framer.give_up();
        bad(tag, BadKind::TooLarge(what))
    }
}

fn parsed<'a>(octets: &[u8], dialect: Dialect) -> Received<'a> {
    match TaggedCommand::parse(octets, dialect) {
        Ok(command) => Received::Command(Box::new(command)),
        Err(bad) => Received::Bad(Box::new(bad)),
    }
}

fn bad<'a>(tag: Option<Tag>, kind: BadKind) -> Received<'a> {
    Received::Bad(Box::new(BadCommand { tag, kind }))
}

/// The tag at the start of a command that is not read any further.
fn first_tag(octets: &[u8]) -> Option<Tag> {
    memchr::memchr(b' ', octets).and_then(|end| octets.get(..end)).and_then(Tag::parse)
}
