//! Who is told of what: whatever an attempt or the time that passed came to, held against what the sender wants to hear
//! (RFC 3461 §4.1, §5.2.2, §5.2.5, §5.2.6; RFC 2852 §4).

use mail_types::{EnhancedCode, Situation, Verdict};
use message::Action;
use queue::{
    DeliverBy, DeliverByMode, NewMessage, NewReport, Notify, Overdue, OverdueKind, Parcel, Recipient,
    RecipientOutcome,
};

use super::dsn::{ReportError, Reporter, Source, Told};
use crate::deliver::local::describe;
use crate::outbound::Gate;
use crate::outbound::settings::OutboundSettings;
use crate::remote::courier::Handed;
use crate::remote::judge;
use crate::remote::order::{original, return_path_octets};
use crate::remote::transact::Body;

/// Whether failures are told of.
fn wants_failure(notify: Notify) -> bool {
    matches!(notify, Notify::Default | Notify::On { failure: true, .. })
}

fn wants_delay(notify: Notify) -> bool {
    matches!(notify, Notify::Default | Notify::On { delay: true, .. })
}

fn wants_success(notify: Notify) -> bool {
    matches!(notify, Notify::On { success: true, .. })
}

impl Gate {
    fn reporter<'a>(&'a self, settings: &'a OutboundSettings) -> Reporter<'a> {
        let rooms = &self.rooms;
        Reporter {
            store: &rooms.store,
            directory: &rooms.directory,
            clock: &rooms.clock,
            next_transaction: &*rooms.next_transaction,
            hostname: &settings.identity.hello,
            from: &settings.report_from,
            routing: &settings.routing,
            returned_octets_max: settings.returned_octets_max,
        }
    }
}

/// The reports about what an attempt came to.
pub(crate) async fn of_outcomes(
    gate: &Gate,
    parcel: &Parcel,
    handed: &Handed,
) -> Result<Vec<NewReport>, ReportError> {
    let message = parcel.message();
    let told: Vec<Told<'_>> = handed
        .outcomes
        .iter()
        .filter_map(|(number, outcome)| {
            let recipient = message.recipients.get(usize::from(number.0))?;
            told_of(message, recipient, outcome, handed)
        })
        .collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let live = gate.live.load_full();
    let original = body(parcel.open().await, message).await;
    let reports =
        gate.reporter(&live.settings).write(message.into(), source(original.as_ref()), &told).await?;
    count(gate, reports.len());
    Ok(reports)
}

/// What is told of one recipient after an attempt, if anything is.
fn told_of<'a>(
    message: &NewMessage,
    recipient: &'a Recipient,
    outcome: &'a RecipientOutcome,
    handed: &'a Handed,
) -> Option<Told<'a>> {
    let told = |action, status, diagnostic| Told {
        address: &recipient.forward_path,
        original: original(recipient),
        expanded_from: recipient.expanded_from.as_ref(),
        action,
        status,
        taken_by: handed.remote.as_ref().map(|remote| &*remote.name),
        diagnostic,
        retry_until: None,
        given_up: None,
    };
    // RFC 2852 §4: who set a deadline hears where it is lost sight of, and of each step where they asked to.
    let is_traced = message.deliver_by.is_some_and(|asked| asked.is_traced);
    let is_lost_sight_of = message.deliver_by.is_some() && handed.left_out.deliver_by;
    let is_told_of_relaying = (is_traced || is_lost_sight_of) && recipient.notify != Notify::Never;
    match outcome {
        RecipientOutcome::Failed(words) if wants_failure(recipient.notify) => {
            Some(told(Action::Failed, judge::status_of(words, Verdict::Never), Some(words)))
        }
        RecipientOutcome::Delivered if handed.is_final && wants_success(recipient.notify) => {
            Some(told(Action::Delivered, EnhancedCode::new(2, 0, 0), None))
        }
        // RFC 3461 §5.2.2: the next server will not report.
        RecipientOutcome::Relayed if wants_success(recipient.notify) => {
            Some(told(Action::Relayed, EnhancedCode::new(2, 1, 9), None))
        }
        RecipientOutcome::Delivered | RecipientOutcome::Relayed if is_told_of_relaying => {
            Some(told(Action::Relayed, EnhancedCode::new(2, 1, 9), None))
        }
        _ => None,
    }
}

/// The reports about mail that is late or given up.
pub(crate) async fn of_overdue(gate: &Gate, overdue: &Overdue) -> Result<Vec<NewReport>, ReportError> {
    let message = overdue.message();
    let about: Vec<_> = overdue.recipients().collect();
    let retry_until = match overdue.kind() {
        OverdueKind::Delayed => gate.rooms.queue.show(overdue.id()).await.ok().map(|shown| shown.expires),
        OverdueKind::Expired => None,
    };
    let now = gate.rooms.clock.now();
    let is_too_late = |asked: DeliverBy| asked.mode == DeliverByMode::Return && asked.at <= now;
    let given_up = match overdue.kind() {
        OverdueKind::Delayed => None,
        OverdueKind::Expired if message.deliver_by.is_some_and(is_too_late) => {
            Some(Situation::DeadlinePassed)
        }
        OverdueKind::Expired => Some(Situation::Expired),
    };
    let told: Vec<Told<'_>> = about
        .iter()
        .filter_map(|about| {
            let (action, is_wanted, verdict) = match overdue.kind() {
                OverdueKind::Delayed => {
                    (Action::Delayed, wants_delay(about.recipient.notify), Verdict::Later)
                }
                OverdueKind::Expired => {
                    (Action::Failed, wants_failure(about.recipient.notify), Verdict::Never)
                }
            };
            let diagnostic = about.diagnostic;
            let expired = Situation::Expired.status().with_verdict(verdict);
            let status = match given_up {
                Some(Situation::DeadlinePassed) => Situation::DeadlinePassed.status(),
                _ => diagnostic.map_or(expired, |words| judge::status_of(words, verdict)),
            };
            is_wanted.then(|| Told {
                address: &about.recipient.forward_path,
                original: original(about.recipient),
                expanded_from: about.recipient.expanded_from.as_ref(),
                action,
                status,
                taken_by: None,
                diagnostic,
                retry_until,
                given_up,
            })
        })
        .collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let live = gate.live.load_full();
    let original = body(overdue.open().await, message).await;
    let reports =
        gate.reporter(&live.settings).write(message.into(), source(original.as_ref()), &told).await?;
    count(gate, reports.len());
    Ok(reports)
}

fn source(body: Option<&Body>) -> Source<'_> {
    body.map_or(Source::Header(&[]), Source::Whole)
}

/// The original, if it can be read: a report without it is better than none.
async fn body(
    opened: Result<mailstore::MessageReader, queue::QueueError>,
    message: &NewMessage,
) -> Option<Body> {
    let reader = match opened {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(error = describe(&error), "a message is reported on without being read");
            return None;
        }
    };
    let beginning = reader.read(0..1_024).await.ok()?;
    let begin = return_path_octets(&message.reverse_path, &beginning) as u64;
    Some(Body { reader, begin })
}

fn count(gate: &Gate, reports: usize) {
    match reports {
        0 => gate.counts.reports_lost.increment(),
        written => gate.counts.reports.add(written as u64),
    }
}
