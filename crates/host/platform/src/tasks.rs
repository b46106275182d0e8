//! The supervisor: every task has a name, ends on shutdown, and may panic without taking the process along.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::metrics::{Counter, Gauge, Metrics};

/// How long stopped tasks may take to be gone: they only have to be dropped.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Starts tasks and knows which run. Clones share one house.
#[derive(Clone)]
pub struct Tasks {
    house: Arc<House>,
    shutdown: Shutdown,
}

struct House {
    trigger: ShutdownTrigger,
    metrics: Metrics,
    rooms: Mutex<Rooms>,
    /// Told when the last task ends.
    empty: Notify,
}

#[derive(Default)]
struct Rooms {
    next: u64,
    /// A handle comes a moment after its task.
    running: HashMap<u64, Option<AbortHandle>>,
    counts: HashMap<&'static str, Counts>,
}

#[derive(Clone)]
struct Counts {
    running: Gauge,
    panicked: Counter,
}

/// Tells a task that it should come to an end. Clones hear the same signal.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Gives the signal its [`Shutdown`]s hear; dropped, it gives it too.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Tasks that did not end in time and were stopped where they stood.
    pub aborted: usize,
}

impl Tasks {
    /// A house without tasks.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let (trigger, shutdown) = Shutdown::channel();
        let house = House {
            trigger,
            metrics: metrics.clone(),
            rooms: Mutex::new(Rooms::default()),
            empty: Notify::new(),
        };
        Self { house: Arc::new(house), shutdown }
    }

    /// Starts a task. `name` appears in logs and metrics. Must be called within a tokio runtime.
    ///
    /// A panic ends the task, is counted and logged, and reaches nobody else.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (number, counts) = self.house.rooms.lock().enter(name, &self.house.metrics);
        counts.running.add(1);
        let presence = Presence { house: Arc::clone(&self.house), number, running: counts.running };
        let panicked = counts.panicked;
        // Boxed, so that the future lies in memory once and at its own size, whatever moves it.
        let task = Caught(Box::pin(task));
        // Not under the lock: a runtime that is going down drops the task, and its presence, right here.
        let handle = tokio::spawn(async move {
            let _presence = presence;
            if let Err(payload) = task.await {
                panicked.increment();
                tracing::error!(task = name, panic = panic_text(payload.as_ref()), "a task panicked");
            }
        });
        // A task that has ended already has taken its entry away.
        if let Some(entry) = self.house.rooms.lock().running.get_mut(&number) {
            *entry = Some(handle.abort_handle());
        }
    }

    /// The signal that tasks of this house watch.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Tells every task to end, without waiting.
    pub fn begin_shutdown(&self) {
        self.house.trigger.trigger();
    }

    /// Tells every task to end and waits for them at most `within`; then stops the rest.
    pub async fn drain(&self, within: Duration) -> Drained {
        self.begin_shutdown();
        if tokio::time::timeout(within, self.all_gone()).await.is_ok() {
            return Drained { aborted: 0 };
        }
        let left: Vec<AbortHandle> = self.house.rooms.lock().running.values().flatten().cloned().collect();
        for task in &left {
            task.abort();
        }
        // A task that blocks its thread cannot be stopped; the process will end without it.
        let _ = tokio::time::timeout(ABORT_GRACE, self.all_gone()).await;
        Drained { aborted: left.len() }
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.house.rooms.lock().running.len()
    }

    async fn all_gone(&self) {
        loop {
            let notified = self.house.empty.notified();
            tokio::pin!(notified);
            // Registered before looking, so that the last task cannot slip away between the two.
            notified.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({} running)", self.running())
    }
}

impl Rooms {
    fn enter(&mut self, name: &'static str, metrics: &Metrics) -> (u64, Counts) {
        let number = self.next;
        self.next += 1;
        self.running.insert(number, None);
        (number, self.counts(name, metrics))
    }

    fn counts(&mut self, name: &'static str, metrics: &Metrics) -> Counts {
        let new = || Counts {
            running: metrics.gauge("mailstead_tasks_running", "Tasks that run now.", &[("task", name)]),
            panicked: metrics.counter(
                "mailstead_task_panics_total",
                "Tasks that ended by a panic: each is a bug.",
                &[("task", name)],
            ),
        };
        self.counts.entry(name).or_insert_with(new).clone()
    }
}

/// A running task's entry in the house; dropped when it ends, however it ends.
struct Presence {
    house: Arc<House>,
    number: u64,
    running: Gauge,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.running.add(-1);
        let mut rooms = self.house.rooms.lock();
        rooms.running.remove(&self.number);
        if rooms.running.is_empty() {
            self.house.empty.notify_waiters();
        }
    }
}

/// A future whose panic becomes its result.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = ()>> Future for Caught<F> {
    type Output = Result<(), Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is never polled again, only dropped: nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}

/// What a panic said, as far as it is text.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}

impl Shutdown {
    /// A signal of its own with the trigger that gives it.
    #[must_use]
    pub fn channel() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits for the signal. Cancelling the wait loses nothing.
    pub async fn triggered(&self) {
        // An error means that the trigger is gone, which is the signal too.
        let _ = self.0.clone().wait_for(|triggered| *triggered).await;
    }
}

impl ShutdownTrigger {
    /// Gives the signal; the second time nothing happens.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_panic_ends_one_task_and_is_counted() {
        let metrics = Metrics::new();
        let tasks = Tasks::new(&metrics);
        let (go, going) = oneshot::channel::<()>();
        tasks.spawn("calm", async move {
            let _ = going.await;
        });
        tasks.spawn("wild", async { panic!("a bug") });
        while tasks.running() > 1 {
            tokio::task::yield_now().await;
        }
        let text = metrics.render();
        assert!(text.contains("mailstead_task_panics_total{task=\"wild\"} 1"), "{text}");
        assert!(text.contains("mailstead_tasks_running{task=\"calm\"} 1"), "{text}");
        go.send(()).unwrap();
        assert_eq!(tasks.drain(Duration::from_secs(5)).await, Drained { aborted: 0 });
    }

    #[tokio::test]
    async fn drain_tells_and_waits() {
        let tasks = Tasks::new(&Metrics::new());
        for _ in 0..3 {
            let shutdown = tasks.shutdown();
            tasks.spawn("session", async move { shutdown.triggered().await });
        }
        assert!(!tasks.shutdown().is_triggered());
        assert_eq!(tasks.drain(Duration::from_secs(5)).await, Drained { aborted: 0 });
        assert!(tasks.shutdown().is_triggered());
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn drain_stops_the_deaf_after_the_deadline() {
        let tasks = Tasks::new(&Metrics::new());
        tasks.spawn("deaf", std::future::pending());
        let begin = tokio::time::Instant::now();
        assert_eq!(tasks.drain(Duration::from_secs(30)).await, Drained { aborted: 1 });
        assert!(begin.elapsed() >= Duration::from_secs(30));
        assert_eq!(tasks.running(), 0);
    }

    #[test]
    fn a_runtime_going_down_takes_its_tasks_with_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tasks = Tasks::new(&Metrics::new());
        let handle = runtime.handle().clone();
        tasks.spawn_within(&handle);
        drop(runtime);
        tasks.spawn_within(&handle);
        assert_eq!(tasks.running(), 0);
    }

    impl Tasks {
        fn spawn_within(&self, handle: &tokio::runtime::Handle) {
            let _inside = handle.enter();
            self.spawn("endless", std::future::pending());
        }
    }

    #[tokio::test]
    async fn an_empty_house_is_drained_at_once() {
        let drained = Tasks::new(&Metrics::new()).drain(Duration::ZERO).await;
        assert_eq!(drained, Drained { aborted: 0 });
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_the_signal() {
        let (trigger, shutdown) = Shutdown::channel();
        assert!(!shutdown.is_triggered());
        drop(trigger);
        shutdown.triggered().await;
        assert!(shutdown.is_triggered());
    }
}
