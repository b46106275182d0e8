//! Step 8 of a message's way: files one message for all its local recipients with one durable write. Its octets are
//! stored once and are the same for all: one Return-Path, one Received field, and no recipient's name in either where
//! there are several.

use mail_types::{MailboxName, TransactionId};
use mailstore::{Arriving, Filed, Filing, FilingTarget, FlagNames, QuotaLimit, StoreError};
use smtp::Reply;
use smtp::server::Recipient;

use super::route::Route;
use crate::Rooms;
use crate::receive::replies;
use crate::way::Outcome;

/// One recipient's outcome and what its sender is told.
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) reply: Reply,
}

/// Files the message; one answer for each recipient, in their order.
pub(crate) async fn deliver(
    rooms: &Rooms,
    message: Arriving,
    recipients: &[Recipient<Route>],
    transaction: TransactionId,
) -> Vec<Delivery> {
    let filings = filings(rooms, recipients, transaction);
    if filings.is_empty() {
        // Nobody wants it: nothing is written. The unfiled octets go when `message` does.
        drop(message);
        return judge_each(recipients, &mut Vec::new().into_iter(), transaction);
    }
    match rooms.store.deliver(message, filings).await {
        Ok(filed) => judge_each(recipients, &mut filed.into_iter(), transaction),
        Err(error) => {
            tracing::error!(
                transaction = transaction.to_text(),
                error = describe(&error),
                "message not filed"
            );
            let reply = replies::store_error(&error);
            recipients.iter().map(|_| refused(reply.clone())).collect()
        }
    }
}

fn filings(rooms: &Rooms, recipients: &[Recipient<Route>], way: TransactionId) -> Vec<Filing> {
    let internal_date = rooms.clock.now();
    let mut filings = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let Route::Local(targets) = &recipient.route else { continue };
        filings.extend(targets.iter().map(|target| Filing {
            account: target.account,
            mailbox: FilingTarget::Name(MailboxName::inbox()),
            flags: FlagNames::default(),
            internal_date,
            // Checked at RCPT; see `route`.
            quota: QuotaLimit::NONE,
            way,
        }));
    }
    filings
}

/// Gives each recipient the answers to its own filings, which stand in the recipients' order.
fn judge_each(
    recipients: &[Recipient<Route>],
    answers: &mut dyn Iterator<Item = Result<Filed, StoreError>>,
    transaction: TransactionId,
) -> Vec<Delivery> {
    recipients
        .iter()
        .map(|recipient| match &recipient.route {
            Route::Local(targets) => judge(answers.take(targets.len()).collect(), transaction),
            Route::Discard(proof) => {
                Delivery { outcome: Outcome::Discarded, reply: replies::discarded(proof, transaction) }
            }
        })
        .collect()
}

/// A recipient is served when every account behind it is. If one is not, the sender must try again: copies may come
/// twice, none is lost. An account that was removed a moment ago wants no copy.
fn judge(answers: Vec<Result<Filed, StoreError>>, transaction: TransactionId) -> Delivery {
    let mut filed = Vec::with_capacity(answers.len());
    let mut gone = None;
    for answer in answers {
        match answer {
            Ok(one) => filed.push(one),
            Err(error @ StoreError::NoSuchAccount) => gone = Some(error),
            Err(error) => {
                tracing::warn!(
                    transaction = transaction.to_text(),
                    error = describe(&error),
                    "recipient not served"
                );
                return refused(replies::store_error(&error));
            }
        }
    }
    match filed.first() {
        Some(proof) => {
            let reply = replies::kept(proof, transaction);
            Delivery { outcome: Outcome::Filed(filed), reply }
        }
        None => refused(replies::store_error(&gone.unwrap_or(StoreError::Busy))),
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
