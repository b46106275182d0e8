//! A question's life: the cache, a question that is already open, a place among those that may be open, the network.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::{FutureExt, StreamExt};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::Query;
use parking_lot::{Mutex, RwLock};
use platform::clock::Clock;
use platform::metrics::{Counter, Gauge, Metrics};
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::answer::LookupError;
use crate::cache::{Cache, Known, Outcome, Question, octets_of};
use crate::name::Name;
use crate::network::{Network, Validation};
use crate::record::RecordType;
use crate::reply::{Age, Reply};
use crate::rollover::{self, Keeper};
use crate::settings::{Bounds, CACHE_OCTETS_MAX, Settings, SettingsError};
use crate::trail::{Step, Trail, Watched};
use crate::wire::{REASON_OCTETS_MAX, kind_out, name_out};

/// Octets of whole answers that are kept for programs, beside the typed ones of our own.
const REPLIES_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Octets that a program's question takes in the cache, twice.
const ASKED_OCTETS: usize = 2 * (size_of::<Asked>() + 64);

/// How long is waited after the root's keys could not be looked at (RFC 5011 §2.3: an hour at least).
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// What a program asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Asked {
    /// The name in lower case.
    pub(crate) query: Query,
    pub(crate) checking: Checking,
}

/// Who validates (RFC 4035 §3.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Checking {
    /// We do.
    Ours,
    /// Whoever asks does, and wants to see what we would not believe.
    Theirs,
}

/// Answers that may wait to be refreshed before their time is over; further ones end, and are asked for when wanted.
const REFRESHES_WAITING_MAX: usize = 256;
/// Answers that are refreshed at once.
const REFRESHES_OPEN_MAX: usize = 8;

/// Asks questions of the network, within bounds.
#[derive(Clone)]
pub(crate) struct Questions(Arc<Desk>);

struct Desk {
    network: RwLock<Arc<Network>>,
    /// The root's keys; `None` when nothing is validated.
    keeper: Option<Mutex<Keeper>>,
    /// Told of every question that goes to the network.
    used: Notify,
    /// For programs that want to validate for themselves.
    unchecked: OnceLock<Network>,
    settings: Settings,
    clock: Clock,
    bounds: Bounds,
    cache: Mutex<Cache<Question, Outcome>>,
    replies: Mutex<Cache<Asked, Result<Reply, LookupError>>>,
    /// Questions that somebody waits for. A dead entry is one whose askers all went away.
    open: Mutex<HashMap<Question, WeakShared<BoxFuture<'static, Outcome>>>>,
    open_places: Semaphore,
    waiting_places: Semaphore,
    /// Questions whose answers are wanted often and end soon.
    ending: mpsc::Sender<Question>,
    refresher: Mutex<Option<mpsc::Receiver<Question>>>,
    counters: Counters,
}

struct Counters {
    asked: Counter,
    from_cache: Counter,
    joined: Counter,
    bogus: Counter,
    failed: Counter,
    stale: Counter,
    refreshed: Counter,
    cache_octets: Gauge,
}

impl Questions {
    pub(crate) fn new(settings: &Settings, clock: Clock, metrics: &Metrics) -> Result<Self, SettingsError> {
        let bounds = settings.bounds;
        let keeper = settings
            .anchors()?
            .map(|configured| Keeper::open(&configured, settings.trust_anchor_file.clone()));
        let validation = keeper.as_ref().map_or(Validation::Off, |keeper| Validation::From(keeper.trusted()));
        let network = RwLock::new(Arc::new(Network::new(settings, validation)?));
        let (ending, refresher) = mpsc::channel(REFRESHES_WAITING_MAX);
        let cache = Cache::new(bounds.cache_octets_max.min(CACHE_OCTETS_MAX), bounds.stale_max);
        Ok(Self(Arc::new(Desk {
            network,
            keeper: keeper.map(Mutex::new),
            used: Notify::new(),
            unchecked: OnceLock::new(),
            settings: settings.clone(),
            clock,
            bounds,
            cache: Mutex::new(cache),
            replies: Mutex::new(Cache::new(REPLIES_OCTETS_MAX, bounds.stale_max)),
            open: Mutex::default(),
            open_places: Semaphore::new(bounds.questions_open_max),
            waiting_places: Semaphore::new(bounds.questions_waiting_max),
            ending,
            refresher: Mutex::new(Some(refresher)),
            counters: Counters::new(metrics),
        })))
    }

    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        let desk = &self.0;
        let question = (name.clone(), kind);
        desk.counters.asked.increment();
        let known = desk.cache.lock().find(&question, desk.clock.monotonic());
        let outcome = match known {
            None => return self.join(question).await,
            Some(Known::Fresh(outcome)) => outcome,
            Some(Known::Ending(outcome)) => {
                // When too many wait already, or nobody tends to them, it ends: no more than a question later.
                drop(desk.ending.try_send(question));
                outcome
            }
            Some(Known::Stale(outcome)) => {
                desk.counters.stale.increment();
                outcome
            }
        };
        desk.counters.from_cache.increment();
        outcome
    }

    /// Looks at the root's keys. Gives the time after which to look again.
    pub(crate) async fn look_at_keys(&self) -> Result<Duration, LookupError> {
        self.0.look_at_keys().await
    }

    /// Follows the root's keys, from the first question on: who asks nothing has nothing to prove. Never ends.
    pub(crate) async fn follow_keys(&self) {
        self.0.used.notified().await;
        loop {
            let wait = match self.look_at_keys().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::info!(%error, "the root's keys cannot be looked at; tried again later");
                    LOOK_AGAIN
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// A whole answer, for programs, if it is known.
    pub(crate) fn known_reply(&self, asked: &Asked) -> Option<Result<Reply, LookupError>> {
        let desk = &self.0;
        let reply = match desk.replies.lock().find(asked, desk.clock.monotonic())? {
            Known::Fresh(reply) | Known::Ending(reply) => {
                desk.counters.from_cache.increment();
                reply
            }
            Known::Stale(reply) => {
                desk.counters.stale.increment();
                reply.map(|reply| Reply { age: Age::Stale, ..reply })
            }
        };
        desk.counters.asked.increment();
        Some(reply)
    }

    /// A whole answer, for programs, that is not known.
    pub(crate) async fn reply(&self, asked: Asked) -> Result<Reply, LookupError> {
        let desk = &self.0;
        desk.counters.asked.increment();
        let reply = desk.reply(&asked).await;
        let now = desk.clock.monotonic();
        let mut replies = desk.replies.lock();
        match reply.as_ref().err().and_then(|failure| replies.rescue(&asked, failure, now)) {
            Some(Known::Fresh(older) | Known::Ending(older)) => older,
            Some(Known::Stale(older)) => {
                desk.counters.stale.increment();
                older.map(|reply| Reply { age: Age::Stale, ..reply })
            }
            None => {
                let (octets, kept) = match &reply {
                    Ok(reply) if reply.answers.is_empty() => {
                        (reply.octets(), reply.valid_for.min(desk.bounds.absence_kept_max))
                    }
                    Ok(reply) => (reply.octets(), reply.valid_for.min(desk.bounds.answer_kept_max)),
                    Err(LookupError::Busy) => (0, Duration::ZERO),
                    Err(_) => (REASON_OCTETS_MAX, desk.bounds.failure_kept),
                };
                replies.insert(asked, reply.clone(), octets + ASKED_OCTETS, kept, now);
                reply
            }
        }
    }

    /// Asks the network without looking into the cache, and shows the way that the question took.
    pub(crate) async fn trace(&self, name: &Name, kind: RecordType) -> (Outcome, Vec<Step>) {
        let asked = match name_out(name) {
            Ok(name) => Query::query(name, kind_out(kind)),
            Err(error) => return (Err(error), Vec::new()),
        };
        let trail = Trail::new(asked, self.0.bounds.question_queries_max, Watched::Yes);
        let outcome = self.0.along(&trail, self.0.network().ask(name, kind)).await;
        (outcome, trail.steps())
    }

    /// Asks again for answers that are wanted often, before their time is over. Never ends; the first caller does all
    /// the work.
    pub(crate) async fn refresh(&self) {
        let Some(mut ending) = self.0.refresher.lock().take() else { return std::future::pending().await };
        futures_util::stream::poll_fn(|context| ending.poll_recv(context))
            .for_each_concurrent(REFRESHES_OPEN_MAX, |question| async move {
                // Those who wait for an answer go first: half of the places are theirs.
                if self.0.open_places.available_permits() > self.0.bounds.questions_open_max / 2 {
                    self.0.counters.refreshed.increment();
                    drop(self.join(question).await);
                }
            })
            .await;
    }

    /// The question as it is open already, or opened now. Whoever waits for it drives it; it ends with its last asker.
    fn join(&self, question: Question) -> Shared<BoxFuture<'static, Outcome>> {
        let mut open = self.0.open.lock();
        if let Some(running) = open.get(&question).and_then(WeakShared::upgrade) {
            self.0.counters.joined.increment();
            return running;
        }
        // Entries whose askers went away are swept when there are more entries than questions can be alive.
        if open.len() >= self.0.bounds.questions_open_max + self.0.bounds.questions_waiting_max {
            open.retain(|_, running| running.upgrade().is_some());
        }
        let desk = Arc::clone(&self.0);
        let asked = question.clone();
        let running = async move { desk.answer(asked).await }.boxed().shared();
        if let Some(weak) = running.downgrade() {
            open.insert(question, weak);
        }
        running
    }
}

impl Desk {
    async fn answer(&self, question: Question) -> Outcome {
        let outcome = self.within_bounds(&question).await;
        match &outcome {
            Err(LookupError::Bogus(why)) => {
                self.counters.bogus.increment();
                tracing::info!(name = %question.0, kind = %question.1, why, "a DNS answer failed validation");
            }
            Err(error) if !error.is_absence() => {
                self.counters.failed.increment();
                tracing::debug!(name = %question.0, kind = %question.1, %error, "a DNS question failed");
            }
            _ => {}
        }
        let outcome = self.remember(&question, outcome);
        self.open.lock().remove(&question);
        outcome
    }

    /// Keeps an outcome, or gives the older one that is still better than it.
    fn remember(&self, question: &Question, outcome: Outcome) -> Outcome {
        let (kept, now) = (self.kept(&outcome), self.clock.monotonic());
        let mut cache = self.cache.lock();
        let rescued = match &outcome {
            Err(failure) if !failure.is_absence() => cache.rescue(question, failure, now),
            _ => None,
        };
        match rescued {
            Some(Known::Fresh(older) | Known::Ending(older)) => older,
            Some(Known::Stale(older)) => {
                self.counters.stale.increment();
                tracing::info!(name = %question.0, kind = %question.1, "a stale DNS answer is used");
                older
            }
            None => {
                let octets = octets_of(question, &outcome);
                cache.insert(question.clone(), outcome.clone(), octets, kept, now);
                self.counters.cache_octets.set(i64::try_from(cache.octets()).unwrap_or(i64::MAX));
                outcome
            }
        }
    }

    fn network(&self) -> Arc<Network> {
        Arc::clone(&self.network.read())
    }

    /// Looks at the root's keys and takes up what has become of them. Gives the time after which to look again.
    async fn look_at_keys(&self) -> Result<Duration, LookupError> {
        let Some(keeper) = &self.keeper else { return Ok(Duration::MAX) };
        let trusted = keeper.lock().trusted();
        let now = self.clock.now();
        let seen = rollover::look(&self.settings, &trusted, now).await?;
        let next = keeper.lock().after(&seen, now);
        if next.is_same(&keeper.lock()) {
            return Ok(seen.next_look());
        }
        // What is not on disk does not count: after a restart it would be asked for again.
        if let Err(error) = next.save().await {
            tracing::error!(%error, "the root's keys cannot be written down");
            return Err(LookupError::Unreachable("the root's keys cannot be written down".to_owned()));
        }
        tracing::warn!("the root's keys are changing (RFC 5011)");
        let now_trusted = next.trusted();
        *keeper.lock() = next;
        if !are_same(&trusted, &now_trusted) {
            let network = Network::new(&self.settings, Validation::From(now_trusted));
            let network = network.map_err(|error| LookupError::Unreachable(error.to_string()))?;
            *self.network.write() = Arc::new(network);
            // Verdicts by the former keys.
            self.cache.lock().clear();
            self.replies.lock().clear();
        }
        Ok(seen.next_look())
    }

    async fn within_bounds(&self, question: &Question) -> Outcome {
        let asked = Query::query(name_out(&question.0)?, kind_out(question.1));
        let trail = Trail::new(asked, self.bounds.question_queries_max, Watched::No);
        self.along(&trail, self.network().ask(&question.0, question.1)).await
    }

    /// Does the work of one question within its bounds.
    async fn along<T>(
        &self,
        trail: &Arc<Trail>,
        work: impl Future<Output = Result<T, LookupError>>,
    ) -> Result<T, LookupError> {
        self.used.notify_one();
        let asking = trail.charged(async {
            let _place = self.place().await?;
            work.await
        });
        let outcome = tokio::time::timeout(self.bounds.question_time_max, asking).await;
        match outcome.unwrap_or(Err(LookupError::Timeout)) {
            // What was left unasked is no proof of anything.
            Err(_) if trail.is_spent() => {
                Err(LookupError::Excessive("more queries than one question may cost".to_owned()))
            }
            outcome => outcome,
        }
    }

    async fn reply(&self, asked: &Asked) -> Result<Reply, LookupError> {
        let trail = Trail::new(asked.query.clone(), self.bounds.question_queries_max, Watched::No);
        match asked.checking {
            Checking::Ours => self.along(&trail, self.network().reply(&asked.query)).await,
            Checking::Theirs => self.along(&trail, self.unchecked()?.reply(&asked.query)).await,
        }
    }

    fn unchecked(&self) -> Result<&Network, LookupError> {
        if self.unchecked.get().is_none() {
            let network = Network::new(&self.settings, Validation::PassedOn);
            let network = network.map_err(|error| LookupError::Unreachable(error.to_string()))?;
            // Whoever was first, one is as good as the other.
            drop(self.unchecked.set(network));
        }
        self.unchecked.get().ok_or(LookupError::Busy)
    }

    /// A place among the questions that may be open, waited for if enough others do not wait already.
    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, LookupError> {
        if let Ok(place) = self.open_places.try_acquire() {
            return Ok(place);
        }
        let _waiting = self.waiting_places.try_acquire().map_err(|_| LookupError::Busy)?;
        self.open_places.acquire().await.map_err(|_| LookupError::Busy)
    }

    /// How long an outcome is remembered.
    fn kept(&self, outcome: &Outcome) -> Duration {
        match outcome {
            Ok(answer) => answer.valid_for.min(self.bounds.answer_kept_max),
            Err(LookupError::NoSuchName { valid_for, .. } | LookupError::NoData { valid_for, .. }) => {
                (*valid_for).min(self.bounds.absence_kept_max)
            }
            Err(LookupError::Busy) => Duration::ZERO,
            Err(_) => self.bounds.failure_kept,
        }
    }
}

fn are_same(one: &TrustAnchors, other: &TrustAnchors) -> bool {
    let has_all = |one: &TrustAnchors, other: &TrustAnchors| {
        (0..one.len()).filter_map(|at| one.get(at)).all(|key| other.contains(key))
    };
    has_all(one, other) && has_all(other, one)
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let answered = |from| {
            let help = "Questions that needed no question to the network.";
            metrics.counter("mailstead_dns_spared_total", help, &[("by", from)])
        };
        let failed = |why| {
            let help = "Questions to the network that failed.";
            metrics.counter("mailstead_dns_failed_total", help, &[("why", why)])
        };
        Self {
            asked: metrics.counter("mailstead_dns_questions_total", "Questions asked of the resolver.", &[]),
            from_cache: answered("cache"),
            joined: answered("open question"),
            bogus: failed("bogus"),
            failed: failed("no answer"),
            stale: answered("stale answer"),
            refreshed: metrics.counter(
                "mailstead_dns_refreshed_total",
                "Answers asked for again before their time was over.",
                &[],
            ),
            cache_octets: metrics.gauge("mailstead_dns_cache_octets", "Octets that known answers take.", &[]),
        }
    }
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Questions")
    }
}
