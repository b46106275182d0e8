//! Commands that we could not read, and the answer each gets: what was wrong and where (RFC 9051 §7.1, RFC 5530).

use mail_types::MailboxNameError;

use super::tag::Tag;

/// A command that was not understood. The stream is in step again behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadCommand {
    /// The command's tag, if it had a readable one.
    pub tag: Option<Tag>,
    /// What was wrong.
    pub kind: BadKind,
}

/// What was wrong with a command, by the answer it gets.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadKind {
    /// Not as the grammar has it: BAD.
    #[error("{what} at octet {at}")]
    Syntax {
        /// What was expected, or what may not be: a sentence's start in our own words.
        what: &'static str,
        /// Where in the command, literals counted, from 1.
        at: usize,
    },
    /// No command that we know: BAD.
    #[error("Unknown command")]
    UnknownCommand,
    /// A line, a literal or the whole is larger than [`crate::Limits`] allow: BAD with the code TOOBIG for literals.
    #[error("Command too large: {0}")]
    TooLarge(&'static str),
    /// The name is none that a mailbox can have: NO with the code CANNOT.
    #[error("Not a mailbox name: {0}")]
    MailboxName(#[source] MailboxNameError),
    /// A charset of SEARCH that we don't know: NO with the code BADCHARSET.
    #[error("Unknown charset")]
    Charset {
        /// Whether the search was to save its result: that it failed leaves nothing saved (RFC 9051 §6.4.4.1).
        saves: bool,
    },
    /// A special use of CREATE that we don't know: NO with the code USEATTR (RFC 6154 §3).
    #[error("Unknown special use")]
    SpecialUse,
    /// The client has sent, or will send, more than we are ready to skip: BYE, and the connection ends.
    #[error("Too much to skip")]
    OutOfStep,
}

impl BadCommand {
    /// Whether the stream cannot be followed any longer: say BYE and close.
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.kind == BadKind::OutOfStep
    }
}
