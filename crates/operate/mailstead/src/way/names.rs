//! Names of messages' ways: no two alike, whoever gives them in a house, and over restarts as long as the clock goes forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mail_types::TransactionId;
use platform::clock::Clock;

/// Names of one millisecond: a server would have to take a million messages a second to run into the next start's.
const BITS_WITHIN_MILLISECOND: u32 = 20;

/// Gives names. Clones go on with the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Transactions(Arc<AtomicU64>);

impl Transactions {
    pub(crate) fn new(clock: &Clock) -> Self {
        let now = u64::try_from(clock.now().unix_millis()).unwrap_or(0);
        Self(Arc::new(AtomicU64::new(now << BITS_WITHIN_MILLISECOND)))
    }

    pub(crate) fn next(&self) -> TransactionId {
        TransactionId(self.0.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn giver(&self) -> Box<dyn Fn() -> TransactionId + Send + Sync> {
        let this = self.clone();
        Box::new(move || this.next())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use platform::clock::Timestamp;

    use super::*;

    #[test]
    fn no_two_names_of_a_millisecond_are_alike_nor_is_one_of_the_next() {
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_700_000_000));
        let names = Transactions::new(&clock);
        let (door, command) = (names.giver(), names.clone());
        let mut given = vec![door(), command.next(), door(), command.next(), names.next()];
        clock.advance(Duration::from_millis(1));
        given.push(Transactions::new(&clock).next());
        assert!(given.is_sorted_by(|one, next| one.0 < next.0), "{given:?}");
    }
}
