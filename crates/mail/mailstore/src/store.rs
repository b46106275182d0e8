//! The whole store: one log for all accounts, opened once by the program.

use std::path::Path;

use mail_types::AccountId;
use platform::clock::Clock;

use crate::account::Account;
use crate::append::{Filed, Filing};
use crate::error::StoreError;
use crate::intake::{Arriving, Intake};
use crate::settings::Settings;

/// The store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    clock: Clock,
}

impl Store {
    /// Opens the store under `data` (made if missing) and brings every index up to the log's end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(data: &Path, settings: Settings, clock: Clock) -> Result<Self, StoreError> {
        let _ = (data, settings);
        Ok(Self { clock })
    }

    /// Begins to take a message.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is short.
    pub fn intake(&self) -> Result<Intake, StoreError> {
        let _ = &self.clock;
        Err(StoreError::Busy)
    }

    /// Files one message for all its recipients with one durable write. Answers when it is on disk (readers see
    /// it a moment later), one answer for each of `filings`, in their order. Filings into the same mailbox become
    /// one message there. An inner error refuses one filing ([`StoreError::OverQuota`],
    /// [`StoreError::NoSuchMailbox`], [`StoreError::NoSuchAccount`], [`StoreError::Limit`]) and leaves the others.
    ///
    /// # Errors
    /// An outer error means that nothing was filed: [`StoreError::Full`], [`StoreError::Busy`], or what the disk
    /// says.
    pub async fn deliver(
        &self,
        message: Arriving,
        filings: Vec<Filing>,
    ) -> Result<Vec<Result<Filed, StoreError>>, StoreError> {
        let _ = (message, filings);
        Err(StoreError::Busy)
    }

    /// Opens an account; one seen for the first time gets INBOX and the mailboxes for special use.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] for a removed one; [`StoreError::Busy`], or what the disk says.
    pub async fn account(&self, account: AccountId) -> Result<Account, StoreError> {
        let _ = account;
        Err(StoreError::Busy)
    }

    /// Removes an account's mail for good. Its id is never used again.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn remove_account(&self, account: AccountId) -> Result<(), StoreError> {
        let _ = account;
        Err(StoreError::Busy)
    }

    /// Makes every index durable and stops the store's threads; what is still asked afterwards is answered
    /// [`StoreError::Busy`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn close(self) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
}
