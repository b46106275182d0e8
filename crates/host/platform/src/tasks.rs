//! The supervisor: every task has a name, ends on shutdown, and may panic without taking the process along.

use std::future::Future;
use std::time::Duration;

/// Starts tasks and knows which run. Clones share one house.
#[derive(Clone, Debug)]
pub struct Tasks {}

/// Tells a task that it should come to an end. Clones hear the same signal.
#[derive(Clone, Debug)]
pub struct Shutdown {}

/// Gives the signal its [`Shutdown`]s hear; dropped, it gives it too.
#[derive(Debug)]
pub struct ShutdownTrigger {}

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Tasks that did not end in time and were stopped where they stood.
    pub aborted: usize,
}

impl Tasks {
    /// A house without tasks.
    #[must_use]
    pub fn new(metrics: &crate::metrics::Metrics) -> Self {
        unimplemented!("{metrics:?}")
    }

    /// Starts a task. `name` appears in logs and metrics. Must be called within a tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = (name, task);
        unimplemented!()
    }

    /// The signal that tasks of this house watch.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        unimplemented!()
    }

    /// Tells every task to end and waits for them at most `within`; then stops the rest.
    pub async fn drain(&self, within: Duration) -> Drained {
        unimplemented!("{within:?}")
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        unimplemented!()
    }
}

impl Shutdown {
    /// A signal of its own with the trigger that gives it.
    #[must_use]
    pub fn channel() -> (ShutdownTrigger, Self) {
        unimplemented!()
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        unimplemented!()
    }

    /// Waits for the signal. Cancelling the wait loses nothing.
    pub async fn triggered(&self) {
        unimplemented!()
    }
}
