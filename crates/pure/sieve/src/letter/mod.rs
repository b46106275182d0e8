//! What actions send: answers, refusals, notifications and reports, written out. Pure: whoever sends them says when it
//! is, who we are, and gives each a Message-ID.

mod abuse;
mod notification;
mod redirection;
mod rejection;
mod reply;

use mail_types::{Address, ReversePath};
use message::{Date, decode_field_text, write_address_field, write_date_field, write_message_id_field};

use crate::message::{AddressForm, Edition, Message, Piece};
use crate::path::{self, Path};
use crate::world::Envelope;

pub use abuse::report_letter;
pub use notification::notification_letter;
pub use redirection::{REDIRECTED_FIELD, redirect_letter};
pub use rejection::rejection_letter;
pub use reply::{VacationRules, vacation_letter};

/// Who sends a letter, and when.
#[derive(Clone, Copy, Debug)]
pub struct Office<'o> {
    /// The present time.
    pub now: Date,
    /// A new Message-ID, angle brackets included, as [`message::new_message_id`] makes it.
    pub message_id: &'o str,
    /// Who answers for this server's mail.
    pub postmaster: &'o Address,
    /// This server's name.
    pub host: &'o str,
    /// The envelope of the message it is about.
    pub envelope: &'o Envelope,
    /// The addresses of whom the script runs for, the main one first.
    pub own_addresses: &'o [String],
    /// Which addresses are valid.
    pub address_form: AddressForm,
}

/// Characters of a subject that a script or the message it is about may fill.
const SUBJECT_CHARACTERS_MAX: usize = 256;

/// A subject of at most so many characters; what is cut off leaves an ellipsis.
fn cut_subject(subject: String, most: usize) -> String {
    if subject.chars().count() <= most {
        return subject;
    }
    subject.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The reverse-path.
    pub from: ReversePath,
    /// The forward-paths.
    pub recipients: Vec<Address>,
    /// The message; its ranges are of the message it is about.
    pub content: Edition,
}

/// Why nothing is sent, though a script has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// RFC 5230 §4.6: nobody to answer.
    #[error("the message has no sender to answer")]
    NoSender,
    /// RFC 5230 §4.6.
    #[error("the message is from its own recipient")]
    FromOurselves,
    /// RFC 3834 §2.
    #[error("the sender is a program: a list, a robot or a mail server")]
    FromProgram,
    /// RFC 3834 §2.
    #[error("the message comes from a mailing list")]
    FromList,
    /// RFC 3834 §2.
    #[error("the message was sent by a program, or in bulk")]
    Automatic,
    /// RFC 5230 §4.5.
    #[error("no address of the recipient's own is among those the message is addressed to")]
    NotAddressed,
    /// It would go round in circles.
    #[error("the message was sent on from here before")]
    Loop,
    /// All of them have got one.
    #[error("everybody has been told already")]
    NobodyLeft,
    /// It cannot be written.
    #[error("the message cannot be read")]
    Unreadable,
}

impl Office<'_> {
    /// The sender of the message, from its envelope.
    fn sender(&self) -> Option<Address> {
        self.address(self.envelope.from.as_deref()?)
    }

    /// An address of the envelope or of a setting.
    fn address(&self, text: &str) -> Option<Address> {
        match path::parse(text, self.address_form) {
            Path::Mailbox(local, domain) => {
                let address = format!("{local}@{domain}");
                Address::parse(&address).or_else(|_| Address::parse(text.trim_matches(['<', '>']))).ok()
            }
            _ => None,
        }
    }

    /// The fields that every letter begins with.
    fn begin(&self, header: &mut Vec<u8>) {
        let software = format!("X-Sieve: mailstead {}\r\n", env!("CARGO_PKG_VERSION"));
        header.extend_from_slice(software.as_bytes());
        write_message_id_field(self.message_id, header);
        write_date_field(self.now, header);
    }

    /// A boundary that no text foresees, as nobody knows the Message-ID yet.
    fn boundary(&self) -> String {
        let word: String = self.message_id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        // No line of quoted-printable has `=_`.
        format!("=_{word}")
    }
}

/// Whether the message itself was sent by a program (RFC 3834 §2, RFC 5436 §2.7.1).
fn is_automatic(message: &Message) -> bool {
    message.named("auto-submitted").any(|field| {
        let word = field.text().split(';').next().unwrap_or_default().trim();
        !word.eq_ignore_ascii_case("no")
    })
}

/// Appends an address field; encoded-words in the name are read first, so that they are not written twice.
fn write_person(field: &str, name: Option<&str>, address: &Address, header: &mut Vec<u8>) {
    let name = name.map(|name| decode_field_text(name.as_bytes())).unwrap_or_default();
    write_address_field(field, &[(&name, address)], header);
}

fn content(octets: Vec<u8>) -> Edition {
    Edition::new([Piece::Literal(with_line_ends(&octets).into())])
}

/// Octets whose lines all end with CRLF, and that have no carriage return elsewhere: what scripts and senders wrote may
/// have others, which the next server could take for the end of the message.
fn with_line_ends(octets: &[u8]) -> Vec<u8> {
    let mut ended = Vec::with_capacity(octets.len() + 64);
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, &b"\r\n"[..]),
            None => (line, &b""[..]),
        };
        ended.extend(text.iter().filter(|&&octet| octet != b'\r'));
        ended.extend_from_slice(end);
    }
    ended
}
