//! Failed passwords by address and by account, and what follows from them.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::network::Network;

use super::recent::Recent;
use super::{Attempt, GuardSettings};

/// Entries of each table's generation: twice as many are held at most, about 2 MiB a table, and only under attack.
pub(super) const ENTRIES_MAX: usize = 16_384;

/// An account's name, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Hash(pub(super) u64);

#[derive(Debug)]
pub(super) struct Failures {
    by_address: Recent<Network, Record>,
    by_account: Recent<Hash, Record>,
    /// From where an account's owner has logged in.
    known: Recent<(Network, Hash), ()>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    last: Monotonic,
    /// The account with which all of them were, if it was one.
    account: Option<Hash>,
    blocked_until: Option<Monotonic>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            by_address: Recent::new(ENTRIES_MAX),
            by_account: Recent::new(ENTRIES_MAX),
            known: Recent::new(ENTRIES_MAX),
        }
    }
}

impl Failures {
    pub(super) fn is_blocked(&mut self, address: Network, now: Monotonic) -> bool {
        self.by_address.touch(address).is_some_and(|record| record.is_blocked(now))
    }

    pub(super) fn attempt(
        &mut self,
        address: Option<Network>,
        account: Hash,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Attempt {
        let mut delay = Duration::ZERO;
        if let Some(record) = address.and_then(|address| self.by_address.touch(address)) {
            if record.is_blocked(now) {
                return Attempt::Blocked;
            }
            delay = record.delay(settings, now);
        }
        let is_known = address.is_some_and(|address| self.known.touch((address, account)).is_some());
        if let (false, Some(record)) = (is_known, self.by_account.touch(account)) {
            delay = delay.max(record.delay(settings, now));
        }
        Attempt::After(delay)
    }

    /// Counts a failure; tells whether the address is blocked by it.
    pub(super) fn failed(
        &mut self,
        address: Option<Network>,
        account: Hash,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> bool {
        let new = || Record { failures: 0, last: now, account: Some(account), blocked_until: None };
        self.by_account.touch_or_insert(account, new).count(account, settings, now);
        let Some(address) = address else { return false };
        let record = self.by_address.touch_or_insert(address, new);
        record.count(account, settings, now);
        // An attempt that began before the block may fail after it: that is no new block.
        let is_new = record.failures >= settings.failures_before_block && !record.is_blocked(now);
        if is_new {
            record.blocked_until = Some(now.saturating_add(settings.block));
            // After the block one more chance, not a clean sheet.
            record.failures = settings.failures_before_block.saturating_sub(1);
        }
        is_new
    }

    pub(super) fn succeeded(&mut self, address: Option<Network>, account: Hash) {
        let Some(address) = address else { return };
        if self.by_address.touch(address).is_some_and(|record| record.account == Some(account)) {
            self.by_address.remove(address);
        }
        self.known.insert((address, account), ());
    }
}

impl Record {
    fn is_blocked(&self, now: Monotonic) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    fn count(&mut self, account: Hash, settings: &GuardSettings, now: Monotonic) {
        if self.is_forgotten(settings, now) {
            self.failures = 0;
            self.account = Some(account);
        }
        self.account = self.account.filter(|earlier| *earlier == account);
        self.failures = self.failures.saturating_add(1);
        self.last = now;
    }

    fn delay(&self, settings: &GuardSettings, now: Monotonic) -> Duration {
        if self.is_forgotten(settings, now) {
            return Duration::ZERO;
        }
        match self.failures.checked_sub(settings.failures_free) {
            None | Some(0) => Duration::ZERO,
            // Beyond 2³¹ the longest delay has long been reached.
            Some(beyond) => {
                settings.delay_first.saturating_mul(1 << (beyond - 1).min(31)).min(settings.delay_max)
            }
        }
    }

    fn is_forgotten(&self, settings: &GuardSettings, now: Monotonic) -> bool {
        let quiet_since = self.blocked_until.map_or(self.last, |until| until.max(self.last));
        now.since(quiet_since) >= settings.failures_window
    }
}
