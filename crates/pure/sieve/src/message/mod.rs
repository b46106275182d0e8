//! What a script sees of a message: its header fields in order, as written and as text, and its size.
//!
//! The interface that tests and actions use. Fields are found by name once for a run; the text of a field is decoded at
//! most once, however many rules look at it.

use std::cell::OnceCell;

use message::{decode_field_text, fields};

/// A message under a script's eyes. The header is in memory, the body is not.
pub struct Message {
    fields: Vec<HeaderField>,
    octets: u64,
}

impl Message {
    /// A message with this header (up to the blank line or the end of the octets) and this many octets in all.
    #[must_use]
    pub fn new(header: &[u8], octets: u64) -> Message {
        let fields = fields(header)
            .filter(|field| !field.name.is_empty())
            .map(|field| HeaderField::new(&String::from_utf8_lossy(field.name), field.value))
            .collect();
        Message { fields, octets }
    }

    /// Octets of the whole message as it came, RFC 5228 §5.9.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// All header fields, in order.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = &HeaderField> {
        self.fields.iter()
    }

    /// The fields of this name, in any letter case, in order.
    pub fn named<'m>(&'m self, name: &'m str) -> impl DoubleEndedIterator<Item = &'m HeaderField> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }
}

/// One header field.
pub struct HeaderField {
    name: Box<str>,
    raw: Box<[u8]>,
    text: OnceCell<Box<str>>,
    casemap: OnceCell<Box<[u8]>>,
}

impl HeaderField {
    /// A field of this name whose value stands as given, folds included.
    #[must_use]
    pub fn new(name: &str, raw: &[u8]) -> HeaderField {
        HeaderField { name: name.into(), raw: raw.into(), text: OnceCell::new(), casemap: OnceCell::new() }
    }

    /// The name as written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What follows the colon, folds included, the last line end not.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The value as text: unfolded, encoded-words decoded, no blanks around it (RFC 5228 §2.7.2).
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| decode_field_text(&self.raw).into())
    }

    /// The text in lower ASCII letters: what i;ascii-casemap compares.
    #[must_use]
    pub fn casemap(&self) -> &[u8] {
        self.casemap.get_or_init(|| self.text().as_bytes().to_ascii_lowercase().into())
    }
}
