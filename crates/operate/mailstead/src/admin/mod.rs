//! What an operator can ask of a mailstead: one set of requests, answered alike by a running server and without one.

mod bans;
mod client;
mod execute;
mod keys;
mod lines;
mod past;
mod published;
mod quarantine;
mod queue;
mod reports;
mod screen;
mod sieve;
mod sieve_lines;
mod sieve_lists;
mod sieve_trial;
mod socket;
mod spam;
mod spam_kept;
mod spam_replay;
mod unlock;

use serde::{Deserialize, Serialize};

use crate::keys::KeyKind;
use crate::reports::Told;

pub(crate) use client::{ask, with_holder};
pub(crate) use execute::execute;
pub(crate) use lines::{BanLine, QueueLine, QueueMessage, QueueRecipient, QueueStatus, StoppedLine};
pub(crate) use quarantine::{QuarantineLine, QuarantineRequest};
pub(crate) use queue::time;
pub(crate) use screen::{ListLine, ScreenStatus, TrapLine};
pub(crate) use sieve::{judge, script_for, script_of};
pub(crate) use sieve_lines::{
    FaultLine, ScriptLine, SieveAction, SieveDifference, SieveListLine, SieveReplayed, SieveStep, SieveTested,
};
pub(crate) use socket::AdminSocket;
pub(crate) use spam::{MessageGiven, SpamChecked, SpamHit, SpamLearned, SpamRequest, SpamStatus, SpamTold};
pub(crate) use spam_kept::SpamKept;
pub(crate) use spam_replay::{SpamReplay, SpamReplayed};

/// A request, as it goes over the admin socket: one line of JSON.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", tag = "request")]
pub(crate) enum Request {
    /// Make an account; its domain is made if it is new.
    AccountAdd {
        address: String,
        password: Hidden,
        quota: Option<u64>,
    },
    /// Make many accounts.
    AccountAddMany {
        people: Vec<(String, Hidden)>,
    },
    AccountList,
    AccountShow {
        address: String,
    },
    AccountPassword {
        address: String,
        password: Hidden,
    },
    AccountEnable {
        address: String,
    },
    AccountDisable {
        address: String,
    },
    /// Remove an account and, unless `keep_mail`, its mail.
    AccountRemove {
        address: String,
        keep_mail: bool,
    },
    /// Let an account send again that was stopped.
    AccountUnlock {
        address: String,
        mail: HeldMail,
    },
    /// Set (`Some`) or lift (`None`) an account's quota.
    AccountQuota {
        address: String,
        quota: Option<u64>,
    },
    BanList,
    /// Keep a network out, for so long or until it is removed.
    BanAdd {
        network: String,
        for_seconds: Option<u64>,
        reason: String,
    },
    BanRemove {
        network: String,
    },
    AliasAdd {
        alias: String,
        targets: Vec<String>,
    },
    AliasList {
        of: Option<String>,
    },
    /// Remove an alias, or only some of its targets.
    AliasRemove {
        alias: String,
        targets: Vec<String>,
    },
    DomainAdd {
        domain: String,
    },
    DomainList,
    DomainRemove {
        domain: String,
    },
    /// Make keys for a domain, or for every domain that has none.
    DkimGenerate {
        domain: Option<String>,
        selector: Option<String>,
        kinds: Vec<KeyKind>,
        waits: bool,
    },
    /// Take up a key that was made elsewhere.
    DkimImport {
        domain: String,
        selector: String,
        key: Hidden,
        waits: bool,
    },
    DkimList {
        domain: Option<String>,
    },
    /// Make keys that wait to replace those that sign now.
    DkimRotate {
        domain: Option<String>,
    },
    DkimChange {
        domain: String,
        selector: String,
        change: DkimChange,
    },
    /// Our domains, and the keys of each that the world has to find in DNS.
    PublishedKeys,
    MailboxList {
        address: String,
    },
    MailboxStatus {
        address: String,
    },
    Verify,
    StorePurge,
    StoreRebuild {
        address: String,
    },
    StoreStatus,
    Trace {
        what: String,
        most: usize,
    },
    /// Messages in the queue, those after one, a page at a time.
    QueueList {
        which: Which,
        after: Option<String>,
        most: usize,
    },
    QueueShow {
        id: String,
    },
    /// Do something to all that are meant.
    QueueChange {
        which: Which,
        change: QueueChange,
    },
    QueueStatus,
    /// How lists of senders are, and what is remembered.
    ScreenStatus,
    TrapAdd {
        address: String,
    },
    TrapList,
    TrapRemove {
        address: String,
    },
    /// What reports say that came lately.
    ReportsList {
        domain: Option<String>,
        since_seconds: u64,
    },
    /// Send our reports now.
    ReportsSend,
    /// What an account's scripts would do with a message.
    SieveTest(SieveTest),
    /// What they would have done with the mail that is there.
    SieveReplay(SieveReplay),
    /// Keep a Sieve script.
    SievePut {
        address: String,
        name: String,
        /// In base64: what is not UTF-8 comes back as it was.
        script: String,
        activate: bool,
    },
    SieveGet {
        address: String,
        name: String,
    },
    SieveList {
        address: String,
    },
    /// Let a script run when mail comes (`Some`), or none.
    SieveActivate {
        address: String,
        name: Option<String>,
    },
    SieveRename {
        address: String,
        from: String,
        to: String,
    },
    SieveDelete {
        address: String,
        name: String,
    },
    /// The lists that an account's scripts look into: all of them, one, or a change of one.
    SieveLists {
        address: String,
        name: Option<String>,
        change: Option<ListChange>,
    },
    /// Something of the content filter.
    Spam {
        asked: SpamRequest,
    },
    /// Something of the mail that is kept apart.
    Quarantine {
        asked: QuarantineRequest,
    },
}

/// What becomes of an account's list.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) enum ListChange {
    /// It has this text from now on, an entry a line.
    Put {
        text: String,
    },
    Delete,
}

/// A message that an account's scripts are tried on.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SieveTest {
    pub(crate) address: String,
    /// In base64.
    pub(crate) message: String,
    pub(crate) from: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) is_junk: bool,
    /// Another script in place of the account's own, in base64.
    pub(crate) script: Option<String>,
}

/// Mail that an account's scripts are tried on.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SieveReplay {
    pub(crate) address: String,
    pub(crate) since_seconds: u64,
    pub(crate) most: usize,
    /// Another script in place of the account's own, in base64.
    pub(crate) script: Option<String>,
}

/// Which messages of the queue are meant: those that fit every condition given.
#[derive(Clone, Serialize, Deserialize, Default, Debug)]
pub(crate) struct Which {
    pub(crate) ids: Vec<String>,
    pub(crate) destination: Option<String>,
    pub(crate) sender: Option<String>,
    pub(crate) recipient: Option<String>,
    /// In the queue for longer than this.
    pub(crate) older_than_seconds: Option<u64>,
    pub(crate) only_held: bool,
}

/// What an operator can do to messages in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueChange {
    /// Try them now.
    Retry,
    /// Keep them until they are released.
    Hold,
    /// Let them go.
    Release,
    /// Take them out; nobody is told.
    Drop,
}

/// What becomes of mail that is held of an account that was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeldMail {
    /// It stays held.
    Keep,
    /// It is thrown away; nobody is told.
    Drop,
    /// It is sent.
    Release,
}

/// What an operator can do with a key.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DkimChange {
    /// Let it sign from now on.
    Activate,
    /// Let it sign no more.
    Retire,
    /// Forget it.
    Remove,
}

/// A password on its way over the admin socket: never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// An answer, as it goes back: one line of JSON.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub(crate) enum Answer {
    /// Done; the sentence says what.
    Done {
        what: String,
    },
    Accounts {
        accounts: Vec<AccountLine>,
    },
    Bans {
        bans: Vec<BanLine>,
    },
    Aliases {
        aliases: Vec<AliasLine>,
    },
    Domains {
        domains: Vec<DomainLine>,
    },
    DkimKeys {
        keys: Vec<DkimLine>,
    },
    PublishedKeys {
        domains: Vec<PublishedDomain>,
        /// What a running server goes without; a command without one does not know.
        missed: Vec<MissedListener>,
    },
    Mailboxes {
        mailboxes: Vec<MailboxLine>,
    },
    /// What `verify` found; no faults means that all is well.
    Verified {
        messages: u64,
        octets: u64,
        accounts: u64,
        faults: Vec<String>,
    },
    Store {
        status: StoreStatus,
    },
    /// Steps of messages, oldest first.
    Trace {
        steps: Vec<serde_json::Value>,
    },
    /// A page of the queue.
    Queue {
        messages: Vec<QueueLine>,
        /// Where to go on, if there is more.
        next: Option<String>,
    },
    QueueMessage {
        message: Box<QueueMessage>,
    },
    QueueStatus {
        status: QueueStatus,
    },
    /// What is thought of messages.
    SpamChecked {
        checked: Vec<SpamChecked>,
    },
    /// What the headers of mail that is there tell.
    SpamKept {
        kept: Vec<SpamKept>,
    },
    /// What the content filter would have done with mail that is there.
    SpamLearned {
        learned: SpamLearned,
    },
    SpamReplayed {
        replayed: Box<SpamReplayed>,
    },
    SpamStatus {
        status: SpamStatus,
    },
    /// Mail that is kept apart.
    Quarantined {
        messages: Vec<QuarantineLine>,
    },
    /// One of them, in base64.
    QuarantinedMessage {
        message: String,
    },
    Screen {
        status: ScreenStatus,
    },
    Traps {
        traps: Vec<TrapLine>,
    },
    /// What scripts would do with a message.
    SieveTested {
        tested: Box<SieveTested>,
    },
    /// What they would have done with mail that is there.
    SieveReplayed {
        replayed: Box<SieveReplayed>,
    },
    /// What reports of others come to.
    Reports {
        told: Box<Told>,
    },
    SieveScripts {
        scripts: Vec<ScriptLine>,
    },
    /// An account's lists.
    SieveLists {
        lists: Vec<SieveListLine>,
    },
    /// What stands in one of them.
    SieveEntries {
        entries: Vec<String>,
    },
    SieveScript {
        /// In base64.
        script: String,
    },
    /// What became of a script. One with faults is not kept.
    SieveJudged {
        what: String,
        faults: Vec<FaultLine>,
        warnings: Vec<FaultLine>,
    },
    /// Not done; the text says why and what to do.
    Failed {
        why: String,
    },
}

/// An account as `account list` and `account show` tell of it.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct AccountLine {
    pub(crate) address: String,
    pub(crate) enabled: bool,
    /// Octets; none: unlimited.
    pub(crate) quota: Option<u64>,
    pub(crate) used_octets: u64,
    pub(crate) messages: u64,
    pub(crate) aliases: Vec<String>,
    /// RFC 3339, UTC.
    pub(crate) created: String,
    /// Why it may not send, if it may not.
    pub(crate) stopped: Option<StoppedLine>,
}

/// An alias and where it leads.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct AliasLine {
    pub(crate) alias: String,
    pub(crate) targets: Vec<String>,
}

/// A domain of ours.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct DomainLine {
    pub(crate) domain: String,
    pub(crate) accounts: u64,
    pub(crate) aliases: u64,
}

/// A key of a domain of ours.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct DkimLine {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) algorithm: String,
    pub(crate) bits: u32,
    pub(crate) state: String,
    /// When it came into its state; RFC 3339, UTC.
    pub(crate) since: String,
    /// Where its TXT record has to stand.
    pub(crate) name: String,
    /// What the TXT record has to say.
    pub(crate) record: String,
    /// Whether the world has it; nothing where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) is_published: Option<bool>,
}

/// A domain of ours and its keys in DNS.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct PublishedDomain {
    pub(crate) domain: String,
    pub(crate) keys: Vec<PublishedKey>,
}

/// A listener that another program keeps from listening anywhere.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct MissedListener {
    /// Its name under `[listen]`.
    pub(crate) listener: String,
    /// What the system said.
    pub(crate) why: String,
    /// What there is not, for that.
    pub(crate) missed: String,
}

impl MissedListener {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        format!(
            "free the place and start again, write another under [listen.{0}], or `enabled = false` there if you do not need it",
            self.listener
        )
    }
}

/// A key that is published.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct PublishedKey {
    pub(crate) selector: String,
    /// The text of its record.
    pub(crate) record: String,
    /// `waiting`, `signing` or `retired`.
    pub(crate) state: String,
}

/// A mailbox with its counts.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct MailboxLine {
    pub(crate) name: String,
    pub(crate) special_use: Option<String>,
    pub(crate) subscribed: bool,
    pub(crate) messages: u64,
    pub(crate) unseen: u64,
    pub(crate) octets: u64,
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) highest_mod_seq: u64,
}

/// The store in figures.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct StoreStatus {
    pub(crate) packs: u64,
    pub(crate) pack_octets: u64,
    pub(crate) free_octets: u64,
}
