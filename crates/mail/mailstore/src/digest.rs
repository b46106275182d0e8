//! What the index keeps of a message besides its octets: the summary, folded header texts for search, and links to
//! its conversation. Made once while the message arrives, whatever the number of recipients; made again from the
//! octets when an index is rebuilt.

use message::{Addressee, Summary};

use crate::search::{HeaderField, fold};
use crate::thread;
use crate::varint::{Reader, put_number};

/// Octets kept of one folded header text: subjects are short, and a list of recipients beyond this is found by
/// reading the message.
const FOLDED_OCTETS_MAX: usize = 8 * 1024;

/// The digest of one message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Digest {
    pub(crate) summary: Vec<u8>,
    /// Folded header texts, read by [`header`].
    pub(crate) headers: Vec<u8>,
    /// Links to a thread, the nearest relation first.
    pub(crate) links: Vec<u64>,
}

impl Digest {
    pub(crate) fn of(summary: &Summary) -> Self {
        Self { summary: summary.encode(), headers: folded_headers(summary), links: thread::links(summary) }
    }

    /// How much memory it takes while it waits for the index.
    pub(crate) fn octets(&self) -> usize {
        self.summary.len() + self.headers.len()
    }
}

/// The order in which the texts stand in the column.
const FIELDS: [HeaderField; 6] = [
    HeaderField::Subject,
    HeaderField::From,
    HeaderField::To,
    HeaderField::Cc,
    HeaderField::Bcc,
    HeaderField::MessageId,
];

fn folded_headers(summary: &Summary) -> Vec<u8> {
    let envelope = &summary.envelope;
    let mut column = Vec::with_capacity(256);
    for field in FIELDS {
        let text = match field {
            HeaderField::Subject => envelope.subject.as_deref().map(decoded),
            HeaderField::From => addresses(&envelope.from),
            HeaderField::To => addresses(&envelope.to),
            HeaderField::Cc => addresses(&envelope.cc),
            HeaderField::Bcc => addresses(&envelope.bcc),
            HeaderField::MessageId => envelope.message_id.as_deref().map(decoded),
        };
        // No text is 0, an empty one 1: a search for nothing finds those that have the field.
        let Some(text) = text.map(|text| fold(&text)) else {
            column.push(0);
            continue;
        };
        let text = text.get(..text.floor_char_boundary(FOLDED_OCTETS_MAX)).unwrap_or_default();
        put_number(&mut column, text.len() as u64 + 1);
        column.extend_from_slice(text.as_bytes());
    }
    column
}

/// A header text as people read it.
pub(crate) fn decoded(raw: &[u8]) -> String {
    message::decode_field_text(raw)
}

/// Names and addresses as a reader sees them: `Ann Example <ann@example.org>, …`.
fn addresses(list: &[Addressee]) -> Option<String> {
    if list.is_empty() {
        return None;
    }
    let mut text = String::new();
    for addressee in list {
        match addressee {
            Addressee::Mailbox { name, local_part, domain, .. } => {
                if !text.is_empty() {
                    text.push_str(", ");
                }
                if let Some(name) = name {
                    text.push_str(&decoded(name));
                    text.push(' ');
                }
                text.push('<');
                text.push_str(&String::from_utf8_lossy(local_part));
                text.push('@');
                text.push_str(&String::from_utf8_lossy(domain));
                text.push('>');
            }
            Addressee::GroupStart { name } => {
                text.push_str(&decoded(name));
                text.push_str(": ");
            }
            Addressee::GroupEnd => text.push(';'),
        }
        if text.len() > FOLDED_OCTETS_MAX {
            break;
        }
    }
    Some(text)
}

/// One folded header text of a column; `None` if the message has none, or the column is damaged.
pub(crate) fn header(column: &[u8], field: HeaderField) -> Option<&[u8]> {
    let mut reader = Reader::new(column);
    for candidate in FIELDS {
        let length = reader.number().ok()?;
        let text = match length.checked_sub(1) {
            Some(length) => Some(reader.take(length).ok()?),
            None => None,
        };
        if candidate == field {
            return text;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(text: &str) -> Summary {
        let mut scanner = message::Scanner::new(message::Limits::default());
        scanner.feed(text.replace('\n', "\r\n").as_bytes());
        scanner.finish()
    }

    #[test]
    fn headers_are_decoded_folded_and_apart() {
        let summary = summary(
            "Subject: =?utf-8?q?GR=C3=9C=C3=9FE?= World\nFrom: \"Ann B\" <Ann@Example.ORG>\n\
             To: crew: a@x, b@y;\nCc:\nMessage-ID: <One@Example.ORG>\n\nbody\n",
        );
        let column = Digest::of(&summary).headers;
        let text = |field| header(&column, field).map(|text| String::from_utf8(text.to_vec()).unwrap());
        assert_eq!(text(HeaderField::Subject).unwrap(), fold("GRÜßE World"));
        assert_eq!(text(HeaderField::From).unwrap(), "ann b <ann@example.org>");
        assert!(text(HeaderField::To).unwrap().contains("<b@y>"));
        assert_eq!(text(HeaderField::Bcc), None);
        assert_eq!(text(HeaderField::MessageId).unwrap(), "<one@example.org>");
    }

    #[test]
    fn a_damaged_column_is_no_text() {
        for column in [&[][..], &[5, b'a'], &[0xff; 12]] {
            assert_eq!(header(column, HeaderField::Bcc), None);
        }
    }
}
