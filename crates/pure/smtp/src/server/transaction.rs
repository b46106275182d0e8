//! One message's transaction: MAIL, RCPT, DATA and the end of the message (RFC 5321 §3.3).

use mail_types::{DeadlineMode, ForwardPath, Priority, ReversePath};

use super::login::Login;
use super::{AuthOffer, Channel, Protocol, Question, Session, StartTlsOffer, Step, replies};
use crate::command::{BodyType, CommandError, MailParameters, Path, RcptParameters, Script};
use crate::framing::{DataReader, EndOfChunk, EndOfData, TextFault, TextReader};
use crate::reply::Reply;

/// Who sends a message to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<R> {
    /// The sender.
    pub reverse_path: ReversePath,
    /// What MAIL said beside.
    pub parameters: MailParameters,
    /// The accepted recipients, in their order.
    pub recipients: Vec<Recipient<R>>,
}

/// One accepted recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient<R> {
    /// As the client named it.
    pub forward_path: ForwardPath,
    /// What RCPT said beside.
    pub parameters: RcptParameters,
    /// What the door's policy found out about it.
    pub route: R,
}

/// Where the transaction stands; each state has the data it needs and no other.
#[derive(Debug)]
pub(super) enum Transaction<R> {
    /// None open.
    Idle,
    /// MAIL was accepted, recipients gather; also while DATA is read.
    Open(Envelope<R>),
    /// BDAT has begun.
    Chunks { envelope: Envelope<R>, octets: u64, text: TextReader },
    /// A chunk was refused; only RSET leads on (RFC 3030 §2).
    Failed,
    /// The message is being delivered; so many replies are owed.
    Delivering { replies: usize },
}

impl<R> Transaction<R> {
    pub(super) fn envelope(&self) -> Option<&Envelope<R>> {
        match self {
            Self::Open(envelope) | Self::Chunks { envelope, .. } => Some(envelope),
            Self::Idle | Self::Failed | Self::Delivering { .. } => None,
        }
    }

    pub(super) fn envelope_mut(&mut self) -> Option<&mut Envelope<R>> {
        match self {
            Self::Open(envelope) | Self::Chunks { envelope, .. } => Some(envelope),
            Self::Idle | Self::Failed | Self::Delivering { .. } => None,
        }
    }
}

/// A sender to be judged.
#[derive(Debug)]
#[non_exhaustive]
pub struct SenderQuestion {
    /// The sender.
    pub reverse_path: ReversePath,
    /// What MAIL said beside. Who judges may give the message another priority than it asks for (RFC 6710 §4.1).
    pub parameters: MailParameters,
    asked_priority: Option<Priority>,
}

/// A recipient to be judged.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecipientQuestion {
    /// The recipient.
    pub forward_path: ForwardPath,
    /// What RCPT said beside.
    pub parameters: RcptParameters,
}

impl<R> Session<R> {
    pub(super) fn on_mail(
        &mut self,
        path: Path<ReversePath>,
        parameters: MailParameters,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        if let Err(reply) = self.check_mail(path.script, &parameters) {
            return self.fail(reply, out);
        }
        self.counts.transactions += 1;
        if self.counts.transactions > self.settings.transactions_max {
            return self.hang_up(replies::TOO_MANY_MESSAGES, out);
        }
        let asked_priority = parameters.priority;
        Step::JudgeSender(SenderQuestion { reverse_path: path.path, parameters, asked_priority })
    }

    fn check_mail(&self, script: Script, parameters: &MailParameters) -> Result<(), Reply> {
        if self.hello.is_none() {
            return Err(replies::HELLO_FIRST);
        }
        if self.settings.starttls == StartTlsOffer::Required && self.channel == Channel::Clear {
            return Err(replies::TLS_FIRST);
        }
        if self.lacks_login() {
            return Err(replies::LOGIN_FIRST);
        }
        match self.transaction {
            Transaction::Idle => {}
            Transaction::Failed => return Err(replies::TRANSACTION_FAILED),
            _ => return Err(replies::MAIL_ALREADY),
        }
        if parameters.auth && (self.settings.auth == AuthOffer::Absent || self.mechanisms.is_empty()) {
            return Err(CommandError::UnknownParameter.reply());
        }
        if script == Script::Utf8 && !parameters.smtputf8 {
            return Err(replies::NEEDS_SMTPUTF8);
        }
        if parameters.size.is_some_and(|octets| octets > self.settings.message_octets_max) {
            return Err(replies::TOO_LARGE);
        }
        self.check_times(parameters)
    }

    /// Whether we can be as quick, and as patient, as we are asked to be.
    fn check_times(&self, parameters: &MailParameters) -> Result<(), Reply> {
        let offers = self.offers();
        let seconds_min = offers.deliver_by.and_then(|offer| offer.seconds_min).unwrap_or(0);
        if let Some(deadline) = parameters.deliver_by
            && deadline.mode() == DeadlineMode::Return
            && i64::from(deadline.seconds()) < i64::from(seconds_min)
        {
            return Err(replies::DEADLINE_TOO_NEAR);
        }
        if let (Some(hold), Some(now)) = (parameters.hold, self.now) {
            // Strangers' mail is not held.
            let offer = offers.future_release.filter(|_| self.login == Login::Done);
            let offer = offer.ok_or(CommandError::UnknownParameter.reply())?;
            if hold.release(now).saturating_sub(now) > i64::from(offer.seconds_max) {
                return Err(replies::HOLD_TOO_LONG);
            }
        }
        Ok(())
    }

    /// The sender was judged.
    pub fn on_sender(
        &mut self,
        question: SenderQuestion,
        verdict: Result<(), Reply>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        if let Err(reply) = verdict {
            return self.fail(reply, out);
        }
        let SenderQuestion { reverse_path, parameters, asked_priority } = question;
        let is_as_asked = parameters.priority == asked_priority;
        self.transaction = Transaction::Open(Envelope { reverse_path, parameters, recipients: Vec::new() });
        self.answer(if is_as_asked { replies::SENDER_OK } else { replies::PRIORITY_CHANGED }, out)
    }

    pub(super) fn on_rcpt(
        &mut self,
        path: Path<ForwardPath>,
        parameters: RcptParameters,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        let envelope = match &self.transaction {
            Transaction::Open(envelope) => envelope,
            // Not counted among the errors: after a refused MAIL a client's whole batch comes here (RFC 2920 §3.1).
            Transaction::Idle | Transaction::Delivering { .. } => {
                return self.refuse_recipient(replies::MAIL_FIRST, out);
            }
            Transaction::Chunks { .. } => return self.fail(replies::CHUNKS_BEGUN, out),
            Transaction::Failed => return self.fail(replies::TRANSACTION_FAILED, out),
        };
        if path.script == Script::Utf8 && !envelope.parameters.smtputf8 {
            return self.fail(replies::NEEDS_SMTPUTF8, out);
        }
        if envelope.recipients.len() as u64 >= u64::from(self.settings.recipients_max) {
            return self.refuse_recipient(replies::TOO_MANY_RECIPIENTS, out);
        }
        Step::JudgeRecipient(RecipientQuestion { forward_path: path.path, parameters })
    }

    /// The recipient was judged. What policy found out comes back with the message.
    pub fn on_recipient(
        &mut self,
        question: RecipientQuestion,
        verdict: Result<R, Reply>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        match (verdict, &mut self.transaction) {
            (Ok(route), Transaction::Open(envelope)) => {
                let RecipientQuestion { forward_path, parameters } = question;
                envelope.recipients.push(Recipient { forward_path, parameters, route });
                self.answer(replies::RECIPIENT_OK, out)
            }
            (Ok(_), _) => self.fail(replies::MAIL_FIRST, out),
            (Err(reply), _) => self.refuse_recipient(reply, out),
        }
    }

    fn refuse_recipient(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        reply.write_to(out);
        self.counts.refused_recipients += 1;
        if self.counts.refused_recipients >= self.settings.refused_recipients_max {
            return self.hang_up(replies::TOO_MANY_REFUSED, out);
        }
        Step::NextLine
    }

    pub(super) fn on_data(&mut self, out: &mut Vec<u8>) -> Step<R> {
        match &self.transaction {
            Transaction::Open(envelope) if envelope.recipients.is_empty() => {
                self.fail(replies::RCPT_FIRST, out)
            }
            Transaction::Open(envelope) if envelope.parameters.body == BodyType::BinaryMime => {
                self.fail(replies::BINARY_NEEDS_BDAT, out)
            }
            Transaction::Open(_) if self.settings.asks => Step::Ask(Question::Data),
            Transaction::Open(_) => self.begin_data(out),
            Transaction::Idle | Transaction::Delivering { .. } => self.fail(replies::MAIL_FIRST, out),
            // RFC 3030 §2: the two are not to be mixed.
            Transaction::Chunks { .. } => self.fail(replies::CHUNKS_BEGUN, out),
            Transaction::Failed => self.fail(replies::TRANSACTION_FAILED, out),
        }
    }

    pub(super) fn begin_data(&mut self, out: &mut Vec<u8>) -> Step<R> {
        replies::SEND_DATA.write_to(out);
        let settings = &self.settings;
        Step::ReadData(DataReader::new(settings.bare_newlines, settings.message_octets_max))
    }

    /// The message was read to its true end; `received` says whether its octets could be kept.
    pub fn on_end_of_data(
        &mut self,
        end: EndOfData,
        received: Result<(), Reply>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        match std::mem::replace(&mut self.transaction, Transaction::Idle) {
            Transaction::Open(envelope) => {
                self.on_end_of_message(envelope, check_text(end.text).and(received), out)
            }
            _ => self.fail(replies::MAIL_FIRST, out),
        }
    }

    pub(super) fn on_end_of_message(
        &mut self,
        envelope: Envelope<R>,
        received: Result<(), Reply>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        let replies = self.replies_owed(&envelope);
        self.transaction = Transaction::Delivering { replies };
        match received {
            Ok(()) => Step::Deliver(envelope),
            Err(reply) => self.on_delivered(&[reply], out),
        }
    }

    /// How many replies the end of a message calls for.
    pub(super) fn replies_owed(&self, envelope: &Envelope<R>) -> usize {
        match self.settings.protocol {
            Protocol::Smtp => 1,
            // RFC 2033 §4.2: one for each accepted RCPT, in their order.
            Protocol::Lmtp => envelope.recipients.len(),
        }
    }

    /// The message was delivered or not: one reply for SMTP, one for each recipient for LMTP. A single reply stands
    /// for all of them; whatever is given, exactly as many go out as the client waits for.
    pub fn on_delivered(&mut self, replies: &[Reply], out: &mut Vec<u8>) -> Step<R> {
        let Transaction::Delivering { replies: owed } = self.transaction else { return Step::NextLine };
        self.transaction = Transaction::Idle;
        self.counts.idle_commands = 0;
        let nothing_said = replies::NOT_DELIVERED;
        let last = replies.last().unwrap_or(&nothing_said);
        for reply in replies.iter().chain(std::iter::repeat(last)).take(owed) {
            reply.write_to(out);
        }
        Step::NextLine
    }
}

impl EndOfData {
    /// Why the message is refused on account of its octets, if it is.
    #[must_use]
    pub fn refusal(&self) -> Option<Reply> {
        check_text(self.text).err()
    }
}

impl EndOfChunk {
    /// Why the message is refused on account of its octets, if it is.
    #[must_use]
    pub fn refusal(&self) -> Option<Reply> {
        check_text(self.text.fault).err()
    }
}

pub(super) fn check_text(fault: TextFault) -> Result<(), Reply> {
    match fault {
        TextFault::None => Ok(()),
        TextFault::BareNewline => Err(replies::BARE_NEWLINE_IN_MESSAGE),
        TextFault::TooLarge => Err(replies::TOO_LARGE),
    }
}
