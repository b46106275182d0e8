//! The doors, and which connections each of them gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use imap::Separator;
use mail_types::TransactionId;
use mailstore::QuotaLimit;
use mta::SmtpDoor;
use platform::clock::Clock;
use platform::guard::Guard;
use platform::listener::{Accepted, ConnectionNumbers, Listener};
use platform::metrics::Metrics;
use platform::tasks::Tasks;
use smtp::framing::BareNewlines;
use tls::Acceptor;

use super::listeners::Purpose;
use super::sending;
use crate::house::House;
use crate::settings::Settings;
use crate::way;

/// How long an HTTP client may take to ask.
const HTTP_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an HTTP connection may last.
const HTTP_CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

const PLAINTEXT_ON_LOOPBACK: &str = "auth.plaintext_on_loopback";

/// Every door there is.
pub(super) struct Doors {
    smtp: SmtpDoor,
    imap: access::ImapDoor,
    /// Whether clients on this machine may log in without TLS.
    plaintext_on_loopback: Arc<AtomicBool>,
}

impl Doors {
    pub(super) fn new(
        settings: &Settings,
        house: &House,
        guard: &Guard,
        acceptor: Option<Acceptor>,
        (clock, transactions): (&Clock, &Transactions),
        metrics: &Metrics,
    ) -> Self {
        let book = house.way.clone();
        let smtp = mta::Rooms {
            store: house.store.clone(),
            queue: Some(house.queue.clone()),
            directory: house.directory.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            acceptor: acceptor.clone(),
            next_transaction: transactions.giver(),
            ways: Arc::new(move |message| book.record(way::message_step(&message))),
        };
        let imap = access::Rooms {
            store: house.store.clone(),
            directory: house.directory.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            acceptor,
            next_transaction: transactions.giver(),
        };
        Self {
            smtp: SmtpDoor::new(smtp, smtp_settings(settings), metrics),
            imap: access::ImapDoor::new(imap, imap_settings(settings), metrics),
            plaintext_on_loopback: Arc::new(settings.switch(PLAINTEXT_ON_LOOPBACK).into()),
        }
    }

    /// What accounts have sent since this was last asked.
    pub(super) fn sent_since(&self) -> Vec<mta::SentHour> {
        self.smtp.sent_since()
    }

    /// Keeps what accounts have sent, and takes up what they sent before the start.
    pub(super) async fn keep_sent(&self, house: &House, tasks: &Tasks) {
        match house.way.sent().await {
            Ok(kept) => self.smtp.restore_sent(&kept),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "limits of sending begin anew");
            }
        }
        let (door, book, stop) = (self.smtp.clone(), house.way.clone(), tasks.shutdown());
        tasks.spawn("sent", async move {
            loop {
                // Neither arm loses anything when cancelled: the rest is written when the last session has ended.
                tokio::select! {
                    () = stop.triggered() => return,
                    () = tokio::time::sleep(way::KEEP_EVERY) => book.keep_sent(door.sent_since()).await,
                }
            }
        });
    }

    /// Gives the doors new settings, for sessions that begin afterwards.
    pub(super) fn reconfigure(&self, settings: &Settings) {
        self.smtp.reconfigure(smtp_settings(settings));
        self.imap.reconfigure(imap_settings(settings));
        self.plaintext_on_loopback.store(settings.switch(PLAINTEXT_ON_LOOPBACK), Ordering::Relaxed);
    }

    /// Lets a listener's connections in.
    pub(super) fn open(
        &self,
        (purpose, listener): (Purpose, Listener),
        tasks: &Tasks,
        guard: &Guard,
        numbers: &ConnectionNumbers,
        metrics: &Metrics,
    ) {
        let (owner, guard, numbers, stop) = (tasks.clone(), guard.clone(), numbers.clone(), tasks.shutdown());
        let smtp = |kind: mta::Listener| {
            let door = self.smtp.clone();
            move |accepted| {
                let door = door.clone();
                async move { door.serve(accepted, kind).await }
            }
        };
        let imap = |security: access::Security| {
            let (door, plaintext) = (self.imap.clone(), Arc::clone(&self.plaintext_on_loopback));
            move |accepted: Accepted| {
                let door = door.clone();
                let is_here = accepted.peer.address().is_none_or(|address| address.is_loopback());
                let is_trusted =
                    security == access::Security::StartTls && is_here && plaintext.load(Ordering::Relaxed);
                let security = if is_trusted { access::Security::Trusted } else { security };
                async move { door.serve(accepted, security).await }
            }
        };
        match purpose {
            Purpose::Smtp => {
                tasks.spawn("smtp", listener.serve(owner, guard, numbers, stop, smtp(mta::Listener::Relay)))
            }
            Purpose::Submission => {
                tasks.spawn(
                    "submission",
                    listener.serve(owner, guard, numbers, stop, smtp(mta::Listener::Submission)),
                );
            }
            Purpose::Submissions => {
                let door = smtp(mta::Listener::ImplicitSubmission);
                tasks.spawn("submissions", listener.serve(owner, guard, numbers, stop, door));
            }
            Purpose::Lmtp => {
                tasks.spawn("lmtp", listener.serve(owner, guard, numbers, stop, smtp(mta::Listener::Lmtp)))
            }
            Purpose::Imap => {
                tasks.spawn(
                    "imap",
                    listener.serve(owner, guard, numbers, stop, imap(access::Security::StartTls)),
                );
            }
            Purpose::Imaps => {
                tasks.spawn(
                    "imaps",
                    listener.serve(owner, guard, numbers, stop, imap(access::Security::ImplicitTls)),
                );
            }
            Purpose::Metrics => {
                let settings = web::Settings {
                    header_timeout: HTTP_HEADER_TIMEOUT,
                    connection_timeout: HTTP_CONNECTION_TIMEOUT,
                };
                tasks.spawn(
                    "metrics",
                    web::serve(listener, settings, metrics.clone(), owner, guard, numbers, stop),
                );
            }
        }
    }
}

/// Names of messages' ways: no two alike, over restarts too, as long as the clock goes forward.
#[derive(Clone)]
pub(super) struct Transactions(Arc<AtomicU64>);

impl Transactions {
    /// Names of one millisecond: a server would have to take a million messages a second to run into the next start's.
    const BITS_WITHIN_MILLISECOND: u32 = 20;

    pub(super) fn new(clock: &Clock) -> Self {
        let now = u64::try_from(clock.now().unix_millis()).unwrap_or(0);
        Self(Arc::new(AtomicU64::new(now << Self::BITS_WITHIN_MILLISECOND)))
    }

    pub(super) fn giver(&self) -> Box<dyn Fn() -> TransactionId + Send + Sync> {
        let next = Arc::clone(&self.0);
        Box::new(move || TransactionId(next.fetch_add(1, Ordering::Relaxed)))
    }
}

fn quota_default(settings: &Settings) -> QuotaLimit {
    let octets = Some(settings.number("store.quota_default")).filter(|&octets| octets > 0);
    QuotaLimit { octets, messages: None }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn smtp_settings(settings: &Settings) -> mta::Settings {
    let bare_newlines = |key: &str| match settings.text(key).as_str() {
        "repair" => BareNewlines::Normalise,
        _ => BareNewlines::Refuse,
    };
    mta::Settings {
        message_octets_max: settings.number("smtp.message_octets_max"),
        recipients_max: small(settings.number("smtp.recipients_max")),
        submission_recipients_max: small(settings.number("submission.recipients_max")),
        messages_max: small(settings.number("smtp.messages_max")),
        errors_max: small(settings.number("smtp.errors_max")),
        refused_recipients_max: small(settings.number("smtp.refused_recipients_max")),
        login_failures_max: small(settings.number("smtp.login_failures_max")),
        targets_max: settings.count("smtp.targets_max"),
        write_timeout: settings.time("smtp.write_timeout"),
        idle_commands_max: small(settings.number("smtp.idle_commands_max")),
        received_max: small(settings.number("smtp.received_max")),
        bare_newlines: bare_newlines("smtp.bare_newlines"),
        submission_bare_newlines: bare_newlines("submission.bare_newlines"),
        command_timeout: settings.time("smtp.command_timeout"),
        data_timeout: settings.time("smtp.data_timeout"),
        session_timeout: settings.time("smtp.session_timeout"),
        plaintext_on_loopback: settings.switch(PLAINTEXT_ON_LOOPBACK),
        quota_default: quota_default(settings),
        routing: sending::routing(settings),
        future_release_max: settings.time("submission.future_release_max"),
        ..mta::Settings::new(settings.hostname())
    }
}

fn imap_settings(settings: &Settings) -> access::Settings {
    access::Settings {
        separator: if settings.text("imap.separator") == "." { Separator::Dot } else { Separator::Slash },
        message_octets_max: settings.number("imap.message_octets_max"),
        idle_timeout: settings.time("imap.idle_timeout"),
        login_timeout: settings.time("imap.login_timeout"),
        write_timeout: settings.time("imap.write_timeout"),
        search_time_max: settings.time("imap.search_timeout"),
        sessions_per_account_max: settings.count("imap.sessions_per_account_max"),
        errors_max: small(settings.number("imap.errors_max")),
        quota_default: quota_default(settings),
    }
}
