//! Outcomes that the log did not take, because the disk is full or fails: kept in memory and written again.

use super::Spool;

/// Outcomes in memory that the log did not take, beyond which nothing more is sent but what connections have at hand. A
/// crash would make all of these messages come twice, so few; and a disk that is full for a moment stops nobody.
pub(crate) const UNWRITTEN_MAX: usize = 1_024;

/// Notes that the log did not take.
#[derive(Default, Debug)]
pub(crate) struct Unwritten {
    waiting: Vec<Vec<u8>>,
    /// Those that are being written again.
    under_way: usize,
}

impl Spool {
    /// A note could not be written: it is kept, and written again. The log's order among such does not matter.
    pub(crate) fn not_written(&mut self, note: Vec<u8>) {
        self.unwritten.waiting.push(note);
        self.wishes.look = true;
    }

    /// Whether so many outcomes are not on disk that no more may come to be.
    pub(crate) fn is_behind(&self) -> bool {
        self.unwritten.waiting.len() + self.unwritten.under_way >= UNWRITTEN_MAX
    }

    /// What is to be written again now; each is to be answered with [`Self::written_again`].
    pub(crate) fn take_unwritten(&mut self) -> Vec<Vec<u8>> {
        self.unwritten.under_way += self.unwritten.waiting.len();
        std::mem::take(&mut self.unwritten.waiting)
    }

    /// A note was written after all, or comes back. That is no wish for another round at once: the log may refuse for a
    /// while.
    pub(crate) fn written_again(&mut self, refused: Option<Vec<u8>>) {
        self.unwritten.under_way = self.unwritten.under_way.saturating_sub(1);
        self.unwritten.waiting.extend(refused);
        if !self.is_behind() {
            self.lease_wanted.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_types::{Address, QueueId};
    use platform::clock::{Clock, Timestamp};
    use storage::{BlobRef, LogPosition, PackId};

    use super::*;
    use crate::destination::Destination;
    use crate::message::{NewMessage, Notify, Recipient};
    use crate::note::Queued;
    use crate::settings::Settings;

    /// A spool with two messages for different destinations.
    fn spool() -> Spool {
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_700_000_000));
        let mut spool = Spool::new(Settings::default(), clock);
        for (id, text) in [(1, "a@one.example"), (2, "b@two.example")] {
            let forward_path = Address::parse(text).unwrap();
            let destination = Destination::Domain(forward_path.domain_name().unwrap().clone());
            let recipients = vec![Recipient::plain(forward_path, destination, Notify::Default)];
            let message = NewMessage { recipients, ..NewMessage::empty() };
            let queued = Queued { id: QueueId(id), is_copy: false, octets: 50, message };
            let position = LogPosition { pack: PackId(1), offset: 500 * id };
            spool.committed(queued, position, BlobRef { pack: PackId(1), offset: 500 * id - 100 });
        }
        spool
    }

    #[test]
    fn nothing_more_is_sent_while_too_many_outcomes_are_not_on_disk() {
        let mut spool = spool();
        for _ in 1..UNWRITTEN_MAX {
            spool.not_written(vec![1]);
        }
        assert!(!spool.is_behind());
        let (destination, _) = spool.take_lease().expect("one below");
        spool.not_written(vec![1]);
        assert!(spool.is_behind() && spool.take_lease().is_none(), "at it");
        spool.not_written(vec![1]);
        assert!(spool.is_behind() && spool.take_lease().is_none(), "one above");
        // Those on their way count, and those that come back.
        let notes = spool.take_unwritten();
        assert_eq!(notes.len(), UNWRITTEN_MAX + 1);
        assert!(spool.is_behind());
        spool.written_again(Some(vec![1]));
        spool.written_again(None);
        assert!(spool.is_behind());
        spool.written_again(None);
        assert!(!spool.is_behind());
        let (other, _) = spool.take_lease().expect("the disk takes them again");
        assert_ne!(destination, other);
    }
}
