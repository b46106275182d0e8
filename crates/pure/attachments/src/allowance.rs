//! Memory for windows: what unpackers of bzip2, xz, zstd, RAR and cabinets need beside the memory of an examination. Taken as it is needed,
//! bounded for a message and for all messages together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::examination::Rules;

/// What windows of all messages that are examined at a time may hold together.
#[derive(Debug)]
pub struct WindowAllowance {
    octets_max: usize,
    taken: AtomicUsize,
}

impl Default for WindowAllowance {
    /// Of two messages at a time that need most: what a machine with 512 MB can spare.
    fn default() -> Self {
        WindowAllowance::new(16 * 1024 * 1024)
    }
}

impl WindowAllowance {
    /// So many octets for all messages.
    pub fn new(octets_max: usize) -> WindowAllowance {
        WindowAllowance { octets_max, taken: AtomicUsize::new(0) }
    }
}

/// What is taken of one message's windows, and of all messages'. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    rules: Arc<Rules>,
    of_message: Arc<AtomicUsize>,
    octets: usize,
}

impl Lease {
    /// Nothing yet, of a message whose windows have taken so much.
    pub(crate) fn new(rules: Arc<Rules>, of_message: Arc<AtomicUsize>) -> Lease {
        Lease { rules, of_message, octets: 0 }
    }

    /// Takes so many octets more; whether they could be had.
    pub(crate) fn grow(&mut self, octets: usize) -> bool {
        let message_max = self.rules.limits.window_octets_max;
        if !take(&self.of_message, octets, message_max) {
            return false;
        }
        let all = &self.rules.windows;
        if !take(&all.taken, octets, all.octets_max) {
            self.of_message.fetch_sub(octets, Ordering::Relaxed);
            return false;
        }
        self.octets += octets;
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.of_message.fetch_sub(self.octets, Ordering::Relaxed);
        self.rules.windows.taken.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

fn take(taken: &AtomicUsize, octets: usize, octets_max: usize) -> bool {
    let more = |taken: usize| taken.checked_add(octets).filter(|sum| *sum <= octets_max);
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn what_one_message_has_taken_others_miss_until_it_is_given_back() {
        let limits = Limits { window_octets_max: 60, ..Limits::default() };
        let rules = Arc::new(Rules { limits, windows: WindowAllowance::new(100), ..Rules::default() });
        let lease = |message: &Arc<AtomicUsize>| Lease::new(Arc::clone(&rules), Arc::clone(message));
        let (one, other) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (mut first, mut second, mut third) = (lease(&one), lease(&one), lease(&other));
        assert!(first.grow(59) && second.grow(1) && !second.grow(1), "a message's bound");
        assert!(third.grow(39) && third.grow(1) && !third.grow(1), "the bound of all");
        drop(first);
        assert!(third.grow(19) && third.grow(1) && !third.grow(1), "its own bound again");
        drop((second, third));
        assert_eq!(rules.windows.taken.load(Ordering::Relaxed), 0);
        assert!(lease(&other).grow(60));
    }
}
