//! What SEARCH asks for: keys, charset already resolved, and the form of the answer (RFC 9051 §6.4.4, RFC 4731, 5032, 5182, 7162, 8474, 8514).

use mail_types::{EmailId, Keyword, ModSeq, SystemFlag, ThreadId};

use crate::date::Day;
use crate::fetch::FieldName;
use crate::sequence::SequenceSet;

/// A condition on messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SearchKey {
    /// Every message.
    All,
    /// All of these, at least one; `(a b)` and the keys of a command.
    And(Vec<SearchKey>),
    /// Any of these, at least two; `OR a OR b c` is one list of three.
    Or(Vec<SearchKey>),
    /// Not this; `UNSEEN` is `Not(Flag(Seen))`.
    Not(Box<SearchKey>),
    /// The system flag is set.
    Flag(SystemFlag),
    /// The keyword is set.
    Keyword(Keyword),
    /// `RECENT`, gone in IMAP4rev2: `NEW` is `RECENT UNSEEN`, `OLD` is `NOT RECENT`.
    Recent,
    /// A day of the message against a day given.
    Date {
        /// Which of the message's dates, its zone left aside.
        of: DateOf,
        /// How the message's day must lie.
        is: DateIs,
        /// The day given.
        day: Day,
    },
    /// `SAVEDATESUPPORTED` (RFC 8514 §4.3): all messages or none, by mailbox.
    SaveDateSupported,
    /// INTERNALDATE at least so many seconds ago (RFC 5032).
    Older(u32),
    /// INTERNALDATE at most so many seconds ago (RFC 5032).
    Younger(u32),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// The needle is in a field of the envelope.
    Envelope(EnvelopeField, Needle),
    /// The needle is in a header field of this name; the empty needle asks only for the field.
    Header(FieldName, Needle),
    /// The needle is in the body.
    Body(Needle),
    /// The needle is in header or body.
    Text(Needle),
    /// Message sequence numbers.
    Sequence(SequenceSet),
    /// Unique identifiers.
    Uid(SequenceSet),
    /// Modification sequence not below this (RFC 7162 §3.1.5). Entry names are read over: we keep one sequence for each message.
    ModSeq(ModSeq),
    /// EMAILID; `None` is an identifier that we never gave, so that no message has it.
    EmailId(Option<EmailId>),
    /// THREADID, likewise.
    ThreadId(Option<ThreadId>),
}

impl SearchKey {
    /// Whether this key, or one within it, asks for modification sequences, which enables CONDSTORE (RFC 7162 §3.1).
    #[must_use]
    pub fn uses_mod_seq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) | Self::Or(keys) => keys.iter().any(Self::uses_mod_seq),
            Self::Not(key) => key.uses_mod_seq(),
            _ => false,
        }
    }
}

/// Which of a message's dates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DateOf {
    /// INTERNALDATE: when the message arrived.
    Internal,
    /// The Date field.
    Sent,
    /// When the message came into this mailbox (RFC 8514).
    Saved,
}

/// How a day lies to another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DateIs {
    /// Earlier.
    Before,
    /// The same.
    On,
    /// The same or later.
    Since,
}

/// A field of the envelope that SEARCH has a key for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EnvelopeField {
    /// `BCC`
    Bcc,
    /// `CC`
    Cc,
    /// `FROM`
    From,
    /// `SUBJECT`
    Subject,
    /// `TO`
    To,
}

/// Text to find, in UTF-8, as the client wrote it; may be empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Needle(pub String);

/// What `RETURN (…)` asks for (RFC 4731 §3.1, RFC 5182). `RETURN ()` reads as `ALL`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SearchReturn {
    /// The lowest number.
    pub min: bool,
    /// The highest number.
    pub max: bool,
    /// All numbers, as a set.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Keep the result as `$`.
    pub save: bool,
}
