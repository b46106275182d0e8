//! What came of a question: records with how far they are proven, or why there are none.

use std::time::Duration;

use crate::name::Name;

/// How far an answer is proven (RFC 4033 §5). There is no third state: what should be signed and is not, or is signed
/// wrongly, is [`LookupError::Bogus`] and no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Security {
    /// Nobody signed it, and a parent proves that nobody had to.
    Insecure,
    /// Signed, validated by us from the trust anchor down, each alias on the way included.
    Secure,
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<T> {
    /// At least one.
    pub records: Vec<T>,
    /// The name that has the records: the end of the chain of aliases (CNAME), or the name that was asked for.
    pub canonical: Name,
    /// The least proven part: of the records, and of every alias that led to them.
    pub security: Security,
    /// How long the answer may still be used (RFC 1035 §3.2.1: the shortest TTL of all its records).
    pub valid_for: Duration,
}

impl<T> Answer<T> {
    /// The same answer with other records; those for which `choose` gives nothing are left out.
    pub fn filter_map<U>(self, choose: impl FnMut(T) -> Option<U>) -> Answer<U> {
        let Self { records, canonical, security, valid_for } = self;
        Answer { records: records.into_iter().filter_map(choose).collect(), canonical, security, valid_for }
    }
}

/// Why there are no records. Told apart by what a caller can do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist, nor anything below it (RFC 8020). Asking again soon tells the same.
    #[error("no such name")]
    NoSuchName {
        /// How far the absence is proven.
        security: Security,
        /// How long this may be believed (RFC 2308 §5).
        valid_for: Duration,
    },
    /// The name exists, but has no records of this type (RFC 2308 §2.2). Asking again soon tells the same.
    #[error("the name has no such records")]
    NoData {
        /// How far the absence is proven.
        security: Security,
        /// How long this may be believed (RFC 2308 §5).
        valid_for: Duration,
    },
    /// Records were there, and DNSSEC says that they are not to be believed. Try later; never go on as if the answer
    /// were merely unsigned.
    #[error("DNSSEC validation failed: {0}")]
    Bogus(String),
    /// No server gave a usable answer: unreachable, lame, refusing or broken (SERVFAIL). Try later.
    #[error("no name server answered usefully: {0}")]
    Unreachable(String),
    /// No answer within the time that a question may take. Try later.
    #[error("no answer within the time that a question may take")]
    Timeout,
    /// An answer or the way to it was larger than our bounds: too long a chain of aliases, too many records or too
    /// deep a delegation. Try later, though it may well stay so.
    #[error("the answer is beyond our bounds: {0}")]
    Excessive(String),
    /// More questions are open than we allow at once. Try later.
    #[error("too many questions are open")]
    Busy,
}

impl LookupError {
    /// Whether DNS said that there is nothing: [`Self::NoSuchName`] or [`Self::NoData`]. Everything else says that
    /// DNS fails now, and asking later may do better.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NoData { .. })
    }

    /// How far an absence is proven; `None` for failures.
    #[must_use]
    pub fn security(&self) -> Option<Security> {
        match self {
            Self::NoSuchName { security, .. } | Self::NoData { security, .. } => Some(*security),
            _ => None,
        }
    }
}
