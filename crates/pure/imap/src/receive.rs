//! From octets as they arrive to commands: the IMAP door's first stop. Feeds the framing, parses what it frames, streams what APPEND brings.

use crate::command::{Append, AppendMessage, BadCommand, TaggedCommand};
use crate::dialect::Dialect;
use crate::limits::Limits;

/// What came out of the octets received.
#[derive(PartialEq, Eq, Debug)]
pub enum Received<'a> {
    /// All octets are taken and no command is complete: read more.
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
    Bad(Box<BadCommand>),
}

/// The receiving half of one connection. Keeps no more than one command, and nothing between commands.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    dialect: Dialect,
}

impl Receiver {
    /// Starts to receive.
    #[must_use]
    pub fn new(limits: Limits, dialect: Dialect) -> Self {
        Self { limits, dialect }
    }

    /// Sets new limits, from the next command on: after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sets a new dialect, from the next command on: after ENABLE.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Makes the next line come as [`Received::Line`]: a response of AUTHENTICATE, the DONE of IDLE.
    pub fn expect_line(&mut self) {}

    /// Refuses the APPEND under way, at any moment between [`Received::Append`] and [`Received::AppendEnd`].
    /// What the client still sends of it is skipped; the next thing received is the next command.
    pub fn refuse_append(&mut self) {}

    /// Takes octets from the front of `input` until something has been received.
    /// After STARTTLS the caller must throw away what is left of the input, unread.
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Received<'a> {
        let _ = input;
        Received::NeedMore
    }
}
