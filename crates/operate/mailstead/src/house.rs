//! The state of the house, opened: who is who, what is kept, and the record of messages' ways. One process at a time.

use std::sync::Arc;

use anyhow::Context;
use directory::Directory;
use mail_types::{Address, DomainName};
use mailstore::Store;
use mta::screen::Screen;
use mta::{Breaker, Content, Filters, Quarantine, TlsTally};
use platform::clock::Clock;
use platform::guard::Guard;
use platform::metrics::Metrics;
use queue::Queue;
use storage::DataLock;

use crate::admin::MissedListener;
use crate::bans::{GuardBook, guard_settings};
use crate::content::content_settings;
use crate::filters::filter_settings;
use crate::keys::Srs;
use crate::reports::{self, ReportBook};
use crate::settings::Settings;
use crate::way::{Transactions, WayBook};
use crate::wire::{breaker_settings, queue_settings, screen_settings};

/// What a server, or a command without one, works on.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) directory: Directory,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
    pub(crate) way: WayBook,
    /// What is counted for reports to others, and what theirs say.
    pub(crate) reports: ReportBook,
    /// What became of the protection of mail going out, until it is written into that book.
    pub(crate) tls_tally: TlsTally,
    pub(crate) settings: Settings,
    /// The keys of SRS.
    pub(crate) srs: Srs,
    /// What this server goes without.
    pub(crate) missed: Vec<MissedListener>,
    /// People's scripts.
    pub(crate) filters: Filters,
    /// What judges the content of mail.
    pub(crate) content: Content,
    /// What judges strangers, and remembers them.
    pub(crate) screen: Screen,
    /// Who may connect, and who is banned.
    pub(crate) guard: Guard,
    /// Where that is remembered.
    pub(crate) bans: GuardBook,
    /// Who may send, and who is stopped.
    pub(crate) breaker: Breaker,
    /// Gives messages' ways their names.
    pub(crate) transactions: Transactions,
    /// Held as long as anybody works on the data directory.
    _lock: Arc<DataLock>,
}

impl House {
    /// Opens the data directory, making what is missing, and brings the store up to its log's end.
    pub(crate) fn open(settings: &Settings, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Self> {
        let data = settings.path("data");
        // Mail, passwords' hashes and indexes full of subjects: SQLite would let every user of the machine read them.
        platform::privileges::keep_new_files_private();
        let lock = DataLock::acquire(&data)?;
        platform::privileges::keep_directory_private(&data)
            .with_context(|| format!("keeping {} from other users", data.display()))?;
        let place = |what: &str| format!("opening {what} in {}", data.display());
        let directory =
            Directory::open(&data.join("directory.db"), directory_settings(settings), clock.clone(), metrics)
                .with_context(|| place("directory.db"))?;
        let srs = Srs::open(&directory, settings)?;
        let queue = Queue::open(&data, queue_settings(settings), clock.clone(), metrics)
            .with_context(|| place("queue.db"))?;
        let store =
            Store::open_with(&data, store_settings(settings), clock.clone(), metrics, vec![queue.tenant()])
                .with_context(|| place("the store"))?;
        let queue = queue.attach(&store).with_context(|| place("the queue"))?;
        let way = WayBook::open(&data.join("state.db"), clock.clone()).with_context(|| place("state.db"))?;
        let reports = ReportBook::open(&data.join("reports.db")).with_context(|| place("reports.db"))?;
        let filters = Filters::open(&data.join("filters.db"), filter_settings(settings)?, metrics)
            .with_context(|| place("filters.db"))?;
        let screen = Screen::open(&data.join("senders.db"), clock.clone(), metrics)
            .with_context(|| place("senders.db"))?;
        screen.reconfigure(&screen_settings(settings));
        let guard = Guard::new(guard_settings(settings), clock.clone(), metrics);
        let bans =
            GuardBook::open(&data.join("guard.db"), &guard, clock).with_context(|| place("guard.db"))?;
        let breaker = Breaker::open(
            &data.join("breaker.db"),
            breaker_settings(settings),
            directory.clone(),
            clock.clone(),
            metrics,
        )
        .with_context(|| place("breaker.db"))?;
        let content = Content::open(
            &data.join("spam"),
            content_settings(settings)?,
            Some(screen.senders().clone()),
            clock,
            metrics,
        )
        .with_context(|| place("spam"))?;
        Ok(Self {
            directory,
            store,
            queue,
            clock: clock.clone(),
            way,
            reports,
            tls_tally: TlsTally::default(),
            settings: settings.clone(),
            srs,
            missed: Vec::new(),
            filters,
            content,
            screen,
            guard,
            bans,
            breaker,
            transactions: Transactions::new(clock),
            _lock: lock.into(),
        })
    }

    /// The mail that is kept apart.
    pub(crate) fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.store.clone(), self.directory.clone())
    }

    /// Makes everything durable and lets go of the data directory.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.queue.stop();
        self.content.stop();
        self.content.close(self.clock.now()).await;
        // What was tried in the last moment is written down.
        self.queue.look().await.context("closing the queue")?;
        self.way.close().await;
        if let Err(error) = self.bans.keep().await {
            tracing::warn!(error = format!("{error:#}"), "bans of the last moment are not kept");
        }
        if let Err(error) = reports::save_tls(&self.reports, &self.tls_tally, self.clock.now()).await {
            tracing::warn!(error = format!("{error:#}"), "what was seen of TLS is not reported");
        }
        self.reports.close().await;
        self.store.close().await.context("closing the store")
    }
}

pub(crate) fn directory_settings(settings: &Settings) -> directory::Settings {
    directory::Settings {
        hostname: Some(settings.hostname()),
        default_domain: DomainName::parse(&settings.text("auth.default_domain")).ok(),
        postmaster: Address::parse(&settings.text("directory.postmaster")).ok(),
        sub_address_delimiters: settings.text("directory.subaddress_delimiters").chars().collect(),
        verified_lifetime: settings.time("auth.cache"),
        ..directory::Settings::default()
    }
}

fn store_settings(settings: &Settings) -> mailstore::Settings {
    let packs = storage::PackSettings {
        pack_octets: settings.number("store.pack_octets"),
        free_octets_min: settings.number("store.free_octets_min"),
        ..storage::PackSettings::default()
    };
    mailstore::Settings {
        packs,
        accounts_open_max: settings.count("store.accounts_open_max"),
        recoverable: settings.time("store.recoverable"),
        purge_dead_percent: u8::try_from(settings.number("store.purge_dead_percent")).unwrap_or(u8::MAX),
        ..mailstore::Settings::default()
    }
}
