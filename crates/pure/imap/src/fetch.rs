//! What FETCH asks for: message attributes, sections and partial ranges (RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 3516).

/// One thing to know of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchAttribute {
    /// `UID`
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY` without a section: BODYSTRUCTURE without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `MODSEQ` (RFC 7162 §3.1.5)
    ModSeq,
    /// `EMAILID` (RFC 8474 §5)
    EmailId,
    /// `THREADID` (RFC 8474 §5)
    ThreadId,
    /// `SAVEDATE` (RFC 8514 §4.2)
    SaveDate,
    /// `PREVIEW` (RFC 8970 §3.1)
    Preview(PreviewUrgency),
    /// `BODY[section]<partial>` and `BODY.PEEK[section]<partial>`
    Section(BodySection),
    /// `BINARY[part]<partial>` and `BINARY.PEEK[part]<partial>` (RFC 9051 §6.4.5)
    Binary(BinarySection),
    /// `BINARY.SIZE[part]`
    BinarySize(PartPath),
    /// `RFC822`: as `BODY[]` under another name; gone in IMAP4rev2, still asked for.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]` under another name.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]` under another name.
    Rfc822Text,
}

impl FetchAttribute {
    /// Whether fetching this sets `\Seen` in a mailbox that is open for writing.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        match self {
            Self::Section(section) => section.reading == Reading::MarksSeen,
            Self::Binary(binary) => binary.reading == Reading::MarksSeen,
            Self::Rfc822 | Self::Rfc822Text => true,
            _ => false,
        }
    }
}

/// Whether fetching a body marks the message as seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reading {
    /// `BODY[…]`: sets `\Seen`.
    MarksSeen,
    /// `BODY.PEEK[…]`: leaves the flags alone.
    Peeks,
}

/// Whether a preview may take a moment to make (RFC 8970 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PreviewUrgency {
    /// `PREVIEW`: make it if need be.
    Now,
    /// `PREVIEW (LAZY)`: only if it is at hand.
    Lazy,
}

/// A section of a message and how much of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodySection {
    /// Which octets of the message.
    pub section: Section,
    /// Whether the message becomes seen.
    pub reading: Reading,
    /// The range within the section, if not all of it.
    pub partial: Option<Partial>,
}

/// A body part without its transfer encoding, and how much of it (RFC 3516 §4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BinarySection {
    /// Which part; empty for the whole message.
    pub part: PartPath,
    /// Whether the message becomes seen.
    pub reading: Reading,
    /// The range within the decoded part, if not all of it.
    pub partial: Option<Partial>,
}

/// Which octets of a message: `section-spec` of RFC 9051 §9.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    /// The part; empty for the message itself.
    pub part: PartPath,
    /// What of the part; `None` for all of the message or the part's body.
    pub text: Option<SectionText>,
}

/// Which portion of a message or of a message/rfc822 part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectionText {
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`
    HeaderFields(Vec<FieldName>),
    /// `HEADER.FIELDS.NOT (…)`
    HeaderFieldsNot(Vec<FieldName>),
    /// `TEXT`
    Text,
    /// `MIME`: the header of a body part; only after a part number.
    Mime,
}

/// The name of a header field as the client wrote it: printable US-ASCII without colon (RFC 5322 §3.6.8). Compared without case.
#[derive(Clone, Debug)]
pub struct FieldName(Box<str>);

impl FieldName {
    /// Longest field name: a header line has at most 998 octets (RFC 5322 §2.1.1).
    pub const OCTETS_MAX: usize = 997;

    /// Reads a field name; `None` for what no header field can be called.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=Self::OCTETS_MAX).contains(&text.len())
            && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
        is_name.then(|| Self(text.into()))
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for FieldName {}

/// A body part by its numbers, outermost first: `1.2.3`. Empty for the message itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PartPath(pub Vec<u32>);

/// A range of octets of a section: `<start.octets>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Partial {
    /// First octet, from zero.
    pub start: u64,
    /// Most octets wanted, one or more.
    pub octets: u64,
}

impl Partial {
    /// The range of a section of this many octets that is really there.
    #[must_use]
    pub fn within(self, octets: u64) -> std::ops::Range<u64> {
        let start = self.start.min(octets);
        start..self.start.saturating_add(self.octets).min(octets).max(start)
    }
}
