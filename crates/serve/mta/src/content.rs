//! Step 6b of a message's way: what its content says of being unwanted, and what follows from that for each recipient
//! (docs/internals/spam.md).
//!
//! `judge.rs` makes of a message and what is known of it a score, on a thread of its own, `attached.rs` looks at what is attached; `opinion.rs` says what that means for
//! each account, as `taste.rs` has what each wants; `mark.rs` writes it down. `learn.rs` hears what people say of messages and
//! teaches the models of `models.rs`, each lesson of `lessons.rs` once; `quarantine.rs` has what is kept apart,
//! `orders.rs` the addresses by which people ask for it.

mod attached;
mod evidence;
mod history;
mod judge;
mod learn;
mod lessons;
mod mark;
mod models;
mod opinion;
mod orders;
mod quarantine;
mod settings;
mod shared_model;
mod taste;
mod trial;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mail_types::{AccountId, Address, DomainName, ForwardPath};
use mailstore::Account;
use platform::clock::{Clock, Timestamp};
use platform::metrics::{Counter, Histogram, Metrics, SECONDS_BOUNDS};
use platform::tasks::Shutdown;
use platform::workers::{Workers, WorkersSettings};
use storage::StorageError;

use lessons::Lessons;
use models::Models;
use orders::Orders;

use crate::deliver::local::describe;
use crate::filter::Junk;
use crate::screen::Senders;

pub use attached::attached;
pub(crate) use evidence::{evidence, screened};
pub(crate) use history::{History, history};
pub(crate) use judge::{About, Question, Sender, Thought, author};
pub use learn::{Learned, Lesson, LessonError};
pub(crate) use mark::with_subject;
pub use models::Past;
pub(crate) use opinion::{Considered, Deciding, Fate, Opinion};
pub use orders::Order;
pub(crate) use quarantine::filing as quarantine_filing;
pub use quarantine::{APART, Quarantine, QuarantineError, QuarantineLimits, Quarantined};
pub use settings::{ContentSettings, OnBusy, SETTINGS_ANNOTATION};
pub use taste::{
    Action, CHANGES_OCTETS_MAX, Changes, Listed, POINTS_MAX, SENDERS_MAX, Taste, is_subject_prefix, points,
};
pub use trial::{ContentTrial, TrialVerdict};

/// Threads on which messages are judged. The windows of attachments have room for as many that need most (`WindowAllowance`): with
/// one more, one message could keep another from being unpacked.
const THREADS: usize = 2;
/// Messages that may wait for one of them; what follows beyond is a setting.
const WAITING_MAX: usize = 256;
/// Lessons that may wait.
const LESSONS_WAITING_MAX: usize = 16;
/// How often what was learned is written to disk.
const KEEP_EVERY: Duration = Duration::from_secs(60);
const DAY_SECONDS: i64 = 24 * 3_600;

/// The room of the content filter. Clones share it.
#[derive(Clone)]
pub struct Content(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: ArcSwap<ContentSettings>,
    pub(crate) models: Models,
    pub(crate) lessons: Lessons,
    pub(crate) judges: Workers,
    /// One thread: lessons are learned one after the other.
    pub(crate) teacher: Workers,
    pub(crate) counts: Counts,
    pub(crate) ours: judge::OursKept,
    orders: Orders,
    /// What is remembered of senders; nothing without it.
    pub(crate) senders: Option<Senders>,
}

/// What the filter counts.
pub(crate) struct Counts {
    pub(crate) judged: [Counter; 5],
    pub(crate) not_judged: Counter,
    pub(crate) seconds: Histogram,
    pub(crate) lessons: [Counter; 2],
    pub(crate) own_unwanted: Counter,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        let judged = |outcome| {
            let help = "Messages judged by their content, by what follows for most of their recipients.";
            metrics.counter("mailstead_spam_judged_total", help, &[("outcome", outcome)])
        };
        let lessons = |class| {
            let help = "Lessons that were learned from what people do with their mail.";
            metrics.counter("mailstead_spam_lessons_total", help, &[("class", class)])
        };
        let help = "Messages that passed since the content filter was busy or failed.";
        Self {
            judged: ["passed", "tagged", "junk", "quarantine", "refused"].map(judged),
            not_judged: metrics.counter("mailstead_spam_not_judged_total", help, &[]),
            seconds: metrics.histogram(
                "mailstead_spam_judging_seconds",
                "How long a message waited for its judgement by content.",
                SECONDS_BOUNDS,
                &[],
            ),
            lessons: ["wanted", "unwanted"].map(lessons),
            own_unwanted: metrics.counter(
                "mailstead_spam_own_total",
                "Messages of our own people that look like spam.",
                &[],
            ),
        }
    }
}

/// Why the filter cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Its models are not readable.
    #[error("the models of the content filter")]
    Models(#[source] std::io::Error),
    /// The key of orders for mail that is kept apart is not readable.
    #[error("the key of orders for mail that is kept apart")]
    Orders(#[source] std::io::Error),
    /// Its memory of lessons is not readable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gives no thread.
    #[error("no threads for the content filter")]
    Threads(#[source] std::io::Error),
}

impl Content {
    /// Opens the models and what is remembered of lessons in a directory, made if missing. Blocking.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn open(
        place: &Path,
        settings: ContentSettings,
        senders: Option<Senders>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Self, ContentError> {
        let models = Models::open(place, day_of(clock.now())).map_err(ContentError::Models)?;
        let judges = WorkersSettings { threads: THREADS, queue_max: WAITING_MAX };
        let judges = Workers::start("content", judges, metrics).map_err(ContentError::Threads)?;
        let teacher = WorkersSettings { threads: 1, queue_max: LESSONS_WAITING_MAX };
        let teacher = Workers::start("lessons", teacher, metrics).map_err(ContentError::Threads)?;
        Ok(Self(Arc::new(Inner {
            settings: ArcSwap::from_pointee(settings),
            models,
            lessons: Lessons::open(&place.join("lessons.db"))?,
            judges,
            teacher,
            counts: Counts::new(metrics),
            ours: judge::OursKept::default(),
            orders: Orders::open(&place.join("orders.key")).map_err(ContentError::Orders)?,
            senders,
        })))
    }

    /// Takes new settings, for messages that come from now on.
    pub fn reconfigure(&self, settings: ContentSettings) {
        self.0.settings.store(Arc::new(settings));
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Arc<ContentSettings> {
        self.0.settings.load_full()
    }

    /// How an account wants to find a message, if that is junk.
    pub(crate) async fn junk(&self, account: &Account, address: Option<&Address>, is_junk: bool) -> Junk {
        if !is_junk {
            return Junk::No;
        }
        let settings = self.settings();
        let taste = settings.of_account(account, address).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "an account's settings of the filter are not known");
            settings.of_domain(address)
        });
        match taste.as_ref().unwrap_or(&settings.everybody).marks_read {
            true => Junk::Read,
            false => Junk::Unread,
        }
    }

    /// The address to write to for mail that is kept apart; `None` where the domain leaves no room for it.
    #[must_use]
    pub fn order_address(&self, order: Order, domain: &DomainName) -> Option<Address> {
        self.0.orders.address(order, domain)
    }

    /// The order that a recipient stands for, if it is none of our people but such an address.
    #[must_use]
    pub fn order(&self, recipient: &ForwardPath) -> Option<Order> {
        match recipient {
            ForwardPath::Address(address) => self.0.orders.read(address),
            ForwardPath::Postmaster => None,
        }
    }

    /// Writes what was learned to disk now and then, until the end.
    pub async fn keep(self, clock: Clock, stop: Shutdown) {
        loop {
            // Neither arm loses anything when cancelled: the rest is written by `close`.
            tokio::select! {
                () = stop.triggered() => return,
                () = tokio::time::sleep(KEEP_EVERY) => self.close(clock.now()).await,
            }
        }
    }

    /// Writes what was learned to disk.
    pub async fn close(&self, now: Timestamp) {
        if let Err(error) = self.write(now).await {
            tracing::error!(error = describe(&error), "what the content filter learned is not on disk");
        }
    }

    /// Writes what was learned to disk; it is there when this returns.
    ///
    /// # Errors
    /// What the disk says, or that nobody has time: it stays in memory, and is written within a minute of when it can be.
    pub async fn write(&self, now: Timestamp) -> Result<(), LessonError> {
        let this = self.clone();
        self.0.teacher.run(move || this.0.models.keep(day_of(now))).await??;
        Ok(())
    }

    /// Judges nothing any more: what still comes passes as if the filter had failed.
    pub fn stop(&self) {
        self.0.judges.stop();
    }

    /// How many messages the shared model has learned, wanted and unwanted.
    #[must_use]
    pub fn learned(&self) -> (u64, u64) {
        self.0.models.learned()
    }

    /// Forgets what an account has taught: its model, and its lessons. What the shared model learned from it stays. Blocking.
    ///
    /// # Errors
    /// [`LessonError`].
    pub fn forget(&self, account: AccountId) -> Result<(), LessonError> {
        self.0.models.forget(account)?;
        Ok(self.0.lessons.forget(account)?)
    }

    /// Sets the shared model back; false where there is nothing to go back to. Blocking.
    ///
    /// # Errors
    /// [`LessonError`].
    pub fn go_back(&self, to: Past, now: Timestamp) -> Result<bool, LessonError> {
        Ok(self.0.models.go_back(to, day_of(now))?)
    }
}

/// Days since 1970.
pub(crate) fn day_of(time: Timestamp) -> u32 {
    u32::try_from(time.unix_seconds().div_euclid(DAY_SECONDS)).unwrap_or_default()
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}
