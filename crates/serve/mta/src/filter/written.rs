//! The one durable write, and what is remembered after it.

use std::sync::Arc;

use mail_types::AccountId;
use mailstore::{Arriving, Filed, Filing, StoreError, WritingEntry};
use queue::{Accepted, NewEntry, NewMessage, QueueError};
use sieve::Mark;
use smtp::Reply;

use super::memory::{Claim, Kind, key};
use super::plan::{Entry, Plan, RecipientPlan};
use crate::Rooms;
use crate::deliver::local::describe;
use crate::receive::replies;

/// What was written for one recipient.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) filed: Vec<Result<Filed, StoreError>>,
    pub(crate) accepted: Option<Accepted>,
}

impl Plan {
    /// Writes all of it, then remembers what was done; what was written for each recipient, in their order.
    pub(crate) async fn write(self, rooms: &Rooms) -> Result<(Vec<RecipientPlan>, Vec<Written>), Reply> {
        let Self { entries, recipients, claims, marks } = self;
        let mut written: Vec<Written> = recipients.iter().map(|_| Written::default()).collect();
        if recipients.iter().all(|recipient| recipient.refusal.is_some()) {
            return Ok((recipients, written));
        }
        let mut shapes = Vec::with_capacity(entries.len());
        let mut entering = Vec::with_capacity(entries.len());
        for (number, entry) in entries.into_iter().enumerate() {
            let Entry { message, queued, caused_by, filings } = entry;
            if queued.is_none() && filings.is_empty() {
                continue;
            }
            let (owners, filings): (Vec<_>, Vec<_>) = filings.into_iter().unzip();
            shapes.push((number == 0, caused_by, owners));
            entering.push((message, queued, filings));
        }
        let answers = enter(rooms, entering).await?;
        for ((is_first, caused_by, owners), (accepted, filed)) in shapes.into_iter().zip(answers) {
            for (number, (one, plan)) in written.iter_mut().zip(&recipients).enumerate() {
                let is_queued = if is_first { plan.is_elsewhere } else { caused_by == Some(number) };
                one.accepted = one.accepted.or(accepted.filter(|_| is_queued));
            }
            for (owner, filed) in owners.into_iter().zip(filed) {
                if let Some(one) = owner.and_then(|owner| written.get_mut(owner)) {
                    one.filed.push(filed);
                }
            }
        }
        remember(rooms, claims, marks).await;
        Ok((recipients, written))
    }
}

type Entered = (Option<Accepted>, Vec<Result<Filed, StoreError>>);

/// One durable write for all entries.
async fn enter(
    rooms: &Rooms,
    entries: Vec<(Arriving, Option<NewMessage>, Vec<Filing>)>,
) -> Result<Vec<Entered>, Reply> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let Some(queue) = &rooms.queue else {
        let entries = entries
            .into_iter()
            .map(|(message, _, filings)| WritingEntry { message: Some(message), filings, note: None })
            .collect();
        let written = async { rooms.store.write(entries).await?.durable().await };
        let answers = written.await.map_err(|error: StoreError| {
            tracing::error!(error = describe(&error), "message not filed");
            replies::store_error(&error)
        })?;
        return Ok(answers.into_iter().map(|filed| (None, filed)).collect());
    };
    let entries =
        entries.into_iter().map(|(message, queued, filings)| NewEntry { message, queued, filings }).collect();
    queue.accept_all(entries).await.map_err(|error: QueueError| {
        tracing::error!(error = describe(&error), "message not queued");
        replies::queue_error(&error)
    })
}

/// Remembers what was done. It is done: what cannot be remembered may come twice, and is logged.
async fn remember(rooms: &Rooms, claims: Vec<Claim>, marks: Vec<(AccountId, Mark)>) {
    if claims.is_empty() && marks.is_empty() {
        return;
    }
    let (memory, now) = (Arc::clone(&rooms.filters.0.memory), rooms.clock.now());
    let remembering = move || {
        let seen = marks
            .iter()
            .map(|(account, mark)| (*account, key(Kind::Seen, &[&mark.identifier]), mark.seconds));
        memory.remember(claims.iter().map(Claim::mark).chain(seen), now)
    };
    match rooms.filters.0.scribe.run(remembering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "what filters did is not remembered"),
        Err(error) => tracing::error!(%error, "what filters did is not remembered"),
    }
}
