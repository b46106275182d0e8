//! What an operator can ask of a mailstead: one set of requests, answered alike by a running server and without one.

mod client;
mod execute;
mod socket;

use serde::{Deserialize, Serialize};

pub(crate) use client::ask;
pub(crate) use execute::execute;
pub(crate) use socket::AdminSocket;

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
    /// Set (`Some`) or lift (`None`) an account's quota.
    AccountQuota {
        address: String,
        quota: Option<u64>,
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
    Aliases {
        aliases: Vec<AliasLine>,
    },
    Domains {
        domains: Vec<DomainLine>,
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
