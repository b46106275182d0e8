//! One message's transaction as the client sees it: the envelope in a batch, the message, an outcome for each
//! recipient.

use std::collections::VecDeque;

use mail_types::Severity;

use super::{
    ChunkPlace, ChunkingUse, Client, ClientStep, DataWriter, Missing, Order, Outcome, Owed, Protocol,
    Transfer,
};
use crate::command::BodyType;
use crate::reply::Reply;

/// The message on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The last word on each recipient, where it was spoken.
    answers: Vec<Option<Reply>>,
    /// Accepted recipients whose outcome is open, in their order.
    accepted: VecDeque<usize>,
    /// The reply that decided for everyone: of MAIL or of a chunk.
    refused: Option<Reply>,
    transfer: Transfer,
}

impl Client {
    /// Begins a transaction. Where the server pipelines, everything up to DATA goes at once.
    pub fn send(&mut self, order: &Order, out: &mut Vec<u8>) -> ClientStep {
        if let Some(missing) = self.missing_for(order) {
            return ClientStep::Done(Outcome::Lacks(missing));
        }
        let by_chunks = order.parameters.body == BodyType::BinaryMime
            || self.settings.chunking == ChunkingUse::WhenOffered;
        let transfer = if by_chunks && self.extensions.chunking { Transfer::Chunks } else { Transfer::Data };
        self.delivery = Some(Delivery {
            answers: vec![None; order.recipients.len()],
            accepted: VecDeque::new(),
            refused: None,
            transfer,
        });
        let mail = self.mail_command(order);
        self.say(&mail, Owed::Mail, out);
        for (index, recipient) in order.recipients.iter().enumerate() {
            self.say(&format!("RCPT TO:<{recipient}>"), Owed::Recipient(index), out);
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

    /// The message has gone, [`DataWriter::finish`] included.
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

    fn missing_for(&self, order: &Order) -> Option<Missing> {
        let offered = &self.extensions;
        match order.parameters.body {
            BodyType::EightBitMime if !offered.eight_bit => Some(Missing::EightBitMime),
            BodyType::BinaryMime if !(offered.binary && offered.chunking) => Some(Missing::BinaryMime),
            _ if order.parameters.smtputf8 && !offered.smtputf8 => Some(Missing::SmtpUtf8),
            _ => None,
        }
    }

    fn mail_command(&self, order: &Order) -> String {
        let mut mail = format!("MAIL FROM:<{}>", order.reverse_path);
        if let (Some(_), Some(octets)) = (self.extensions.size, order.parameters.size) {
            mail.push_str(&format!(" SIZE={octets}"));
        }
        mail.push_str(match order.parameters.body {
            BodyType::SevenBit => "",
            BodyType::EightBitMime => " BODY=8BITMIME",
            BodyType::BinaryMime => " BODY=BINARYMIME",
        });
        if order.parameters.smtputf8 {
            mail.push_str(" SMTPUTF8");
        }
        mail
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
                }
                ClientStep::Read
            }
            Owed::Recipient(index) => {
                match delivery.answers.get_mut(index) {
                    // After a refused MAIL the replies to RCPT say only that MAIL is missing.
                    _ if delivery.refused.is_some() => {}
                    _ if done => delivery.accepted.push_back(index),
                    Some(answer) => *answer = Some(reply),
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
        let reply = delivery.refused.clone().unwrap_or(reply);
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

    /// The outcome: what each recipient was told, or else what was told to all.
    fn report(&mut self) -> ClientStep {
        const NO_WORD: Reply = Reply::fixed(451, (4, 4, 2), "The server gave no answer");
        let Some(Delivery { answers, refused, .. }) = self.delivery.take() else { return ClientStep::Read };
        let for_all = refused.unwrap_or(NO_WORD);
        let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(|| for_all.clone()));
        ClientStep::Done(Outcome::Answered(answers.collect()))
    }
}
