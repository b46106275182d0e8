//! What other people's programs say of mail, without I/O: milters, and the scanners clamd, spamd and rspamd.
//!
//! Who owns a socket writes what these modules put into its buffer and feeds them the octets that come back. Every answer
//! is bounded; one that makes no sense is an [`Nonsense`], after which the connection is of no further use.

pub mod clamd;
pub mod http;
pub mod milter;
pub mod rspamd;
pub mod spamd;

/// An engine's answer is none that its protocol knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Nonsense {
    /// It breaks the protocol's grammar.
    #[error("the engine's answer is malformed")]
    Malformed,
    /// It is longer than any that makes sense.
    #[error("the engine's answer is longer than any that makes sense")]
    TooLong,
    /// It may not come at this point of the conversation.
    #[error("the engine's answer does not fit what was asked")]
    OutOfPlace,
    /// It wants what it was not granted.
    #[error("the engine wants more than it was offered")]
    NotNegotiated,
    /// The connection ended before the answer did.
    #[error("the engine's answer is cut short")]
    CutShort,
}
