//! One client's connection: octets in, commands out, answers gathered and sent when the client's input is used up.
//!
//! Second stop of a command after the listener; what it frames goes to [`super::stranger`] or [`super::session`].

use std::time::Duration;

use imap::command::{Append, AppendMessage, BadCommand};
use imap::{Dialect, Limits, Received, Receiver, TaggedCommand};
use platform::lines::{Wire, WireError, WireSettings};
use tokio::time::Instant;

use crate::first_words::FirstWords;

/// Octets of input looked at together: a command is assembled elsewhere, so this only sets the size of reads.
const INPUT_OCTETS_MAX: usize = 32 * 1024;

/// The wire, what stands on it, and how both sides write.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    receiver: Receiver,
    dialect: Dialect,
    pub(crate) first: FirstWords,
}

/// What was received. As [`Received`], without borrowing the input.
#[derive(Debug)]
pub(crate) enum Event {
    /// A command.
    Command(Box<TaggedCommand>),
    /// An APPEND begins.
    Append(Append),
    /// A message of the APPEND begins.
    AppendMessage(Box<AppendMessage>),
    /// This many octets of the message stand at the front of the input; [`Connection::taken`] ends the loan.
    AppendOctets(AppendOctets),
    /// The message is whole.
    AppendMessageEnd,
    /// The APPEND is whole.
    AppendEnd,
    /// A line that was expected.
    Line(Vec<u8>),
    /// A command that could not be read.
    Bad(Box<BadCommand>),
}

/// Where in the input the octets of a message stand.
#[derive(Debug)]
pub(crate) struct AppendOctets {
    start: usize,
    end: usize,
}

impl Connection {
    /// A connection at its start, when the client is a stranger.
    pub(crate) fn new(wire: Wire, dialect: Dialect) -> Self {
        Self {
            wire,
            receiver: Receiver::new(Limits::before_login(), dialect),
            dialect,
            first: FirstWords::default(),
        }
    }

    /// How wires of this door are set up.
    pub(crate) const fn wire_settings(write_timeout: Duration) -> WireSettings {
        WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout }
    }

    /// How both sides write.
    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Changes how both sides write, from the next command on.
    pub(crate) fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
        self.receiver.set_dialect(dialect);
    }

    /// Gives the client the room of somebody who has logged in.
    pub(crate) fn trust(&mut self) {
        self.receiver.set_limits(Limits::after_login());
    }

    /// The next line is no command but an answer.
    pub(crate) fn expect_line(&mut self) {
        self.receiver.expect_line();
    }

    /// Drops the APPEND under way; its octets are skipped.
    pub(crate) fn refuse_append(&mut self) {
        self.receiver.refuse_append();
    }

    /// The octets of a message lent by [`Event::AppendOctets`].
    pub(crate) fn append_octets(&self, octets: &AppendOctets) -> &[u8] {
        self.wire.input().get(octets.start..octets.end).unwrap_or_default()
    }

    /// Ends the loan: the octets were used.
    pub(crate) fn taken(&mut self, octets: &AppendOctets) {
        self.wire.consume(octets.end);
    }

    /// Waits for the next event. What was answered so far goes out first, when there is nothing more to read.
    /// Cancelling loses nothing: what was read and not taken stays, and so does what was not yet written.
    pub(crate) async fn receive(&mut self, deadline: Instant) -> Result<Event, WireError> {
        loop {
            // A client that pipelines and does not read must not make us hold its answers.
            self.wire.relieve().await?;
            if let Some(event) = self.take() {
                return Ok(event);
            }
            self.wire.flush().await?;
            self.wire.fill_until(deadline).await?;
        }
    }

    /// The next event from what has been read already; `None` when more must be read.
    fn take(&mut self) -> Option<Event> {
        loop {
            let before = self.wire.input().len();
            let mut rest = self.wire.input();
            self.first.hear(rest);
            let received = self.receiver.receive(&mut rest);
            let consumed = before - rest.len();
            let event = match received {
                Received::AppendOctets(octets) => {
                    let start = consumed - octets.len();
                    return Some(Event::AppendOctets(AppendOctets { start, end: consumed }));
                }
                Received::NeedMore => None,
                Received::NeedContinuation => {
                    self.wire.consume(consumed);
                    imap::response::write_continuation(self.wire.output(), "Go on");
                    continue;
                }
                Received::Command(command) => Some(Event::Command(command)),
                Received::Append(append) => Some(Event::Append(append)),
                Received::AppendMessage(message) => Some(Event::AppendMessage(message)),
                Received::AppendMessageEnd => Some(Event::AppendMessageEnd),
                Received::AppendEnd => Some(Event::AppendEnd),
                Received::Line(line) => Some(Event::Line(line)),
                Received::Bad(bad) => Some(Event::Bad(bad)),
            };
            self.wire.consume(consumed);
            return event;
        }
    }
}
