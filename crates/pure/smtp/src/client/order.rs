//! What a transaction is to carry, what of it this server takes, and what became of it: the parameters of MAIL and RCPT
//! as the client says them.

use std::collections::HashSet;

use mail_types::{DeadlineMode, ForwardPath, ReversePath, UnicodeForm};

use super::Client;
use crate::command::{BodyType, MailParameters, RcptParameters};

/// Longest ENVID parameter, its keyword included, that every server with DSN reads (RFC 3461 §5.4 (a); that the keyword
/// counts shows at NOTIFY, whose 28 octets it fills up). What is longer stays behind: the message is worth more.
const ENVELOPE_ID_PARAMETER_OCTETS_MAX: usize = 100;
/// The same of ORCPT (§5.4 (c)). The form in ASCII may be longer than what we were given.
const ORIGINAL_RECIPIENT_PARAMETER_OCTETS_MAX: usize = 500;
use crate::extension::SizeLimit;
use crate::reply::Reply;

/// One message's envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The sender.
    pub reverse_path: ReversePath,
    /// The recipients, at least one.
    pub recipients: Vec<OrderRecipient>,
    /// What the message needs of the server and what goes on with it. BY holds what is left of the time. `auth` and
    /// `hold` have no meaning here.
    pub parameters: MailParameters,
}

/// One recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderRecipient {
    /// The recipient.
    pub forward_path: ForwardPath,
    /// What is asked about it.
    pub parameters: RcptParameters,
}

/// What became of a transaction.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The message was offered.
    Answered(Answers),
    /// Nothing was sent: the server cannot carry this message.
    Lacks(Missing),
    /// Nothing was sent: the server has said that it takes less.
    Exceeds(Limit),
}

/// The server's words on a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// The word on each recipient, in the order's order: 2yz means that the server has taken responsibility. Texts are
    /// cut at [`super::ANSWER_OCTETS_MAX`].
    pub replies: Vec<Reply>,
    /// What went no further than here.
    pub left_out: LeftOut,
    /// MAIL was refused already: the server speaks of us or of itself, not of the recipients.
    pub is_sender_refused: bool,
}

/// What was asked for and the server does not offer. The message went all the same; who asked may have to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// RET, ENVID, NOTIFY or ORCPT. A sender who wants to hear of success hears "relayed" (RFC 3461 §5.2.2).
    pub dsn: bool,
    /// BY that only wants a notice. The sender hears "relayed" (RFC 2852 §4).
    pub deliver_by: bool,
    /// MT-PRIORITY (RFC 6710 §4.3 lets it end here).
    pub priority: bool,
}

/// What a server lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// STARTTLS.
    StartTls,
    /// A mechanism we speak.
    Auth,
    /// 8BITMIME, for octets beyond ASCII.
    EightBitMime,
    /// CHUNKING and BINARYMIME, for octets without lines.
    BinaryMime,
    /// SMTPUTF8, for addresses and header fields in UTF-8.
    SmtpUtf8,
    /// REQUIRETLS, offered within TLS (RFC 8689 §4.2.1).
    RequireTls,
    /// DELIVERBY, or as quickly as the message has to be there or come back (RFC 2852 §4).
    DeliverBy,
}

/// What a server takes at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Octets of a message (RFC 1870).
    MessageOctets(u64),
    /// Recipients of a transaction (RFC 9422 §4).
    Recipients(u32),
    /// Domains among the recipients of a transaction (RFC 9422 §4).
    Domains(u32),
    /// Transactions of a connection, all of which were had (RFC 9422 §4).
    Transactions(u32),
}

/// How much more a server takes on a connection; nothing where it does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Recipients of one transaction.
    pub recipients_max: Option<u32>,
    /// Domains among them.
    pub domains_max: Option<u32>,
    /// Transactions to come.
    pub transactions: Option<u32>,
}

impl Order {
    /// Whether the transaction needs SMTPUTF8: it was asked for, or an address cannot do without.
    fn is_international(&self) -> bool {
        let is_sender =
            matches!(&self.reverse_path, ReversePath::Address(sender) if sender.is_international());
        let is_recipient = |recipient: &OrderRecipient| matches!(&recipient.forward_path, ForwardPath::Address(address) if address.is_international());
        self.parameters.smtputf8 || is_sender || self.recipients.iter().any(is_recipient)
    }

    fn domains(&self) -> usize {
        let domain = |recipient: &OrderRecipient| match &recipient.forward_path {
            ForwardPath::Postmaster => None,
            ForwardPath::Address(address) => Some(address.domain().clone()),
        };
        self.recipients.iter().map(domain).collect::<HashSet<_>>().len()
    }

    fn has_dsn(&self) -> bool {
        let MailParameters { returned, envelope_id, .. } = &self.parameters;
        let asks = |recipient: &OrderRecipient| recipient.parameters != RcptParameters::default();
        returned.is_some() || envelope_id.is_some() || self.recipients.iter().any(asks)
    }
}

impl Client {
    /// Whether the server takes such a message, as far as it says.
    pub(super) fn check_order(&self, order: &Order) -> Result<(), Outcome> {
        if let Some(missing) = self.missing_for(order) {
            return Err(Outcome::Lacks(missing));
        }
        match self.exceeded_by(order) {
            Some(limit) => Err(Outcome::Exceeds(limit)),
            None => Ok(()),
        }
    }

    fn missing_for(&self, order: &Order) -> Option<Missing> {
        let offered = &self.extensions;
        let wanted = &order.parameters;
        match wanted.body {
            BodyType::EightBitMime if !offered.eight_bit => return Some(Missing::EightBitMime),
            BodyType::BinaryMime if !(offered.binary && offered.chunking) => {
                return Some(Missing::BinaryMime);
            }
            _ => {}
        }
        if order.is_international() && !offered.smtputf8 {
            return Some(Missing::SmtpUtf8);
        }
        // A report is not lost for it (RFC 8689 §5).
        if wanted.require_tls && order.reverse_path != ReversePath::Null && !self.promises_tls() {
            return Some(Missing::RequireTls);
        }
        let deadline = wanted.deliver_by.filter(|deadline| deadline.mode() == DeadlineMode::Return)?;
        let is_met = offered
            .deliver_by
            .is_some_and(|offer| i64::from(deadline.seconds()) >= offer.seconds_min.map_or(0, i64::from));
        (!is_met).then_some(Missing::DeliverBy)
    }

    /// Whether REQUIRETLS can be said. An offer in clear may be anybody's.
    fn promises_tls(&self) -> bool {
        self.extensions.require_tls && self.is_encrypted()
    }

    fn exceeded_by(&self, order: &Order) -> Option<Limit> {
        if let (Some(SizeLimit::Octets(most)), Some(octets)) = (self.extensions.size, order.parameters.size)
            && octets > most
        {
            return Some(Limit::MessageOctets(most));
        }
        let limits = self.extensions.limits.unwrap_or_default();
        if let Some(most) = limits.recipients_max
            && order.recipients.len() as u64 > u64::from(most)
        {
            return Some(Limit::Recipients(most));
        }
        if let Some(most) = limits.domains_max
            && order.domains() as u64 > u64::from(most)
        {
            return Some(Limit::Domains(most));
        }
        limits.transactions_max.filter(|&most| self.transactions >= most).map(Limit::Transactions)
    }

    pub(super) fn left_out_of(&self, order: &Order) -> LeftOut {
        LeftOut {
            dsn: order.has_dsn() && !self.extensions.dsn,
            deliver_by: order.parameters.deliver_by.is_some() && self.extensions.deliver_by.is_none(),
            priority: order.parameters.priority.is_some() && !self.extensions.priority,
        }
    }

    pub(super) fn mail_command(&self, order: &Order) -> String {
        let offered = &self.extensions;
        let wanted = &order.parameters;
        let mut command = format!("MAIL FROM:<{}>", order.reverse_path);
        let mut add = |text: String| {
            command.push(' ');
            command.push_str(&text);
        };
        if let (Some(_), Some(octets)) = (offered.size, wanted.size) {
            add(format!("SIZE={octets}"));
        }
        match wanted.body {
            BodyType::SevenBit => {}
            BodyType::EightBitMime => add("BODY=8BITMIME".to_owned()),
            BodyType::BinaryMime => add("BODY=BINARYMIME".to_owned()),
        }
        if order.is_international() {
            add("SMTPUTF8".to_owned());
        }
        if wanted.require_tls && self.promises_tls() {
            add("REQUIRETLS".to_owned());
        }
        if let Some(returned) = wanted.returned.filter(|_| offered.dsn) {
            add(format!("RET={returned}"));
        }
        if let Some(id) = wanted.envelope_id.as_ref().filter(|_| offered.dsn) {
            let parameter = format!("ENVID={}", id.to_xtext());
            if parameter.len() <= ENVELOPE_ID_PARAMETER_OCTETS_MAX {
                add(parameter);
            }
        }
        if let Some(priority) = wanted.priority.filter(|_| offered.priority) {
            add(format!("MT-PRIORITY={priority}"));
        }
        if let Some(deadline) = wanted.deliver_by.filter(|_| offered.deliver_by.is_some()) {
            add(format!("BY={deadline}"));
        }
        command
    }

    pub(super) fn rcpt_command(&self, order: &Order, recipient: &OrderRecipient) -> String {
        let mut command = format!("RCPT TO:<{}>", recipient.forward_path);
        if !self.extensions.dsn {
            return command;
        }
        if let Some(notify) = recipient.parameters.notify {
            command.push_str(&format!(" NOTIFY={notify}"));
        }
        if let Some(original) = &recipient.parameters.original {
            let form = if order.is_international() { UnicodeForm::Utf8 } else { UnicodeForm::Ascii };
            let parameter = format!("ORCPT={}", original.to_parameter(form));
            if parameter.len() <= ORIGINAL_RECIPIENT_PARAMETER_OCTETS_MAX {
                command.push(' ');
                command.push_str(&parameter);
            }
        }
        command
    }
}
