//! What is counted of one engine: how often it was asked and how that went, what it said, how long it took.

use platform::metrics::{Counter, Histogram, Metrics, SECONDS_BOUNDS};
use tokio::time::Instant;

use super::engine::Failure;

/// What an engine has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing against a message.
    Passed,
    /// The message goes on otherwise than it came.
    Changed,
    /// It is spam.
    Spam,
    /// It carries a virus.
    Virus,
    /// It is to be kept apart.
    Quarantine,
    /// It is to be thrown away.
    Discarded,
    /// Whoever sends it shall try again.
    Later,
    /// It is refused.
    Refused,
}

impl Verdict {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Passed, "passed"),
        (Self::Changed, "changed"),
        (Self::Spam, "spam"),
        (Self::Virus, "virus"),
        (Self::Quarantine, "quarantine"),
        (Self::Discarded, "discarded"),
        (Self::Later, "later"),
        (Self::Refused, "refused"),
    ];
}

/// The counts of one engine.
#[derive(Debug)]
pub(crate) struct EngineCounts {
    answered: Counter,
    failed: Counter,
    slow: Counter,
    busy: Counter,
    resting: Counter,
    verdicts: [(Verdict, Counter); Verdict::ALL.len()],
    seconds: Histogram,
}

impl EngineCounts {
    /// `engine`: as the operator names it.
    pub(crate) fn new(metrics: &Metrics, engine: &str) -> Self {
        let asked = |outcome| {
            let help = "How often an engine was asked, by what came of it.";
            metrics.counter("mailstead_engine_asked_total", help, &[("engine", engine), ("outcome", outcome)])
        };
        let verdict = |(verdict, word)| {
            let help = "What an engine said of messages, and of commands that it refused.";
            let labels = [("engine", engine), ("verdict", word)];
            (verdict, metrics.counter("mailstead_engine_verdicts_total", help, &labels))
        };
        Self {
            answered: asked("answered"),
            failed: asked("failed"),
            slow: asked("slow"),
            busy: asked("busy"),
            resting: asked("resting"),
            verdicts: Verdict::ALL.map(verdict),
            seconds: metrics.histogram(
                "mailstead_engine_seconds",
                "How long an engine took to answer, or not to.",
                SECONDS_BOUNDS,
                &[("engine", engine)],
            ),
        }
    }

    /// It was asked, and this came of it.
    pub(crate) fn asked<T>(&self, begun: Instant, done: &Result<T, Failure>) {
        match done {
            Ok(_) => self.answered.increment(),
            Err(Failure::Resting) => return self.resting.increment(),
            Err(Failure::Busy) => self.busy.increment(),
            Err(Failure::TooSlow) => self.slow.increment(),
            Err(_) => self.failed.increment(),
        }
        self.seconds.observe_duration(begun.elapsed());
    }

    /// It has said this.
    pub(crate) fn said(&self, verdict: Verdict) {
        let counter = self.verdicts.iter().find(|(one, _)| *one == verdict);
        if let Some((_, counter)) = counter {
            counter.increment();
        }
    }
}
