//! Looking after the store: rebuilding indexes from the log, and the store in numbers.

use std::sync::Arc;

use mail_types::AccountId;

use crate::error::StoreError;
use crate::replay;
use crate::store::Store;

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
    /// Changes that wait for the disk.
    pub entries_waiting: u64,
    /// Changes made durable since the store was opened.
    pub entries: u64,
    /// Syncs of the disk that made them so.
    pub groups: u64,
}

impl Store {
    /// Makes an account's index anew from the log; of all accounts, and of the tenants, if none is named. Sessions of these accounts
    /// are told [`StoreError::Busy`] and have to open them again.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn rebuild(&self, account: Option<AccountId>) -> Result<(), StoreError> {
        let accounts = Arc::clone(&self.shared().accounts);
        let rebuild = move || {
            let which = match account {
                Some(account) => vec![account],
                None => {
                    accounts.engine.tenants.rebuild()?;
                    accounts.known.lock().present().collect()
                }
            };
            which.chunks(replay::BUILT_TOGETHER_MAX).try_for_each(|some| {
                accounts.while_shut(some, &StoreError::Busy, || {
                    replay::rebuild(&accounts.engine.packs, &accounts.directory, some)?;
                    for account in some {
                        accounts.engine.caught_up(*account);
                        accounts.engine.mark_dirty(*account);
                    }
                    Ok(())
                })
            })
        };
        self.shared().accounts.engine.writers.run(rebuild).await?
    }

    /// Waits until indexes and tenants have applied everything that is durable by now.
    ///
    /// # Errors
    /// [`StoreError::Busy`].
    pub async fn wait_applied(&self) -> Result<(), StoreError> {
        let accounts = Arc::clone(&self.shared().accounts);
        Ok(self.shared().accounts.engine.readers.run(move || accounts.engine.wait_applied()).await?)
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        let accounts = Arc::clone(&self.shared().accounts);
        let count = move || {
            let packs = accounts.engine.packs.packs()?;
            let statistics = accounts.engine.packs.statistics();
            Ok(StoreStats {
                accounts: accounts.known.lock().present().count() as u64,
                accounts_open: accounts.open_count() as u64,
                packs: packs.len() as u64,
                pack_octets: packs.iter().map(|pack| pack.octets).sum(),
                entries_waiting: statistics.waiting_entries,
                entries: statistics.entries,
                groups: statistics.groups,
            })
        };
        self.shared().accounts.engine.readers.run(count).await?
    }
}
