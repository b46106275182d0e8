//! One account, opened: the handle through which doors see its mail.

use std::sync::Arc;

use mail_types::{AccountId, MailboxId};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::quota::QuotaUsage;
use crate::view::View;

/// A handle to an open account; clones share it. The account stays open while any lives.
#[derive(Clone, Debug)]
pub struct Account {
    id: AccountId,
    changes: Arc<watch::Sender<u64>>,
}

impl Account {
    /// Which account this is.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// Wakes at every change that readers can see; the number only grows.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The mailbox now, shared with every session that has it open.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::Busy`], or what the disk says.
    pub async fn open_mailbox(&self, mailbox: MailboxId) -> Result<Arc<View>, StoreError> {
        let _ = mailbox;
        Err(StoreError::Busy)
    }

    /// What the account holds.
    #[must_use]
    pub fn quota_usage(&self) -> QuotaUsage {
        QuotaUsage::default()
    }
}
