//! What a run comes to: actions for others to carry out, each with the line that asked for it.

use std::fmt;

use mail_types::{Address, MailboxName};

use crate::message::Edition;

/// What a run of scripts has decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What is to be done, in the order it was decided.
    pub actions: Vec<Decided>,
    /// What went wrong. Where it ended a script, the message is kept, whatever else is done with it.
    pub faults: Vec<RunFault>,
    /// Identifiers to mark as seen once all actions are done (RFC 7352 §3).
    pub marks: Vec<Mark>,
    /// What scripts wrote for people who look for faults (vnd.dovecot.debug).
    pub debug: Vec<String>,
    /// Which line decided what, if it was asked for.
    pub steps: Vec<Step>,
    /// Whether scripts have changed the message.
    pub is_edited: bool,
    /// What the run has cost, in the unit of [`Bounds::cost_max`](crate::Bounds::cost_max).
    pub cost: u64,
}

/// An action and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What is to be done.
    pub action: Action,
    /// Who said so.
    pub origin: Origin,
    /// The message as it was when this was decided, if scripts had changed it by then (RFC 5293 §1).
    pub edition: Option<Edition>,
}

/// Who asked for an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a script.
    Line {
        /// The script's name.
        script: String,
        /// The line, from 1.
        line: u32,
    },
    /// Nobody: the implicit keep (RFC 5228 §2.10.2).
    Implicit,
}

/// Something to be done with the message. Without any action it is discarded.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// File it into the inbox.
    Keep {
        /// Flags to file it with (RFC 5232).
        flags: Vec<String>,
    },
    /// File it into a mailbox.
    FileInto(FileInto),
    /// Send it on.
    Redirect(Redirect),
    /// Do nothing with it: told so that it can be explained.
    Discard,
    /// Refuse it.
    Reject(Reject),
    /// Answer that its reader is away.
    Vacation(Box<Vacation>),
    /// Tell somebody about it.
    Notify(Box<Notify>),
    /// Give it to a program (vnd.dovecot.pipe).
    Pipe(Pipe),
    /// Report it as abuse (vnd.dovecot.report).
    Report(Report),
}

impl fmt::Display for Action {
    /// For people: what is done, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Keep { .. } => f.write_str("keep it in the inbox"),
            Action::FileInto(store) => write!(f, "file it into {}", store.mailbox),
            Action::Redirect(Redirect { to: RedirectTo::Address(address), .. }) => {
                write!(f, "send it on to {address}")
            }
            Action::Redirect(Redirect { to: RedirectTo::List(list), .. }) => {
                write!(f, "send it on to all on the list {}", list.escape_debug())
            }
            Action::Discard => f.write_str("throw it away"),
            Action::Reject(_) => f.write_str("refuse it"),
            Action::Vacation(_) => f.write_str("answer that its reader is away"),
            Action::Notify(notify) => write!(f, "notify {}", notify.method.escape_debug()),
            Action::Pipe(pipe) => write!(f, "give it to the program {}", pipe.program.escape_debug()),
            Action::Report(report) => write!(f, "report it to {} as {}", report.to, report.feedback_type),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line { script, line } => write!(f, "{}, line {line}", script.escape_debug()),
            Origin::Implicit => f.write_str("no script says otherwise"),
        }
    }
}

impl Vacation {
    /// What an answer is remembered by, so that the sender gets no other one too soon (RFC 5230 §4.2).
    #[must_use]
    pub fn identifier(&self, sender: &Address) -> Vec<u8> {
        format!("vacation\0{}\0{}", sender.to_string().to_lowercase(), self.handle).into_bytes()
    }
}

/// `fileinto` (RFC 5228 §4.1), and where a copy of what is sent goes (RFC 8580).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInto {
    /// The mailbox's name.
    pub mailbox: MailboxName,
    /// Make it if it is not there (RFC 5490 §3.2).
    pub create: bool,
    /// Rather file it into the mailbox with this use, if there is one (RFC 8579 §4).
    pub special_use: Option<String>,
    /// Rather file it into the mailbox with this identifier, if there is one (RFC 9042).
    pub mailbox_id: Option<String>,
    /// Flags to file it with.
    pub flags: Vec<String>,
    /// Whether the implicit keep stays (RFC 3894).
    pub copy: bool,
}

/// `redirect` (RFC 5228 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Who gets it.
    pub to: RedirectTo,
    /// Whether the implicit keep stays (RFC 3894).
    pub copy: bool,
    /// RFC 6009 `:notify`, a value for NOTIFY.
    pub notify: Option<String>,
    /// RFC 6009 `:ret`, FULL or HDRS.
    pub ret: Option<String>,
    /// RFC 6009 `:bytime…`: the moment in seconds since 1970, `R` or `N`, traced or not.
    pub deliver_by: Option<(i64, char, bool)>,
}

/// Who gets a redirected message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectTo {
    /// One address.
    Address(Address),
    /// All on a list (RFC 6134 §2.5).
    List(String),
}

/// `reject` and `ereject` (RFC 5429).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Which of them.
    pub kind: RejectKind,
    /// The text for the sender.
    pub reason: String,
}

/// How a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// By a notification or in the protocol (RFC 5429 §2.2).
    Reject,
    /// In the protocol where that is possible (RFC 5429 §2.1).
    Ereject,
}

/// `vacation` (RFC 5230): all that an answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacation {
    /// The text, or a whole MIME entity.
    pub reason: String,
    /// Whether the reason is a MIME entity.
    pub is_mime: bool,
    /// `:subject`.
    pub subject: Option<String>,
    /// `:from`.
    pub from: Option<String>,
    /// What tells this answer from others: `:handle`, or all that the answer says (RFC 5230 §4.2).
    pub handle: String,
    /// Shortest time to the next answer to the same sender.
    pub seconds: u64,
    /// `:addresses`: more of the reader's own.
    pub addresses: Vec<String>,
    /// Where a copy of the answer goes (RFC 8580).
    pub fcc: Option<FileInto>,
}

/// `notify` (RFC 5435).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The URI that says how and whom.
    pub method: String,
    /// The name by which a script may take it back (`denotify`).
    pub id: Option<String>,
    /// Whether it is one of the draft before RFC 5435.
    pub is_old: bool,
    /// `:from`.
    pub from: Option<String>,
    /// 1 is most, 3 least important.
    pub importance: u8,
    /// `:options`, name and value.
    pub options: Vec<(String, String)>,
    /// `:message`.
    pub message: Option<String>,
    /// Where a copy of the notification goes (RFC 8580).
    pub fcc: Option<FileInto>,
}

/// `pipe` (vnd.dovecot.pipe).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// The program's name.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whether a failure is none (`:try`).
    pub is_try: bool,
    /// Whether the implicit keep stays.
    pub copy: bool,
}

/// `report` (vnd.dovecot.report, RFC 5965).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The kind: `abuse`, `fraud`, `virus`, …
    pub feedback_type: String,
    /// The text for people.
    pub message: String,
    /// Who gets it.
    pub to: Address,
    /// Whether only the header is told.
    pub headers_only: bool,
}

/// What went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFault {
    /// The script's name.
    pub script: String,
    /// The line, from 1; 0 if it is no line's fault.
    pub line: u32,
    /// What, in plain words.
    pub words: String,
    /// Whether the script ended there; if not, only what is named was left out.
    pub ends_script: bool,
}

/// An identifier to remember (RFC 7352).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What tells it from others of the account.
    pub identifier: Vec<u8>,
    /// How long.
    pub seconds: u64,
    /// Whether it is marked again if it is known already.
    pub is_last: bool,
}

/// One decision on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The script's name.
    pub script: String,
    /// The line, from 1.
    pub line: u32,
    /// The command or test.
    pub name: &'static str,
    /// What came of it: a test's answer, an action's words.
    pub result: StepResult,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// A test was true.
    True,
    /// A test was false.
    False,
    /// A command was carried out.
    Done,
}
