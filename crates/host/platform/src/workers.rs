//! Threads for disk and CPU work, with a bounded queue: when it is full the caller hears `Busy` at once and
//! tells its client to come back; nothing piles up.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::metrics::{Counter, Gauge, Metrics};
use crate::tasks::panic_text;

/// A pool of threads. Clones share it; when the last is dropped the threads finish what waits and end.
#[derive(Clone)]
pub struct Workers(Arc<Handle>);

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
    /// Jobs that may wait for a thread.
    pub queue_max: usize,
}

type Job = Box<dyn FnOnce() + Send>;

struct Handle {
    pool: Arc<Pool>,
    busy: Counter,
    panicked: Counter,
}

struct Pool {
    name: &'static str,
    queue_max: usize,
    queue: Mutex<Queue>,
    work: Condvar,
    waiting: Gauge,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle_threads: usize,
    is_stopping: bool,
}

impl Workers {
    /// Starts the threads, named `name`.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub fn start(name: &'static str, settings: WorkersSettings, metrics: &Metrics) -> io::Result<Self> {
        let labels = &[("pool", name)];
        let pool = Arc::new(Pool {
            name,
            queue_max: settings.queue_max,
            queue: Mutex::new(Queue::default()),
            work: Condvar::new(),
            waiting: metrics.gauge("mailstead_work_waiting", "Jobs that wait for a thread.", labels),
        });
        let handle = Handle {
            pool: Arc::clone(&pool),
            busy: metrics.counter("mailstead_work_refused_total", "Jobs refused: queue full.", labels),
            panicked: metrics.counter("mailstead_work_panics_total", "Jobs that panicked: bugs.", labels),
        };
        for _ in 0..settings.threads.max(1) {
            let pool = Arc::clone(&pool);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || pool.work_until_stopped())?;
        }
        Ok(Self(Arc::new(handle)))
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
        let (sender, receiver) = oneshot::channel();
        let (name, panicked) = (self.0.pool.name, self.0.panicked.clone());
        self.0.submit(Box::new(move || {
            // Nobody sees what a panicking job left half done: it owned all it had.
            let result = catch_unwind(AssertUnwindSafe(job)).map_err(|payload| {
                panicked.increment();
                tracing::error!(pool = name, panic = panic_text(payload.as_ref()), "a job panicked");
                WorkError::Panicked
            });
            // The caller may have gone; the job is done all the same.
            let _ = sender.send(result);
        }))?;
        receiver.await.unwrap_or(Err(WorkError::Stopped))
    }

    /// Takes no more jobs; those that wait are still done.
    pub fn stop(&self) {
        self.0.pool.stop();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers({})", self.0.pool.name)
    }
}

impl Handle {
    fn submit(&self, job: Job) -> Result<(), WorkError> {
        let mut queue = self.pool.queue.lock();
        if queue.is_stopping {
            return Err(WorkError::Stopped);
        }
        // Idle threads will take as many jobs at once: only what is beyond them waits.
        if queue.jobs.len() >= self.pool.queue_max + queue.idle_threads {
            self.busy.increment();
            return Err(WorkError::Busy);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.pool.waiting.add(1);
        self.pool.work.notify_one();
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.pool.stop();
    }
}

impl Pool {
    fn work_until_stopped(&self) {
        while let Some(job) = self.next() {
            self.waiting.add(-1);
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.is_stopping {
                return None;
            }
            queue.idle_threads += 1;
            self.work.wait(&mut queue);
            queue.idle_threads -= 1;
        }
    }

    fn stop(&self) {
        self.queue.lock().is_stopping = true;
        self.work.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn workers(threads: usize, queue_max: usize) -> Workers {
        Workers::start("test", WorkersSettings { threads, queue_max }, &Metrics::new()).unwrap()
    }

    /// Keeps the pool's only thread busy until the sender is dropped.
    async fn occupy(workers: &Workers) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), WorkError>>) {
        let (release, released) = mpsc::channel::<()>();
        let (started, starting) = oneshot::channel();
        let pool = workers.clone();
        let job = tokio::spawn(async move {
            pool.run(move || {
                started.send(()).unwrap();
                let _ = released.recv();
            })
            .await
        });
        starting.await.unwrap();
        (release, job)
    }

    #[tokio::test]
    async fn a_job_gives_its_result() {
        assert_eq!(workers(2, 4).run(|| 6 * 7).await, Ok(42));
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_recovers() {
        let workers = workers(1, 1);
        let (release, job) = occupy(&workers).await;
        let pool = workers.clone();
        let mut waiting = Box::pin(async move { pool.run(|| 1).await });
        // Polled once, the job lies in the queue, which is full with it.
        assert!(futures_pending(waiting.as_mut()).await);
        assert_eq!(workers.run(|| 2).await, Err(WorkError::Busy));
        drop(release);
        assert_eq!(waiting.await, Ok(1));
        assert_eq!(job.await.unwrap(), Ok(()));
        assert_eq!(workers.run(|| 3).await, Ok(3));
    }

    async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[tokio::test]
    async fn a_panic_costs_one_job() {
        let workers = workers(1, 4);
        assert_eq!(workers.run(|| -> u32 { panic!("a bug") }).await, Err(WorkError::Panicked));
        assert_eq!(workers.run(|| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_stopped_pool_finishes_what_waits_and_takes_no_more() {
        let workers = workers(1, 4);
        let (release, job) = occupy(&workers).await;
        let pool = workers.clone();
        let mut waiting = Box::pin(async move { pool.run(|| 1).await });
        assert!(futures_pending(waiting.as_mut()).await);
        workers.stop();
        assert_eq!(workers.run(|| 2).await, Err(WorkError::Stopped));
        drop(release);
        assert_eq!(waiting.await, Ok(1));
        assert_eq!(job.await.unwrap(), Ok(()));
    }
}
