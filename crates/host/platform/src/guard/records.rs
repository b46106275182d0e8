//! What peers and accounts have done lately: points that drain away, failed passwords that are forgotten after a quiet
//! time, and what follows from both.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::network::Network;

use super::recent::Recent;
use super::{GuardSettings, Offence};

/// Entries of each table's generation: twice as many are held at most, about 2 MiB a table, and only under attack.
pub(super) const ENTRIES_MAX: usize = 16_384;
/// Points that ban a network, for one that bans an address: there are many people in it.
pub(super) const NETWORK_POINTS_TIMES: u64 = 8;

/// Time between two passwords by way of one address that is not banned and has guessed: all who come by it wait for each other,
/// however many connections they have.
pub(super) const TURN: Duration = Duration::from_millis(250);
/// The longest that others are waited for; beyond, whoever comes has to try again.
pub(super) const TURNS_WAIT_MAX: Duration = Duration::from_secs(30);

/// An account's name, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Hash(pub(super) u64);

/// Who did it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Culprit {
    /// The peer: an IPv4 address, an IPv6 /64.
    pub(super) address: Network,
    /// The network around it: a /24, a /48.
    pub(super) network: Network,
}

#[derive(Debug)]
pub(super) struct Records {
    by_address: Recent<Network, Record>,
    by_network: Recent<Network, Points>,
    by_account: Recent<Hash, Failures>,
    /// Wrong passwords as keyed hashes of address, account and password.
    passwords: Recent<u64, ()>,
    /// Days on which it was told of addresses that are not banned.
    told: Recent<Network, u32>,
}

/// What a failed password is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// It may be a guess.
    Guess,
    /// It was not seen, and failed where the account's owner has logged in before.
    Mistyped,
    /// The same was tried before, for the same account and from the same address.
    Repeated,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    points: Points,
    /// What makes the next one wait, whoever tries.
    failures: Failures,
    /// All that were answered, those too that make nobody else wait.
    answered: Failures,
    /// When the next password may be tried, where those who wait wait for each other.
    next_turn: Monotonic,
    /// The account with which all of the failed passwords were, if it was one, and the points of these.
    account: Option<Hash>,
    forgivable: u64,
}

/// Points that drain away evenly: those that ban, within a window.
#[derive(Clone, Copy, Debug)]
struct Points {
    thousandths: u64,
    last: Monotonic,
}

/// Failed passwords, forgotten together after a quiet window.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Monotonic,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            by_address: Recent::new(ENTRIES_MAX),
            by_network: Recent::new(ENTRIES_MAX),
            by_account: Recent::new(ENTRIES_MAX),
            passwords: Recent::new(ENTRIES_MAX),
            told: Recent::new(ENTRIES_MAX),
        }
    }
}

impl Records {
    /// How long an address has to wait before its next password.
    pub(super) fn delay_of_address(
        &mut self,
        address: Network,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Duration {
        self.by_address.touch(address).map_or(Duration::ZERO, |record| record.failures.delay(settings, now))
    }

    /// The same of an address that is not banned: whoever has to wait also waits for all who came before. `None` where those are
    /// too many.
    pub(super) fn turn_of_address(
        &mut self,
        address: Network,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Option<Duration> {
        let Some(record) = self.by_address.touch(address) else { return Some(Duration::ZERO) };
        let delay = record.failures.delay(settings, now);
        if delay.is_zero() {
            return Some(delay);
        }
        let turn = record.next_turn.max(now.saturating_add(delay));
        let wait = turn.since(now);
        if wait > delay.saturating_add(TURNS_WAIT_MAX) {
            return None;
        }
        record.next_turn = turn.saturating_add(TURN);
        Some(wait)
    }

    /// How long whoever is no friend of an account has to wait before the next password for it.
    pub(super) fn delay_of_account(
        &mut self,
        account: Hash,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Duration {
        self.by_account.touch(account).map_or(Duration::ZERO, |failures| failures.delay(settings, now))
    }

    /// A password for an account has failed: how long whoever is no friend of it waits for the answer. What is no guess makes
    /// nobody else wait.
    pub(super) fn failed(
        &mut self,
        account: Hash,
        failure: Failure,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Duration {
        if failure == Failure::Guess {
            let failures = self.by_account.touch_or_insert(account, || Failures::none(now));
            failures.count(settings, now);
            return failures.delay(settings, now);
        }
        let mut failures = self.by_account.touch(account).map_or(Failures::none(now), |failures| *failures);
        failures.count(settings, now);
        failures.delay(settings, now)
    }

    /// A password from this address has failed: how long its answer waits.
    pub(super) fn answered(
        &mut self,
        address: Network,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Duration {
        let record = self.by_address.touch_or_insert(address, || Record::new(now));
        record.answered.count(settings, now);
        record.answered.delay(settings, now)
    }

    /// Whether a wrong password, as its hash, was seen before; now it is.
    pub(super) fn is_repeated(&mut self, password: u64) -> bool {
        let is_repeated = self.passwords.touch(password).is_some();
        if !is_repeated {
            self.passwords.insert(password, ());
        }
        is_repeated
    }

    /// Whether this is asked for an address for the first time on this day.
    pub(super) fn is_first_of_day(&mut self, address: Network, today: u32) -> bool {
        let told = self.told.touch_or_insert(address, || 0);
        std::mem::replace(told, today) != today
    }

    /// Counts an offence, with the account whose password failed; tells who is to be banned for it.
    pub(super) fn count(
        &mut self,
        culprit: Culprit,
        offence: Offence,
        account: Option<Hash>,
        settings: &GuardSettings,
        now: Monotonic,
    ) -> Vec<Network> {
        let most = u64::from(settings.points_before_ban) * 1_000;
        let window = settings.window;
        let amount = offence.thousandths();
        let record = self.by_address.touch_or_insert(culprit.address, || Record::new(now));
        if let Some(account) = account {
            record.count_failure(account, amount, settings, now);
        }
        record.points.add(amount, most, window, now);
        let mut banned = Vec::new();
        if record.points.are_enough(amount, most) {
            // After the ban one more chance, not a clean sheet.
            record.points.thousandths = most.saturating_sub(amount);
            banned.push(culprit.address);
        }
        let most = most.saturating_mul(NETWORK_POINTS_TIMES);
        let points = self.by_network.touch_or_insert(culprit.network, || Points::none(now));
        points.add(amount, most, window, now);
        if points.are_enough(amount, most) {
            points.thousandths = most.saturating_sub(amount);
            banned.push(culprit.network);
        }
        banned
    }

    /// What a banned peer has done is not forgotten while the ban lasts.
    pub(super) fn hold(&mut self, network: Network, until: Monotonic) {
        if let Some(record) = self.by_address.touch(network) {
            record.points.last = until;
            record.failures.last = until;
            record.answered.last = until;
        }
        if let Some(points) = self.by_network.touch(network) {
            points.last = until;
        }
    }

    /// Forgives an address the typing errors that were all with this account.
    pub(super) fn forgive(&mut self, culprit: Culprit, account: Hash, now: Monotonic) {
        let Some(record) = self.by_address.touch(culprit.address) else { return };
        if record.account != Some(account) {
            return;
        }
        let forgiven = std::mem::take(&mut record.forgivable).min(record.points.thousandths);
        record.points.thousandths -= forgiven;
        record.failures = Failures::none(now);
        record.answered = Failures::none(now);
        record.account = None;
        if record.points.thousandths == 0 {
            self.by_address.remove(culprit.address);
        }
        if let Some(points) = self.by_network.touch(culprit.network) {
            points.thousandths = points.thousandths.saturating_sub(forgiven);
        }
    }

    /// Forgets what a network has done: its ban was lifted.
    pub(super) fn forget(&mut self, network: Network) {
        self.by_address.remove(network);
        self.by_network.remove(network);
    }
}

impl Record {
    fn new(now: Monotonic) -> Self {
        let failures = Failures::none(now);
        Self {
            points: Points::none(now),
            failures,
            answered: failures,
            next_turn: now,
            account: None,
            forgivable: 0,
        }
    }

    fn count_failure(&mut self, account: Hash, amount: u64, settings: &GuardSettings, now: Monotonic) {
        if self.failures.count == 0 || self.failures.is_forgotten(settings, now) {
            self.account = Some(account);
            self.forgivable = 0;
        }
        self.account = self.account.filter(|earlier| *earlier == account);
        self.forgivable = self.forgivable.saturating_add(amount);
        self.failures.count(settings, now);
    }
}

impl Points {
    fn none(now: Monotonic) -> Self {
        Self { thousandths: 0, last: now }
    }

    /// Whether they ban. What has drained away in the meantime is forgiven up to half of the last offence, so that ten
    /// wrong passwords in half a minute are ten.
    fn are_enough(&self, amount: u64, most: u64) -> bool {
        self.thousandths.saturating_add(amount / 2) >= most
    }

    fn add(&mut self, amount: u64, most: u64, window: Duration, now: Monotonic) {
        let passed = now.since(self.last).as_millis();
        let drained = u128::from(most) * passed / window.as_millis().max(1);
        let drained = u64::try_from(drained).unwrap_or(u64::MAX);
        self.thousandths = self.thousandths.saturating_sub(drained).saturating_add(amount);
        self.last = self.last.max(now);
    }
}

impl Failures {
    fn none(now: Monotonic) -> Self {
        Self { count: 0, last: now }
    }

    fn count(&mut self, settings: &GuardSettings, now: Monotonic) {
        if self.is_forgotten(settings, now) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = self.last.max(now);
    }

    fn delay(&self, settings: &GuardSettings, now: Monotonic) -> Duration {
        if self.is_forgotten(settings, now) {
            return Duration::ZERO;
        }
        match self.count.checked_sub(settings.failures_free) {
            None | Some(0) => Duration::ZERO,
            // Beyond 2³¹ the longest delay has long been reached.
            Some(beyond) => {
                settings.delay_first.saturating_mul(1 << (beyond - 1).min(31)).min(settings.delay_max)
            }
        }
    }

    fn is_forgotten(&self, settings: &GuardSettings, now: Monotonic) -> bool {
        now.since(self.last) >= settings.window
    }
}
