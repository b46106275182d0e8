//! Whether an engine is worth asking: one that has failed twice in a row is left alone for a while, longer each time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures in a row after which an engine rests. One may be a restart.
const FAILURES_FREE: u32 = 2;
/// The first rest, doubled with each further failure.
const REST_FIRST: Duration = Duration::from_secs(1);
/// The longest rest: an engine that is back is used soon.
const REST_MAX: Duration = Duration::from_secs(60);

/// What is remembered of an engine.
#[derive(Debug)]
pub(crate) struct Health {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Health {
    pub(crate) fn new(name: String) -> Self {
        Self { name, state: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may be asked now.
    pub(crate) fn is_worth_asking(&self) -> bool {
        self.state.lock().rests_until.is_none_or(|until| until <= Instant::now())
    }

    pub(crate) fn succeeded(&self) {
        let before = std::mem::take(&mut *self.state.lock());
        if before.failures > 0 {
            tracing::info!(engine = self.name, failures = before.failures, "an engine answers again");
        }
    }

    pub(crate) fn failed(&self, why: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut state = self.state.lock();
        // What began before the rest says nothing new: a hundred that fail together are one restart.
        if state.rests_until.is_some_and(|until| now < until) {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let rest = rest_after(state.failures);
        state.rests_until = (!rest.is_zero()).then(|| now + rest);
        let failures = state.failures;
        drop(state);
        tracing::warn!(engine = self.name, %why, failures, rest_seconds = rest.as_secs(), "an engine does not answer");
    }
}

fn rest_after(failures: u32) -> Duration {
    match failures.checked_sub(FAILURES_FREE) {
        None => Duration::ZERO,
        Some(more) => REST_FIRST.saturating_mul(2_u32.saturating_pow(more)).min(REST_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_up_to_a_bound() {
        let seconds = [0, 1, 2, 3, 4, 7, 8, 9, u32::MAX].map(|failures| rest_after(failures).as_secs());
        assert_eq!(seconds, [0, 0, 1, 2, 4, 32, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_fail_together_are_one_failure() {
        let health = Health::new("x".into());
        (0..100).for_each(|_| health.failed(&"gone"));
        assert!(!health.is_worth_asking());
        tokio::time::advance(REST_FIRST).await;
        assert!(health.is_worth_asking());
        (0..100).for_each(|_| health.failed(&"gone"));
        tokio::time::advance(REST_FIRST * 2).await;
        assert!(health.is_worth_asking());
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_answers_is_asked_again() {
        let health = Health::new("x".into());
        health.failed(&"gone");
        assert!(health.is_worth_asking());
        health.failed(&"gone");
        assert!(!health.is_worth_asking());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(health.is_worth_asking());
        health.succeeded();
        health.failed(&"gone");
        assert!(health.is_worth_asking());
    }
}
