//! The doors, and which connections each of them gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use directory::Directory;
use dns::Resolver;
use imap::Separator;
use mail_types::DomainName;
use mailstore::{MailboxEvent, QuotaLimit};
use mta::{Checks, Enforcement, OnDnsFailure, SmtpDoor, WithoutAuthor};
use platform::guard::Guard;
use platform::listener::{Accepted, ConnectionNumbers, Listener};
use platform::metrics::Metrics;
use platform::tasks::Tasks;
use platform::workers::Workers;
use sieve::Extension;
use smtp::framing::BareNewlines;
use tls::Acceptor;
use tokio::sync::mpsc;

use super::listeners::Purpose;
use super::own_policy::own_policy;
use super::{Telling, reports, screen_settings, sending};
use crate::house::House;
use crate::keys::Srs;
use crate::quarantine;
use crate::reports::row_of;
use crate::scripts;
use crate::settings::Settings;
use crate::way;

/// How long an HTTP client may take to ask, and how long its connection may last.
const HTTP: web::Settings =
    web::Settings { header_timeout: Duration::from_secs(10), connection_timeout: Duration::from_secs(300) };

const PLAINTEXT_ON_LOOPBACK: &str = "auth.plaintext_on_loopback";

/// What all doors work with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) telling: &'a Telling,
    /// Where people's scripts are compiled.
    pub(super) judges: &'a Workers,
}

/// Every door there is.
pub(super) struct Doors {
    smtp: SmtpDoor,
    imap: access::ImapDoor,
    managesieve: access::ManageSieveDoor,
    /// What everybody may see; nothing without a certificate.
    public: Option<web::Public>,
    /// The text of our MTA-STS policy.
    own_policy: Arc<RwLock<String>>,
    /// Whether clients on this machine may log in without TLS.
    plaintext_on_loopback: Arc<AtomicBool>,
}

impl Doors {
    pub(super) fn new(
        settings: &Settings,
        house: &House,
        acceptor: Option<Acceptor>,
        Means { resolver, telling, judges }: Means<'_>,
        metrics: &Metrics,
    ) -> Self {
        let guard = &house.guard;
        let new_places = new_place_sink(house.breaker.clone());
        let (book, counted) = (house.way.clone(), house.reports.clone());
        let pick = reports::picker(settings, telling.report_mail.clone());
        let pick_kept_apart = quarantine::picker(house, telling.kept_apart.clone());
        let smtp = mta::Rooms {
            store: house.store.clone(),
            queue: Some(house.queue.clone()),
            directory: house.directory.clone(),
            guard: guard.clone(),
            clock: house.clock.clone(),
            acceptor: acceptor.clone(),
            next_transaction: house.transactions.giver(),
            ways: Arc::new(move |message| {
                pick(&message);
                pick_kept_apart(&message);
                book.record(way::message_step(&message));
            }),
            resolver: Some(resolver.clone()),
            checked: Arc::new(move |message| {
                if let Some(row) = row_of(message) {
                    counted.count(row);
                }
            }),
            filters: house.filters.clone(),
            content: house.content.clone(),
            screen: Some(house.screen.clone()),
            breaker: house.breaker.clone(),
        };
        let own_policy = Arc::new(RwLock::new(own_policy(settings).write()));
        let public = acceptor.clone().map(|acceptor| web::Public {
            acceptor,
            policy: policy_text(house.directory.clone(), Arc::clone(&own_policy)),
        });
        let managesieve = access::ScriptRooms {
            store: house.store.clone(),
            directory: house.directory.clone(),
            guard: guard.clone(),
            new_places: Arc::clone(&new_places),
            acceptor: acceptor.clone(),
            judges: judges.clone(),
        };
        let imap = access::Rooms {
            store: house.store.clone(),
            directory: house.directory.clone(),
            guard: guard.clone(),
            new_places,
            clock: house.clock.clone(),
            acceptor,
            next_transaction: house.transactions.giver(),
            events: event_sink(house, telling),
        };
        Self {
            smtp: SmtpDoor::new(smtp, smtp_settings(settings, &house.srs), metrics),
            imap: access::ImapDoor::new(imap, imap_settings(settings), metrics),
            managesieve: access::ManageSieveDoor::new(managesieve, script_settings(settings), metrics),
            public,
            own_policy,
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

    /// Runs the scripts that wait for what clients of IMAP do, until no more is done.
    pub(super) fn run_events(&self, mut waiting: mpsc::Receiver<MailboxEvent>, tasks: &Tasks) {
        let (door, stop) = (self.smtp.clone(), tasks.shutdown());
        tasks.spawn("scripts of imap", async move {
            loop {
                // Neither arm loses anything when cancelled: what waits is looked at below.
                tokio::select! {
                    () = stop.triggered() => break,
                    event = waiting.recv() => match event {
                        Some(event) => door.run_event(event).await,
                        None => return,
                    },
                }
            }
            while let Ok(event) = waiting.try_recv() {
                door.run_event(event).await;
            }
        });
    }

    /// Does what has to be done about stolen accounts.
    pub(super) fn tend_breaker(&self, tasks: &Tasks) {
        let (door, stop) = (self.smtp.clone(), tasks.shutdown());
        tasks.spawn("breaker", async move { door.tend_breaker(stop).await });
    }

    /// Learns from what clients of IMAP do, until no more is done.
    pub(super) fn learn(&self, house: &House, mut waiting: mpsc::Receiver<MailboxEvent>, tasks: &Tasks) {
        let (content, clock, stop) = (house.content.clone(), house.clock.clone(), tasks.shutdown());
        tasks.spawn("lessons", async move {
            loop {
                // Neither arm loses anything when cancelled: what waits is looked at below.
                tokio::select! {
                    () = stop.triggered() => break,
                    event = waiting.recv() => match event {
                        Some(event) => content.learn_from(event, clock.now()).await,
                        None => return,
                    },
                }
            }
            while let Ok(event) = waiting.try_recv() {
                content.learn_from(event, clock.now()).await;
            }
        });
    }

    /// Gives the doors new settings, for sessions that begin afterwards.
    pub(super) fn reconfigure(&self, settings: &Settings, srs: &Srs) {
        self.smtp.reconfigure(smtp_settings(settings, srs));
        self.imap.reconfigure(imap_settings(settings));
        self.managesieve.reconfigure(script_settings(settings));
        *self.own_policy.write().unwrap_or_else(PoisonError::into_inner) = own_policy(settings).write();
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
                let (door, security) = (door.clone(), trusted(security, &accepted, &plaintext));
                async move { door.serve(accepted, security).await }
            }
        };
        match purpose {
            Purpose::Smtp => {
                tasks.spawn("smtp", listener.serve(owner, guard, numbers, stop, smtp(mta::Listener::Relay)))
            }
            Purpose::Submission => {
                let door = smtp(mta::Listener::Submission);
                tasks.spawn("submission", listener.serve(owner, guard, numbers, stop, door));
            }
            Purpose::Submissions => {
                let door = smtp(mta::Listener::ImplicitSubmission);
                tasks.spawn("submissions", listener.serve(owner, guard, numbers, stop, door));
            }
            Purpose::Lmtp => {
                tasks.spawn("lmtp", listener.serve(owner, guard, numbers, stop, smtp(mta::Listener::Lmtp)))
            }
            Purpose::Imap => {
                let door = imap(access::Security::StartTls);
                tasks.spawn("imap", listener.serve(owner, guard, numbers, stop, door));
            }
            Purpose::Imaps => {
                let door = imap(access::Security::ImplicitTls);
                tasks.spawn("imaps", listener.serve(owner, guard, numbers, stop, door));
            }
            Purpose::ManageSieve => {
                let (door, plaintext) = (self.managesieve.clone(), Arc::clone(&self.plaintext_on_loopback));
                let serve = move |accepted: Accepted| {
                    let security = trusted(access::Security::StartTls, &accepted, &plaintext);
                    let door = door.clone();
                    async move { door.serve(accepted, security).await }
                };
                tasks.spawn("managesieve", listener.serve(owner, guard, numbers, stop, serve));
            }
            Purpose::Https => {
                let Some(public) = self.public.clone() else {
                    tracing::warn!("without a certificate nothing is shown by HTTPS");
                    return;
                };
                let site = web::Site::Public(public);
                tasks.spawn("https", web::serve(listener, HTTP, site, owner, guard, numbers, stop));
            }
            Purpose::Metrics => {
                let site = web::Site::Monitor(metrics.clone());
                tasks.spawn("metrics", web::serve(listener, HTTP, site, owner, guard, numbers, stop));
            }
        }
    }
}

/// A client on this machine may need no TLS.
fn trusted(
    security: access::Security,
    accepted: &Accepted,
    plaintext_on_loopback: &AtomicBool,
) -> access::Security {
    let is_here = accepted.peer.address().is_none_or(|address| address.is_loopback());
    let is_trusted = security == access::Security::StartTls && is_here;
    if is_trusted && plaintext_on_loopback.load(Ordering::Relaxed) {
        access::Security::Trusted
    } else {
        security
    }
}

/// Hands what clients of IMAP do to those who run scripts on it and who learn from it: doors know nothing of each other.
fn event_sink(house: &House, telling: &Telling) -> access::EventSink {
    let (filters, content) = (house.filters.clone(), house.content.clone());
    let (events, lessons) = (telling.events.clone(), telling.lessons.clone());
    Box::new(move |event| {
        let is_script = filters.hears_of(&event.account, event.mailbox);
        if content.hears_of(&event.cause) && lessons.try_send(event.clone()).is_err() {
            tracing::warn!("too much is done at once: the content filter does not learn from it");
        }
        if is_script && events.try_send(event).is_err() {
            tracing::warn!("too much is done at once: scripts of an event are not run");
        }
    })
}

/// A log-in from a new place is a sign that the breaker adds to others, whichever door it came by.
fn new_place_sink(breaker: mta::Breaker) -> access::NewPlaceSink {
    Arc::new(move |account, address| breaker.note(account, mta::Signal::NewPlace(address)))
}

/// Our policy, for each domain whose mail we take.
fn policy_text(directory: Directory, own_policy: Arc<RwLock<String>>) -> web::PolicyText {
    Arc::new(move |domain| {
        let domain = DomainName::parse(domain).ok()?;
        let text = || own_policy.read().unwrap_or_else(PoisonError::into_inner).clone();
        directory.is_local_domain(&domain).then(text)
    })
}

fn quota_default(settings: &Settings) -> QuotaLimit {
    let octets = Some(settings.number("store.quota_default")).filter(|&octets| octets > 0);
    QuotaLimit { octets, messages: None }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn smtp_settings(settings: &Settings, srs: &Srs) -> mta::Settings {
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
        routing: sending::routing(settings, srs),
        checks: checks(settings),
        screen: screen_settings(settings),
        future_release_max: settings.time("submission.future_release_max"),
        engines: super::engines::engines(settings),
        ..mta::Settings::new(settings.hostname())
    }
}

/// What follows from who really sent a message: `[senders]`.
fn checks(settings: &Settings) -> Checks {
    let domains =
        |key: &str| settings.list(key).iter().filter_map(|text| DomainName::parse(text).ok()).collect();
    Checks {
        is_on: settings.switch("senders.check"),
        unchecked_networks: settings.networks("senders.unchecked_networks"),
        dmarc: match settings.text("senders.dmarc").as_str() {
            "junk" => Enforcement::Junk,
            "off" => Enforcement::Off,
            _ => Enforcement::AsPublished,
        },
        without_author: match settings.text("senders.without_author").as_str() {
            "junk" => WithoutAuthor::Junk,
            "accept" => WithoutAuthor::Accept,
            _ => WithoutAuthor::Refuse,
        },
        on_dns_failure: match settings.text("senders.on_dns_failure").as_str() {
            "accept" => OnDnsFailure::Accept,
            _ => OnDnsFailure::Defer,
        },
        trusted_sealers: domains("senders.trusted_sealers"),
        trusted_forwarders: domains("senders.trusted_forwarders"),
        time_max: settings.time("senders.time_max"),
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
        script_url: script_url(settings),
    }
}

/// Where people keep the scripts that may run on what they do by IMAP (RFC 6785 §3.7, RFC 5804 §3).
fn script_url(settings: &Settings) -> Option<String> {
    /// The port that needs no naming (RFC 5804 §1.8).
    const PORT: u64 = 4_190;
    let runs = scripts::dialect(settings).allows(Extension::ImapSieve);
    if !runs || !settings.switch("listen.managesieve.enabled") {
        return None;
    }
    let host = settings.hostname();
    Some(match settings.number("listen.managesieve.port") {
        PORT => format!("sieve://{host}"),
        port => format!("sieve://{host}:{port}"),
    })
}

fn script_settings(settings: &Settings) -> access::ScriptSettings {
    access::ScriptSettings {
        limits: scripts::limits(settings),
        dialect: scripts::dialect(settings).into(),
        ..access::ScriptSettings::default()
    }
}
