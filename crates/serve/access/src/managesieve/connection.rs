//! One client's connection: octets in, commands out, answers gathered and sent when the client's input is used up.

use std::time::Duration;

use managesieve::{Limits, Received, Receiver};
use platform::lines::{Wire, WireError, WireSettings};
use tokio::time::Instant;

use crate::first_words::FirstWords;

/// Octets of input looked at together: a command is assembled elsewhere, so this only sets the size of reads.
const INPUT_OCTETS_MAX: usize = 32 * 1024;

/// The wire and what stands on it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    receiver: Receiver,
    pub(crate) first: FirstWords,
}

impl Connection {
    /// A connection at its start, when the client is a stranger.
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, receiver: Receiver::new(Limits::before_login()), first: FirstWords::default() }
    }

    /// How wires of this door are set up.
    pub(crate) const fn wire_settings(write_timeout: Duration) -> WireSettings {
        WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout }
    }

    /// Gives the client the room of somebody who has logged in.
    pub(crate) fn trust(&mut self, script_octets_max: u64) {
        let script_octets_max = usize::try_from(script_octets_max).unwrap_or(usize::MAX);
        self.receiver.set_limits(Limits::after_login(script_octets_max));
    }

    /// Takes that room back: the client is a stranger again.
    pub(crate) fn distrust(&mut self) {
        self.receiver.set_limits(Limits::before_login());
    }

    /// What comes next is no command but the answer to a challenge.
    pub(crate) fn expect_response(&mut self) {
        self.receiver.expect_response();
    }

    /// Waits for what comes next; never [`Received::NeedMore`]. What was answered so far goes out first, when there is
    /// nothing more to read. Cancelling loses nothing: what was read and not taken stays, and so does what was not yet
    /// written.
    pub(crate) async fn receive(&mut self, deadline: Instant) -> Result<Received, WireError> {
        loop {
            // A client that pipelines and does not read must not make us hold its answers.
            self.wire.relieve().await?;
            let before = self.wire.input().len();
            let mut rest = self.wire.input();
            self.first.hear(rest);
            let received = self.receiver.receive(&mut rest);
            let taken = before - rest.len();
            self.wire.consume(taken);
            if received != Received::NeedMore {
                return Ok(received);
            }
            self.wire.flush().await?;
            self.wire.fill_until(deadline).await?;
        }
    }
}
