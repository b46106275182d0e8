//! The most memory that a server takes while it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cgroup::Group;

/// How often it is looked at: walking the pages of a hundred processes costs them something.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Watches until it is asked.
pub(crate) struct Peak {
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<Result<u64>>,
}

impl Peak {
    pub(crate) fn watch(group: &Group) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, group) = (Arc::clone(&is_over), group.view());
        let watcher = std::thread::spawn(move || {
            let mut most = 0;
            loop {
                most = most.max(group.resident_octets()?);
                if over.load(Ordering::Relaxed) {
                    return Ok(most);
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
        });
        Self { is_over, watcher }
    }

    /// The greatest number of octets seen.
    pub(crate) fn end(self) -> Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.watcher.thread().unpark();
        match self.watcher.join() {
            Ok(most) => most,
            Err(_) => bail!("the watcher panicked"),
        }
    }
}
