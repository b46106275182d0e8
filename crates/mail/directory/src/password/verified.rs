//! Passwords verified a short while ago, so that a client which opens five connections costs one hash.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aws_lc_rs::hmac;
use mail_types::{AccountId, Secret};
use platform::clock::Monotonic;

/// What a remembered password is found by: an HMAC of account and password under a key that only this process has.
/// Who reads this memory later learns no password from it without the key beside it, and nothing survives a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VerifiedKey([u8; 32]);

/// The verified passwords of this process, bounded in number and in age.
pub(crate) struct VerifiedPasswords {
    key: hmac::Key,
    lifetime: Duration,
    entries_max: usize,
    expiry: HashMap<VerifiedKey, Monotonic>,
    /// In order of expiry, which is the order of arrival.
    order: VecDeque<(VerifiedKey, Monotonic)>,
}

impl VerifiedPasswords {
    pub(crate) fn new(key: [u8; 32], lifetime: Duration, entries_max: usize) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            lifetime,
            entries_max,
            expiry: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The key of an account's password. A new password, even the same one, has a new generation: nothing that was
    /// remembered before it counts any more.
    pub(crate) fn key(&self, account: AccountId, generation: u32, password: &Secret) -> VerifiedKey {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&account.0.to_be_bytes());
        context.update(&generation.to_be_bytes());
        context.update(password.reveal());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        VerifiedKey(key)
    }

    pub(crate) fn contains(&self, key: VerifiedKey, now: Monotonic) -> bool {
        self.expiry.get(&key).is_some_and(|&expiry| now < expiry)
    }

    /// Remembers a password that has just been verified. One that is remembered already keeps its time.
    pub(crate) fn insert(&mut self, key: VerifiedKey, now: Monotonic) {
        self.forget_expired(now);
        if self.lifetime.is_zero() || self.entries_max == 0 || self.expiry.contains_key(&key) {
            return;
        }
        if self.order.len() >= self.entries_max {
            self.forget_oldest();
        }
        let expiry = now.saturating_add(self.lifetime);
        self.expiry.insert(key, expiry);
        self.order.push_back((key, expiry));
    }

    fn forget_expired(&mut self, now: Monotonic) {
        while self.order.front().is_some_and(|&(_, expiry)| expiry <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((key, _)) = self.order.pop_front() {
            self.expiry.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::clock::{Clock, Timestamp};

    const LIFETIME: Duration = Duration::from_secs(600);

    #[test]
    fn a_password_is_remembered_for_its_lifetime() {
        let clock = Clock::settable(Timestamp::default());
        let mut verified = VerifiedPasswords::new([1; 32], LIFETIME, 2);
        let key = verified.key(AccountId(1), 0, &"secret".into());
        assert!(!verified.contains(key, clock.monotonic()));
        verified.insert(key, clock.monotonic());
        clock.advance(LIFETIME - Duration::from_millis(1));
        verified.insert(key, clock.monotonic());
        assert!(verified.contains(key, clock.monotonic()));
        clock.advance(Duration::from_millis(1));
        assert!(!verified.contains(key, clock.monotonic()));
        verified.insert(key, clock.monotonic());
        assert!(verified.contains(key, clock.monotonic()));
        assert_eq!(verified.order.len(), 1);
    }

    #[test]
    fn the_oldest_makes_room() {
        let clock = Clock::settable(Timestamp::default());
        let mut verified = VerifiedPasswords::new([1; 32], LIFETIME, 2);
        let keys: Vec<_> = (1..=3).map(|id| verified.key(AccountId(id), 0, &"secret".into())).collect();
        for &key in &keys {
            verified.insert(key, clock.monotonic());
        }
        let known: Vec<_> = keys.iter().map(|&key| verified.contains(key, clock.monotonic())).collect();
        assert_eq!(known, [false, true, true]);
        assert_eq!((verified.order.len(), verified.expiry.len()), (2, 2));
    }

    #[test]
    fn keys_differ_by_account_generation_password_and_process() {
        let one = VerifiedPasswords::new([1; 32], LIFETIME, 2);
        let other = VerifiedPasswords::new([2; 32], LIFETIME, 2);
        let key = one.key(AccountId(1), 0, &"secret".into());
        assert!(key == one.key(AccountId(1), 0, &"secret".into()));
        assert!(key != one.key(AccountId(2), 0, &"secret".into()));
        assert!(key != one.key(AccountId(1), 1, &"secret".into()));
        assert!(key != one.key(AccountId(1), 0, &"Secret".into()));
        assert!(key != other.key(AccountId(1), 0, &"secret".into()));
    }

    #[test]
    fn a_lifetime_of_zero_remembers_nothing() {
        let clock = Clock::settable(Timestamp::default());
        let mut verified = VerifiedPasswords::new([1; 32], Duration::ZERO, 2);
        let key = verified.key(AccountId(1), 0, &"secret".into());
        verified.insert(key, clock.monotonic());
        assert!(!verified.contains(key, clock.monotonic()));
        assert!(verified.order.is_empty());
    }
}
