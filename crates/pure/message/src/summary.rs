//! What is remembered of a message so that most IMAP requests need not read it: sizes, envelope, part tree and the
//! header fields clients ask for. Built by the `Scanner` while the message arrives, kept in the account's index.

use crate::date::Date;
use crate::envelope::Envelope;
use crate::field_cache::CachedFields;
use crate::structure::{Content, Part, SectionText, Span};

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
    /// Whether a client should show a paper clip: some part is meant to be saved rather than read.
    pub fn has_attachment(&self) -> bool {
        has_attachment(&self.structure)
    }

    /// The part a preview is taken from: the first text that is shown, plain rather than HTML among alternatives.
    pub fn preview_part(&self) -> Option<&Part> {
        shown_text(&self.structure)
    }
}

fn has_attachment(part: &Part) -> bool {
    match &part.content {
        Content::Multipart(parts) => parts.iter().any(has_attachment),
        Content::Message(_) => !part.is_inline(),
        Content::Leaf if part.is_attached() => true,
        // An image in a multipart/related is part of the text; so are signatures, which mail programs show in their way.
        Content::Leaf => {
            let is_shown = part.media_type == b"text" || part.id.is_some() || part.is_inline();
            !is_shown && !part.is_signature()
        }
    }
}

fn shown_text(part: &Part) -> Option<&Part> {
    match &part.content {
        Content::Multipart(parts) => {
            let plain = parts.iter().find(|part| part.is_media("text", "plain") && !part.is_attached());
            plain.filter(|_| part.subtype == b"alternative").or_else(|| parts.iter().find_map(shown_text))
        }
        Content::Leaf => (part.media_type == b"text" && !part.is_attached()).then_some(part),
        Content::Message(_) => None,
    }
}

impl Part {
    /// Whether Content-Disposition says `attachment`.
    pub fn is_attached(&self) -> bool {
        self.disposition.as_ref().is_some_and(|disposition| disposition.kind == b"attachment")
    }

    fn is_inline(&self) -> bool {
        self.disposition.as_ref().is_some_and(|disposition| disposition.kind == b"inline")
    }

    fn is_signature(&self) -> bool {
        let signatures = ["pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted"];
        signatures.iter().any(|subtype| self.is_media("application", subtype))
    }
}
