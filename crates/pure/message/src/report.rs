//! Delivery status notifications: the mail that tells a sender what became of a message (RFC 3464 in the multipart/report
//! of RFC 6522; RFC 6533 for addresses beyond ASCII).
//!
//! The last step of a message that did not arrive, and of one whose sender wants to know that it did. Words of other
//! hosts and fields of the original are foreign text: whatever they hold, they can neither end a line nor a part, nor
//! begin a field, nor turn the direction of letters around. The envelope's reverse-path is the caller's to leave empty
//! (RFC 3461 §6.1), and its choice whether the original comes back whole.

mod original;
mod people;
mod quoted;
mod status;
mod words;

use mail_types::{Address, DomainName, EnhancedCode, EnvelopeId, ForwardPath, OriginalRecipient, ReplyCode};

use crate::date::Date;
use crate::header::fields;
use crate::message_id::message_ids;
use crate::trace::{write_date_field, write_message_id_field};
use crate::write::{write_address_field, write_text_field};

pub use original::{ORIGINAL_HEADER_OCTETS_MAX, Original, OriginalOctets, Returned};
pub use quoted::write_text_part;

/// Octets of another host's words that are told.
pub const REMOTE_WORDS_OCTETS_MAX: usize = 1_000;
/// Octets of the original's subject that are repeated.
pub const REPEATED_SUBJECT_OCTETS_MAX: usize = 200;
/// Longest identifier of an original that In-Reply-To repeats: it has to fit into a line (RFC 5322 §2.1.1).
const REPEATED_ID_OCTETS_MAX: usize = 900;

/// One report to one sender, about one message and any number of its recipients.
#[derive(Clone, Debug)]
pub struct DeliveryReport<'a> {
    /// Who the report comes from: an address that somebody reads.
    pub from: &'a Address,
    /// The sender of the original.
    pub to: &'a Address,
    /// When the report is written.
    pub date: Date,
    /// The report's own Message-ID, as [`crate::new_message_id`] makes it.
    pub message_id: &'a str,
    /// Random octets, from which the border between the parts is made: nobody must foresee it.
    pub random: [u8; 16],
    /// Our name.
    pub reporting_mta: &'a DomainName,
    /// When the original came.
    pub arrived: Option<Date>,
    /// The sender's name for the transaction (RFC 3461 §4.4).
    pub envelope_id: Option<&'a EnvelopeId>,
    /// What is reported, recipient by recipient; at least one.
    pub recipients: &'a [RecipientReport<'a>],
    /// The message that is reported on.
    pub original: Original<'a>,
    /// How letters beyond ASCII go.
    pub form: ReportForm,
}

/// How letters beyond ASCII go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportForm {
    /// ASCII on the wire, whatever is told: every mail program and every host can take it.
    Classic,
    /// UTF-8 (RFC 6533), for a sender whose own message needed SMTPUTF8. A sender whose address does is always written
    /// to so.
    International,
}

/// What is reported about one recipient.
#[derive(Clone, Debug)]
pub struct RecipientReport<'a> {
    /// Whom the message was for when it came (RFC 3464 §2.3.2).
    pub final_recipient: &'a ForwardPath,
    /// The address that the other host was asked for, where it is another and the sender may know it.
    pub presented: Option<&'a ForwardPath>,
    /// Whom the sender named, where that was told.
    pub original: Option<&'a OriginalRecipient>,
    /// What happened.
    pub action: Action,
    /// Why: in class 2, 4 or 5 as the action is (RFC 3464 §2.3.4).
    pub status: EnhancedCode,
    /// The host that had the last word, by name or address.
    pub remote_mta: Option<&'a str>,
    /// Its words.
    pub said: Option<RemoteWords<'a>>,
    /// When it was last tried.
    pub last_attempt: Option<Date>,
    /// When we give up; told of what is delayed only (RFC 3464 §2.3.9).
    pub retry_until: Option<Date>,
    /// What happened, in a sentence for people. May be empty where the action says it all.
    pub reason: &'a str,
    /// What the sender can do, in a sentence for people. May be empty.
    pub advice: &'a str,
}

/// A reply of another host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteWords<'a> {
    /// The three digits.
    pub code: ReplyCode,
    /// The enhanced status code, where it gave one.
    pub enhanced: Option<EnhancedCode>,
    /// Its text; lines are parted by `\n`.
    pub text: &'a str,
}

/// What happened to a message on its way to one recipient (RFC 3464 §2.3.3); what the sender needs to know most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// It did not arrive and will not.
    Failed,
    /// It has not arrived yet.
    Delayed,
    /// It went to a host that does not report.
    Relayed,
    /// It went on to several recipients behind this one.
    Expanded,
    /// It arrived.
    Delivered,
}

/// What a report needs of the hosts it passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportNeeds {
    /// 8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub smtputf8: bool,
}

impl DeliveryReport<'_> {
    /// What the report needs of the hosts it passes.
    #[must_use]
    pub fn needs(&self) -> ReportNeeds {
        let is_international = self.form() == ReportForm::International;
        ReportNeeds {
            eight_bit: is_international || self.original.is_eight_bit(),
            smtputf8: is_international,
        }
    }

    /// Writes the report up to where the octets of the original belong, if they come back whole: with CRLF line ends,
    /// as they were received. Else all but the end.
    pub fn write_beginning(&self, out: &mut Vec<u8>) {
        self.write_header(out);
        people::write(self, out);
        status::write(self, out);
        original::write(self, out);
    }

    /// Writes the end.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary()).as_bytes());
    }

    /// The form that everybody on the way can take, or else the other.
    fn form(&self) -> ReportForm {
        let is_international = self.to.is_international() || self.from.is_international();
        if is_international { ReportForm::International } else { self.form }
    }

    fn boundary(&self) -> String {
        // No line of quoted-printable has `=_`, and no line of ASCII foresees the rest.
        format!("=_{:032x}", u128::from_be_bytes(self.random))
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        write_date_field(self.date, out);
        write_address_field("From", &[("Mail Delivery System", self.from)], out);
        write_address_field("To", &[("", self.to)], out);
        write_text_field("Subject", &self.subject(), out);
        write_message_id_field(self.message_id, out);
        // Mail programs put the report beside the message it speaks of.
        if let Some(id) = self.original_id() {
            out.extend_from_slice(format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n").as_bytes());
        }
        // RFC 3834 §5: who answers mail by itself must not answer this.
        out.extend_from_slice(b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
        // RFC 6522 §3: the type of report is the subtype of its second part.
        let (report_type, encoding) = match (self.form(), self.needs().eight_bit) {
            (ReportForm::International, _) => ("global-delivery-status", "8bit"),
            (ReportForm::Classic, true) => ("delivery-status", "8bit"),
            (ReportForm::Classic, false) => ("delivery-status", "7bit"),
        };
        let boundary = self.boundary();
        let fields = format!(
            "Content-Type: multipart/report; report-type={report_type};\r\n boundary=\"{boundary}\"\r\n\
             Content-Transfer-Encoding: {encoding}\r\n"
        );
        out.extend_from_slice(fields.as_bytes());
    }

    /// Begins a part; its fields follow.
    fn begin_part(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\r\n--{}\r\n", self.boundary()).as_bytes());
    }

    fn subject(&self) -> String {
        let what = match self.worst_action() {
            Action::Failed => "Not delivered",
            Action::Delayed => "Not yet delivered",
            Action::Relayed | Action::Expanded => "Passed on",
            Action::Delivered => "Delivered",
        };
        match self.original.subject() {
            Some(subject) => format!("{what}: {subject}"),
            None => format!("{what}: your message"),
        }
    }

    fn worst_action(&self) -> Action {
        self.recipients.iter().map(|recipient| recipient.action).min().unwrap_or(Action::Failed)
    }

    /// The original's identifier, if a field may repeat it.
    fn original_id(&self) -> Option<String> {
        let field = fields(self.original.bounded_header()).find(|field| field.is_named("Message-ID"))?;
        let id = String::from_utf8(message_ids(field.value).next()?).ok()?;
        let is_plain = id.bytes().all(|octet| octet.is_ascii_graphic());
        (is_plain && id.len() <= REPEATED_ID_OCTETS_MAX).then_some(id)
    }
}

#[cfg(test)]
mod tests;
