//! Gives each lease of the queue a task, and lets senders be told of what is late.

use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, ReplyCode};
use platform::tasks::{Shutdown, Tasks};
use queue::{ConnectionEnd, Diagnostic, Lease, Parcel, ParcelOutcome, RecipientOutcome};

use super::{Gate, sts};
use crate::breaker::Signal;
use crate::deliver::local::describe;
use crate::remote::courier::{Courier, Handed};
use crate::report::told;
use crate::way::{Attempt, AttemptedRecipient};

/// How long nothing is told after a report could not be written: a full disk stays full for a while.
const OVERDUE_PAUSE: Duration = Duration::from_secs(10);

/// Begins: one task waits for leases, one for messages whose senders are to be told something.
pub(crate) fn start(gate: &Arc<Gate>, tasks: &Tasks) {
    tasks.spawn("dispatch", dispatch(Arc::clone(gate), tasks.clone()));
    tasks.spawn("overdue", overdue(Arc::clone(gate), tasks.shutdown()));
    tasks.spawn("mta-sts", sts::keep_fresh(Arc::clone(gate), tasks.shutdown()));
}

/// How many deliveries run at once, the queue bounds.
async fn dispatch(gate: Arc<Gate>, tasks: Tasks) {
    let stop = tasks.shutdown();
    loop {
        let lease = tokio::select! {
            biased;
            () = stop.triggered() => return,
            // Cancelled, a lease was not given out.
            lease = gate.rooms.queue.lease() => lease,
        };
        tasks.spawn("delivery", deliver(Arc::clone(&gate), lease, tasks.shutdown()));
    }
}

/// Delivers what is due at one destination over one connection, and for a moment longer what comes for it.
async fn deliver(gate: Arc<Gate>, mut lease: Lease, stop: Shutdown) {
    let mut courier = Courier::new(&gate, lease.destination());
    let mut end = ConnectionEnd::Reached;
    let mut has_worked = false;
    while let Some(parcel) = next(&gate, &mut lease, &courier, &stop).await {
        has_worked = true;
        let mut handed = courier.hand_over(&parcel, &mut lease).await;
        let wanted_end = handed.end.take();
        record(&gate, &lease, &parcel, &handed, wanted_end.as_ref());
        settle(&gate, &mut lease, parcel, handed).await;
        if let Some(wanted_end) = wanted_end {
            end = wanted_end;
            break;
        }
    }
    lease.watch(courier.close()).await;
    // Nothing was learned of a destination that was not asked.
    if has_worked {
        lease.close(end);
    }
    if let Err(error) = lease.flush().await {
        tracing::warn!(error = describe(&error), "outcomes will be written later");
    }
}

/// The next message: at once, or while the connection is kept. A shutdown lets the message at hand end and no other
/// begin.
async fn next(gate: &Gate, lease: &mut Lease, courier: &Courier, stop: &Shutdown) -> Option<Parcel> {
    if stop.is_triggered() {
        return None;
    }
    if !courier.has_connection() {
        return lease.next().await;
    }
    let patience = gate.live.load().settings.idle_wait;
    tokio::select! {
        biased;
        () = stop.triggered() => None,
        // Cancelled, a parcel was not taken.
        parcel = lease.next_within(patience) => parcel,
    }
}

/// Writes what became of a message, with the reports that belong to it.
async fn settle(gate: &Gate, lease: &mut Lease, parcel: Parcel, mut handed: Handed) {
    if handed.outcomes.is_empty() {
        return;
    }
    for (_, outcome) in &handed.outcomes {
        gate.counts.recipient(outcome);
        if let Some(account) = parcel.message().submitter {
            note(gate, account, outcome);
        }
    }
    let id = parcel.id();
    let reports = match told::of_outcomes(gate, &parcel, &handed).await {
        Ok(reports) => reports,
        Err(error) => {
            tracing::error!(id = id.to_text(), error = describe(&error), "a report could not be written");
            put_failures_off(&mut handed);
            Vec::new()
        }
    };
    let outcome = ParcelOutcome { recipients: handed.outcomes, reports };
    if let Err(error) = lease.settle(parcel, outcome).await {
        tracing::error!(id = id.to_text(), error = describe(&error), "an outcome could not be written");
    }
}

/// Tells the breaker what became of a recipient: a stolen account writes to lists full of addresses that nobody has. What was
/// refused for another reason says nothing of the account: a host that will hear nothing of ours refuses all our people.
fn note(gate: &Gate, account: AccountId, outcome: &RecipientOutcome) {
    let signal = match outcome {
        RecipientOutcome::Delivered | RecipientOutcome::Relayed => Signal::RecipientTaken,
        RecipientOutcome::Failed(words) if is_nobodys(words) => Signal::RecipientRefused,
        RecipientOutcome::Failed(_) | RecipientOutcome::Deferred(_) => return,
    };
    gate.rooms.breaker.note(account, signal);
}

/// Whether a failure says that nobody has the address (RFC 3463 §3.2, §3.3): all of X.1 but what is about the sender's, and
/// a mailbox that takes nothing any more. Servers without such codes say it by 550.
fn is_nobodys(words: &Diagnostic) -> bool {
    match words.status.map(|status| (status.subject, status.detail)) {
        Some((1, detail)) => !matches!(detail, 7 | 8),
        Some((2, 1)) => true,
        Some((0, 0)) | None => words.code == Some(ReplyCode::new(550)),
        Some(_) => false,
    }
}

/// What failed and cannot be told of now fails once more later: a sender who hears nothing takes mail for delivered.
fn put_failures_off(handed: &mut Handed) {
    for (_, outcome) in &mut handed.outcomes {
        if let RecipientOutcome::Failed(words) = outcome {
            *outcome = RecipientOutcome::Deferred(words.clone());
        }
    }
}

/// One event and one record for each attempt.
fn record(gate: &Gate, lease: &Lease, parcel: &Parcel, handed: &Handed, end: Option<&ConnectionEnd>) {
    let message = parcel.message();
    // Where nobody could be asked, the reason is the destination's.
    let not_tried = match end {
        Some(ConnectionEnd::Unreachable(diagnostic)) => Some(RecipientOutcome::Deferred(diagnostic.clone())),
        _ => None,
    };
    let outcome_of = |number| {
        let judged = handed.outcomes.iter().find(|(judged, _)| *judged == number);
        judged.map(|(_, outcome)| outcome.clone()).or_else(|| not_tried.clone())
    };
    let recipients: Vec<AttemptedRecipient> = parcel
        .recipients()
        .filter_map(|(number, recipient)| {
            Some(AttemptedRecipient { address: recipient.forward_path.clone(), outcome: outcome_of(number)? })
        })
        .collect();
    for recipient in &recipients {
        let (outcome, words) = match &recipient.outcome {
            RecipientOutcome::Delivered => ("delivered", None),
            RecipientOutcome::Relayed => ("relayed", None),
            RecipientOutcome::Failed(words) => ("failed", Some(words)),
            RecipientOutcome::Deferred(words) => ("deferred", Some(words)),
        };
        tracing::info!(
            id = parcel.id().to_text(),
            transaction = message.way.to_text(),
            sender = %message.reverse_path,
            recipient = %recipient.address,
            destination = %lease.destination(),
            host = handed.remote.as_ref().map(|remote| &*remote.name),
            tls = handed.tls.map(|tls| tls.version),
            tls_policy = handed.protection.map(|protection| protection.source.as_str()),
            verified = handed.protection.map(|protection| protection.verified.as_str()),
            tls_failure = handed.tls_failure.as_deref(),
            outcome,
            words = words.map(tracing::field::display),
            "delivery"
        );
    }
    (gate.rooms.attempts)(Attempt {
        way: message.way,
        queue: parcel.id(),
        time: gate.rooms.clock.now(),
        destination: lease.destination().clone(),
        remote: handed.remote.clone(),
        tls: handed.tls,
        protection: handed.protection,
        tls_failure: handed.tls_failure.clone(),
        reverse_path: message.reverse_path.clone(),
        recipients,
    });
}

/// Tells senders of mail that is late or given up.
async fn overdue(gate: Arc<Gate>, stop: Shutdown) {
    loop {
        let overdue = tokio::select! {
            biased;
            () = stop.triggered() => return,
            // Cancelled, it comes again.
            overdue = gate.rooms.queue.overdue() => overdue,
        };
        let id = overdue.id();
        let told = match told::of_overdue(&gate, &overdue).await {
            Ok(reports) => overdue.settle(reports).await.map_err(|error| describe(&error)),
            Err(error) => Err(describe(&error)),
        };
        let Err(error) = told else { continue };
        tracing::error!(id = id.to_text(), error, "a report could not be written");
        tokio::select! {
            biased;
            () = stop.triggered() => return,
            // Nothing is lost: what could not be told comes again.
            () = tokio::time::sleep(OVERDUE_PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_types::EnhancedCode;

    use super::*;

    #[test]
    fn an_address_that_nobody_has_is_told_from_other_refusals() {
        for (code, status, expected) in [
            (550, Some((1, 1)), true),
            (553, Some((1, 3)), true),
            (550, Some((1, 10)), true),
            (550, Some((2, 1)), true),
            (550, Some((0, 0)), true),
            (550, None, true),
            (550, Some((7, 1)), false),
            (550, Some((1, 7)), false),
            (550, Some((1, 8)), false),
            (554, Some((0, 0)), false),
            (552, Some((2, 2)), false),
            (552, Some((3, 4)), false),
        ] {
            let words = Diagnostic {
                remote: None,
                code: Some(ReplyCode::new(code)),
                status: status.map(|(subject, detail)| EnhancedCode::new(5, subject, detail)),
                text: "no".into(),
            };
            assert_eq!(is_nobodys(&words), expected, "{code} {status:?}");
        }
    }
}
