//! Judges strangers' connections and envelopes on port 25 before any content is seen; never our own people, hosts that may
//! relay, or hosts whose mail is not checked.
//!
//! `lists.rs` asks block and allow lists, `greeting.rs` judges how a client calls itself, `rates.rs` how much it brings,
//! `unknown.rs` whom it names that is not here, `senders.rs` remembers who sent what; `receive/screening.rs` has the conversation's side. What is found is [`Evidence`],
//! which the content filter adds up; docs/internals/screening.md says what follows from it.

mod counts;
mod evidence;
pub(crate) mod greeting;
mod lists;
pub(crate) mod rates;
pub(crate) mod senders;
mod settings;
pub(crate) mod unknown;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_types::Address;
use platform::clock::Clock;
use platform::metrics::Metrics;

pub(crate) use counts::Refused;
pub use evidence::Evidence;
pub use lists::{
    Codes, DOMAINS_MAX, ENTRIES_MAX, ListAction, ListEntry, ListEntryError, ListHit, ListKind, ListSettings,
    ListState, ListStatus, Lists, POINTS_DEFAULT, POINTS_MAX,
};
pub use rates::RateLimits;
pub(crate) use senders::client_block;
pub use senders::{
    AnswerTo, HALF_LIFE, NAMES_MAX, Reputation, Sender, Senders, SendersError, Standing, TRAPS_MAX, Worth,
};
pub use settings::{Consequence, Greylist, OnTrap, ScreenSettings};

/// What judges strangers. Clones share it.
#[derive(Clone)]
pub struct Screen {
    senders: Senders,
    lists: Lists,
    /// Traps of the settings, in canonical form.
    traps: Arc<ArcSwap<BTreeSet<Address>>>,
    pub(crate) rates: Arc<rates::Rates>,
    pub(crate) unknown: Arc<unknown::Unknown>,
    pub(crate) counts: Arc<counts::Counts>,
}

impl Screen {
    /// Opens the memory of senders at `path` (made if missing). Blocking.
    ///
    /// # Errors
    /// [`SendersError`].
    pub fn open(path: &Path, clock: Clock, metrics: &Metrics) -> Result<Self, SendersError> {
        Ok(Self {
            senders: Senders::open(path, clock.clone(), metrics)?,
            lists: Lists::new(clock, metrics.clone()),
            traps: Arc::default(),
            rates: Arc::default(),
            unknown: Arc::default(),
            counts: Arc::new(counts::Counts::new(metrics)),
        })
    }

    /// Takes what the settings say of lists and traps, for whoever comes from now on.
    pub fn reconfigure(&self, settings: &ScreenSettings) {
        self.lists.reconfigure(settings.lists.clone());
        self.traps.store(Arc::new(settings.traps.iter().map(Address::to_canonical).collect()));
    }

    /// Traps that the settings name.
    #[must_use]
    pub fn traps_of_settings(&self) -> Vec<Address> {
        self.traps.load().iter().cloned().collect()
    }

    /// Whether an address is a trap, by the settings or by a command.
    pub(crate) async fn is_trap(&self, address: &Address) -> bool {
        self.traps.load().contains(&address.to_canonical()) || self.senders.is_trap(address).await
    }

    /// What is remembered of those who send to us.
    #[must_use]
    pub fn senders(&self) -> &Senders {
        &self.senders
    }

    /// Lists of senders in DNS.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}
