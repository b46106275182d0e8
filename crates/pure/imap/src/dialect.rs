//! What a client and we have agreed on about names and strings: it decides how mailbox names are read and written.

/// The character that parts the levels of a mailbox name on the wire (RFC 9051 §5.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Separator {
    /// `/`, as inside the house.
    #[default]
    Slash,
    /// `.`, for people who come from servers with Maildir++ names.
    Dot,
}

impl Separator {
    /// The character.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Slash => b'/',
            Self::Dot => b'.',
        }
    }
}

/// How names and strings beyond US-ASCII travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NameEncoding {
    /// Mailbox names in modified UTF-7, no UTF-8 in quoted strings (RFC 3501 §5.1.3): every session at its start.
    #[default]
    ModifiedUtf7,
    /// UTF-8 everywhere, after ENABLE IMAP4rev2 (RFC 9051 §5.1) or UTF8=ACCEPT (RFC 9755 §3).
    Utf8,
}

/// The way of writing that a session has agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dialect {
    /// How names and strings beyond US-ASCII travel.
    pub encoding: NameEncoding,
    /// What parts the levels of mailbox names.
    pub separator: Separator,
}
