//! Buffered, bounded, timed reading and writing for doors.
//!
//! A [`Wire`] stands between a [`Stream`] and a protocol's framing: the door fills it, looks at
//! [`Wire::input`], consumes what a line or literal took, puts answers into [`Wire::output`] and flushes.
//! While it waits for a silent peer it holds no buffer at all, so an idle connection costs next to nothing.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::stream::Stream;

/// Octets read but not consumed that a wire holds at most; [`WireSettings::input_octets_max`] may be smaller.
pub const INPUT_OCTETS_MAX: usize = 128 * 1024;

/// Output beyond which [`Wire::relieve`] writes: large enough for few system calls, small beside 512 MB.
/// Also the amount that must leave within each [`WireSettings::write_timeout`].
pub const OUTPUT_OCTETS_SOFT: usize = 64 * 1024;

/// Octets one read takes at most: what four TLS records hold.
const READ_OCTETS: usize = 64 * 1024;

/// How long a farewell may take: flushing, TLS close_notify, and reading away what would turn our FIN into a reset.
const FAREWELL: Duration = Duration::from_secs(2);

/// Octets read away in a farewell: a pipelining client's burst, not a flood.
const FAREWELL_OCTETS_MAX: usize = 256 * 1024;

/// A wire's bounds.
#[derive(Clone, Copy, Debug)]
pub struct WireSettings {
    /// Unconsumed input at most. A line longer than this cannot be seen whole: consume it in pieces.
    pub input_octets_max: usize,
    /// How long the peer may take to accept the whole output, or each 64 KiB of a longer one. Not "any octet",
    /// or a peer could hold our memory for hours with one octet a minute.
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
    /// The peer did not take what we wrote in the time allowed.
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
    settings: WireSettings,
    /// Read octets; those before `consumed` are done with.
    input: Vec<u8>,
    consumed: usize,
    /// Octets to write; those before `written` are gone.
    output: Vec<u8>,
    written: usize,
}

impl Wire {
    /// A wire over a stream.
    #[must_use]
    pub fn new(stream: Stream, settings: WireSettings) -> Self {
        let input_octets_max = settings.input_octets_max.clamp(1, INPUT_OCTETS_MAX);
        let settings = WireSettings { input_octets_max, ..settings };
        Self { stream, settings, input: Vec::new(), consumed: 0, output: Vec::new(), written: 0 }
    }

    /// What has been read and not consumed.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        self.input.get(self.consumed..).unwrap_or_default()
    }

    /// Takes `octets` away from the front of the input; more than there is takes all.
    pub fn consume(&mut self, octets: usize) {
        self.consumed = self.consumed.saturating_add(octets);
        if self.consumed >= self.input.len() {
            self.input.clear();
            self.consumed = 0;
        }
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
        let room = self.settings.input_octets_max.saturating_sub(self.input().len());
        if room == 0 {
            return Err(WireError::InputFull);
        }
        match timeout_at(deadline, poll_fn(|context| self.poll_fill(context, room))).await {
            Ok(Ok(0)) => Err(WireError::Closed),
            Ok(Ok(_)) => Ok(()),
            // TLS without a goodbye. Our protocols say themselves where things end, so nothing is cut short by it.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(WireError::Closed),
            Ok(Err(error)) => Err(WireError::Io(error)),
            Err(_) => Err(WireError::ReadTimeout),
        }
    }

    /// The output buffer, to append answers to. Nothing goes out before [`Self::flush`] or [`Self::relieve`].
    /// What it holds already may have been written: append only.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Appends to the output.
    pub fn put(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    /// Octets that wait to be written.
    #[must_use]
    pub fn output_octets(&self) -> usize {
        self.output.len() - self.written
    }

    /// Writes the whole output. Cancelling loses nothing: what was not written stays in the buffer.
    ///
    /// # Errors
    /// [`WireError::WriteTimeout`], [`WireError::Io`].
    pub async fn flush(&mut self) -> Result<(), WireError> {
        while self.output_octets() > 0 {
            let goal = self.output.len().min(self.written + OUTPUT_OCTETS_SOFT);
            let deadline = Instant::now() + self.settings.write_timeout;
            in_time(deadline, poll_fn(|context| self.poll_write_to(context, goal))).await?;
        }
        self.output.clear();
        self.written = 0;
        let deadline = Instant::now() + self.settings.write_timeout;
        in_time(deadline, poll_fn(|context| Pin::new(&mut self.stream).poll_flush(context))).await
    }

    /// Writes the output when it has grown beyond [`OUTPUT_OCTETS_SOFT`]: call it between pieces of a long answer.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn relieve(&mut self) -> Result<(), WireError> {
        if self.output_octets() >= OUTPUT_OCTETS_SOFT { self.flush().await } else { Ok(()) }
    }

    /// Ends the connection in good order: flushes, says goodbye (TLS close_notify, TCP FIN), and reads away for a
    /// moment what the peer still sends, lest the reset that unread octets cause destroy our last answer on its way.
    pub async fn close(mut self) {
        let farewell = async {
            self.flush().await?;
            poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context))
                .await
                .map_err(WireError::Io)?;
            let mut read_away = 0;
            while read_away < FAREWELL_OCTETS_MAX {
                self.input = Vec::new();
                self.consumed = 0;
                match poll_fn(|context| self.poll_fill(context, READ_OCTETS)).await {
                    Ok(0) | Err(_) => break,
                    Ok(octets) => read_away += octets,
                }
            }
            Ok::<(), WireError>(())
        };
        // The connection is over; whether the peer saw the farewell is its own affair.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Takes the stream out to lay TLS over it. Input that was read but not consumed is thrown away, never
    /// carried into the new layer (STARTTLS injection, CVE-2011-0411); its length is returned. Flushes first.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn into_stream(mut self) -> Result<(Stream, usize), WireError> {
        self.flush().await?;
        let discarded = self.input().len();
        Ok((self.stream, discarded))
    }

    /// Reads once, at most `room` octets, through a buffer on the stack: while the peer is silent no memory is held.
    fn poll_fill(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let mut scratch = [const { MaybeUninit::<u8>::uninit() }; READ_OCTETS];
        let (window, _) = scratch.split_at_mut(room.min(READ_OCTETS));
        let mut buffer = ReadBuf::uninit(window);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.make_room();
                self.input.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.release_empty_buffers();
                Poll::Pending
            }
        }
    }

    /// Moves unconsumed input to the front when that costs no more than was consumed, so that all moves together
    /// cost no more than the octets that came in.
    fn make_room(&mut self) {
        if self.consumed > 0 && self.consumed >= self.input.len() - self.consumed {
            self.input.drain(..self.consumed);
            self.consumed = 0;
        }
    }

    fn release_empty_buffers(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Writes until `goal` octets of the output are gone.
    fn poll_write_to(&mut self, context: &mut Context<'_>, goal: usize) -> Poll<io::Result<()>> {
        while self.written < goal {
            let rest = self.output.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(octets)) => self.written += octets,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

async fn in_time(deadline: Instant, write: impl Future<Output = io::Result<()>>) -> Result<(), WireError> {
    match timeout_at(deadline, write).await {
        Ok(done) => done.map_err(WireError::Io),
        Err(_) => Err(WireError::WriteTimeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SETTINGS: WireSettings =
        WireSettings { input_octets_max: 16, write_timeout: Duration::from_secs(60) };
    const LONG: Duration = Duration::from_secs(60);

    fn wire(octets_max: usize) -> (Wire, Stream) {
        let (ours, theirs) = Stream::pair(octets_max);
        (Wire::new(ours, SETTINGS), theirs)
    }

    #[tokio::test]
    async fn fills_and_consumes() {
        let (mut wire, mut peer) = wire(64);
        peer.write_all(b"NOOP\r\nQUIT\r\n").await.unwrap();
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input(), b"NOOP\r\nQUIT\r\n");
        wire.consume(6);
        assert_eq!(wire.input(), b"QUIT\r\n");
        peer.write_all(b"X").await.unwrap();
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input(), b"QUIT\r\nX");
        wire.consume(usize::MAX);
        assert_eq!(wire.input(), b"");
    }

    #[tokio::test]
    async fn input_is_bounded() {
        let (mut wire, mut peer) = wire(64);
        peer.write_all(&[b'a'; 40]).await.unwrap();
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input().len(), 16);
        assert!(matches!(wire.fill(LONG).await, Err(WireError::InputFull)));
        wire.consume(1);
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input().len(), 16);
        wire.consume(16);
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input().len(), 16);
        wire.consume(16);
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input().len(), 7);
    }

    #[tokio::test]
    async fn many_small_consumes_keep_memory_bounded() {
        let (mut wire, mut peer) = wire(64);
        for _ in 0..1000 {
            peer.write_all(b"abc").await.unwrap();
            wire.fill(LONG).await.unwrap();
            wire.consume(wire.input().len().saturating_sub(8));
            assert!(wire.input.len() <= 2 * 16, "{}", wire.input.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_times_out_and_holds_no_buffer() {
        let (mut wire, mut peer) = wire(64);
        peer.write_all(b"abc").await.unwrap();
        wire.fill(LONG).await.unwrap();
        wire.consume(3);
        wire.put(b"answer");
        wire.flush().await.unwrap();
        assert!(wire.input.capacity() > 0 && wire.output.capacity() > 0);
        assert!(matches!(wire.fill(LONG).await, Err(WireError::ReadTimeout)));
        assert_eq!((wire.input.capacity(), wire.output.capacity()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_loses_nothing() {
        let (mut wire, mut peer) = wire(64);
        peer.write_all(b"ab").await.unwrap();
        wire.fill(LONG).await.unwrap();
        assert!(matches!(wire.fill(LONG).await, Err(WireError::ReadTimeout)));
        peer.write_all(b"c").await.unwrap();
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input(), b"abc");
    }

    #[tokio::test]
    async fn end_of_stream_is_closed() {
        let (mut wire, peer) = wire(64);
        drop(peer);
        assert!(matches!(wire.fill(LONG).await, Err(WireError::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_times_out() {
        let (mut wire, _peer) = wire(8);
        wire.put(b"more than eight octets");
        assert!(matches!(wire.flush().await, Err(WireError::WriteTimeout)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_drips_times_out() {
        let (mut wire, mut peer) = wire(8);
        wire.put(&[b'x'; 100]);
        let drip = async {
            loop {
                tokio::time::advance(Duration::from_secs(10)).await;
                peer.read_u8().await.unwrap();
            }
        };
        let flushed = tokio::select! {
            flushed = wire.flush() => flushed,
            () = drip => Ok(()),
        };
        assert!(matches!(flushed, Err(WireError::WriteTimeout)), "{flushed:?}");
    }

    #[tokio::test]
    async fn a_cancelled_flush_goes_on_where_it_was() {
        let (mut wire, mut peer) = wire(8);
        wire.put(b"0123456789");
        tokio::select! {
            biased;
            flushed = wire.flush() => panic!("flushed {flushed:?}"),
            () = tokio::task::yield_now() => {}
        }
        wire.put(b"abc");
        let mut received = [0; 13];
        let (flushed, read) = tokio::join!(wire.flush(), peer.read_exact(&mut received));
        flushed.unwrap();
        read.unwrap();
        assert_eq!(&received, b"0123456789abc");
        assert_eq!(wire.output_octets(), 0);
    }

    #[tokio::test]
    async fn relieve_writes_only_much() {
        let (mut wire, mut peer) = wire(OUTPUT_OCTETS_SOFT);
        wire.put(&vec![b'x'; OUTPUT_OCTETS_SOFT - 1]);
        wire.relieve().await.unwrap();
        assert_eq!(wire.output_octets(), OUTPUT_OCTETS_SOFT - 1);
        wire.put(b"x");
        wire.relieve().await.unwrap();
        assert_eq!(wire.output_octets(), 0);
        let mut received = vec![0; OUTPUT_OCTETS_SOFT];
        peer.read_exact(&mut received).await.unwrap();
    }

    #[tokio::test]
    async fn taking_the_stream_throws_pipelined_plaintext_away() {
        let (mut wire, mut peer) = wire(64);
        peer.write_all(b"STARTTLS\r\nMAIL").await.unwrap();
        wire.fill(LONG).await.unwrap();
        wire.consume(10);
        wire.put(b"220 go\r\n");
        let (stream, discarded) = wire.into_stream().await.unwrap();
        assert_eq!(discarded, 4);
        peer.write_all(b"tls").await.unwrap();
        let mut wire = Wire::new(stream, SETTINGS);
        wire.fill(LONG).await.unwrap();
        assert_eq!(wire.input(), b"tls");
        let mut answer = [0; 8];
        peer.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"220 go\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn close_waits_for_no_one_long() {
        let (mut wire, mut peer) = wire(8);
        wire.put(b"bye");
        peer.write_all(b"still").await.unwrap();
        let begin = Instant::now();
        let keep = tokio::spawn(async move {
            let mut text = String::new();
            peer.read_to_string(&mut text).await.unwrap();
            std::future::pending::<()>().await;
        });
        wire.close().await;
        assert!(begin.elapsed() <= FAREWELL);
        keep.abort();
    }
}
