//! From `[reports]` to who sends reports, and when.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dns::Resolver;
use mail_types::{Address, DomainName};
use mta::{MessageWay, OwnMailRooms};
use platform::metrics::Metrics;
use platform::tasks::Shutdown;
use tokio::sync::mpsc;

use super::dns_settings;
use super::sending;
use crate::house::House;
use crate::reports::{self, Choices, ReportMail, Sender};
use crate::settings::Settings;

/// How often it is looked whether reports are due. What was seen of TLS is written down as often.
const LOOK_EVERY: Duration = Duration::from_secs(900);

/// Who sends the reports of a house.
pub(super) fn sender(house: &House, resolver: Resolver) -> anyhow::Result<Sender> {
    let settings = &house.settings;
    let hostname = settings.hostname();
    let org_name = Some(settings.text("reports.org_name")).filter(|name| !name.is_empty());
    let without = settings.list("reports.without");
    Ok(Sender {
        book: house.reports.clone(),
        tally: house.tls_tally.clone(),
        mail: OwnMailRooms {
            store: house.store.clone(),
            queue: house.queue.clone(),
            directory: house.directory.clone(),
            clock: house.clock.clone(),
            routing: sending::routing(settings, &house.srs),
        },
        poster: sending::poster(settings)?,
        resolver,
        choices: Choices {
            dmarc: settings.switch("reports.dmarc"),
            tls: settings.switch("reports.tls"),
            org_name: org_name.unwrap_or_else(|| hostname.to_string()),
            from: Address::parse(&settings.text("reports.from")).ok(),
            hostname,
            without: without.iter().filter_map(|text| DomainName::parse(text).ok()).collect(),
        },
        next_transaction: house.transactions.giver(),
    })
}

/// Sends all reports at once, today's too.
pub(crate) async fn send_reports(house: &House) -> anyhow::Result<reports::Sent> {
    let resolver = Resolver::new(&dns_settings(&house.settings), house.clock.clone(), &Metrics::new())
        .context("asking DNS where reports go")?;
    let sender = sender(house, resolver)?;
    sender.send(sender.today() + 1).await
}

/// Sends the reports of each day once it is over.
pub(super) async fn keep_sending(sender: Sender, stop: Shutdown) {
    let delay = reports::delay_seconds();
    loop {
        // Neither arm loses anything when cancelled.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let due = reports::due(sender.mail.clock.now(), delay);
        match sender.send(due).await {
            Ok(sent) if sent.mails + sent.posts + sent.kept + sent.waiting > 0 => tracing::info!(
                mails = sent.mails,
                posts = sent.posts,
                kept = sent.kept,
                unwanted = sent.unwanted,
                waiting = sent.waiting,
                "reports to others"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "reports could not be sent"),
        }
    }
}

/// Picks mail that may hold a report out of all that comes, for whoever reads it.
pub(super) fn picker(
    settings: &Settings,
    waiting: mpsc::Sender<ReportMail>,
) -> Arc<dyn Fn(&MessageWay) + Send + Sync> {
    let addresses: Vec<Address> =
        settings.list("reports.addresses").iter().filter_map(|text| Address::parse(text).ok()).collect();
    Arc::new(move |way| {
        if let Some(mail) = reports::of_way(way, &addresses)
            && waiting.try_send(mail).is_err()
        {
            tracing::warn!(way = way.transaction.to_text(), "mail comes faster than reports in it are read");
        }
    })
}
