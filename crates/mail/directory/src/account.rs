//! Accounts: who has mailboxes here.

use mail_types::{AccountId, Address, Secret};
use platform::clock::Timestamp;

/// An account as the directory knows it. Its mail is the mailstore's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its number, given once and never again, even after the account is gone.
    pub id: AccountId,
    /// Its address, local part in lower case: also the name it logs in with.
    pub address: Address,
    /// The person's name, for other people's eyes.
    pub display_name: Option<Box<str>>,
    /// How much it may keep.
    pub quota: Quota,
    /// Whether it may log in and receive.
    pub state: AccountState,
    /// When it was added.
    pub created: Timestamp,
    /// Whether a password is set at all.
    pub has_password: bool,
    /// Whether SCRAM keys are stored: a cleartext password has been seen since the last import.
    pub has_scram_keys: bool,
}

/// Whether an account may be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountState {
    /// May log in, send and receive.
    Enabled,
    /// May do none of it.
    Disabled {
        /// The operator's words; for the operator only.
        reason: Box<str>,
    },
}

/// How much an account may keep; `None` is without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Octets of all messages together.
    pub octets_max: Option<u64>,
    /// Number of messages.
    pub messages_max: Option<u64>,
}

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its address; the domain must be there already.
    pub address: Address,
    /// How it will log in.
    pub password: NewPassword,
    /// The person's name.
    pub display_name: Option<String>,
    /// How much it may keep.
    pub quota: Quota,
}

/// How an account gets its password.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// No log-in until one is set.
    None,
    /// A password as typed.
    Cleartext(Secret),
    /// A hash from another server, with or without a Dovecot prefix (`{SHA512-CRYPT}$6$…`).
    Hash(Secret),
}
