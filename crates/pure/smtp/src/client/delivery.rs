//! One message's transaction as the client sees it: the envelope in a batch, the message, an outcome for each
//! recipient.

use std::collections::VecDeque;

use mail_types::{EnhancedCode, ReplyCode, Severity};

use super::order::{Answers, LeftOut};
use super::{
    ChunkPlace, ChunkingUse, Client, ClientStep, DataWriter, Order, Outcome, Owed, Protocol, Transfer,
};
use crate::command::BodyType;
use crate::reply::Reply;

/// Octets kept of the text of a reply about a recipient. A thousand recipients may be told an essay each.
pub const ANSWER_OCTETS_MAX: usize = 1_024;

const NO_WORD: Reply = Reply::fixed(451, (4, 4, 2), "The server gave no answer");

/// The message on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The last word on each recipient, where it was spoken.
    answers: Vec<Option<Reply>>,
    /// Accepted recipients whose outcome is open, in their order.
    accepted: VecDeque<usize>,
    /// The reply that decided for everyone: of MAIL or of a chunk.
    refused: Option<Reply>,
    /// It was the reply of MAIL.
    is_sender_refused: bool,
    transfer: Transfer,
    left_out: LeftOut,
}

impl Delivery {
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What each recipient was told, or else what was told to all. Only the reply to the message itself can say that
    /// the server has it: a 2yz to anything else, such as DATA, must not make us forget the message.
    pub(super) fn into_outcome(self, last: Reply) -> Outcome {
        let for_all = shortened(self.refused.unwrap_or(last));
        let for_all = if for_all.severity() == Severity::Done { NO_WORD } else { for_all };
        let replies = self.answers.into_iter().map(|answer| answer.unwrap_or_else(|| for_all.clone()));
        Outcome::Answered(Answers {
            replies: replies.collect(),
            left_out: self.left_out,
            is_sender_refused: self.is_sender_refused,
        })
    }
}

fn shortened(reply: Reply) -> Reply {
    if reply.text.len() <= ANSWER_OCTETS_MAX {
        return reply;
    }
    let end = reply.text.floor_char_boundary(ANSWER_OCTETS_MAX);
    let text = reply.text.get(..end).unwrap_or_default().to_owned();
    reply.with_text(text)
}

/// RFC 5321 §4.5.3.1.10: servers say 552 for one recipient too many; the others were taken, this one can be later.
/// Where an enhanced code speaks of the mailbox, it is not that.
fn without_old_codes(reply: Reply, has_others: bool) -> Reply {
    let is_old = reply.code == ReplyCode::new(552) && reply.enhanced.is_none() && has_others;
    match is_old {
        true => Reply { code: ReplyCode::new(452), enhanced: Some(EnhancedCode::new(4, 5, 3)), ..reply },
        false => reply,
    }
}

impl Client {
    /// Begins a transaction. Where the server pipelines, everything up to DATA goes at once.
    pub fn send(&mut self, order: &Order, out: &mut Vec<u8>) -> ClientStep {
        if let Err(outcome) = self.check_order(order) {
            return ClientStep::Done(outcome);
        }
        let by_chunks = order.parameters.body == BodyType::BinaryMime
            || self.settings.chunking == ChunkingUse::WhenOffered;
        let transfer = if by_chunks && self.extensions.chunking { Transfer::Chunks } else { Transfer::Data };
        self.delivery = Some(Delivery {
            answers: vec![None; order.recipients.len()],
            accepted: VecDeque::new(),
            refused: None,
            is_sender_refused: false,
            transfer,
            left_out: self.left_out_of(order),
        });
        self.transactions = self.transactions.saturating_add(1);
        let mail = self.mail_command(order);
        self.say(&mail, Owed::Mail, out);
        for (index, recipient) in order.recipients.iter().enumerate() {
            let rcpt = self.rcpt_command(order, recipient);
            self.say(&rcpt, Owed::Recipient(index), out);
        }
        // RFC 2920 §3.1: DATA may end a batch. Chunks wait, since they cannot be taken back.
        if transfer == Transfer::Data && self.extensions.pipelining {
            self.say("DATA", Owed::Data, out);
        }
        ClientStep::Read
    }

    /// Stuffs dots into the message of [`Transfer::Data`].
    #[must_use]
    pub fn data_writer(&self) -> DataWriter {
        DataWriter::default()
    }

    /// The message has gone, [`DataWriter::finish`] included. To be called before anything more is read.
    pub fn data_sent(&mut self) -> ClientStep {
        self.owe_message_replies();
        ClientStep::Read
    }

    /// Writes the command before one chunk; its octets follow as they are.
    pub fn write_chunk_header(&mut self, octets: u64, place: ChunkPlace, out: &mut Vec<u8>) {
        let last = match place {
            ChunkPlace::Middle => {
                self.owed.push_back(Owed::Chunk);
                ""
            }
            ChunkPlace::Last => {
                self.owe_message_replies();
                " LAST"
            }
        };
        out.extend_from_slice(format!("BDAT {octets}{last}\r\n").as_bytes());
    }

    /// SMTP answers once, LMTP once for each accepted recipient (RFC 2033 §4.2).
    fn owe_message_replies(&mut self) {
        let accepted = self.delivery.as_ref().map_or(0, |delivery| delivery.accepted.len());
        let replies = match self.settings.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => accepted,
        };
        self.owed.extend(std::iter::repeat_n(Owed::Message, replies));
    }

    pub(super) fn on_delivery_reply(&mut self, owed: Owed, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        let Some(delivery) = self.delivery.as_mut() else { return ClientStep::Read };
        let done = reply.severity() == Severity::Done;
        match owed {
            Owed::Mail | Owed::Chunk => {
                if !done && delivery.refused.is_none() {
                    delivery.refused = Some(reply);
                    delivery.is_sender_refused = owed == Owed::Mail;
                }
                ClientStep::Read
            }
            Owed::Recipient(index) => {
                match delivery.answers.get_mut(index) {
                    // After a refused MAIL the replies to RCPT say only that MAIL is missing.
                    _ if delivery.refused.is_some() => {}
                    _ if done => delivery.accepted.push_back(index),
                    Some(answer) => {
                        let has_others = !delivery.accepted.is_empty();
                        *answer = Some(shortened(without_old_codes(reply, has_others)));
                    }
                    None => {}
                }
                if index + 1 == delivery.answers.len() {
                    self.on_envelope_answered(out)
                } else {
                    ClientStep::Read
                }
            }
            Owed::Data => self.on_data_reply(reply, out),
            Owed::Message => self.on_message_reply(reply),
            _ => self.report(),
        }
    }

    fn on_envelope_answered(&mut self, out: &mut Vec<u8>) -> ClientStep {
        let Some(delivery) = &self.delivery else { return ClientStep::Read };
        match (delivery.transfer, delivery.accepted.is_empty()) {
            (Transfer::Data, _) if self.extensions.pipelining => ClientStep::Read,
            (_, true) => self.say("RSET", Owed::Reset, out),
            (Transfer::Data, false) => self.say("DATA", Owed::Data, out),
            (Transfer::Chunks, false) => ClientStep::SendMessage(Transfer::Chunks),
        }
    }

    fn on_data_reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        let Some(delivery) = self.delivery.as_mut() else { return ClientStep::Read };
        match (reply.severity(), delivery.accepted.is_empty()) {
            (Severity::Continue, false) => ClientStep::SendMessage(Transfer::Data),
            // RFC 2920 §3.1: a server may say 354 although nobody is left to write to; send it nothing.
            (Severity::Continue, true) => {
                out.extend_from_slice(b".\r\n");
                self.owed.push_back(Owed::Message);
                ClientStep::Read
            }
            _ => {
                if delivery.refused.is_none() {
                    delivery.refused = Some(reply);
                }
                self.say("RSET", Owed::Reset, out)
            }
        }
    }

    fn on_message_reply(&mut self, reply: Reply) -> ClientStep {
        let Some(delivery) = self.delivery.as_mut() else { return ClientStep::Read };
        let reply = shortened(delivery.refused.clone().unwrap_or(reply));
        let decided = match self.settings.protocol {
            Protocol::Smtp => delivery.accepted.len(),
            Protocol::Lmtp => 1,
        };
        for index in delivery.accepted.drain(..decided.min(delivery.accepted.len())) {
            if let Some(answer) = delivery.answers.get_mut(index) {
                *answer = Some(reply.clone());
            }
        }
        if delivery.accepted.is_empty() { self.report() } else { ClientStep::Read }
    }

    fn report(&mut self) -> ClientStep {
        match self.delivery.take() {
            Some(delivery) => ClientStep::Done(delivery.into_outcome(NO_WORD)),
            None => ClientStep::Read,
        }
    }
}
