//! Threads for disk and CPU work, with a bounded queue: when it is full the caller hears `Busy` at once and
//! tells its client to come back; nothing piles up.

/// A pool of threads. Clones share it.
#[derive(Clone, Debug)]
pub struct Workers {}

/// Why a job gave no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WorkError {
    /// The queue is full: try again later.
    #[error("too much work is waiting")]
    Busy,
    /// The job panicked; it was counted and logged.
    #[error("the work failed unexpectedly")]
    Panicked,
    /// The pool is closed.
    #[error("shutting down")]
    Stopped,
}

/// How large a pool is.
#[derive(Clone, Copy, Debug)]
pub struct WorkersSettings {
    /// Threads, at least one.
    pub threads: usize,
    /// Jobs that may wait.
    pub queue_max: usize,
}

impl Workers {
    /// Starts the threads, named `name`.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub fn start(
        name: &'static str,
        settings: WorkersSettings,
        metrics: &crate::metrics::Metrics,
    ) -> std::io::Result<Self> {
        unimplemented!("{name}{settings:?}{metrics:?}")
    }

    /// Runs `job` on a thread of the pool and waits for its result. Cancelling the wait does not stop the job.
    ///
    /// # Errors
    /// [`WorkError`].
    pub async fn run<T, J>(&self, job: J) -> Result<T, WorkError>
    where
        T: Send + 'static,
        J: FnOnce() -> T + Send + 'static,
    {
        let _ = job;
        unimplemented!()
    }
}
