//! Looking after the store: checking it, rebuilding indexes from the log, removing dead weight.

use mail_types::{AccountId, MailboxUid};

use crate::error::StoreError;
use crate::store::Store;

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// Whose mail, where that is known.
    pub account: Option<AccountId>,
    /// Which message, where that is known.
    pub message: Option<MailboxUid>,
    /// What is wrong.
    pub text: String,
}

/// What a purge did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PurgeOutcome {
    /// Expunged messages that are no longer recoverable.
    pub messages: u64,
    /// Packs rewritten.
    pub packs: u64,
    /// Octets given back to the disk.
    pub octets: u64,
}

/// The store in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreStats {
    /// Accounts ever opened and not removed.
    pub accounts: u64,
    /// Accounts open now.
    pub accounts_open: u64,
    /// Packs on disk.
    pub packs: u64,
    /// Octets of all packs.
    pub pack_octets: u64,
    /// Changes that are durable but not yet in their indexes.
    pub entries_to_apply: u64,
}

impl Store {
    /// Compares every index with the log, octets with their hashes, and counters with what they count.
    ///
    /// # Errors
    /// What the disk says, where it keeps the check from going on.
    pub async fn verify(&self) -> Result<Vec<Fault>, StoreError> {
        Err(StoreError::Busy)
    }

    /// Makes an account's index anew from the log; of all accounts if none is named.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn rebuild(&self, account: Option<AccountId>) -> Result<(), StoreError> {
        let _ = account;
        Err(StoreError::Busy)
    }

    /// Forgets expunged messages that are recoverable no longer, and rewrites packs with much dead weight.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn purge(&self) -> Result<PurgeOutcome, StoreError> {
        Err(StoreError::Busy)
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::Busy)
    }
}
