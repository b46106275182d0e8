//! What stops a stolen account: signs that somebody else sends in its owner's name, and an end to its sending when there
//! are enough of them (docs/internals/guard.md).
//!
//! Doors, deliveries, the reader of complaints and the content filter tell [`Breaker::note`] what they see. Each sign
//! counts as a part of what is enough of its kind; when the parts make a whole, the account may send no more: its mail in
//! the queue is held, submissions are refused, its owner and the postmaster are told (`breaker/stop.rs`). Reading mail
//! goes on. An operator ends it, or a new password does. Beside this, an account may write to so many new addresses in an
//! hour and in a day.

mod letter;
mod memory;
mod signs;
mod stop;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use directory::Directory;
use mail_types::{AccountId, Address};
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::metrics::{Counter, Gauge, Metrics};
use storage::StorageError;
use tokio::sync::Notify;

use memory::Memory;
use signs::Signs;

pub use stop::BreakerError;

/// Accounts whose signs are remembered before those are let go of whom nothing was noted for a day.
const TIDY_AT: usize = 1_024;

/// When an account's sending is stopped, and how many new addresses it may write to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// Whether accounts are stopped at all.
    pub is_on: bool,
    /// Addresses elsewhere never written to before that an account may write to in an hour; `None`: any number.
    pub new_recipients_an_hour: Option<u32>,
    /// The same for a day.
    pub new_recipients_a_day: Option<u32>,
    /// Such addresses tried in an hour, taken or not, that stop an account.
    pub new_recipients: u32,
    /// Recipients of a day that nobody has, where they are a fifth of all.
    pub wrong_recipients: u32,
    /// Networks of an hour from which it was logged in for the first time.
    pub new_networks: u32,
    /// Messages of an hour that content filters find unwanted.
    pub unwanted: u32,
    /// Messages of a day about which somebody complains.
    pub complaints: u32,
    /// Accounts of which nothing of this is minded: those that write to lists of new people by trade.
    pub exempt: Vec<Address>,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            is_on: true,
            new_recipients_an_hour: Some(200),
            new_recipients_a_day: Some(500),
            new_recipients: 500,
            wrong_recipients: 50,
            new_networks: 12,
            unwanted: 20,
            complaints: 5,
            exempt: Vec::new(),
        }
    }
}

/// A sign of how an account is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A recipient was taken, here or elsewhere.
    RecipientTaken,
    /// A recipient was refused for good: most likely nobody has that address.
    RecipientRefused,
    /// It wants to write to an address for the first time.
    NewRecipient(RecipientKey),
    /// It was logged in from where its owner has not been before.
    NewPlace(IpAddr),
    /// A message of its is such as nobody wants: the verdict of a content filter, ours or another's.
    Unwanted,
    /// Somebody has complained about a message of its. Of both only what tells them from others matters.
    Complaint {
        /// About which.
        message: u64,
        /// Who.
        by: u64,
    },
}

/// An address that an account writes to, as a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecipientKey(pub(crate) i64);

/// An account that may not send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: Box<str>,
}

/// Why an account may not write to somebody new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TooNew {
    /// Enough for an hour.
    Hour,
    /// Enough for a day.
    Day,
}

/// Watches over accounts. Clones share it.
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    memory: Arc<Memory>,
    directory: Directory,
    clock: Clock,
    state: Mutex<State>,
    /// Held while an account is stopped or let go in steps, so that neither ends up half done.
    steps: tokio::sync::Mutex<()>,
    /// Woken when there is something to stop.
    wanted: Notify,
    counts: Counts,
}

struct State {
    settings: Arc<BreakerSettings>,
    signs: HashMap<AccountId, Signs>,
    stopped: BTreeMap<AccountId, Stop>,
    /// Stopped accounts of which something is still to be done.
    waiting: BTreeSet<AccountId>,
}

/// A stopped account, and what was done about it.
#[derive(Clone, Debug)]
struct Stop {
    stopped: Stopped,
    is_kept: bool,
    is_told: bool,
}

struct Counts {
    stops: Counter,
    stopped: Gauge,
    too_new: Counter,
}

impl Breaker {
    /// A breaker that remembers in this file, made where it is missing. Blocking.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(
        path: &Path,
        settings: BreakerSettings,
        directory: Directory,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, StorageError> {
        let memory = Memory::open(path)?;
        let stopped: BTreeMap<_, _> = memory
            .stopped()?
            .into_iter()
            .map(|(account, stopped, is_told)| (account, Stop { stopped, is_kept: true, is_told }))
            .collect();
        let counts = Counts {
            stops: metrics.counter(
                "mailstead_sending_stops_total",
                "Accounts whose sending was stopped.",
                &[],
            ),
            stopped: metrics.gauge("mailstead_sending_stopped", "Accounts that may not send now.", &[]),
            too_new: metrics.counter(
                "mailstead_new_recipients_refused_total",
                "Recipients refused since their sender has written to enough new ones.",
                &[],
            ),
        };
        counts.stopped.set(i64::try_from(stopped.len()).unwrap_or(i64::MAX));
        let waiting = stopped.keys().copied().collect();
        let state = State { settings: Arc::new(settings), signs: HashMap::new(), stopped, waiting };
        let inner = Inner {
            memory: Arc::new(memory),
            directory,
            clock,
            state: Mutex::new(state),
            steps: tokio::sync::Mutex::new(()),
            wanted: Notify::new(),
            counts,
        };
        inner.wanted.notify_one();
        Ok(Self(Arc::new(inner)))
    }

    /// Takes new settings.
    pub fn reconfigure(&self, settings: BreakerSettings) {
        self.0.state.lock().settings = Arc::new(settings);
    }

    /// A sign of how an account is used.
    pub fn note(&self, account: AccountId, signal: Signal) {
        let settings = self.settings();
        if !settings.is_on || self.is_exempt(&settings, account) {
            return;
        }
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        if state.signs.len() >= TIDY_AT && !state.signs.contains_key(&account) {
            state.signs.retain(|_, signs| signs.is_recent(now));
        }
        let signs = state.signs.entry(account).or_default();
        signs.note(signal, now);
        let Some(reason) = signs.reason(&settings, now) else { return };
        if state.stopped.contains_key(&account) {
            return;
        }
        let stopped = Stopped { since: now, reason: reason.into() };
        state.signs.remove(&account);
        state.stopped.insert(account, Stop { stopped, is_kept: false, is_told: false });
        state.waiting.insert(account);
        let count = state.stopped.len();
        drop(state);
        self.0.counts.stops.increment();
        self.0.counts.stopped.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.0.wanted.notify_one();
    }

    /// Whether an account may not send, since when and why.
    #[must_use]
    pub fn stopped(&self, account: AccountId) -> Option<Stopped> {
        self.0.state.lock().stopped.get(&account).map(|stop| stop.stopped.clone())
    }

    /// Lets an account send again; whether it might not. Its mail in the queue stays held until it is released
    /// (`Queue::release_held_of`).
    ///
    /// # Errors
    /// What the disk says: it stays stopped.
    pub async fn unlock(&self, account: AccountId) -> Result<bool, BreakerError> {
        let _one_at_a_time = self.0.steps.lock().await;
        if self.stopped(account).is_none() {
            return Ok(false);
        }
        let now = self.0.clock.now();
        self.with_memory(move |memory| memory.end_stop(account, now)).await?;
        let mut state = self.0.state.lock();
        state.stopped.remove(&account);
        state.waiting.remove(&account);
        state.signs.remove(&account);
        let count = state.stopped.len();
        drop(state);
        self.0.counts.stopped.set(i64::try_from(count).unwrap_or(i64::MAX));
        tracing::warn!(%account, "may send again");
        Ok(true)
    }

    /// Forgets an account that is no more.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn forget(&self, account: AccountId) -> Result<(), BreakerError> {
        self.unlock(account).await?;
        self.with_memory(move |memory| memory.forget(account)).await
    }

    /// Whether an account that has named so many new recipients in a message may name this one: what stands for it in
    /// the memory, and whether it is new.
    pub(crate) async fn may_write(
        &self,
        account: AccountId,
        to: &Address,
        named: u32,
    ) -> Result<(RecipientKey, bool), TooNew> {
        let key = self.0.memory.key(account, to);
        let settings = self.settings();
        if self.is_exempt(&settings, account) {
            return Ok((key, false));
        }
        let now = self.0.clock.now();
        let asked = self.with_memory(move |memory| memory.novelty(account, key, now)).await;
        let novelty = match asked {
            Ok(novelty) if novelty.is_known => return Ok((key, false)),
            Ok(novelty) => novelty,
            Err(error) => {
                // Mail goes on without this memory; the limits of all recipients hold.
                tracing::error!(%error, "whom accounts have written to is not known");
                return Ok((key, false));
            }
        };
        self.note(account, Signal::NewRecipient(key));
        let verdict = settings.check(novelty.hour, novelty.day, named.saturating_add(1));
        verdict.map(|()| (key, true)).inspect_err(|_| self.0.counts.too_new.increment())
    }

    /// Remembers whom an account writes to, if so many new ones may be written to at all: asked here once more, since
    /// other connections of the same account were asked at the same time.
    pub(crate) async fn charge(&self, account: AccountId, keys: Vec<RecipientKey>) -> Result<(), TooNew> {
        if keys.is_empty() {
            return Ok(());
        }
        let settings = self.settings();
        let settings = if self.is_exempt(&settings, account) {
            Arc::new(BreakerSettings {
                new_recipients_an_hour: None,
                new_recipients_a_day: None,
                ..BreakerSettings::default()
            })
        } else {
            settings
        };
        let now = self.0.clock.now();
        let charged = self.with_memory(move |memory| memory.charge(account, &keys, &settings, now)).await;
        charged.unwrap_or_else(|error| {
            tracing::error!(%error, "whom an account has written to is not remembered");
            Ok(())
        })
    }

    /// Which of these accounts have written to an address elsewhere in the last two years; none, where that cannot be read.
    pub async fn correspondents(&self, accounts: &[AccountId], address: &Address) -> Vec<AccountId> {
        let (accounts, address, now) = (accounts.to_vec(), address.clone(), self.0.clock.now());
        let found = self.with_memory(move |memory| memory.correspondents(&accounts, &address, now)).await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "whom accounts have written to is not known");
            Vec::new()
        })
    }

    /// What stands for a recipient.
    pub(crate) fn key(&self, account: AccountId, to: &Address) -> RecipientKey {
        self.0.memory.key(account, to)
    }

    /// Mail of an account was taken: if it was stopped meanwhile, it is held as well.
    pub(crate) fn taken(&self, account: AccountId) {
        let mut state = self.0.state.lock();
        if state.stopped.contains_key(&account) {
            state.waiting.insert(account);
            drop(state);
            self.0.wanted.notify_one();
        }
    }

    fn settings(&self) -> Arc<BreakerSettings> {
        Arc::clone(&self.0.state.lock().settings)
    }

    fn is_exempt(&self, settings: &BreakerSettings, account: AccountId) -> bool {
        !settings.exempt.is_empty()
            && self
                .0
                .directory
                .account(account)
                .is_some_and(|account| settings.exempt.contains(&account.address))
    }

    /// Asks the memory away from the async threads.
    async fn with_memory<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memory) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, BreakerError> {
        let memory = Arc::clone(&self.0.memory);
        let worked = tokio::task::spawn_blocking(move || work(&memory)).await;
        Ok(worked.map_err(|_| BreakerError::Interrupted)??)
    }
}

impl BreakerSettings {
    /// Whether so many new recipients more are not too many after those of the last hour and day.
    fn check(&self, hour: u32, day: u32, more: u32) -> Result<(), TooNew> {
        let exceeds =
            |so_far: u32, most: Option<u32>| most.is_some_and(|most| so_far.saturating_add(more) > most);
        match (exceeds(day, self.new_recipients_a_day), exceeds(hour, self.new_recipients_an_hour)) {
            (true, _) => Err(TooNew::Day),
            (false, true) => Err(TooNew::Hour),
            (false, false) => Ok(()),
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Breaker")
    }
}

#[cfg(test)]
mod tests;
