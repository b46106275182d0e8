//! What each command is answered in the end: condition, response code and sentence, all chosen here
//! (RFC 9051 §7.1, RFC 5530). Sentences are for people and name neither paths nor hosts nor causes.

use imap::command::{BadCommand, Tag};
use imap::response::{self, Code, Condition};
use mail_types::{MailboxId, ModSeq, UidSet, UidValidity};
use mailstore::{ANNOTATION_OCTETS_MAX, StoreError};
use platform::lines::WireError;

/// A command that was carried out.
#[derive(Debug)]
pub(crate) struct Done {
    code: DoneCode,
    text: &'static str,
}

/// What the tagged OK tells a program.
#[derive(Debug)]
pub(crate) enum DoneCode {
    /// Nothing.
    None,
    /// What the server can do, now that it is clear who is there.
    Capability(String),
    /// The mailbox is open for changes.
    ReadWrite,
    /// The mailbox is open for reading.
    ReadOnly,
    /// The mailbox's mod-sequence after an expunge.
    HighestModSeq(ModSeq),
    /// The new mailbox.
    MailboxId(MailboxId),
    /// Where appended messages went.
    AppendUid(UidValidity, UidSet),
    /// Where copied messages went.
    CopyUid(UidValidity, UidSet, UidSet),
    /// The longest annotation that was left out, in octets.
    MetadataLongEntries(u64),
    /// Messages that STORE left alone.
    Modified(Vec<(u32, u32)>),
}

impl Done {
    /// Carried out; nothing more to say.
    pub(crate) const fn plain(text: &'static str) -> Self {
        Self { code: DoneCode::None, text }
    }

    /// Carried out, with a code.
    pub(crate) const fn with(code: DoneCode, text: &'static str) -> Self {
        Self { code, text }
    }

    /// Writes the tagged OK.
    pub(crate) fn write(&self, out: &mut Vec<u8>, tag: &Tag) {
        let code = match &self.code {
            DoneCode::None => None,
            DoneCode::Capability(names) => Some(Code::Capability(names)),
            DoneCode::ReadWrite => Some(Code::ReadWrite),
            DoneCode::ReadOnly => Some(Code::ReadOnly),
            DoneCode::HighestModSeq(modseq) => Some(Code::HighestModSeq(*modseq)),
            DoneCode::MailboxId(id) => Some(Code::MailboxId(*id)),
            DoneCode::AppendUid(validity, uids) => Some(Code::AppendUid(*validity, uids)),
            DoneCode::CopyUid(uid_validity, from, to) => {
                Some(Code::CopyUid { uid_validity: *uid_validity, from, to })
            }
            DoneCode::MetadataLongEntries(octets) => Some(Code::MetadataLongEntries(*octets)),
            DoneCode::Modified(ranges) => Some(Code::Modified(ranges)),
        };
        response::write_tagged(out, tag, Condition::Ok, code.as_ref(), self.text);
    }
}

/// Why a command was not carried out. The session goes on.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not in this state.
    WrongState(&'static str),
    /// Arguments that can be read but not meant.
    Senseless(&'static str),
    /// Could not be read to its end.
    Unreadable(Box<BadCommand>),
    /// A password in clear text.
    PrivacyRequired,
    /// Wrong user or password.
    AuthenticationFailed,
    /// Too many wrong passwords.
    Blocked,
    /// Too many are logging in at this moment.
    TooManyLogins,
    /// The account has as many sessions as it may have.
    TooManySessions,
    /// A SASL exchange that breaks its mechanism's grammar.
    SaslMalformed,
    /// A SASL exchange that the client gave up.
    SaslCancelled,
    /// A SASL mechanism that is not offered.
    SaslUnknown,
    /// The mailbox does not exist.
    NoSuchMailbox,
    /// The target mailbox does not exist; making it would help.
    TryCreate,
    /// The mailbox was opened by EXAMINE.
    ReadOnly,
    /// Sequence numbers beyond the last message.
    NoSuchNumber,
    /// Some messages are gone, though the client was not told yet; others may have been left alone by STORE.
    Expunged(Vec<(u32, u32)>),
    /// A message larger than we take.
    TooBig,
    /// More messages in one APPEND than we take together.
    TooMany,
    /// An empty message, by which a client takes its APPEND back (RFC 3502 §3).
    AppendTakenBack,
    /// The account's quota.
    OverQuota,
    /// Clients cannot change quotas.
    QuotaIsTheOperators,
    /// No such quota root.
    NoSuchQuotaRoot,
    /// A part whose transfer encoding nobody knows.
    UnknownEncoding,
    /// A search that took too long.
    SearchTooCostly,
    /// SETMETADATA does not change what a mailbox is for.
    SpecialUseIsGivenByCreate,
    /// Only one special use fits a mailbox.
    OneSpecialUse,
    /// Only one mailbox has a special use.
    SpecialUseTaken,
    /// What the store says.
    Store(StoreError),
}

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The client said LOGOUT.
    Logout,
    /// The connection failed or the client fell silent.
    Wire(WireError),
    /// We part, and say why.
    Bye(Farewell),
}

/// Why we part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Farewell {
    /// The client was silent too long.
    Silent,
    /// Nobody logged in for too long.
    LoginTooSlow,
    /// The server stops.
    Shutdown,
    /// The account was disabled, removed, or its password changed.
    AccountClosed,
    /// Another session deleted the selected mailbox.
    MailboxDeleted,
    /// Too many bad commands or wrong passwords.
    TooManyErrors,
    /// Stored octets could not be read after their number was announced.
    Unreadable,
    /// The client sends more than we skip, or something else than it must.
    OutOfStep,
}

/// Why a verb stopped short.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command is refused.
    Refused(Refusal),
    /// The session ends.
    Ended(Ending),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Refused(Refusal::Store(error))
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Ended(Ending::Wire(error))
    }
}

impl From<Farewell> for Stop {
    fn from(farewell: Farewell) -> Self {
        Self::Ended(Ending::Bye(farewell))
    }
}

impl Refusal {
    /// Whether the client made the mistake: counted, so that endless mistakes end.
    pub(crate) const fn is_clients_mistake(&self) -> bool {
        matches!(
            self,
            Self::WrongState(_)
                | Self::Senseless(_)
                | Self::Unreadable(_)
                | Self::PrivacyRequired
                | Self::AuthenticationFailed
                | Self::Blocked
                | Self::SaslMalformed
                | Self::SaslUnknown
                | Self::NoSuchNumber
        )
    }

    /// Writes the tagged NO or BAD.
    pub(crate) fn write(&self, out: &mut Vec<u8>, tag: &Tag) {
        if let Self::Unreadable(bad) = self {
            return response::write_bad(out, bad);
        }
        let (condition, code, text) = self.answer();
        response::write_tagged(out, tag, condition, code.as_ref(), text);
    }

    fn answer(&self) -> (Condition, Option<Code<'_>>, &'static str) {
        use Condition::{Bad, No};
        match self {
            Self::WrongState(text) | Self::Senseless(text) => (Bad, None, text),
            Self::Unreadable(_) => (Bad, None, "Command could not be read"),
            Self::PrivacyRequired => (No, Some(Code::PrivacyRequired), "Start TLS before you log in"),
            Self::AuthenticationFailed => {
                (No, Some(Code::AuthenticationFailed), "User name or password is wrong")
            }
            Self::Blocked => (No, Some(Code::Unavailable), "Too many failed logins, try again later"),
            Self::TooManyLogins => (No, Some(Code::Unavailable), "Too many logins at this moment, try again"),
            Self::TooManySessions => (No, Some(Code::Limit), "Too many sessions of this account"),
            Self::SaslMalformed => (Bad, None, "Malformed authentication exchange"),
            Self::SaslCancelled => (Bad, None, "Authentication cancelled"),
            Self::SaslUnknown => (No, None, "Authentication mechanism is not offered here"),
            Self::NoSuchMailbox => (No, Some(Code::NonExistent), "No such mailbox"),
            Self::TryCreate => (No, Some(Code::TryCreate), "No such mailbox; create it first"),
            Self::ReadOnly => (No, Some(Code::ReadOnly), "Mailbox is open for reading only"),
            Self::NoSuchNumber => (Bad, None, "No message has such a sequence number"),
            Self::Expunged(modified) if modified.is_empty() => {
                (No, Some(Code::ExpungeIssued), "Some of the messages no longer exist")
            }
            // RFC 7162 §3.1.3, example 11: MODIFIED goes with NO when messages are gone.
            Self::Expunged(modified) => {
                (No, Some(Code::Modified(modified)), "Some of the messages no longer exist")
            }
            Self::TooBig => (No, Some(Code::TooBig), "Message is too large"),
            Self::TooMany => {
                (No, Some(Code::Limit), "Too much for one command; append fewer messages at once")
            }
            Self::AppendTakenBack => (No, None, "An empty message is not stored"),
            Self::OverQuota => (No, Some(Code::OverQuota), "Quota exceeded"),
            Self::QuotaIsTheOperators => (No, Some(Code::NoPerm), "Only the operator changes quotas"),
            Self::NoSuchQuotaRoot => (No, Some(Code::NonExistent), "No such quota root"),
            Self::UnknownEncoding => (No, Some(Code::UnknownCte), "Transfer encoding is unknown"),
            Self::SearchTooCostly => (No, Some(Code::Limit), "Search took too long; ask for less"),
            Self::SpecialUseTaken => (No, Some(Code::UseAttr), "Another mailbox has that special use"),
            Self::SpecialUseIsGivenByCreate => (No, Some(Code::NoPerm), "CREATE says what a mailbox is for"),
            Self::OneSpecialUse => (No, Some(Code::UseAttr), "A mailbox has one special use at most"),
            Self::Store(error) => store_answer(error),
        }
    }
}

fn store_answer(error: &StoreError) -> (Condition, Option<Code<'static>>, &'static str) {
    use Condition::No;
    match error {
        StoreError::Full => (No, Some(Code::Unavailable), "The server is short of room, try again later"),
        StoreError::Busy => (No, Some(Code::Unavailable), "The server is busy, try again"),
        StoreError::OverQuota => (No, Some(Code::OverQuota), "Quota exceeded"),
        StoreError::NoSuchMailbox => (No, Some(Code::NonExistent), "No such mailbox"),
        StoreError::MailboxExists => (No, Some(Code::AlreadyExists), "Mailbox exists already"),
        StoreError::NoSuchMessage => (No, Some(Code::ExpungeIssued), "Some of the messages no longer exist"),
        StoreError::NoSuchAccount => (No, Some(Code::ContactAdmin), "The account is gone"),
        // No command of IMAP is about scripts.
        StoreError::NoSuchScript
        | StoreError::ScriptExists
        | StoreError::ScriptIsActive
        | StoreError::ScriptTooLarge
        | StoreError::TooManyScripts => (No, Some(Code::Cannot), "Scripts are not kept in mailboxes"),
        StoreError::AnnotationTooLarge => {
            (No, Some(Code::MetadataMaxSize(ANNOTATION_OCTETS_MAX as u64)), "Annotation is too large")
        }
        StoreError::TooManyAnnotations => (No, Some(Code::MetadataTooMany), "Too many annotations"),
        StoreError::NotAllowed(text) => (No, Some(Code::Cannot), text),
        StoreError::Limit(text) => (No, Some(Code::Limit), text),
        StoreError::Corrupt(_) => (No, Some(Code::Corruption), "Stored data is damaged; ask the operator"),
        StoreError::Io { .. } => (No, Some(Code::ServerBug), "Internal error; it has been logged"),
    }
}

impl Farewell {
    /// Writes the untagged BYE.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (code, text) = match self {
            Self::Silent => (None, "Idle too long"),
            Self::LoginTooSlow => (None, "Nobody logged in"),
            Self::Shutdown => (Some(Code::Unavailable), "Server is going down"),
            Self::AccountClosed => (Some(Code::Expired), "Log in again"),
            Self::MailboxDeleted => (None, "Selected mailbox was deleted"),
            Self::TooManyErrors => (None, "Too many errors"),
            Self::Unreadable => (Some(Code::Corruption), "Stored message cannot be read"),
            Self::OutOfStep => (Some(Code::TooBig), "Too much, or out of step"),
        };
        response::write_bye(out, code.as_ref(), text);
    }
}
