//! Changing flags: STORE, UNCHANGEDSINCE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use mail_types::{Keyword, MailboxId, ModSeq, UidSet};

use crate::account::Account;
use crate::error::StoreError;

/// Flags by name, as clients say them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagNames {
    /// Bits of `SystemFlag`.
    pub system: u8,
    /// Keywords.
    pub keywords: Vec<Keyword>,
}

/// How flags change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagChangeMode {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// A change of flags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagChange {
    /// How.
    pub mode: FlagChangeMode,
    /// Which.
    pub flags: FlagNames,
}

/// What a STORE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreOutcome {
    /// Messages that have other flags now. Those that had the wanted flags already keep their mod-sequence.
    pub changed: UidSet,
    /// Messages left alone because they changed since `unchanged_since` (RFC 7162 §3.1.3 MODIFIED).
    pub modified: UidSet,
    /// The mod-sequence of what changed.
    pub modseq: Option<ModSeq>,
}

impl Account {
    /// Changes flags of those of `uids` that exist; returns when every reader sees it.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the mailbox has no room for another keyword.
    pub async fn store_flags(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreOutcome, StoreError> {
        let _ = (mailbox, uids, change, unchanged_since);
        Err(StoreError::Busy)
    }
}
