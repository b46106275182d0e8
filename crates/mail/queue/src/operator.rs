//! What the operator asks of the queue and does to it: each verb for all messages that fit a filter, and for no others of
//! their recipients where it can be so.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use mail_types::{AccountId, QueueId};
use platform::clock::Timestamp;

use crate::destination::Destination;
use crate::error::QueueError;
use crate::index::{Index, MessageRow, waiting};
use crate::listing::{Filter, LISTED_MAX, Page, QueueStats, Shown};
use crate::message::UNTIL_RELEASED;
use crate::note::Record;
use crate::queue::{Queue, not_worked};
use crate::shared::{IfFailed, Shared};
use crate::state::{Hold, MessageState, RecipientState};

impl Queue {
    /// A page of the messages that fit, those after `after`, at most `count` ([`crate::LISTED_MAX`]).
    ///
    /// # Errors
    /// What the disk says.
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<QueueId>,
        count: usize,
    ) -> Result<Page, QueueError> {
        self.inner.store.wait_applied().await?;
        self.ask(move |index| index.list(&filter, after, count)).await
    }

    /// One message in full.
    ///
    /// # Errors
    /// [`QueueError::NoSuchMessage`], or what the disk says.
    pub async fn show(&self, id: QueueId) -> Result<Shown, QueueError> {
        // Tries that only the memory knows of are to be seen as well.
        self.look().await?;
        self.ask(move |index| index.shown(id)).await?.ok_or(QueueError::NoSuchMessage(id))
    }

    /// Makes messages due now at the destinations of the recipients that are meant, and forgets the back-off of these.
    /// Held ones stay held. How many messages.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn retry(&self, filter: Filter) -> Result<u64, QueueError> {
        let filter = Filter { state: Some(MessageState::Waiting), ..filter };
        // What was tried is written down first, or it would be written over this.
        self.look().await?;
        let (mut count, mut after) = (0, None);
        loop {
            let (rows, next) = self.fitting(&filter, after).await?;
            let hurried: Vec<_> = rows.iter().flat_map(|row| hurried(&filter, row)).collect();
            count += hurried.iter().map(|(id, _)| id).collect::<HashSet<_>>().len() as u64;
            let shared = Arc::clone(&self.inner.shared);
            let worked = self.inner.workers.run(move || make_due(&shared, &hurried)).await;
            worked.map_err(not_worked)??;
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
        self.look().await?;
        Ok(count)
    }

    /// Holds messages until they are released. A parcel that is being sent is not called back. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn hold(&self, filter: Filter) -> Result<u64, QueueError> {
        let filter = Filter { state: Some(MessageState::Waiting), ..filter };
        self.change(filter, |row, sequence| {
            Some(Record::Changed { id: row.id, sequence, hold: Hold::Operator })
        })
        .await
    }

    /// Releases held messages, those held until a later moment too. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn release(&self, filter: Filter) -> Result<u64, QueueError> {
        let free = |row: &MessageRow, sequence| Record::Changed { id: row.id, sequence, hold: Hold::None };
        self.change(filter, |row, sequence| (row.hold != Hold::None).then(|| free(row, sequence))).await
    }

    /// Holds everything that an account has submitted until [`Self::release_held_of`], what waits for a later moment too.
    /// What the operator holds stays the operator's. How many were not held before.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn hold_all_of(&self, submitter: AccountId) -> Result<u64, QueueError> {
        let filter = Filter { submitter: Some(submitter), ..Filter::default() };
        self.change(filter, |row, sequence| {
            let held = Record::Changed { id: row.id, sequence, hold: Hold::Submitter };
            (row.hold.state() != MessageState::Held).then_some(held)
        })
        .await
    }

    /// Releases what [`Self::hold_all_of`] holds of an account's mail; what its sender wanted to wait for a later moment waits
    /// for it again. How many.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn release_held_of(&self, submitter: AccountId) -> Result<u64, QueueError> {
        let state = Some(MessageState::Held);
        let filter = Filter { submitter: Some(submitter), state, ..Filter::default() };
        let now = self.inner.shared.clock.now();
        self.change(filter, |row, sequence| {
            let is_wish = |until: &Timestamp| *until > now && *until < UNTIL_RELEASED;
            let later = row.message.hold_until.filter(is_wish);
            let hold = later.map_or(Hold::None, Hold::Until);
            (row.hold == Hold::Submitter).then_some(Record::Changed { id: row.id, sequence, hold })
        })
        .await
    }

    /// Takes the recipients that are meant out of the queue without a report, and messages that are left with none. A
    /// parcel that is being sent may still arrive. How many messages lost recipients.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn drop_recipients(&self, filter: Filter) -> Result<u64, QueueError> {
        let meant = filter.clone();
        self.change(filter, move |row, _| dropped(&meant, row)).await
    }

    /// Drops what [`Self::hold_all_of`] holds of an account's mail. How many messages.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn drop_held_of(&self, submitter: AccountId) -> Result<u64, QueueError> {
        let state = Some(MessageState::Held);
        let filter = Filter { submitter: Some(submitter), state, ..Filter::default() };
        let meant = filter.clone();
        let is_held = |row: &MessageRow| row.hold == Hold::Submitter;
        self.change(filter, move |row, _| dropped(&meant, row).filter(|_| is_held(row))).await
    }

    /// The queue in numbers.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        self.look().await?;
        let counted = self.ask(|index| index.count()).await?;
        let shared = &self.inner.shared;
        shared.metrics.messages.set(i64::try_from(counted.messages).unwrap_or(i64::MAX));
        Ok(shared.spool(|spool| QueueStats {
            connections: spool.connections.count() as u64,
            in_memory: spool.messages.len() as u64,
            ..counted
        }))
    }

    /// Writes a note about each message that fits, a page at a time, and waits until all see it.
    async fn change(
        &self,
        filter: Filter,
        record: impl Fn(&MessageRow, u64) -> Option<Record>,
    ) -> Result<u64, QueueError> {
        self.inner.store.wait_applied().await?;
        let (mut count, mut after) = (0, None);
        loop {
            let (rows, next) = self.fitting(&filter, after).await?;
            let shared = &self.inner.shared;
            let records: Vec<Record> =
                rows.iter().filter_map(|row| record(row, shared.spool(|spool| spool.next_id().0))).collect();
            count += records.len() as u64;
            if !records.is_empty() {
                let note = shared.note(records, IfFailed::TakeBack);
                self.inner.store.write_note(note).durable().await?;
            }
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
        self.look().await?;
        Ok(count)
    }

    /// A page of the messages that fit, and where to go on.
    async fn fitting(
        &self,
        filter: &Filter,
        after: Option<QueueId>,
    ) -> Result<(Vec<MessageRow>, Option<QueueId>), QueueError> {
        let filter = filter.clone();
        self.ask(move |index| {
            let page = index.list(&filter, after, LISTED_MAX)?;
            let mut rows = Vec::with_capacity(page.messages.len());
            for listed in &page.messages {
                rows.extend(index.message(listed.id)?);
            }
            Ok((rows, page.next))
        })
        .await
    }

    /// Asks the index through a connection of its own, so that a long question keeps nobody from applying the log.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Index) -> Result<T, storage::StorageError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let shared = Arc::clone(&self.inner.shared);
        let work = move || question(&Index::open_reader(&shared.path, &shared.settings)?);
        Ok(self.inner.workers.run(work).await.map_err(not_worked)??)
    }
}

/// What is noted where the recipients that are meant are dropped.
fn dropped(meant: &Filter, row: &MessageRow) -> Option<Record> {
    let dropped: Vec<_> = meant.meant(row).map(|(number, _)| (number, RecipientState::Dropped)).collect();
    match dropped.len() {
        0 => None,
        all if all == waiting(row).count() => {
            Some(Record::Done { id: row.id, first: row.first_pack, last: row.last_pack })
        }
        _ => Some(Record::Settled { id: row.id, recipients: dropped }),
    }
}

/// The places of a message that are meant.
fn hurried(filter: &Filter, row: &MessageRow) -> Vec<(QueueId, Destination)> {
    let destinations: BTreeSet<&Destination> =
        filter.meant(row).map(|(_, destination)| destination).collect();
    destinations.into_iter().map(|destination| (row.id, destination.clone())).collect()
}

fn make_due(shared: &Shared, parcels: &[(QueueId, Destination)]) -> Result<(), storage::StorageError> {
    let now = shared.clock.now();
    let mut index = shared.index();
    index.make_due(parcels, now)?;
    shared.spool(|spool| {
        for (id, destination) in parcels {
            if let Some(message) = spool.messages.get_mut(id) {
                let here = message.parcels.iter_mut().filter(|parcel| parcel.destination == *destination);
                here.for_each(|parcel| parcel.due = parcel.due.min(now));
            }
            spool.forgive(destination);
            spool.wake_due(*id, now);
        }
    });
    Ok(())
}
