//! One engine: where it is, how many connections it gets, how it fares.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engines::Nonsense;
use mailstore::StoreError;
use platform::egress::{self, Egress};
use platform::lines::{Wire, WireError, WireSettings};
use platform::metrics::Metrics;
use platform::stream::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::counts::EngineCounts;
use super::health::Health;
use super::settings::{EnginePlace, OnEngineFailure, ScannerSettings};
use super::verdicts::{self, Said};

/// Unconsumed input of one connection; answers are small, and what is large of them comes in pieces.
const INPUT_OCTETS_MAX: usize = 64 * 1024;
/// How much later the second of a host's addresses is tried.
const FALL_OVER: Duration = Duration::from_millis(250);

/// Why an engine has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It has failed before and is left alone.
    #[error("it has failed lately and is left alone for a while")]
    Resting,
    /// All its connections are in use.
    #[error("all its connections are in use")]
    Busy,
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(std::io::Error),
    /// It took too long.
    #[error("it takes too long")]
    TooSlow,
    /// The connection failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It makes no sense.
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    /// It says that it could not do its work.
    #[error("it says: {0}")]
    Failed(String),
    /// What it wanted is more than a message may be.
    #[error("it changes a message beyond the bounds of messages")]
    TooMuch,
    /// The message itself could not be read or written.
    #[error("the message is out of reach: {0}")]
    Store(#[from] StoreError),
}

impl Failure {
    /// Whether it says something of the engine.
    fn is_its_own(&self) -> bool {
        !matches!(self, Self::Resting | Self::Busy | Self::Store(_))
    }
}

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) health: Health,
    pub(crate) counts: EngineCounts,
    pub(crate) on_failure: OnEngineFailure,
    place: EnginePlace,
    places: Arc<Semaphore>,
}

/// A connection to one, and its place among those it may have.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) wire: Wire,
    _place: OwnedSemaphorePermit,
}

impl Engine {
    pub(crate) fn new(
        name: String,
        place: EnginePlace,
        connections_max: usize,
        on_failure: OnEngineFailure,
        metrics: &Metrics,
    ) -> Self {
        let counts = EngineCounts::new(metrics, &name);
        let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self { health: Health::new(name), counts, on_failure, place, places }
    }

    pub(crate) fn scanner(name: &str, settings: &ScannerSettings, metrics: &Metrics) -> Self {
        let ScannerSettings { place, connections_max, on_failure, .. } = settings;
        Self::new(name.to_owned(), place.clone(), *connections_max, *on_failure, metrics)
    }

    /// Runs an exchange until the deadline, and remembers how it went.
    pub(crate) async fn ask<T>(
        &self,
        deadline: Instant,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let done = match self.health.is_worth_asking() {
            true => timeout_at(deadline, exchange).await.unwrap_or(Err(Failure::TooSlow)),
            false => Err(Failure::Resting),
        };
        self.counts.asked(begun, &done);
        match &done {
            Ok(_) => self.health.succeeded(),
            Err(failure) if failure.is_its_own() => self.health.failed(failure),
            Err(_) => {}
        }
        done
    }

    /// What follows from a milter's verdict on a command; what it says against one is counted.
    pub(crate) fn hears(&self, verdict: Option<engines::milter::Verdict>) -> Said {
        let said = verdict.map_or(Said::GoOn, verdicts::said);
        if let Some(verdict) = verdicts::verdict_of(&said) {
            self.counts.said(verdict);
        }
        said
    }

    /// Connects for one exchange that ends at the deadline, waiting for a place if need be.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Link, Failure> {
        self.connect_for(deadline, deadline.saturating_duration_since(Instant::now())).await
    }

    /// Connects until the deadline, for a talk in which a write may take so long.
    pub(crate) async fn connect_for(
        &self,
        deadline: Instant,
        write_timeout: Duration,
    ) -> Result<Link, Failure> {
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or(Failure::Busy)?;
        let patience = deadline.saturating_duration_since(Instant::now());
        let stream = open(&self.place, patience).await.map_err(Failure::Unreachable)?;
        let settings = WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout };
        Ok(Link { wire: Wire::new(stream, settings), _place: place })
    }
}

async fn open(place: &EnginePlace, patience: Duration) -> std::io::Result<Stream> {
    match place {
        EnginePlace::Unix(path) => egress::connect_unix(path, patience).await,
        EnginePlace::Inet { host, port } => {
            let addresses = match host.parse::<IpAddr>() {
                Ok(address) => vec![(address, *port).into()],
                Err(_) => egress::addresses_by_this_machine(host, *port, patience).await?,
            };
            let egress = Egress { ipv4: None, ipv6: None, connect_timeout: patience, fall_over: FALL_OVER };
            Ok(egress::connect(&addresses, egress).await?.0)
        }
    }
}
