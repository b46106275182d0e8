//! Buffered, bounded, timed reading and writing for doors.
//!
//! A [`Wire`] stands between a [`Stream`] and a protocol's framing: the door fills it, looks at
//! [`Wire::input`], consumes what a line or literal took, puts answers into [`Wire::output`] and flushes.
//! While it waits for a silent peer it holds no buffer at all, so an idle connection costs next to nothing.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::Stream;

/// Octets read but not consumed that a wire holds at most; [`WireSettings::input_octets_max`] may be smaller.
pub const INPUT_OCTETS_MAX: usize = 128 * 1024;

/// Output beyond which [`Wire::relieve`] writes: large enough for few system calls, small beside 512 MB.
pub const OUTPUT_OCTETS_SOFT: usize = 64 * 1024;

/// A wire's bounds.
#[derive(Clone, Copy, Debug)]
pub struct WireSettings {
    /// Unconsumed input at most. A line longer than this cannot be seen whole: consume it in pieces.
    pub input_octets_max: usize,
    /// How long the peer may go on without taking a single octet of ours.
    pub write_timeout: Duration,
}

/// Why a wire came to an end. All but `InputFull` mean: hang up.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer has closed its side.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer said nothing for the time allowed.
    #[error("the peer was silent too long")]
    ReadTimeout,
    /// The peer took nothing of what we wrote for the time allowed.
    #[error("the peer does not read what we send")]
    WriteTimeout,
    /// The input buffer is full: the door must consume before it fills again.
    #[error("the input buffer is full")]
    InputFull,
    /// The network failed.
    #[error("connection failed: {0}")]
    Io(#[source] io::Error),
}

/// A stream with its input and output buffers.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
}

impl Wire {
    /// A wire over a stream.
    #[must_use]
    pub fn new(stream: Stream, settings: WireSettings) -> Self {
        let _ = settings;
        Self { stream }
    }

    /// What has been read and not consumed.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        unimplemented!()
    }

    /// Takes `octets` away from the front of the input.
    pub fn consume(&mut self, octets: usize) {
        unimplemented!("{octets}")
    }

    /// Waits until at least one more octet has been read, at most `within`. Does not flush. Cancelling loses nothing.
    ///
    /// # Errors
    /// [`WireError::Closed`], [`WireError::ReadTimeout`], [`WireError::InputFull`], [`WireError::Io`].
    pub async fn fill(&mut self, within: Duration) -> Result<(), WireError> {
        self.fill_until(Instant::now() + within).await
    }

    /// As [`Self::fill`], up to a deadline that several fills can share (one for a whole command).
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub async fn fill_until(&mut self, deadline: Instant) -> Result<(), WireError> {
        unimplemented!("{deadline:?}{:?}", self.stream)
    }

    /// The output buffer, to append answers to. Nothing goes out before [`Self::flush`] or [`Self::relieve`].
    pub fn output(&mut self) -> &mut Vec<u8> {
        unimplemented!()
    }

    /// Appends to the output.
    pub fn put(&mut self, octets: &[u8]) {
        self.output().extend_from_slice(octets);
    }

    /// Writes the whole output. Cancelling loses nothing: what was not written stays in the buffer.
    ///
    /// # Errors
    /// [`WireError::WriteTimeout`], [`WireError::Io`].
    pub async fn flush(&mut self) -> Result<(), WireError> {
        unimplemented!()
    }

    /// Writes the output when it has grown beyond [`OUTPUT_OCTETS_SOFT`]: call it between pieces of a long answer.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn relieve(&mut self) -> Result<(), WireError> {
        unimplemented!()
    }

    /// Ends the connection in good order: flushes, says goodbye (TLS close_notify, TCP FIN), waits only briefly.
    pub async fn close(self) {
        unimplemented!()
    }

    /// Takes the stream out to lay TLS over it. Input that was read but not consumed is thrown away, never
    /// carried into the new layer (STARTTLS injection, CVE-2011-0411); its length is returned. Flushes first.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn into_stream(self) -> Result<(Stream, usize), WireError> {
        unimplemented!()
    }
}
