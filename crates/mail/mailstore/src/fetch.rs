//! Reading what is stored about messages, and their octets (RFC 9051 §6.4.5).

use std::ops::Range;

use mail_types::{EmailId, MailboxId, ThreadId, Uid, UidSet};
use platform::clock::Timestamp;

use crate::account::Account;
use crate::error::StoreError;

/// Most octets that one read returns, so that no message sits in memory whole.
pub const READ_OCTETS_MAX: usize = 64 * 1024;

/// How much of each message [`Account::rows`] brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Dates, octets, ids.
    Facts,
    /// These and the summary (`message::Summary`, encoded).
    Summaries,
}

/// One message of a mailbox. Flags are in the `View`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its identifier in the mailbox.
    pub uid: Uid,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// SAVEDATE (RFC 8514).
    pub save_date: Timestamp,
    /// RFC822.SIZE.
    pub octets: u64,
    /// EMAILID (RFC 8474).
    pub email: EmailId,
    /// THREADID (RFC 8474).
    pub thread: ThreadId,
    /// The summary as `message::Summary::decode` reads it, if wanted.
    pub summary: Option<Box<[u8]>>,
}

/// Reads one message's octets in pieces.
#[derive(Clone, Debug)]
pub struct MessageReader {
    octets: u64,
}

impl MessageReader {
    /// The message's length.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The octets of `range` that exist, at most [`READ_OCTETS_MAX`] of them from its start.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`] when they cannot be read; [`StoreError::Busy`].
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let _ = range;
        Err(StoreError::Busy)
    }
}

impl Account {
    /// What is stored about those of `uids` that exist, ascending. Ask in batches (some hundreds with summaries).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::Busy`], or what the disk says.
    pub async fn rows(&self, mailbox: MailboxId, uids: &UidSet, want: Want) -> Result<Vec<Row>, StoreError> {
        let _ = (mailbox, uids, want);
        Err(StoreError::Busy)
    }

    /// Opens a message's octets.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMessage`] when its last place is gone; [`StoreError::Busy`], or what the disk says.
    pub async fn reader(&self, email: EmailId) -> Result<MessageReader, StoreError> {
        let _ = email;
        Err(StoreError::Busy)
    }
}
