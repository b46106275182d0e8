//! Who gets what: the one place that knows every room. Opens the house, opens the doors, keeps them open, closes them.

mod doors;
mod engines;
mod firewall;
mod listeners;
mod names;
mod own_policy;
mod reports;
mod screen;
mod sending;
mod site;

use std::time::Duration;

use anyhow::Context;
use dns::{LocalService, Resolver};
use mailstore::MailboxEvent;
use mta::Outbound;
use platform::clock::Clock;
use platform::firewall::Firewall;
use platform::listener::ConnectionNumbers;
use platform::metrics::Metrics;
use platform::tasks::{Shutdown, Tasks};
use platform::telemetry::{LogFormat, Logging};
use platform::workers::{Workers, WorkersSettings};
use tls::{Acceptor, AcceptorSettings, CertificateFiles, Certificates};
use tokio::sync::{mpsc, watch};

use self::doors::{Doors, Means};
use self::firewall::Mirror;
pub(crate) use self::names::dns_settings;
pub(crate) use self::own_policy::{own_policy, policy_id};
pub(crate) use self::reports::send_reports;
pub(crate) use self::screen::screen_settings;
pub(crate) use self::sending::{breaker_settings, queue_settings};
pub(crate) use self::site::{probes, site, world};
use crate::admin::AdminSocket;
use crate::bans::guard_settings;
use crate::content::content_settings;
use crate::filters::{self, filter_settings};
use crate::house::{House, directory_settings};
use crate::keys::Keeper;
use crate::quarantine;
use crate::reports::{Reader, ReportMail, Sender, WAITING_MAX};
use crate::settings::Settings;

/// Open files wanted: a connection each, packs and indexes.
const OPEN_FILES: u64 = 65_536;
/// How often certificate files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(60);
/// What clients of IMAP did that may wait for its scripts; beyond, scripts are not run.
const EVENTS_MAX: usize = 1_024;
/// The same for what the content filter may learn from.
const LESSONS_MAX: usize = 4_096;
/// How often dead weight is looked for.
const PURGE_EVERY: Duration = Duration::from_secs(24 * 3_600);

static LOGGING: std::sync::OnceLock<Logging> = std::sync::OnceLock::new();

/// Begins to log to standard error as the settings say.
pub(crate) fn start_logging(settings: &Settings) -> anyhow::Result<()> {
    let format = if settings.text("log.format") == "json" { LogFormat::Json } else { LogFormat::Text };
    let logging = platform::telemetry::start_logging(format, &settings.text("log.level"))?;
    // Set once: logging itself refuses to be started twice.
    drop(LOGGING.set(logging));
    Ok(())
}

/// A server at work.
pub(crate) struct Running {
    settings: Settings,
    house: House,
    certificates: Certificates,
    doors: Doors,
    outbound: Outbound,
    resolver: dns::Resolver,
    tasks: Tasks,
    workers: Workers,
}

/// What the doors tell, to whoever acts on it.
struct Telling {
    /// Mail in which a report may be.
    report_mail: mpsc::Sender<ReportMail>,
    /// What clients of IMAP have done to messages.
    events: mpsc::Sender<MailboxEvent>,
    /// Those of which the content filter may learn.
    lessons: mpsc::Sender<MailboxEvent>,
    /// What people want to have of what is kept apart.
    kept_apart: mpsc::Sender<quarantine::Change>,
}

/// Where that waits.
struct Waiting {
    report_mail: mpsc::Receiver<ReportMail>,
    events: mpsc::Receiver<MailboxEvent>,
    lessons: mpsc::Receiver<MailboxEvent>,
    kept_apart: mpsc::Receiver<quarantine::Change>,
}

impl Telling {
    fn new() -> (Self, Waiting) {
        let (report_mail, waiting_report_mail) = mpsc::channel(WAITING_MAX);
        let (events, waiting_events) = mpsc::channel(EVENTS_MAX);
        let (lessons, waiting_lessons) = mpsc::channel(LESSONS_MAX);
        let (kept_apart, waiting_kept_apart) = mpsc::channel(quarantine::CHANGES_MAX);
        let waiting = Waiting {
            report_mail: waiting_report_mail,
            events: waiting_events,
            lessons: waiting_lessons,
            kept_apart: waiting_kept_apart,
        };
        (Self { report_mail, events, lessons, kept_apart }, waiting)
    }
}

impl Running {
    /// Binds, opens the house and lets people in. Everything that can be wrong is found before anybody is let in.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Self> {
        let files = platform::privileges::raise_open_files(OPEN_FILES);
        let (clock, metrics) = (Clock::system(), Metrics::new());
        platform::telemetry::register_process(&metrics, &clock);
        let certificates = Certificates::open(&certificate_files(&settings), clock.clone(), &metrics)?;
        let listeners::Bound { listeners, missed } = listeners::bind(&settings)?;
        let names = names::local_service(&settings)?;
        let firewall = firewall::start(&settings);
        let user = settings.text("user");
        if !user.is_empty() {
            platform::privileges::become_user(&user)?;
        }
        let mut house = open_house(&settings, &clock, &metrics).await?;
        house.missed = missed;
        let tasks = Tasks::new(&metrics);
        let workers = Workers::start("care", WorkersSettings { threads: 1, queue_max: 16 }, &metrics)?;
        let handshake_timeout = settings.time("tls.handshake_timeout");
        let acceptor = (!certificate_files(&settings).is_empty())
            .then(|| Acceptor::new(&certificates, AcceptorSettings { handshake_timeout }));
        let resolver = Resolver::new(&dns_settings(&settings), clock.clone(), &metrics)?;
        let (telling, waiting) = Telling::new();
        let judges = Workers::start("scripts", WorkersSettings { threads: 1, queue_max: 64 }, &metrics)?;
        let means = Means { resolver: &resolver, telling: &telling, judges: &judges };
        let doors = Doors::new(&settings, &house, acceptor, means, &metrics);
        let outbound = outbound(&settings, &house, &resolver, &metrics).await?;
        let sender = reports::sender(&house, resolver.clone())?;
        let running = Self { settings, house, certificates, doors, outbound, resolver, tasks, workers };
        running.begin(waiting, sender, firewall, names).await?;
        let numbers = ConnectionNumbers::new();
        for listener in listeners {
            running.doors.open(listener, &running.tasks, &running.house.guard, &numbers, &metrics);
        }
        tracing::info!(version = env!("CARGO_PKG_VERSION"), hostname = %running.settings.hostname(), open_files = files, "mailstead is up");
        Ok(running)
    }

    /// Starts all that runs beside the doors.
    async fn begin(
        &self,
        waiting: Waiting,
        sender: Sender,
        firewall: Option<Firewall>,
        names: LocalService,
    ) -> anyhow::Result<()> {
        let (house, tasks) = (&self.house, &self.tasks);
        let admin = AdminSocket::bind(&self.settings)?;
        tasks.spawn("admin socket", admin.serve(house.clone(), tasks.clone(), tasks.shutdown()));
        self.doors.keep_sent(house, tasks).await;
        filters::seed(&self.settings, &house.store, &house.directory).await;
        self.doors.run_events(waiting.events, tasks);
        self.doors.tend_breaker(tasks);
        self.doors.learn(house, waiting.lessons, tasks);
        let carried_out = quarantine::carry_out(house.clone(), waiting.kept_apart, tasks.shutdown());
        tasks.spawn("mail kept apart", carried_out);
        self.care();
        self.watch_bans(firewall);
        self.report(sender, waiting.report_mail);
        self.outbound.start(tasks);
        tasks.spawn("dns for programs", names.serve(self.resolver.clone(), tasks.shutdown()));
        Ok(())
    }

    /// What the server works on.
    pub(crate) fn house(&self) -> &House {
        &self.house
    }

    /// Things that happen by themselves.
    fn care(&self) {
        let fresh = self.certificates.clone().keep_fresh(
            self.workers.clone(),
            CERTIFICATES_EVERY,
            self.tasks.shutdown(),
        );
        self.tasks.spawn("certificates", fresh);
        let keeper = Keeper {
            directory: self.house.directory.clone(),
            resolver: self.resolver.clone(),
            clock: self.house.clock.clone(),
            grace: self.settings.time("dkim.grace"),
            rotate_every: self.settings.time("dkim.rotate_every"),
            srs: self.house.srs.clone(),
        };
        self.tasks.spawn("keys", keep(keeper, self.tasks.shutdown()));
        self.tasks.spawn("dns", self.resolver.clone().tend(self.tasks.shutdown()));
        let content = self.house.content.clone();
        self.tasks.spawn("models", content.keep(self.house.clock.clone(), self.tasks.shutdown()));
        self.tasks.spawn("quarantine", quarantine::tend(self.house.clone(), self.tasks.shutdown()));
        self.tasks.spawn("lists", self.house.screen.lists().clone().tend(self.tasks.shutdown()));
        self.tasks.spawn("purge", purge(self.house.clone(), self.tasks.shutdown()));
    }

    /// Keeps bans over a restart, and in the kernel where it takes them.
    fn watch_bans(&self, firewall: Option<Firewall>) {
        let (changes, changed) = watch::channel(0);
        if let Some(firewall) = firewall {
            let (mirror, clock) = (Mirror::new(firewall, &self.house.guard), self.house.clock.clone());
            self.tasks.spawn("firewall", mirror.follow(changed, move || clock.now()));
        }
        self.tasks.spawn("bans", keep_bans(self.house.clone(), changes, self.tasks.shutdown()));
    }

    /// Sends reports and reads those that come.
    fn report(&self, sender: Sender, waiting: mpsc::Receiver<ReportMail>) {
        self.tasks.spawn("reports sent", reports::keep_sending(sender, self.tasks.shutdown()));
        let house = &self.house;
        let reader = Reader {
            store: house.store.clone(),
            directory: house.directory.clone(),
            book: house.reports.clone(),
            clock: house.clock.clone(),
            way: house.way.clone(),
            breaker: house.breaker.clone(),
            hostname: house.settings.hostname().clone(),
            feedback_loops: sending::feedback_loops(&house.settings),
        };
        self.tasks.spawn("reports read", reader.read_all(waiting, self.tasks.shutdown()));
    }

    /// Takes up what can change while sessions go on, and says what cannot.
    pub(crate) async fn reload(&mut self, settings: Settings) {
        for key in settings.needs_restart(&self.settings) {
            tracing::warn!(setting = key, "changed, but taken up only by a restart");
        }
        if let Some(Err(error)) = LOGGING.get().map(|logging| logging.set_level(&settings.text("log.level")))
        {
            tracing::warn!(%error, "the log level stays as it was");
        }
        self.house.guard.reconfigure(guard_settings(&settings));
        self.house.breaker.reconfigure(breaker_settings(&settings));
        self.doors.reconfigure(&settings, &self.house.srs);
        let outbound = sending::outbound_settings(&settings, &self.house.srs)
            .and_then(|outbound| Ok(self.outbound.reconfigure(outbound)?));
        if let Err(error) = outbound {
            tracing::error!(error = format!("{error:#}"), "mail goes out by the former settings");
        }
        self.house.directory.set_settings(directory_settings(&settings));
        self.reload_filters(settings.clone()).await;
        self.reload_content(settings.clone()).await;
        let (certificates, files) = (self.certificates.clone(), certificate_files(&settings));
        match self.workers.run(move || certificates.replace(&files)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the former certificates stay in use"),
            Err(error) => tracing::error!(%error, "certificates could not be read again"),
        }
        self.settings = settings;
        tracing::info!("configuration reloaded");
    }

    /// Takes up what the content filter does; files that cannot be used leave all as it was.
    async fn reload_content(&self, settings: Settings) {
        match tokio::task::spawn_blocking(move || content_settings(&settings)).await {
            Ok(Ok(read)) => self.house.content.reconfigure(read),
            Ok(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "the content filter stays as it was");
            }
            Err(error) => tracing::error!(%error, "the content filter stays as it was"),
        }
    }

    /// Takes up the operator's scripts; those that cannot be used leave all as it was.
    async fn reload_filters(&self, settings: Settings) {
        let read = {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || filter_settings(&settings)).await
        };
        match read {
            Ok(Ok(read)) => self.house.filters.reconfigure(read),
            Ok(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "the former filters stay in use")
            }
            Err(error) => tracing::error!(%error, "filters could not be read again"),
        }
        filters::seed(&settings, &self.house.store, &self.house.directory).await;
    }

    /// Lets nobody in any more, gives sessions time to end, makes everything durable.
    pub(crate) async fn stop(self, drain: Duration) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.house.queue.stop();
        let drained = self.tasks.drain(drain).await;
        if drained.aborted > 0 {
            tracing::warn!(tasks = drained.aborted, "did not end in time and were stopped");
        }
        self.house.way.keep_sent(self.doors.sent_since()).await;
        self.house.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Opens the house on a thread that may wait for the disk.
async fn open_house(settings: &Settings, clock: &Clock, metrics: &Metrics) -> anyhow::Result<House> {
    let (settings, clock, metrics) = (settings.clone(), clock.clone(), metrics.clone());
    tokio::task::spawn_blocking(move || House::open(&settings, &clock, &metrics))
        .await
        .context("opening the store")?
}

/// What carries mail out, with what other domains have asked for so far.
async fn outbound(
    settings: &Settings,
    house: &House,
    resolver: &Resolver,
    metrics: &Metrics,
) -> anyhow::Result<Outbound> {
    let rooms = sending::rooms(settings, house, resolver, metrics)?;
    let sts = sending::sts_rooms(settings);
    let outbound = sending::outbound_settings(settings, &house.srs)?;
    let metrics = metrics.clone();
    tokio::task::spawn_blocking(move || Outbound::new(rooms, Some(sts), outbound, &metrics))
        .await
        .context("reading what other domains ask for")?
        .map_err(Into::into)
}

fn certificate_files(settings: &Settings) -> Vec<CertificateFiles> {
    settings.certificates().into_iter().map(|(chain, key)| CertificateFiles { chain, key }).collect()
}

/// How often places are written down from where people have logged in: what a sudden end forgets.
const PLACES_EVERY: Duration = Duration::from_secs(60);
/// How often keys are looked after: a record that was published a moment ago is soon taken up.
const KEYS_EVERY: Duration = Duration::from_secs(300);

/// Looks after the keys of our domains.
async fn keep(keeper: Keeper, stop: Shutdown) {
    loop {
        keeper.look().await;
        // Neither arm loses anything when cancelled.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(KEYS_EVERY) => {}
        }
    }
}

/// Writes bans down as they come, and places that were seen every now and then.
async fn keep_bans(house: House, changes: watch::Sender<u64>, stop: Shutdown) {
    loop {
        // No arm loses anything when cancelled: the rest is written when the house is closed.
        tokio::select! {
            () = stop.triggered() => return,
            () = house.guard.changed() => changes.send_modify(|count| *count += 1),
            () = tokio::time::sleep(PLACES_EVERY) => {}
        }
        if let Err(error) = house.bans.keep().await {
            tracing::error!(error = format!("{error:#}"), "bans are not kept over a restart");
        }
    }
}

/// Removes dead weight once a day.
async fn purge(house: House, stop: Shutdown) {
    loop {
        // Neither arm loses anything when cancelled.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(PURGE_EVERY) => {}
        }
        match house.store.purge().await {
            Ok(outcome) => tracing::info!(
                messages = outcome.messages,
                packs = outcome.packs,
                octets = outcome.octets,
                "purged"
            ),
            Err(error) => tracing::warn!(%error, "dead weight could not be purged; tried again tomorrow"),
        }
    }
}
