//! A client's commands as types that cannot be wrong: the second stop of every octet, after the borders are found (RFC 9051 §6).
//!
//! APPEND is not here: its messages stream, so the [`Receiver`](crate::Receiver) hands it over in pieces.

use mail_types::{AnnotationName, Keyword, MailboxName, ModSeq, Secret, SpecialUse, UidSet, UidValidity};

use crate::date::DateTime;
use crate::fetch::FetchAttribute;
use crate::search::{SearchKey, SearchReturn};
use crate::sequence::{Numbering, SequenceSet};

pub(crate) mod append;
mod bad;
mod cursor;
mod fetch;
mod id;
mod list;
mod login;
mod mailbox;
mod metadata;
mod parse;
mod quota;
mod search;
mod select;
mod status;
mod store;
mod tag;

pub use bad::{BadCommand, BadKind};
pub(crate) use cursor::{decimal, is_atom_octet};
pub use login::is_idle_done;
pub use tag::Tag;

/// A command and the tag that its answer must bear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaggedCommand {
    /// What the client calls this command.
    pub tag: Tag,
    /// What it asks.
    pub command: Command,
}

/// What a client asks. One variant for each command; whether it may be asked now is the door's to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// `CAPABILITY`
    Capability,
    /// `NOOP`
    Noop,
    /// `LOGOUT`
    Logout,
    /// `STARTTLS`. What the client sent behind it in clear text must not be read afterwards (RFC 9051 §6.2.1).
    StartTls,
    /// `AUTHENTICATE`; answers to challenges come as [`Received::Line`](crate::Received::Line).
    Authenticate(Authenticate),
    /// `LOGIN`
    Login(Login),
    /// `ID` (RFC 2971)
    Id(IdParameters),
    /// `ENABLE` (RFC 5161): capabilities in capitals; those we don't know are not refused.
    Enable(Vec<String>),
    /// `SELECT` or `EXAMINE`
    Select(Select),
    /// `CREATE`
    Create(Create),
    /// `DELETE`
    Delete(MailboxName),
    /// `RENAME`
    Rename {
        /// The mailbox as it is called.
        from: MailboxName,
        /// What it is to be called.
        to: MailboxName,
    },
    /// `SUBSCRIBE`
    Subscribe(MailboxName),
    /// `UNSUBSCRIBE`
    Unsubscribe(MailboxName),
    /// `LIST`
    List(List),
    /// `LSUB` (RFC 3501 §6.3.9): gone in IMAP4rev2, still asked for.
    Lsub(Lsub),
    /// `NAMESPACE` (RFC 2342)
    Namespace,
    /// `STATUS`
    Status {
        /// Which mailbox.
        mailbox: MailboxName,
        /// What of it.
        items: StatusItems,
    },
    /// `IDLE` (RFC 2177); its `DONE` comes as [`Received::Line`](crate::Received::Line).
    Idle,
    /// `CHECK`
    Check,
    /// `CLOSE`
    Close,
    /// `UNSELECT` (RFC 3691)
    Unselect,
    /// `EXPUNGE`, or `UID EXPUNGE` with its set (RFC 4315 §2.1)
    Expunge(Option<SequenceSet>),
    /// `SEARCH`, `UID SEARCH`
    Search(Search),
    /// `FETCH`, `UID FETCH`
    Fetch(Fetch),
    /// `STORE`, `UID STORE`
    Store(Store),
    /// `COPY`, `UID COPY`
    Copy(Copy),
    /// `MOVE`, `UID MOVE` (RFC 6851)
    Move(Copy),
    /// `GETQUOTA` (RFC 9208 §4.1.1)
    GetQuota {
        /// The quota root, as the client wrote it.
        root: String,
    },
    /// `GETQUOTAROOT` (RFC 9208 §4.1.2)
    GetQuotaRoot(MailboxName),
    /// `SETQUOTA` (RFC 9208 §4.1.3)
    SetQuota {
        /// The quota root, as the client wrote it.
        root: String,
        /// Resource names in capitals and their new limits.
        limits: Vec<(String, u64)>,
    },
    /// `GETMETADATA` (RFC 5464 §4.2)
    GetMetadata(GetMetadata),
    /// `SETMETADATA` (RFC 5464 §4.3)
    SetMetadata(SetMetadata),
}

/// The arguments of GETMETADATA (RFC 5464 §4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetMetadata {
    /// Which mailbox; `None` for the server.
    pub mailbox: Option<MailboxName>,
    /// What to tell.
    pub question: MetadataQuestion,
}

/// Which annotations are to be told (RFC 5464 §4.2, RFC 9590 §3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataQuestion {
    /// Their names, at least one, none twice, at most [`MetadataQuestion::NAMES_MAX`].
    pub names: Vec<AnnotationName>,
    /// How far below the names.
    pub depth: MetadataDepth,
    /// `MAXSIZE`: values with more octets are left out.
    pub octets_max: Option<u64>,
}

/// How many levels below the names asked for are told as well (RFC 5464 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MetadataDepth {
    /// `DEPTH 0`
    #[default]
    Named,
    /// `DEPTH 1`
    OneBelow,
    /// `DEPTH infinity`
    AllBelow,
}

/// The arguments of SETMETADATA (RFC 5464 §4.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetMetadata {
    /// Which mailbox; `None` for the server.
    pub mailbox: Option<MailboxName>,
    /// New values, `None` for none, each name once, at most [`MetadataQuestion::NAMES_MAX`].
    pub changes: Vec<(AnnotationName, Option<Vec<u8>>)>,
}

/// The arguments of AUTHENTICATE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticate {
    /// The SASL mechanism's name in capitals.
    pub mechanism: String,
    /// The initial response (RFC 4959), decoded; `=` is the empty one.
    pub initial_response: Option<Secret>,
}

/// The client's answer to a challenge of AUTHENTICATE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaslAnswer {
    /// `*`: the client gives up; the command is BAD (RFC 9051 §6.2.2).
    Cancelled,
    /// The response, decoded.
    Response(Secret),
}

/// The arguments of LOGIN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The user's name as it was given.
    pub user: String,
    /// The password as it was given, in whatever octets.
    pub password: Secret,
}

/// The arguments of ID: names and values, at most [`IdParameters::PAIRS_MAX`]; empty for `NIL`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IdParameters(pub Vec<(String, Option<String>)>);

/// Whether a mailbox is opened to change it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Opening {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

/// The arguments of SELECT and EXAMINE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// SELECT or EXAMINE.
    pub opening: Opening,
    /// `(CONDSTORE)` (RFC 7162 §3.1.8)
    pub condstore: bool,
    /// `(QRESYNC (…))` (RFC 7162 §3.2.5)
    pub qresync: Option<Qresync>,
}

/// What a client that comes back knows of a mailbox (RFC 7162 §3.2.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qresync {
    /// The UIDVALIDITY it knows.
    pub uid_validity: UidValidity,
    /// The highest modification sequence it knows.
    pub mod_seq: ModSeq,
    /// The unique identifiers it knows, if it tells.
    pub known_uids: Option<UidSet>,
    /// Samples of which sequence number had which unique identifier.
    pub samples: Option<SequenceMatch>,
}

/// Sequence numbers and, pair by pair, the unique identifiers they had (RFC 7162 §3.2.5.2): sets of equal count, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SequenceMatch {
    /// Message sequence numbers as ranges.
    pub numbers: UidSet,
    /// The identifiers.
    pub uids: UidSet,
}

/// The arguments of CREATE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    /// The new name; a separator at its end is dropped, as it only announces names below (RFC 9051 §6.3.4).
    pub mailbox: MailboxName,
    /// `(USE (…))` (RFC 6154 §3)
    pub special_uses: Vec<SpecialUse>,
}

/// The arguments of LIST (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// Which mailboxes are meant.
    pub selection: ListSelection,
    /// The patterns, each already joined to the reference. None at all, in a LIST that is not extended, asks for the
    /// separator alone (`LIST "" ""`); in an extended one it asks for nothing (RFC 5258 §3).
    pub patterns: Vec<crate::ListPattern>,
    /// What to tell of each.
    pub returns: ListReturn,
    /// `METADATA (…)` among what to tell (RFC 9590 §3).
    pub metadata: Option<MetadataQuestion>,
    /// Whether it is more than the LIST of RFC 3501: only then is `\Subscribed` and the like told.
    pub extended: bool,
}

/// The arguments of LSUB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lsub {
    /// The pattern, joined to the reference; `None` for the empty pattern.
    pub pattern: Option<crate::ListPattern>,
}

/// The selection options of LIST.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ListSelection {
    /// `SUBSCRIBED`: subscribed names, even of mailboxes that are gone.
    pub subscribed: bool,
    /// `REMOTE`: nothing more here, where all is local.
    pub remote: bool,
    /// `RECURSIVEMATCH`: also parents of mailboxes that match, with CHILDINFO.
    pub recursive_match: bool,
    /// `SPECIAL-USE`: only mailboxes with a special use.
    pub special_use: bool,
}

/// The return options of LIST.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)` (RFC 5819)
    pub status: Option<StatusItems>,
}

/// The items of STATUS, asked for at most once each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct StatusItems {
    /// `MESSAGES`
    pub messages: bool,
    /// `RECENT`
    pub recent: bool,
    /// `UIDNEXT`
    pub uid_next: bool,
    /// `UIDVALIDITY`
    pub uid_validity: bool,
    /// `UNSEEN`
    pub unseen: bool,
    /// `DELETED` (RFC 9051 §6.3.11)
    pub deleted: bool,
    /// `SIZE` (RFC 8438)
    pub size: bool,
    /// `HIGHESTMODSEQ` (RFC 7162 §3.1.7); enables CONDSTORE.
    pub highest_mod_seq: bool,
    /// `APPENDLIMIT` (RFC 7889 §4)
    pub append_limit: bool,
    /// `MAILBOXID` (RFC 8474 §4.3)
    pub mailbox_id: bool,
    /// `DELETED-STORAGE` (RFC 9208 §4.1.4)
    pub deleted_storage: bool,
}

/// The arguments of SEARCH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// What the answer's numbers are.
    pub numbering: Numbering,
    /// `RETURN (…)`; `None` for the SEARCH of RFC 3501 with its untagged SEARCH response.
    pub returns: Option<SearchReturn>,
    /// What to find.
    pub key: SearchKey,
}

/// The arguments of FETCH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// What the set's numbers are.
    pub numbering: Numbering,
    /// Which messages.
    pub set: SequenceSet,
    /// What of each, macros opened, at least one, none twice.
    pub attributes: Vec<FetchAttribute>,
    /// `(CHANGEDSINCE …)` (RFC 7162 §3.1.4.1)
    pub changed_since: Option<ModSeq>,
    /// `VANISHED` (RFC 7162 §3.2.6): only with `UID` and CHANGEDSINCE.
    pub vanished: bool,
}

/// How STORE changes flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Whether STORE tells the new flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StoreAnswer {
    /// Tell them.
    Flags,
    /// `.SILENT`
    Silent,
}

/// Flags that a client names: the mailbox's numbers for the keywords are not known yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagNames {
    /// Bits of [`mail_types::SystemFlag`].
    pub system: u8,
    /// Keywords, none twice, at most [`mail_types::KEYWORDS_MAX`].
    pub keywords: Vec<Keyword>,
}

/// The arguments of STORE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    /// What the set's numbers are.
    pub numbering: Numbering,
    /// Which messages.
    pub set: SequenceSet,
    /// `(UNCHANGEDSINCE …)` (RFC 7162 §3.1.3)
    pub unchanged_since: Option<ModSeq>,
    /// How the flags change.
    pub action: StoreAction,
    /// Whether the client wants to hear the new flags.
    pub answer: StoreAnswer,
    /// The flags.
    pub flags: FlagNames,
}

/// The arguments of COPY and MOVE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// What the set's numbers are.
    pub numbering: Numbering,
    /// Which messages.
    pub set: SequenceSet,
    /// Where to.
    pub mailbox: MailboxName,
}

/// The beginning of an APPEND (RFC 9051 §6.3.12): where its messages go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// What the client calls this command.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
}

/// What comes before each message of an APPEND (RFC 3502 for several).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppendMessage {
    /// The message's flags.
    pub flags: FlagNames,
    /// Its INTERNALDATE; the time of arrival if not given.
    pub internal_date: Option<DateTime>,
    /// How many octets the message has. Zero in an APPEND of several takes the command back (RFC 3502 §3).
    pub octets: u64,
    /// How the octets come.
    pub form: AppendForm,
    /// Whether the client waits for a continuation request before it sends them.
    pub synchronising: bool,
}

/// How the octets of an appended message come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AppendForm {
    /// A literal: no NUL in it.
    Text,
    /// A literal8 (RFC 3516 §4.4): any octets.
    Binary,
    /// `UTF8 (~{…})` (RFC 6855 §4): a literal8 whose header may be in UTF-8.
    Utf8,
}

impl MetadataQuestion {
    /// Most names in one command.
    pub const NAMES_MAX: usize = 64;
}

impl IdParameters {
    /// RFC 2971 §3.3: no more than 30 field-value pairs.
    pub const PAIRS_MAX: usize = 30;
    /// RFC 2971 §3.3: field names of at most 30 octets.
    pub const FIELD_OCTETS_MAX: usize = 30;
    /// RFC 2971 §3.3: values of at most 1,024 octets.
    pub const VALUE_OCTETS_MAX: usize = 1_024;
}
