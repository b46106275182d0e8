//! What one question costs and which way it went: every query to a server is charged to the question it is asked for.
//!
//! The library bounds the queries of each of its own look-ups, and makes such a look-up for every key and every
//! delegation that a proof needs. This bound holds for all of them together, whatever the library does (NXNSAttack,
//! CVE-2020-12667; TsuNAME; chains of aliases and of keys).

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, Query};
use hickory_resolver::proto::rr::RecordType;
use parking_lot::Mutex;

use crate::wire::ALIASES_MAX;

/// Answers that are aliases which one question may meet. Twice the aliases of an answer, since a chain whose end is
/// nothing is asked for a second time, an alias at a time.
const ALIASES_MET_MAX: usize = 2 * ALIASES_MAX;

tokio::task_local! {
    /// The question that is worked on.
    static TRAIL: Arc<Trail>;
}

/// One query to one server on the way to an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whom we asked.
    pub server: SocketAddr,
    /// How we spoke.
    pub transport: Transport,
    /// The name we asked for, in presentation form.
    pub name: String,
    /// The type of record, by its mnemonic.
    pub kind: String,
    /// What came of it, for people.
    pub outcome: String,
    /// How long it took.
    pub took: Duration,
}

/// How a server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// One datagram each way.
    Udp,
    /// A stream (RFC 7766).
    Tcp,
    /// An encrypted stream (RFC 7858).
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// What one question has cost so far.
#[derive(Debug)]
pub(crate) struct Trail {
    /// The question.
    asked: Query,
    /// Whether the library has come to the question: what it asks afterwards is for proofs.
    is_reached: AtomicBool,
    /// What a server said to the question before the library came to it.
    at_hand: Mutex<Option<DnsResponse>>,
    queries_max: usize,
    queries: AtomicUsize,
    aliases: AtomicUsize,
    /// The way, if anybody wants to see it.
    steps: Option<Mutex<Vec<Step>>>,
}

impl Trail {
    /// For a question that may cost so many queries.
    pub(crate) fn new(asked: Query, queries_max: usize, watched: Watched) -> Arc<Self> {
        Arc::new(Self {
            asked,
            is_reached: AtomicBool::new(false),
            at_hand: Mutex::default(),
            queries_max,
            queries: AtomicUsize::new(0),
            aliases: AtomicUsize::new(0),
            steps: (watched == Watched::Yes).then(Mutex::default),
        })
    }

    /// What to ask where the library wants to know the servers of a name, to find out whether a zone begins there: of the
    /// name that all this is about, what is asked in the end. Whoever is responsible answers it, and whoever is not says who
    /// is, as for any type (RFC 9156 §3, step 3). `None`: what the library wants.
    pub(crate) fn instead_of(&self, wanted: &Query) -> Option<Query> {
        let is_search = wanted.query_type() == RecordType::NS && wanted.name() == self.asked.name();
        // Records of a delegation are the upper zone's.
        let is_below = !matches!(self.asked.query_type(), RecordType::NS | RecordType::DS);
        (is_search && is_below && !self.is_reached.load(Ordering::Relaxed)).then(|| self.asked.clone())
    }

    /// Keeps what was said to the question, unless the library will ask the servers of another zone.
    pub(crate) fn keep(&self, response: &DnsResponse) {
        let mut records = response.answers.iter().chain(&response.authorities);
        let begins_zone =
            records.any(|record| record.record_type() == RecordType::NS && record.name == *self.asked.name());
        if !begins_zone && !response.truncation {
            *self.at_hand.lock() = Some(response.clone());
        }
    }

    /// What was said already to what the library asks now, if that is the question. Told once.
    pub(crate) fn at_hand(&self, wanted: &Query) -> Option<DnsResponse> {
        if *wanted != self.asked {
            return None;
        }
        self.is_reached.store(true, Ordering::Relaxed);
        self.at_hand.lock().take()
    }

    /// Charges what `work` asks to this question.
    pub(crate) async fn charged<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        TRAIL.scope(Arc::clone(self), work).await
    }

    /// The question that is worked on here, if any.
    pub(crate) fn current() -> Option<Arc<Self>> {
        TRAIL.try_with(Arc::clone).ok()
    }

    /// Takes one query from what is left. `false`: nothing was left, and the query must not be made.
    pub(crate) fn charge(&self) -> bool {
        self.queries.fetch_add(1, Ordering::Relaxed) < self.queries_max
            && self.aliases.load(Ordering::Relaxed) <= ALIASES_MET_MAX
    }

    /// Notes that an answer was an alias.
    pub(crate) fn meet_alias(&self) {
        self.aliases.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a query that was made.
    pub(crate) fn step(&self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &self.steps {
            steps.lock().push(step());
        }
    }

    /// Whether a query was refused for being one too many.
    pub(crate) fn is_spent(&self) -> bool {
        self.queries.load(Ordering::Relaxed) > self.queries_max
            || self.aliases.load(Ordering::Relaxed) > ALIASES_MET_MAX
    }

    /// The way so far, in the order in which servers answered.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.as_ref().map(|steps| steps.lock().clone()).unwrap_or_default()
    }
}

/// Whether anybody wants to see the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watched {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn trail(queries_max: usize) -> Arc<Trail> {
        let asked = Query::query(Name::from_ascii("example.").unwrap(), RecordType::A);
        Trail::new(asked, queries_max, Watched::No)
    }

    #[test]
    fn queries_are_counted_to_the_bound() {
        let trail = trail(2);
        assert!(trail.charge() && !trail.is_spent());
        assert!(trail.charge() && !trail.is_spent(), "at the bound");
        assert!(!trail.charge() && trail.is_spent(), "beyond it");
    }

    #[test]
    fn aliases_are_counted_to_the_bound() {
        let trail = trail(1000);
        for _ in 0..ALIASES_MET_MAX {
            trail.meet_alias();
            assert!(trail.charge());
        }
        trail.meet_alias();
        assert!(!trail.charge() && trail.is_spent());
    }

    #[tokio::test]
    async fn work_is_charged_to_its_own_question() {
        let (one, other) = (trail(9), trail(9));
        let work = || async { Trail::current().is_some_and(|trail| trail.charge()) };
        assert!(one.charged(work()).await);
        assert!(other.charged(async { one.charged(work()).await && work().await }).await);
        assert!(!work().await, "nobody's question");
        assert_eq!((one.queries.load(Ordering::Relaxed), other.queries.load(Ordering::Relaxed)), (2, 1));
    }
}
