//! One account, opened: the handle through which doors see its mail.

use std::fmt;
use std::sync::Arc;

use mail_types::{AccountId, MailboxId};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::open_account::OpenAccount;
use crate::quota::QuotaUsage;
use crate::view::View;

/// A handle to an open account; clones share it. The account stays open while any lives. When its index fails,
/// every question is answered with that error: ask the store for the account anew.
#[derive(Clone)]
pub struct Account {
    core: Arc<OpenAccount>,
}

impl Account {
    pub(crate) fn new(core: Arc<OpenAccount>) -> Self {
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<OpenAccount> {
        &self.core
    }

    /// Which account this is.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.core.id
    }

    /// Wakes at every change that readers can see; the number only grows.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.core.watch()
    }

    /// The mailbox now, shared with every session that has it open.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::Busy`], or what the disk says.
    pub async fn open_mailbox(&self, mailbox: MailboxId) -> Result<Arc<View>, StoreError> {
        self.core.settle().await;
        self.core.open_mailbox(mailbox).await.map(Arc::new)
    }

    /// What the account holds.
    #[must_use]
    pub fn quota_usage(&self) -> QuotaUsage {
        self.core.usage()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.core.id)
    }
}
