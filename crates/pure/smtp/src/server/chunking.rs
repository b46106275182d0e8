//! BDAT: a message in counted chunks (RFC 3030). A refused chunk's octets come all the same and are read over, so
//! they can never be taken for commands.

use super::transaction::{Envelope, Transaction, check_text};
use super::{Session, Step, replies};
use crate::command::BodyType;
use crate::framing::{ChunkDestiny, ChunkReader, EndOfChunk, LineEnds, TextReader};
use crate::reply::Reply;

/// A chunk that is being read over, and what is answered when it is.
#[derive(Debug)]
pub(super) struct RefusedChunk<R> {
    reply: Reply,
    replies_owed: usize,
    /// The envelope of the message that is lost with it, if one is.
    pub(super) envelope: Option<Envelope<R>>,
}

impl<R> From<Reply> for Box<RefusedChunk<R>> {
    fn from(reply: Reply) -> Self {
        Self::new(RefusedChunk { reply, replies_owed: 1, envelope: None })
    }
}

impl<R> Session<R> {
    /// The reply follows the chunk, for only then do client and server agree where they are.
    pub(super) fn on_bdat(&mut self, octets: u64, last: bool, out: &mut Vec<u8>) -> Step<R> {
        // A chunk that neither brings nor ends anything could be sent for ever.
        if octets == 0 && !last && self.is_idle_too_long() {
            return self.hang_up(replies::TOO_MANY_COMMANDS, out);
        }
        match self.begin_chunk(octets, last) {
            Ok(text) => Step::ReadChunk(ChunkReader::new(octets, last, text, ChunkDestiny::Keep)),
            Err(refused) => {
                self.refused_chunk = Some(refused);
                let nowhere = TextReader::chunked(LineEnds::Binary);
                Step::ReadChunk(ChunkReader::new(octets, last, nowhere, ChunkDestiny::Discard))
            }
        }
    }

    /// The text's state before this chunk, or why the chunk is refused.
    fn begin_chunk(&mut self, octets: u64, last: bool) -> Result<TextReader, Box<RefusedChunk<R>>> {
        let (envelope, before, text) = match std::mem::replace(&mut self.transaction, Transaction::Failed) {
            Transaction::Open(envelope) if !envelope.recipients.is_empty() => {
                let line_ends = match envelope.parameters.body {
                    BodyType::BinaryMime => LineEnds::Binary,
                    BodyType::SevenBit | BodyType::EightBitMime => self.settings.bare_newlines.into(),
                };
                (envelope, 0, TextReader::chunked(line_ends))
            }
            Transaction::Chunks { envelope, octets, text } => (envelope, octets, text),
            Transaction::Failed => return Err(replies::TRANSACTION_FAILED.into()),
            Transaction::Open(envelope) => {
                self.transaction = Transaction::Open(envelope);
                return Err(replies::RCPT_FIRST.into());
            }
            idle @ (Transaction::Idle | Transaction::Delivering { .. }) => {
                self.transaction = idle;
                return Err(replies::MAIL_FIRST.into());
            }
        };
        let octets = before.saturating_add(octets);
        if octets > self.settings.message_octets_max {
            let replies_owed = if last { self.replies_owed(&envelope) } else { 1 };
            let envelope = Some(envelope);
            return Err(Box::new(RefusedChunk { reply: replies::TOO_LARGE, replies_owed, envelope }));
        }
        self.transaction = Transaction::Chunks { envelope, octets, text };
        Ok(text)
    }

    /// Why the chunk that is being read over was refused, if its message is lost with it.
    #[must_use]
    pub fn chunk_refusal(&self) -> Option<&Reply> {
        let refused = self.refused_chunk.as_ref().filter(|refused| refused.envelope.is_some());
        refused.map(|refused| &refused.reply)
    }

    /// The chunk was read to its end; `received` says whether its octets could be kept.
    pub fn on_end_of_chunk(
        &mut self,
        end: EndOfChunk,
        received: Result<(), Reply>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        if let Some(refused) = self.refused_chunk.take() {
            return self.answer_refused_chunk(&refused, out);
        }
        let received = check_text(end.text.fault).and(received);
        match std::mem::replace(&mut self.transaction, Transaction::Failed) {
            Transaction::Chunks { envelope, .. } if end.last => {
                self.on_end_of_message(envelope, received, out)
            }
            Transaction::Chunks { envelope, octets, .. } => match received {
                Ok(()) => {
                    self.transaction = Transaction::Chunks { envelope, octets, text: end.text };
                    self.answer(replies::CHUNK_OK, out)
                }
                Err(reply) => self.fail(reply, out),
            },
            _ => self.fail(replies::TRANSACTION_FAILED, out),
        }
    }

    /// Counted as an idle command and not as an error: a client that pipelines its chunks learns too late.
    fn answer_refused_chunk(&mut self, refused: &RefusedChunk<R>, out: &mut Vec<u8>) -> Step<R> {
        for _ in 0..refused.replies_owed {
            refused.reply.write_to(out);
        }
        if self.is_idle_too_long() {
            return self.hang_up(replies::TOO_MANY_COMMANDS, out);
        }
        Step::NextLine
    }
}
