//! How long a connection that shows no sign of life keeps its place.

use std::sync::Arc;

use platform::clock::Monotonic;

use super::Lease;
use crate::spool::STALL_AFTER;

impl Lease {
    /// Waits until this connection has to make room: it has shown no sign of life for a while, and others wait of whom
    /// better is to be expected. To be asked beside every wait that may be given up, before any mail is under way; the
    /// lease is then to end with [`ConnectionEnd::GaveWay`]. May be cancelled.
    pub async fn give_way(&mut self) {
        self.stall(self.since).await;
        let wanted = self.inner.shared.spool(|spool| Arc::clone(&spool.connections.way_wanted));
        loop {
            let mut wanted = std::pin::pin!(wanted.notified());
            // From here on nothing is missed.
            wanted.as_mut().enable();
            if self.inner.shared.spool(|spool| spool.give_way(&self.destination, &mut self.given)) {
                return;
            }
            wanted.await;
        }
    }

    /// Does `work`, which is not to be given up, and lets the connection count as slow while it takes its time.
    pub async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        let begun = self.inner.shared.clock.monotonic();
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            // Cancelled, the work was done soon enough.
            () = self.stall(begun) => {}
        }
        work.await
    }

    /// Waits until the connection has shown no sign of life for a while, and lets it count as slow.
    async fn stall(&mut self, since: Monotonic) {
        loop {
            let passed = self.inner.shared.clock.monotonic().since(since);
            if passed >= STALL_AFTER {
                break;
            }
            tokio::time::sleep(STALL_AFTER - passed).await;
        }
        self.inner.shared.spool(|spool| spool.stall(&self.destination, &mut self.given));
    }
}
