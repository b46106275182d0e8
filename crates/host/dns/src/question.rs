//! A question's life: the cache, a question that is already open, a place among those that may be open, the network.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::metrics::{Counter, Gauge, Metrics};
use tokio::sync::{Semaphore, mpsc};

use crate::answer::{Answer, LookupError, Security};
use crate::cache::{Cache, Known, Outcome, Question};
use crate::forward::Forward;
use crate::name::Name;
use crate::record::{RecordData, RecordType};
use crate::recursion::Recursion;
use crate::settings::{Bounds, CACHE_OCTETS_MAX, Mode, Settings, SettingsError};
use crate::trail::{Step, Trail, Watched};
use crate::wire::ALIASES_MAX;

/// Answers that may wait to be refreshed before their time is over; further ones end, and are asked for when wanted.
const REFRESHES_WAITING_MAX: usize = 256;
/// Answers that are refreshed at once.
const REFRESHES_OPEN_MAX: usize = 8;

/// Asks questions of the network, within bounds.
#[derive(Clone)]
pub(crate) struct Questions(Arc<Desk>);

struct Desk {
    network: Network,
    clock: Clock,
    bounds: Bounds,
    cache: Mutex<Cache>,
    /// Questions that somebody waits for. A dead entry is one whose askers all went away.
    open: Mutex<HashMap<Question, WeakShared<BoxFuture<'static, Outcome>>>>,
    open_places: Semaphore,
    waiting_places: Semaphore,
    /// Questions whose answers are wanted often and end soon.
    ending: mpsc::Sender<Question>,
    refresher: Mutex<Option<mpsc::Receiver<Question>>>,
    counters: Counters,
}

/// Whom we ask.
enum Network {
    Recursion(Box<Recursion>),
    Forward(Forward),
}

impl Network {
    async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        match self {
            Self::Recursion(recursion) => recursion.ask(name, kind).await,
            Self::Forward(forward) => forward.ask(name, kind).await,
        }
    }

    /// Asks again, an alias at a time. The library takes the proof that an alias's target has nothing for a wrong proof
    /// about the alias itself; asked for apart, each is proven by itself (RFC 4035 §5, RFC 6604 §3).
    async fn ask_along_aliases(&self, question: &Question, bogus: LookupError) -> Outcome {
        let (mut name, kind) = question.clone();
        let mut least = Security::Secure;
        let mut shortest = Duration::MAX;
        for _ in 0..ALIASES_MAX {
            let Ok(alias) = self.ask(&name, RecordType::Cname).await else { return Err(bogus) };
            let Some(RecordData::Name(_, target)) = alias.records.into_iter().next() else {
                return Err(bogus);
            };
            least = least.min(alias.security);
            shortest = shortest.min(alias.valid_for);
            let mut outcome = self.ask(&target, kind).await;
            match &mut outcome {
                Err(LookupError::Bogus(_)) => name = target,
                Ok(Answer { security, valid_for, .. })
                | Err(
                    LookupError::NoSuchName { security, valid_for }
                    | LookupError::NoData { security, valid_for },
                ) => {
                    *security = least.min(*security);
                    *valid_for = shortest.min(*valid_for);
                    return outcome;
                }
                Err(_) => return outcome,
            }
        }
        Err(bogus)
    }
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
        let network = match &settings.mode {
            Mode::Recursive { root_hints } => {
                Network::Recursion(Box::new(Recursion::new(settings, root_hints)?))
            }
            Mode::Forward(forwarders) => Network::Forward(Forward::new(settings, forwarders)?),
        };
        let (ending, refresher) = mpsc::channel(REFRESHES_WAITING_MAX);
        let cache = Cache::new(bounds.cache_octets_max.min(CACHE_OCTETS_MAX), bounds.stale_max);
        Ok(Self(Arc::new(Desk {
            network,
            clock,
            bounds,
            cache: Mutex::new(cache),
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

    /// Asks the network without looking into the cache, and shows the way that the question took.
    pub(crate) async fn trace(&self, name: &Name, kind: RecordType) -> (Outcome, Vec<Step>) {
        let trail = Trail::new(self.0.bounds.question_queries_max, Watched::Yes);
        let outcome = self.0.along(&trail, &(name.clone(), kind)).await;
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
                cache.insert(question.clone(), outcome.clone(), kept, now);
                self.counters.cache_octets.set(i64::try_from(cache.octets()).unwrap_or(i64::MAX));
                outcome
            }
        }
    }

    async fn within_bounds(&self, question: &Question) -> Outcome {
        let trail = Trail::new(self.bounds.question_queries_max, Watched::No);
        self.along(&trail, question).await
    }

    async fn along(&self, trail: &Arc<Trail>, question: &Question) -> Outcome {
        let asking = trail.charged(async {
            let _place = self.place().await?;
            match self.network.ask(&question.0, question.1).await {
                Err(bogus @ LookupError::Bogus(_)) if question.1 != RecordType::Cname => {
                    self.network.ask_along_aliases(question, bogus).await
                }
                outcome => outcome,
            }
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
