//! Step 8 of a message's way: files one message for all its local recipients, and gives it to the queue for all others,
//! with one durable write. Its octets are stored once and are the same for all: one Return-Path, one Received field, and
//! no recipient's name in either where there are several.

use mail_types::{Keyword, MailboxName, SpecialUse};
use mailstore::{Arriving, Filed, Filing, FilingTarget, FlagNames, QuotaLimit, StoreError};
use queue::{Accepted, NewMessage, QueueError};
use smtp::Reply;
use smtp::server::{Envelope, Recipient};

use super::queued::{self, Brought, Place};
use super::route::Route;
use crate::Rooms;
use crate::receive::replies;
use crate::way::Outcome;

/// One recipient's outcome and what its sender is told.
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) reply: Reply,
}

/// Files and queues the message; one answer for each recipient, in their order.
pub(crate) async fn deliver(
    rooms: &Rooms,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Vec<Delivery> {
    let filings = filings(rooms, &envelope.recipients, brought);
    let done = match queued::new_message(envelope, &message, brought) {
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
            Err(match error {
                QueueError::Full => replies::DISK_FULL,
                QueueError::Invalid(_) => replies::TOO_MANY_TARGETS,
                QueueError::Busy | QueueError::NoSuchMessage(_) | QueueError::Store(_) => replies::STORE_BUSY,
            })
        }
    }
}

fn filings(rooms: &Rooms, recipients: &[Recipient<Route>], brought: Brought) -> Vec<Filing> {
    let internal_date = rooms.clock.now();
    let mut filings = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        filings.extend(recipient.route.local().iter().map(|target| Filing {
            account: target.account,
            mailbox: match brought.place {
                Place::Inbox => FilingTarget::Name(MailboxName::inbox()),
                Place::Junk => FilingTarget::SpecialUse(SpecialUse::Junk),
            },
            flags: flags(brought.place),
            internal_date,
            // Checked at RCPT; see `route`.
            quota: QuotaLimit::NONE,
            way: brought.way,
        }));
    }
    filings
}

/// Mail programs know what we take for junk by its keyword (IANA's registry of IMAP keywords).
fn flags(place: Place) -> FlagNames {
    match place {
        Place::Inbox => FlagNames::default(),
        Place::Junk => {
            FlagNames { keywords: Keyword::parse("$Junk").into_iter().collect(), ..FlagNames::default() }
        }
    }
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
        Route::Discard(proof) => {
            Delivery { outcome: Outcome::Discarded, reply: replies::discarded(proof, brought.way) }
        }
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
        },
        (None, Some(proof)) => {
            let reply = replies::kept(proof, way);
            Delivery { outcome: Outcome::Filed(filed), reply }
        }
        (None, None) => refused(replies::store_error(&gone.unwrap_or(StoreError::Busy))),
    }
}

fn refused(reply: Reply) -> Delivery {
    Delivery { outcome: Outcome::Refused(reply.clone()), reply }
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
