//! Passwords: who may try one now, what a wrong one is, and what a right one forgives.
//!
//! A telephone that has the former password repeats it every minute, from the address that it shares with a house or an
//! office; nobody who guesses tries the same twice. So the same again counts for next to nothing. Where the password is not
//! seen (SCRAM, RFC 5802: each proof differs), a wrong proof from an address from which the account's owner has logged in
//! counts for a part. Both are answered as late as all others, and make nobody else wait.

use std::net::IpAddr;
use std::time::Duration;

use super::records::{Culprit, Failure, Hash};
use super::{Attempt, Guard, Offence, Place, State, day_of};

impl Guard {
    /// Whether `peer` may try a password for `account` (the name as typed, normalised by the caller; empty where it is not
    /// known yet: nobody waits for what others did without a name).
    #[must_use]
    pub fn attempt(&self, peer: Option<IpAddr>, account: &str) -> Attempt {
        let (now, calendar) = (self.0.clock.monotonic(), self.0.clock.now());
        let mut state = self.0.state.lock();
        if state.is_banned(peer, calendar) {
            return Attempt::Banned;
        }
        let account = (!account.is_empty()).then(|| state.hash(account));
        let (culprit, today) = (state.judged(peer), day_of(calendar));
        let is_spared = culprit.is_some_and(|culprit| state.is_spared(culprit.address.address()));
        let State { settings, records, known, key, .. } = &mut *state;
        let delay = match culprit {
            // It may have half of all connections, and is never banned.
            Some(culprit) if is_spared => records.turn_of_address(culprit.address, settings, now),
            Some(culprit) => Some(records.delay_of_address(culprit.address, settings, now)),
            None => Some(Duration::ZERO),
        };
        let Some(delay) = delay else { return Attempt::Banned };
        let mut is_owners = |account| {
            culprit.is_some_and(|Culprit { address, network }| {
                known.is_owners(key, (address, network), account, today)
            })
        };
        match account {
            Some(account) if !is_owners(account) => {
                Attempt::After(delay.max(records.delay_of_account(account, settings, now)))
            }
            _ => Attempt::After(delay),
        }
    }

    /// A password was wrong, or the name is nobody's: `offence` says which. Without a name only the address has failed.
    /// `password` is what was tried, where that was seen: it is known again when it comes again. Says how long the answer has
    /// to wait.
    pub fn failed(
        &self,
        peer: Option<IpAddr>,
        account: &str,
        offence: Offence,
        password: Option<&[u8]>,
    ) -> Attempt {
        let (now, calendar) = (self.0.clock.monotonic(), self.0.clock.now());
        self.0.counts.failures.increment();
        let mut state = self.0.state.lock();
        let has_name = !account.is_empty();
        let account = state.hash(account);
        let (culprit, today) = (state.judged(peer), day_of(calendar));
        let failure = state.kind_of(culprit, has_name.then_some(account), password, today);
        let State { settings, records, known, key, .. } = &mut *state;
        let mut delay = Duration::ZERO;
        if has_name {
            let of_account = records.failed(account, failure, settings, now);
            let is_owners = culprit.is_some_and(|Culprit { address, network }| {
                known.is_owners(key, (address, network), account, today)
            });
            delay = if is_owners { Duration::ZERO } else { of_account };
        }
        if let Some(culprit) = culprit {
            delay = delay.max(records.answered(culprit.address, settings, now));
        }
        match failure {
            Failure::Guess => self.count(state, peer, offence, Some(account)),
            Failure::Mistyped => self.count(state, peer, Offence::MistypedPassword, None),
            Failure::Repeated => self.count(state, peer, Offence::RepeatedPassword, None),
        }
        match self.0.state.lock().is_banned(peer, calendar) {
            true => Attempt::Banned,
            false => Attempt::After(delay),
        }
    }

    /// A password was right: the typing errors before it are forgiven, and from here the account's delay is no longer
    /// felt. What an address failed with other accounts stays, or a guesser could wash himself with an account of his
    /// own. Says whether the account's owner has been here before.
    pub fn succeeded(&self, peer: Option<IpAddr>, account: &str) -> Place {
        let (now, calendar) = (self.0.clock.monotonic(), self.0.clock.now());
        let mut state = self.0.state.lock();
        let account = state.hash(account);
        let Some(culprit) = state.judged(peer) else { return Place::Known };
        let State { records, known, key, learns_until, .. } = &mut *state;
        records.forgive(culprit, account, now);
        match known.learn(key, (culprit.address, culprit.network), account, day_of(calendar)) {
            true if learns_until.is_some_and(|until| calendar < until) => Place::Learned,
            true => Place::New,
            false => Place::Known,
        }
    }
}

impl State {
    /// What a wrong password is. Whoever is not counted does not repeat himself.
    fn kind_of(
        &mut self,
        culprit: Option<Culprit>,
        account: Option<Hash>,
        password: Option<&[u8]>,
        today: u32,
    ) -> Failure {
        let (Some(culprit), Some(account)) = (culprit, account) else { return Failure::Guess };
        if let Some(password) = password {
            let place = culprit.address.to_string();
            let parts = [place.as_bytes(), &account.0.to_le_bytes(), password];
            return match self.records.is_repeated(self.secret_key.hash(&parts)) {
                true => Failure::Repeated,
                false => Failure::Guess,
            };
        }
        // Everybody's place is nobody's.
        let is_shared = self.is_spared(culprit.address.address());
        match !is_shared && self.known.is_owners_address(&self.key, culprit.address, account, today) {
            true => Failure::Mistyped,
            false => Failure::Guess,
        }
    }
}
