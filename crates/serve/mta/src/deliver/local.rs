//! Step 8 of a message's way: files one message for all its local recipients, and gives it to the queue for all others,
//! with one durable write. Its octets are stored once and are the same for all: one Return-Path, one Received field, and
//! no recipient's name in either where there are several.

use mail_types::MailboxName;
use mailstore::{Arriving, Filed, Filing, FilingTarget, FlagNames, QuotaLimit, StoreError};
use queue::{Accepted, NewMessage};
use smtp::Reply;
use smtp::server::{Envelope, Recipient};

use super::queued::{self, Brought};
use super::route::{Discarded, Route};
use crate::Rooms;
use crate::content::Quarantine;
use crate::filter::{self, Known, RecipientPlan};
use crate::receive::replies;
use crate::way::Outcome;

/// One recipient's outcome and what its sender is told.
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) reply: Reply,
    /// What scripts decided.
    pub(crate) filter: Vec<String>,
}

/// Files and queues the message as scripts say, if any has a say; one answer for each recipient, in their order.
pub(crate) async fn deliver(
    rooms: &Rooms,
    known: Known<'_>,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Vec<Delivery> {
    if let Err(reply) = take_orders(rooms, &envelope.recipients).await {
        return envelope.recipients.iter().map(|_| refused(reply.clone())).collect();
    }
    if filter::is_needed(rooms, known, envelope).await {
        // On the heap: most messages meet no script.
        return match Box::pin(filtered(rooms, known, message, envelope, brought)).await {
            Ok(deliveries) => deliveries,
            Err(reply) => envelope.recipients.iter().map(|_| refused(reply.clone())).collect(),
        };
    }
    as_it_is(rooms, known, message, envelope, brought).await
}

/// Writes down what people want of their mail that is kept apart, before anybody is told that it is done.
async fn take_orders(rooms: &Rooms, recipients: &[Recipient<Route>]) -> Result<(), Reply> {
    for recipient in recipients {
        let Some(order) = rooms.content.order(&recipient.forward_path) else { continue };
        let quarantine = Quarantine::new(rooms.store.clone(), rooms.directory.clone());
        quarantine.want(order).await.map_err(|error| {
            tracing::error!(
                error = describe(&error),
                "an order for mail that is kept apart is not written down"
            );
            replies::STORE_BUSY
        })?;
    }
    Ok(())
}

/// As scripts say.
async fn filtered(
    rooms: &Rooms,
    known: Known<'_>,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Result<Vec<Delivery>, Reply> {
    let plan = filter::plan(rooms, known, message, envelope, brought).await?;
    let (plans, written) = plan.write(rooms).await?;
    let recipients = envelope.recipients.iter().zip(plans.into_iter().zip(written));
    let deliveries = recipients.map(|(recipient, (plan, written))| {
        let RecipientPlan { lines, refusal, .. } = plan;
        let delivery = match (&recipient.route, refusal) {
            (_, Some(reply)) => refused(reply),
            (Route::Discard(proof), None) => discarded(*proof, brought),
            (Route::Deliver(_), None) if written.filed.is_empty() && written.accepted.is_none() => {
                discarded(Discarded::by_script(), brought)
            }
            (Route::Deliver(_), None) => judge(written.filed, written.accepted, brought),
        };
        Delivery { filter: lines, ..delivery }
    });
    Ok(deliveries.collect())
}

/// Files and queues the message as it is.
async fn as_it_is(
    rooms: &Rooms,
    known: Known<'_>,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Vec<Delivery> {
    let filings = filings(rooms, &envelope.recipients, brought);
    let done = match queued::new_message(envelope, &message, known.content, brought) {
        Some(new) => send(rooms, message, new, filings).await,
        // Nobody wants it: nothing is written. The unfiled octets go when `message` does.
        None if filings.is_empty() => Ok(Done { accepted: None, filed: Vec::new() }),
        None => file(rooms, message, filings).await,
    };
    match done {
        Ok(done) => judge_each(&envelope.recipients, done, brought),
        Err(reply) => envelope.recipients.iter().map(|_| refused(reply.clone())).collect(),
    }
}

/// What the disk has.
struct Done {
    accepted: Option<Accepted>,
    /// One answer for each filing, in their order.
    filed: Vec<Result<Filed, StoreError>>,
}

async fn file(rooms: &Rooms, message: Arriving, filings: Vec<Filing>) -> Result<Done, Reply> {
    match rooms.store.deliver(message, filings).await {
        Ok(filed) => Ok(Done { accepted: None, filed }),
        Err(error) => {
            tracing::error!(error = describe(&error), "message not filed");
            Err(replies::store_error(&error))
        }
    }
}

async fn send(
    rooms: &Rooms,
    message: Arriving,
    new: NewMessage,
    filings: Vec<Filing>,
) -> Result<Done, Reply> {
    let Some(queue) = &rooms.queue else { return Err(replies::NO_QUEUE) };
    match queue.accept(message, new, filings).await {
        Ok((accepted, filed)) => Ok(Done { accepted: Some(accepted), filed }),
        Err(error) => {
            tracing::error!(error = describe(&error), "message not queued");
            Err(replies::queue_error(&error))
        }
    }
}

fn filings(rooms: &Rooms, recipients: &[Recipient<Route>], brought: Brought) -> Vec<Filing> {
    let internal_date = rooms.clock.now();
    let mut filings = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        filings.extend(recipient.route.local().iter().map(|target| Filing {
            account: target.account,
            mailbox: FilingTarget::Name(MailboxName::inbox()),
            flags: FlagNames::default(),
            internal_date,
            // Checked at RCPT; see `route`.
            quota: QuotaLimit::NONE,
            way: brought.way,
        }));
    }
    filings
}

/// Gives each recipient the answers to its own filings, which stand in the recipients' order.
fn judge_each(recipients: &[Recipient<Route>], done: Done, brought: Brought) -> Vec<Delivery> {
    let mut answers = done.filed.into_iter();
    let judged = recipients.iter().map(|recipient| match &recipient.route {
        Route::Deliver(targets) => {
            let mine = answers.by_ref().take(targets.local.len()).collect();
            let is_queued = recipient.route.remote_of(brought.place).next().is_some();
            let accepted = done.accepted.filter(|_| is_queued);
            judge(mine, accepted, brought)
        }
        Route::Discard(proof) => discarded(*proof, brought),
    });
    judged.collect()
}

/// A recipient is served when everybody behind it is. If one is not, the sender must try again: copies may come twice,
/// none is lost. An account that was removed a moment ago wants no copy.
fn judge(
    answers: Vec<Result<Filed, StoreError>>,
    accepted: Option<Accepted>,
    Brought { way, .. }: Brought,
) -> Delivery {
    let mut filed = Vec::with_capacity(answers.len());
    let mut gone = None;
    for answer in answers {
        match answer {
            Ok(one) => filed.push(one),
            Err(error @ StoreError::NoSuchAccount) => gone = Some(error),
            Err(error) => {
                tracing::warn!(transaction = way.to_text(), error = describe(&error), "recipient not served");
                return refused(replies::store_error(&error));
            }
        }
    }
    match (accepted, filed.first()) {
        (Some(proof), _) => Delivery {
            reply: replies::queued(&proof, way),
            outcome: Outcome::Queued { id: proof.id(), filed },
            filter: Vec::new(),
        },
        (None, Some(proof)) => {
            let reply = replies::kept(proof, way);
            Delivery { outcome: Outcome::Filed(filed), reply, filter: Vec::new() }
        }
        (None, None) => refused(replies::store_error(&gone.unwrap_or(StoreError::Busy))),
    }
}

fn refused(reply: Reply) -> Delivery {
    Delivery { outcome: Outcome::Refused(reply.clone()), reply, filter: Vec::new() }
}

fn discarded(proof: Discarded, Brought { way, .. }: Brought) -> Delivery {
    Delivery { outcome: Outcome::Discarded, reply: replies::discarded(&proof, way), filter: Vec::new() }
}

/// The error with its causes, for the log.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
