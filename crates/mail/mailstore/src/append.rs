//! Filing messages: what the MTA delivers and what clients APPEND (RFC 9051 §6.3.12).

use mail_types::{
    AccountId, EmailId, MailboxId, MailboxName, ModSeq, SpecialUse, TransactionId, Uid, UidValidity,
};
use platform::clock::Timestamp;

use crate::account::Account;
use crate::error::StoreError;
use crate::flags::FlagNames;
use crate::intake::Arriving;
use crate::quota::QuotaLimit;

/// Where a delivery goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilingTarget {
    /// This mailbox; [`StoreError::NoSuchMailbox`] if it is gone.
    Id(MailboxId),
    /// The mailbox with this name, made if missing.
    Name(MailboxName),
    /// The mailbox for this use, made with its default name if there is none.
    SpecialUse(SpecialUse),
}

/// One recipient's share of a delivery.
#[derive(Clone, Debug)]
pub struct Filing {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: FilingTarget,
    /// With which flags.
    pub flags: FlagNames,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// What the account may hold.
    pub quota: QuotaLimit,
    /// The message's way through this server.
    pub way: TransactionId,
}

/// One message of an APPEND.
#[derive(Debug)]
pub struct Append {
    /// The message.
    pub message: Arriving,
    /// Its flags.
    pub flags: FlagNames,
    /// INTERNALDATE; now, if not given.
    pub internal_date: Option<Timestamp>,
}

/// Proof that a message is filed and on disk: only this crate makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Filed {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: MailboxId,
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The message's identifier there.
    pub uid: Uid,
    /// The mod-sequence of its filing.
    pub modseq: ModSeq,
    /// Its octets' identifier in the account.
    pub email: EmailId,
}

impl Account {
    /// Files messages, all or none (RFC 3502); returns when they are on disk and every reader sees them.
    /// The answers stand in the order of the messages.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`], [`StoreError::NoSuchMailbox`], [`StoreError::Full`], [`StoreError::Limit`].
    pub async fn append(
        &self,
        mailbox: MailboxId,
        messages: Vec<Append>,
        quota: QuotaLimit,
        way: TransactionId,
    ) -> Result<Vec<Filed>, StoreError> {
        let _ = (mailbox, messages, quota, way);
        Err(StoreError::Busy)
    }
}
