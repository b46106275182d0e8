//! How many sessions each account has: one person's runaway client must not take the places of others.

use std::collections::HashMap;
use std::sync::Arc;

use mail_types::AccountId;
use parking_lot::Mutex;

/// Counts sessions by account. Bounded by the connections that the guard admits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<AccountId, usize>>>);

/// One session's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct SessionPlace {
    sessions: Sessions,
    account: AccountId,
}

impl Sessions {
    /// Takes a place; `None` when the account has `most` already.
    pub(crate) fn enter(&self, account: AccountId, most: usize) -> Option<SessionPlace> {
        let mut counts = self.0.lock();
        let count = counts.entry(account).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(SessionPlace { sessions: self.clone(), account })
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        let mut counts = self.sessions.0.lock();
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let sessions = Sessions::default();
        let first = sessions.enter(AccountId(1), 2).unwrap();
        let _second = sessions.enter(AccountId(1), 2).unwrap();
        assert!(sessions.enter(AccountId(1), 2).is_none());
        assert!(sessions.enter(AccountId(2), 2).is_some());
        drop(first);
        assert!(sessions.enter(AccountId(1), 2).is_some());
    }
}
