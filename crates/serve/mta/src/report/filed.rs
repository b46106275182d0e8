//! Tells senders who want to hear of it that their mail lies in mailboxes here, or went on to everybody behind an alias
//! (RFC 3461 §5.2.3, §5.2.7.3).

use mail_types::{Address, AddressDomain, EnhancedCode, ForwardPath, NotifyEvent};
use message::Action;
use queue::{BodyNeeds, MessageKind, NewReport, ReportTo};
use smtp::server::Envelope;

use super::author::ReportAuthor;
use super::dsn::{About, ReportError, Reporter, Source, Told};
use crate::Rooms;
use crate::deliver::local::{Delivery, describe};
use crate::deliver::queued::Brought;
use crate::deliver::route::Route;
use crate::settings::Settings;
use crate::way::Outcome;

/// Whether any recipient's delivery is to be told of.
pub(crate) fn is_wanted(envelope: &Envelope<Route>) -> bool {
    envelope.recipients.iter().any(|recipient| {
        let wants = recipient.parameters.notify.is_some_and(|notify| notify.wants(NotifyEvent::Success));
        wants && (recipient.route.is_expanded() || !recipient.route.local().is_empty())
    })
}

/// Writes the reports of what was filed; `header` has the fields of the message that are remembered. A report that cannot
/// be written is lost: the message itself has arrived.
pub(crate) async fn tell(
    rooms: &Rooms,
    settings: &Settings,
    envelope: &Envelope<Route>,
    deliveries: &[Delivery],
    header: &[u8],
    brought: Brought,
) {
    let told: Vec<Told<'_>> = envelope
        .recipients
        .iter()
        .zip(deliveries)
        .filter_map(|(recipient, delivery)| {
            let is_expanded = recipient.route.is_expanded();
            let is_done = match &delivery.outcome {
                Outcome::Filed(_) => true,
                Outcome::Queued { filed, .. } => is_expanded || !filed.is_empty(),
                Outcome::Discarded | Outcome::Refused(_) | Outcome::Abandoned => false,
            };
            let wants = recipient.parameters.notify.is_some_and(|notify| notify.wants(NotifyEvent::Success));
            let ForwardPath::Address(address) = &recipient.forward_path else { return None };
            (is_done && wants).then(|| Told {
                address,
                original: recipient.parameters.original.clone(),
                expanded_from: None,
                action: if is_expanded { Action::Expanded } else { Action::Delivered },
                status: EnhancedCode::new(2, 0, 0),
                taken_by: None,
                diagnostic: None,
                retry_until: None,
                given_up: None,
            })
        })
        .collect();
    let about = About::of(envelope, brought);
    if let Err(error) = write(rooms, settings, about, header, &told).await {
        tracing::warn!(way = brought.way.to_text(), error, "a report of success could not be written");
    }
}

impl<'a> About<'a> {
    /// A message that has just come.
    pub(crate) fn of<T>(envelope: &'a Envelope<T>, brought: Brought) -> Self {
        let asked = &envelope.parameters;
        Self {
            reverse_path: &envelope.reverse_path,
            submitter: brought.submitter,
            kind: MessageKind::Mail,
            arrived: brought.now,
            envelope_id: asked.envelope_id.as_ref().map(|id| id.as_str()),
            return_content: None,
            require_tls: asked.require_tls,
            needs: BodyNeeds::default(),
        }
    }
}

async fn write(
    rooms: &Rooms,
    settings: &Settings,
    about: About<'_>,
    header: &[u8],
    told: &[Told<'_>],
) -> Result<(), String> {
    let hostname = AddressDomain::Name(settings.hostname.clone());
    let from = Address::new("postmaster", hostname).map_err(|error| error.to_string())?;
    let from = ReportAuthor::Postmaster(from);
    let reporter = Reporter {
        store: &rooms.store,
        directory: &rooms.directory,
        clock: &rooms.clock,
        next_transaction: &*rooms.next_transaction,
        hostname: &settings.hostname,
        from: &from,
        routing: &settings.routing,
        returned_octets_max: 0,
    };
    let reports = reporter.write(about, Source::Header(header), told).await;
    for report in reports.map_err(|error: ReportError| describe(&error))? {
        send(rooms, report).await?;
    }
    Ok(())
}

async fn send(rooms: &Rooms, NewReport { message, to }: NewReport) -> Result<(), String> {
    match (to, &rooms.queue) {
        (ReportTo::Account(filing), _) => {
            let filed = rooms.store.deliver(message, vec![filing]).await;
            let filed = filed.map_err(|error| describe(&error))?;
            filed.into_iter().try_for_each(|one| one.map(drop).map_err(|error| describe(&error)))
        }
        (ReportTo::Queue(new), Some(queue)) => {
            queue.accept(message, *new, Vec::new()).await.map(drop).map_err(|error| describe(&error))
        }
        // Without a queue nobody was promised a report.
        (ReportTo::Queue(_), None) => Ok(()),
    }
}
