//! Whose scripts run: no account takes all threads, however much mail comes to it and however long its scripts take.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use mail_types::AccountId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Threads that one account's scripts may take.
const THREADS_PER_ACCOUNT: usize = 2;
/// Accounts from which on those are forgotten whose scripts run no more.
const TIDY_FROM: usize = 256;

/// The accounts whose scripts run or wait.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<AccountId, Weak<Semaphore>>>);

/// The right to run an account's scripts.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

impl Turns {
    /// Waits until the account may have one thread more.
    pub(super) async fn wait(&self, account: AccountId) -> Turn {
        let semaphore = self.of(account);
        // Nobody closes it.
        semaphore.acquire_owned().await.ok()
    }

    fn of(&self, account: AccountId) -> Arc<Semaphore> {
        let mut turns = self.0.lock();
        if let Some(semaphore) = turns.get(&account).and_then(Weak::upgrade) {
            return semaphore;
        }
        if turns.len() >= TIDY_FROM {
            turns.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let semaphore = Arc::new(Semaphore::new(THREADS_PER_ACCOUNT));
        turns.insert(account, Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_account_has_so_many_turns_and_another_its_own() {
        let turns = Turns::default();
        let (ann, bob) = (AccountId(1), AccountId(2));
        let mut held = Vec::new();
        for _ in 0..THREADS_PER_ACCOUNT {
            held.push(turns.wait(ann).await);
        }
        assert_eq!(turns.of(ann).available_permits(), 0);
        assert!(turns.wait(bob).await.is_some());
        held.pop();
        assert!(turns.wait(ann).await.is_some());
    }

    #[test]
    fn who_runs_nothing_is_forgotten() {
        let turns = Turns::default();
        let held = turns.of(AccountId(1));
        for number in 2..2_000 {
            drop(turns.of(AccountId(number)));
        }
        assert!(turns.0.lock().len() <= TIDY_FROM);
        assert!(Arc::ptr_eq(&held, &turns.of(AccountId(1))));
    }
}
