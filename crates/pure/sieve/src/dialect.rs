//! Which language is spoken: the extensions a script may require, and every bound.

use std::collections::BTreeSet;

use crate::message::{AddressForm, MessageLimits};
use crate::verdict::StatusRule;

/// An extension of the language, by the name that `require` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Extension {
    /// RFC 5173.
    Body,
    /// RFC 4790; every Sieve has it.
    ComparatorAsciiCasemap,
    /// RFC 4790.
    ComparatorAsciiNumeric,
    /// RFC 4790; every Sieve has it.
    ComparatorOctet,
    /// RFC 5051.
    ComparatorUnicodeCasemap,
    /// RFC 3894.
    Copy,
    /// RFC 5260.
    Date,
    /// RFC 7352.
    Duplicate,
    /// RFC 5293.
    EditHeader,
    /// RFC 5703.
    Enclose,
    /// RFC 5228 §2.4.2.4.
    EncodedCharacter,
    /// RFC 5435.
    Enotify,
    /// RFC 5228 §5.4.
    Envelope,
    /// RFC 6009.
    EnvelopeDeliverBy,
    /// RFC 6009.
    EnvelopeDsn,
    /// RFC 5183.
    Environment,
    /// RFC 5429.
    Ereject,
    /// RFC 6134.
    ExtLists,
    /// RFC 5703.
    ExtractText,
    /// RFC 8580.
    Fcc,
    /// RFC 5228 §4.1.
    FileInto,
    /// RFC 5703.
    ForEveryPart,
    /// RFC 5463.
    Ihave,
    /// RFC 5232.
    Imap4Flags,
    /// What came before RFC 5232, still found in old scripts.
    ImapFlags,
    /// RFC 6785.
    ImapSieve,
    /// RFC 6609.
    Include,
    /// RFC 5260.
    Index,
    /// RFC 5490.
    Mailbox,
    /// RFC 9042.
    MailboxId,
    /// RFC 5490.
    MboxMetadata,
    /// RFC 5703.
    Mime,
    /// What came before RFC 5435, still found in old scripts.
    Notify,
    /// RFC 6009.
    RedirectDeliverBy,
    /// RFC 6009.
    RedirectDsn,
    /// draft-ietf-sieve-regex.
    Regex,
    /// RFC 5429.
    Reject,
    /// RFC 5231.
    Relational,
    /// RFC 5703.
    Replace,
    /// RFC 5490.
    ServerMetadata,
    /// RFC 5235.
    SpamTest,
    /// RFC 5235.
    SpamTestPlus,
    /// RFC 8579.
    SpecialUse,
    /// RFC 5233.
    SubAddress,
    /// RFC 5230.
    Vacation,
    /// RFC 6131.
    VacationSeconds,
    /// RFC 5229.
    Variables,
    /// RFC 5235.
    VirusTest,
    /// Pigeonhole's lines to the log.
    DovecotDebug,
    /// Pigeonhole's form of RFC 7352.
    DovecotDuplicate,
    /// Pigeonhole's items of the environment.
    DovecotEnvironment,
    /// Pigeonhole's programs that say something.
    DovecotExecute,
    /// Pigeonhole's programs that change the message.
    DovecotFilter,
    /// Pigeonhole's items of the environment for RFC 6785.
    DovecotImapSieve,
    /// Pigeonhole's programs that take the message.
    DovecotPipe,
    /// Pigeonhole's reports on abuse.
    DovecotReport,
    /// Pigeonhole's language for testing engines.
    DovecotTestSuite,
}

use Extension as E;

/// Every extension and its name.
const NAMES: [(E, &str); 57] = [
    (E::Body, "body"),
    (E::ComparatorAsciiCasemap, "comparator-i;ascii-casemap"),
    (E::ComparatorAsciiNumeric, "comparator-i;ascii-numeric"),
    (E::ComparatorOctet, "comparator-i;octet"),
    (E::ComparatorUnicodeCasemap, "comparator-i;unicode-casemap"),
    (E::Copy, "copy"),
    (E::Date, "date"),
    (E::Duplicate, "duplicate"),
    (E::EditHeader, "editheader"),
    (E::Enclose, "enclose"),
    (E::EncodedCharacter, "encoded-character"),
    (E::Enotify, "enotify"),
    (E::Envelope, "envelope"),
    (E::EnvelopeDeliverBy, "envelope-deliverby"),
    (E::EnvelopeDsn, "envelope-dsn"),
    (E::Environment, "environment"),
    (E::Ereject, "ereject"),
    (E::ExtLists, "extlists"),
    (E::ExtractText, "extracttext"),
    (E::Fcc, "fcc"),
    (E::FileInto, "fileinto"),
    (E::ForEveryPart, "foreverypart"),
    (E::Ihave, "ihave"),
    (E::Imap4Flags, "imap4flags"),
    (E::ImapFlags, "imapflags"),
    (E::ImapSieve, "imapsieve"),
    (E::Include, "include"),
    (E::Index, "index"),
    (E::Mailbox, "mailbox"),
    (E::MailboxId, "mailboxid"),
    (E::MboxMetadata, "mboxmetadata"),
    (E::Mime, "mime"),
    (E::Notify, "notify"),
    (E::RedirectDeliverBy, "redirect-deliverby"),
    (E::RedirectDsn, "redirect-dsn"),
    (E::Regex, "regex"),
    (E::Reject, "reject"),
    (E::Relational, "relational"),
    (E::Replace, "replace"),
    (E::ServerMetadata, "servermetadata"),
    (E::SpamTest, "spamtest"),
    (E::SpamTestPlus, "spamtestplus"),
    (E::SpecialUse, "special-use"),
    (E::SubAddress, "subaddress"),
    (E::Vacation, "vacation"),
    (E::VacationSeconds, "vacation-seconds"),
    (E::Variables, "variables"),
    (E::VirusTest, "virustest"),
    (E::DovecotDebug, "vnd.dovecot.debug"),
    (E::DovecotDuplicate, "vnd.dovecot.duplicate"),
    (E::DovecotEnvironment, "vnd.dovecot.environment"),
    (E::DovecotExecute, "vnd.dovecot.execute"),
    (E::DovecotFilter, "vnd.dovecot.filter"),
    (E::DovecotImapSieve, "vnd.dovecot.imapsieve"),
    (E::DovecotPipe, "vnd.dovecot.pipe"),
    (E::DovecotReport, "vnd.dovecot.report"),
    (E::DovecotTestSuite, "vnd.dovecot.testsuite"),
];

impl Extension {
    /// The name that `require` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(extension, _)| *extension == self).map_or("", |(_, name)| name)
    }

    /// The extension of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Extension> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(extension, _)| *extension)
    }

    /// Every extension.
    pub fn all() -> impl Iterator<Item = Extension> {
        NAMES.iter().map(|(extension, _)| *extension)
    }
}

/// What a script may take and do. Every list, loop and depth of the language has its bound here or beside its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Octets of a script.
    pub script_octets_max: usize,
    /// Commands and tests of a script.
    pub nodes_max: usize,
    /// Strings of a script.
    pub strings_max: usize,
    /// Variables of a script, and global ones of a run.
    pub variables_max: usize,
    /// Octets of a variable's name.
    pub variable_name_octets_max: usize,
    /// Octets of a variable's value; longer ones are cut at a character.
    pub variable_octets_max: usize,
    /// Actions of one run.
    pub actions_max: usize,
    /// Redirects of one run.
    pub redirects_max: usize,
    /// Scripts included in scripts.
    pub include_nesting_max: usize,
    /// Scripts included in one run.
    pub includes_max: usize,
    /// Octets of memory of one compiled regular expression.
    pub regex_octets_max: usize,
    /// Regular expressions of one script.
    pub regexes_max: usize,
    /// What one run may cost: about a nanosecond each.
    pub cost_max: u64,
    /// Octets of one field that `addheader` may add.
    pub added_field_octets_max: usize,
    /// Octets of text that tests may decode of one message's bodies.
    pub decoded_octets_max: usize,
    /// Shortest time between two vacation replies to one sender.
    pub vacation_seconds_min: u64,
    /// The same where the script says nothing (RFC 5230 §4.1).
    pub vacation_seconds_default: u64,
    /// Longest time between two; also how long `duplicate` may remember.
    pub vacation_seconds_max: u64,
    /// How long `duplicate` remembers where the script says nothing (RFC 7352 §3.2).
    pub duplicate_seconds_default: u64,
    /// Longest time that `duplicate` remembers.
    pub duplicate_seconds_max: u64,
    /// Notifications of one run.
    pub notifications_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            script_octets_max: 1 << 20,
            nodes_max: 100_000,
            strings_max: 100_000,
            variables_max: 255,
            variable_name_octets_max: 64,
            variable_octets_max: 65_536,
            actions_max: 32,
            redirects_max: 4,
            include_nesting_max: 10,
            includes_max: 255,
            regex_octets_max: 512 << 10,
            regexes_max: 200,
            cost_max: 500_000_000,
            added_field_octets_max: 2_048,
            decoded_octets_max: 2 << 20,
            vacation_seconds_min: 86_400,
            vacation_seconds_default: 7 * 86_400,
            vacation_seconds_max: 60 * 86_400,
            duplicate_seconds_default: 7 * 86_400,
            duplicate_seconds_max: 60 * 86_400,
            notifications_max: 8,
        }
    }
}

/// What scripts are run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Occasion {
    /// A message arrives.
    #[default]
    Delivery,
    /// A message was appended, copied or flagged over IMAP (RFC 6785): nobody is answered, nothing is refused.
    Imap,
}

/// The language as one place speaks it.
#[derive(Clone, Debug)]
pub struct Dialect {
    extensions: BTreeSet<Extension>,
    /// The bounds.
    pub bounds: Bounds,
    /// Which addresses are valid.
    pub address_form: AddressForm,
    /// What parts the user from the detail in a local part: any of these characters (RFC 5233).
    pub detail_delimiters: String,
    /// Header fields that editheader may not add; lower case. Subject always may be (RFC 5293 §6).
    pub unaddable_fields: Vec<String>,
    /// Header fields that editheader may not delete, beside those of RFC 5293 §6; lower case.
    pub undeletable_fields: Vec<String>,
    /// The kinds of notifications that can be sent, by the scheme of their URIs (RFC 5435).
    pub notify_methods: Vec<String>,
    /// Where a filter before us tells what it knows of spam; without it the world is asked.
    pub spam_status: Option<StatusRule>,
    /// The same for viruses.
    pub virus_status: Option<StatusRule>,
    /// What scripts are run for.
    pub occasion: Occasion,
}

impl Default for Dialect {
    /// All extensions but those that run programs, and the one for testing engines.
    fn default() -> Dialect {
        let left_out = [E::DovecotExecute, E::DovecotFilter, E::DovecotPipe, E::DovecotTestSuite];
        Dialect {
            extensions: Extension::all().filter(|extension| !left_out.contains(extension)).collect(),
            bounds: Bounds::default(),
            address_form: AddressForm::default(),
            detail_delimiters: "+".to_owned(),
            unaddable_fields: Vec::new(),
            undeletable_fields: Vec::new(),
            notify_methods: vec!["mailto".to_owned()],
            spam_status: None,
            virus_status: None,
            occasion: Occasion::Delivery,
        }
    }
}

impl Dialect {
    /// All extensions but the one for testing engines.
    #[must_use]
    pub fn of_everything() -> Dialect {
        let extensions = Extension::all().filter(|extension| *extension != E::DovecotTestSuite).collect();
        Dialect { extensions, ..Dialect::default() }
    }

    /// How messages are looked at.
    #[must_use]
    pub fn message_limits(&self) -> MessageLimits {
        MessageLimits { decoded_octets_max: self.bounds.decoded_octets_max, address_form: self.address_form }
    }

    /// Whether a script may require the extension.
    #[must_use]
    pub fn allows(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// The dialect with one more extension.
    #[must_use]
    pub fn with(mut self, extension: Extension) -> Dialect {
        self.extensions.insert(extension);
        self
    }

    /// The dialect without an extension.
    #[must_use]
    pub fn without(mut self, extension: Extension) -> Dialect {
        self.extensions.remove(&extension);
        self
    }

    /// The extensions a script may require, by name: what ManageSieve's SIEVE capability tells.
    pub fn extensions(&self) -> impl Iterator<Item = Extension> {
        self.extensions.iter().copied()
    }
}
