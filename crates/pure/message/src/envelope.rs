//! IMAP's ENVELOPE of a message: the few header fields every mail list shows (RFC 9051 §7.5.2, RFC 5322 §3.6).

use crate::address_list::parse_addresses;
use crate::header::{Field, fields};

/// The envelope structure. Texts are raw: unfolded, encoded-words untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Date as written.
    pub date: Option<Vec<u8>>,
    /// Subject as written.
    pub subject: Option<Vec<u8>>,
    /// From.
    pub from: Vec<Addressee>,
    /// Sender; From if there is none.
    pub sender: Vec<Addressee>,
    /// Reply-To; From if there is none.
    pub reply_to: Vec<Addressee>,
    /// To.
    pub to: Vec<Addressee>,
    /// Cc.
    pub cc: Vec<Addressee>,
    /// Bcc.
    pub bcc: Vec<Addressee>,
    /// In-Reply-To as written.
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID as written, angle brackets included.
    pub message_id: Option<Vec<u8>>,
}

/// One element of an address list in IMAP's order: groups are opened and closed by elements of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A mailbox: `(name route local-part domain)`.
    Mailbox {
        /// Display name, quotes removed, encoded-words untouched.
        name: Option<Vec<u8>>,
        /// Obsolete source route, `@a,@b`.
        route: Option<Vec<u8>>,
        /// Left of the `@`, quotes removed.
        local_part: Vec<u8>,
        /// Right of the `@`; empty if the address has no domain.
        domain: Vec<u8>,
    },
    /// `name:` opens a group.
    GroupStart {
        /// The group's display name.
        name: Vec<u8>,
    },
    /// `;` closes it.
    GroupEnd,
}

impl Envelope {
    /// Reads the envelope of a header with at most `addresses_max` entries in all its address lists. Of texts given twice
    /// the first counts; address fields given twice are joined (RFC 5322 §4.5 allows them).
    pub fn read(header: &[u8], addresses_max: usize) -> Envelope {
        let mut reading = EnvelopeReading::new(addresses_max);
        fields(header).for_each(|field| reading.take(&field));
        reading.finish()
    }

    /// Octets of text in it.
    pub(crate) fn octets(&self) -> usize {
        let texts = [&self.date, &self.subject, &self.in_reply_to, &self.message_id];
        let lists = [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc];
        let texts: usize = texts.into_iter().flatten().map(Vec::len).sum();
        let addresses: usize = lists.into_iter().flatten().map(Addressee::octets).sum();
        texts + addresses
    }
}

impl Addressee {
    fn octets(&self) -> usize {
        match self {
            Addressee::Mailbox { name, route, local_part, domain } => {
                let optional = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
                optional(name) + optional(route) + local_part.len() + domain.len()
            }
            Addressee::GroupStart { name } => name.len(),
            Addressee::GroupEnd => 0,
        }
    }
}

/// An envelope whose header is being read.
pub(crate) struct EnvelopeReading {
    envelope: Envelope,
    /// Addressees that may still be taken.
    room: usize,
}

impl EnvelopeReading {
    pub(crate) fn new(addresses_max: usize) -> EnvelopeReading {
        EnvelopeReading { envelope: Envelope::default(), room: addresses_max }
    }

    pub(crate) fn finish(self) -> Envelope {
        let mut envelope = self.envelope;
        // RFC 9051 §7.5.2: the server MUST default these to From.
        if envelope.sender.is_empty() {
            envelope.sender.clone_from(&envelope.from);
        }
        if envelope.reply_to.is_empty() {
            envelope.reply_to.clone_from(&envelope.from);
        }
        envelope
    }

    pub(crate) fn take(&mut self, field: &Field<'_>) {
        let envelope = &mut self.envelope;
        let texts = [
            ("Date", &mut envelope.date),
            ("Subject", &mut envelope.subject),
            ("In-Reply-To", &mut envelope.in_reply_to),
            ("Message-ID", &mut envelope.message_id),
        ];
        for (name, text) in texts {
            if field.is_named(name) {
                text.get_or_insert_with(|| field.unfolded().into_owned());
                return;
            }
        }
        let lists = [
            ("From", &mut envelope.from),
            ("Sender", &mut envelope.sender),
            ("Reply-To", &mut envelope.reply_to),
            ("To", &mut envelope.to),
            ("Cc", &mut envelope.cc),
            ("Bcc", &mut envelope.bcc),
        ];
        for (name, list) in lists {
            if field.is_named(name) {
                let found = parse_addresses(field.value, self.room);
                self.room -= found.len().min(self.room);
                list.extend(found);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(local_part: &str) -> Addressee {
        Addressee::Mailbox {
            name: None,
            route: None,
            local_part: local_part.as_bytes().to_vec(),
            domain: b"x".to_vec(),
        }
    }

    #[test]
    fn sender_and_reply_to_default_to_from() {
        let envelope =
            Envelope::read(b"From: a@x, b@x\r\nSender: \r\nSubject: s\r\n t\r\nSubject: u\r\n\r\n", 10);
        assert_eq!(envelope.sender, [mailbox("a"), mailbox("b")]);
        assert_eq!(envelope.reply_to, envelope.from);
        assert_eq!(envelope.subject.as_deref(), Some(&b"s t"[..]));
        let envelope = Envelope::read(b"From: a@x\nSender: b@x\nReply-To: c@x\nTo: d@x\nTo: e@x\n", 10);
        assert_eq!((envelope.sender, envelope.reply_to), (vec![mailbox("b")], vec![mailbox("c")]));
        assert_eq!(envelope.to, [mailbox("d"), mailbox("e")]);
        assert_eq!(envelope.subject, None);
    }

    #[test]
    fn addresses_are_bounded_over_all_fields() {
        for (to, cc, kept) in [(5, 4, 9), (5, 5, 10), (5, 6, 10), (11, 3, 10)] {
            let list = |count: usize| vec!["a@x"; count].join(",");
            let header = format!("To: {}\r\nCc: {}\r\n\r\n", list(to), list(cc));
            let envelope = Envelope::read(header.as_bytes(), 10);
            assert_eq!(envelope.to.len() + envelope.cc.len(), kept);
        }
    }
}
