//! What each command is answered: condition, response code and sentence, all chosen here (RFC 5804 §1.3). Sentences are
//! for people and name neither paths nor hosts nor causes.

use mailstore::StoreError;
use managesieve::BadCommand;
use managesieve::response::{self, Code, Condition};
use platform::lines::WireError;

use crate::login::LoginRefusal;

/// A command that was carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// Nothing more to say.
    Plain(&'static str),
    /// The script is taken; these lines say what is odd about it.
    Warned(String),
    /// The server's last word in a SASL exchange.
    LoggedIn(Option<String>),
    /// What NOOP brought comes back.
    Noop(Option<Vec<u8>>),
}

/// Why a command was not carried out. The session goes on.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// Could not be read.
    Unreadable(BadCommand),
    /// Not before login.
    LogInFirst,
    /// Not after login.
    LoggedInAlready,
    /// TLS is running already, or there are no certificates.
    NoTls,
    /// Nobody may enter.
    Login(LoginRefusal),
    /// What is wrong with the script, line by line.
    Faulty(String),
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
    /// Too many bad commands or wrong passwords.
    TooManyErrors,
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

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LoginRefusal> for Stop {
    fn from(refusal: LoginRefusal) -> Self {
        Self::Refused(Refusal::Login(refusal))
    }
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Ended(ending)
    }
}

impl Done {
    /// Writes the OK.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (code, text) = match self {
            Self::Plain(text) => (None, *text),
            Self::Warned(lines) => (Some(Code::Warnings), lines.as_str()),
            Self::LoggedIn(last) => (last.as_deref().map(Code::Sasl), "Logged in"),
            Self::Noop(tag) => (tag.as_deref().map(Code::Tag), "Done"),
        };
        response::write(out, Condition::Ok, code, text);
    }
}

impl Refusal {
    /// Whether the client made the mistake: counted, so that endless mistakes end.
    pub(crate) const fn is_clients_mistake(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::LogInFirst | Self::LoggedInAlready | Self::NoTls => true,
            Self::Login(refusal) => !matches!(
                refusal,
                LoginRefusal::Busy | LoginRefusal::TooManySessions | LoginRefusal::Store(_)
            ),
            // Who writes a script makes faults.
            Self::Faulty(_) | Self::Store(_) => false,
        }
    }

    /// Writes the NO.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (code, text) = match self {
            Self::Unreadable(bad) => unreadable(*bad),
            Self::LogInFirst => (None, "Log in first"),
            Self::LoggedInAlready => (None, "Somebody has logged in already"),
            Self::NoTls => (None, "TLS cannot be started here"),
            Self::Login(refusal) => login_answer(refusal),
            Self::Faulty(lines) => (None, lines.as_str()),
            Self::Store(error) => store_answer(error),
        };
        response::write(out, Condition::No, code, text);
    }
}

type Answer<'a> = (Option<Code<'static>>, &'a str);

fn unreadable(bad: BadCommand) -> Answer<'static> {
    match bad {
        BadCommand::Syntax(what) => (None, what),
        BadCommand::TooLarge => (None, "The command is too long"),
        BadCommand::ScriptTooLarge => (Some(Code::QuotaMaxSize), "The script is too large"),
        BadCommand::OutOfStep => (None, "Too much, or out of step"),
    }
}

fn login_answer(refusal: &LoginRefusal) -> Answer<'static> {
    match refusal {
        LoginRefusal::PrivacyRequired => (Some(Code::EncryptNeeded), "Start TLS before you log in"),
        LoginRefusal::MechanismUnknown => (None, "Authentication mechanism is not offered here"),
        LoginRefusal::Failed => (None, "User name or password is wrong"),
        LoginRefusal::Blocked => (Some(Code::TryLater), "Too many failed logins, try again later"),
        LoginRefusal::Busy => (Some(Code::TryLater), "Too many logins at this moment, try again"),
        LoginRefusal::Malformed => (None, "Malformed authentication exchange"),
        LoginRefusal::Cancelled => (None, "Authentication cancelled"),
        LoginRefusal::TooManySessions => (Some(Code::TryLater), "Too many sessions of this account"),
        LoginRefusal::Store(error) => store_answer(error),
    }
}

fn store_answer(error: &StoreError) -> Answer<'static> {
    match error {
        StoreError::NoSuchScript => (Some(Code::NonExistent), "There is no script of that name"),
        StoreError::ScriptExists => (Some(Code::AlreadyExists), "There is a script of that name"),
        StoreError::ScriptIsActive => {
            (Some(Code::Active), "The script is active; make another one active first")
        }
        StoreError::ScriptTooLarge => (Some(Code::QuotaMaxSize), "The script is too large"),
        StoreError::TooManyScripts => (Some(Code::QuotaMaxScripts), "There are too many scripts"),
        StoreError::OverQuota => (Some(Code::Quota), "All scripts together would be too large"),
        StoreError::Full => (Some(Code::TryLater), "The server is short of room, try again later"),
        StoreError::Busy => (Some(Code::TryLater), "The server is busy, try again"),
        StoreError::NoSuchAccount => (None, "The account is gone"),
        StoreError::Limit(text) => (Some(Code::Quota), text),
        StoreError::Corrupt(_) => (None, "Stored data is damaged; ask the operator"),
        StoreError::Io { .. } => (Some(Code::TryLater), "Internal error; it has been logged"),
        // No command is about mail.
        StoreError::NoSuchMailbox
        | StoreError::MailboxExists
        | StoreError::NoSuchMessage
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::NotAllowed(_) => (None, "That cannot be done"),
    }
}

impl Farewell {
    /// Writes the BYE.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (code, text) = match self {
            Self::Silent => (None, "Idle too long"),
            Self::LoginTooSlow => (None, "Nobody logged in"),
            Self::Shutdown => (Some(Code::TryLater), "Server is going down"),
            Self::AccountClosed => (None, "Log in again"),
            Self::TooManyErrors => (None, "Too many errors"),
            Self::OutOfStep => (None, "Too much, or out of step"),
        };
        response::write(out, Condition::Bye, code, text);
    }
}
