//! One message over a connection: the envelope, the octets as they come from the disk, and the answers (RFC 5321 §3.3,
//! RFC 2920, RFC 3030). Nothing holds a whole message.

use std::time::Duration;

use mail_types::Severity;
use mailstore::{MessageReader, READ_OCTETS_MAX};
use platform::lines::WireError;
use smtp::Reply;
use smtp::client::{ChunkPlace, ClientError, ClientStep, Order, Outcome, Transfer};
use smtp::reply::ReplyReader;

use super::connect::{Broken, Connection};

/// Octets of a chunk. Each waits for its answer, so that a refusal is heard before all of a large message has gone; most
/// messages are one chunk.
const CHUNK_OCTETS: u64 = 1024 * 1024;

/// How long we look for the last words of a server that broke off.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(2);

const NO_ANSWER: Reply = Reply::fixed(451, (4, 4, 2), "No answer came");

/// The octets to send: those of `reader` from `begin` on.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) reader: MessageReader,
    pub(crate) begin: u64,
}

impl Body {
    pub(crate) fn octets(&self) -> u64 {
        self.reader.octets().saturating_sub(self.begin)
    }
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// It came to its end; the connection can have another.
    Ended(Outcome),
    /// The connection broke off, with what is known by then.
    BrokenOff {
        /// What was answered; `None` when nothing had been asked.
        outcome: Option<Outcome>,
        /// What happened.
        broken: Broken,
        /// The reply that stands in the outcome for an answer that never came, where it is not the server's own.
        stand_in: Option<Reply>,
        /// Some of the message had gone: the server may have it.
        has_begun: bool,
    },
}

impl Connection {
    /// Offers one message to the recipients of `order`.
    pub(crate) async fn transact(&mut self, order: &Order, body: &Body) -> Transacted {
        self.transactions = self.transactions.saturating_add(1);
        let mut has_begun = false;
        let broken = match self.carry(order, body, &mut has_begun).await {
            Ok(outcome) => return Transacted::Ended(outcome),
            Err(broken) => broken,
        };
        let theirs = self.last_words(&broken).await;
        let stand_in = theirs.is_none().then_some(NO_ANSWER);
        let outcome = self.client.broken_off(theirs.unwrap_or(NO_ANSWER));
        Transacted::BrokenOff { outcome, broken, stand_in, has_begun }
    }

    async fn carry(&mut self, order: &Order, body: &Body, has_begun: &mut bool) -> Result<Outcome, Broken> {
        let mut step = self.client.send(order, &mut self.out);
        let mut patience = self.timeouts.command;
        loop {
            step = match self.listen(step, patience).await? {
                ClientStep::SendMessage(transfer) => {
                    *has_begun = true;
                    patience = self.timeouts.final_reply;
                    match transfer {
                        Transfer::Data => self.send_data(body).await?,
                        Transfer::Chunks => self.send_chunks(body).await?,
                    }
                }
                ClientStep::Done(outcome) => return Ok(outcome),
                // The client asks for nothing else within a transaction.
                _ => return Err(Broken::Client(ClientError::Unasked)),
            };
        }
    }

    async fn send_data(&mut self, body: &Body) -> Result<ClientStep, Broken> {
        let mut writer = self.client.data_writer();
        let mut at = body.begin;
        while at < body.reader.octets() {
            let piece = read(body, at, body.reader.octets()).await?;
            at += piece.len() as u64;
            writer.write(&piece, self.wire.output());
            self.wire.relieve().await?;
        }
        writer.finish(self.wire.output());
        self.wire.flush().await?;
        Ok(self.client.data_sent())
    }

    async fn send_chunks(&mut self, body: &Body) -> Result<ClientStep, Broken> {
        let mut at = body.begin;
        loop {
            let left = body.reader.octets().saturating_sub(at);
            // What was refused need not go on: an empty last chunk ends it.
            let octets = if self.client.is_refused() { 0 } else { left.min(CHUNK_OCTETS) };
            let is_last = octets == left || octets == 0;
            let place = if is_last { ChunkPlace::Last } else { ChunkPlace::Middle };
            self.client.write_chunk_header(octets, place, self.wire.output());
            let end = at + octets;
            while at < end {
                let piece = read(body, at, end).await?;
                at += piece.len() as u64;
                self.wire.put(&piece);
                self.wire.relieve().await?;
            }
            self.wire.flush().await?;
            if is_last {
                return Ok(ClientStep::Read);
            }
            self.await_chunk_reply().await?;
        }
    }

    /// Waits for the answer to a chunk that is not the last.
    async fn await_chunk_reply(&mut self) -> Result<(), Broken> {
        let deadline = tokio::time::Instant::now() + self.timeouts.command;
        while self.client.awaits_reply() {
            if self.wire.input().is_empty() {
                self.wire.fill_until(deadline).await?;
            }
            let (used, _) = self.client.on_octets(self.wire.input(), &mut self.out)?;
            self.wire.consume(used);
        }
        Ok(())
    }

    /// What a server that broke off said about the message: its good-bye, or a refusal while we were still sending.
    async fn last_words(&mut self, broken: &Broken) -> Option<Reply> {
        match broken {
            Broken::Client(ClientError::Closing(reply)) => Some(reply.clone()),
            Broken::Wire(WireError::Io(_) | WireError::WriteTimeout) => {
                self.wire.fill(LAST_WORDS_WAIT).await.ok()?;
                let (_, reply) = ReplyReader::default().next(self.wire.input()).ok()?;
                // Nothing it says now can mean that it has the message.
                let is_refusal =
                    |reply: &Reply| matches!(reply.severity(), Severity::Transient | Severity::Permanent);
                reply.filter(is_refusal)
            }
            Broken::Wire(_) | Broken::Client(_) | Broken::Unreadable(_) => None,
        }
    }
}

async fn read(body: &Body, at: u64, end: u64) -> Result<Vec<u8>, Broken> {
    let piece = body.reader.read(at..end.min(at.saturating_add(READ_OCTETS_MAX as u64))).await;
    let piece = piece.map_err(Broken::Unreadable)?;
    if piece.is_empty() {
        return Err(Broken::Unreadable(mailstore::StoreError::NoSuchMessage));
    }
    Ok(piece)
}
