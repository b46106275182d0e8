//! Mail out: takes what is due from the queue, finds its host, hands it over and says what became of it.
//!
//! In a message's path: behind `queue`, whose leases say where to connect. `outbound/dispatch.rs` gives each lease a
//! task; `remote/` finds, connects and speaks; `report/` writes what senders are told.

pub(crate) mod counts;
pub(crate) mod dispatch;
pub(crate) mod settings;
pub(crate) mod sts;
pub(crate) mod tls_result;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use directory::Directory;
use dns::Resolver;
use mail_types::TransactionId;
use mailstore::Store;
use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::tasks::Tasks;
use platform::workers::Workers;
use queue::Queue;
use tls::{Connector, ConnectorTrust, TlsError};

use crate::breaker::Breaker;
use crate::remote::broken_tls::BrokenTls;
use crate::way::AttemptSink;
use counts::OutCounts;
use settings::OutboundSettings;
use sts::{StsPolicies, StsRooms};
use tls_result::TlsResultSink;

/// What mail needs on its way out.
pub struct OutboundRooms {
    /// What has to leave.
    pub queue: Queue,
    /// Where reports to our own people go.
    pub store: Store,
    /// Who our own people are.
    pub directory: Directory,
    /// Where other people's hosts are.
    pub resolver: Resolver,
    /// What time it is.
    pub clock: Clock,
    /// Names the way of each report; no two of the same name, ever.
    pub next_transaction: Box<dyn Fn() -> TransactionId + Send + Sync>,
    /// Does the arithmetic of logging in at relays; as many jobs should be able to wait as there may be connections.
    pub workers: Workers,
    /// Hears how many of an account's recipients nobody has.
    pub breaker: Breaker,
    /// Takes the record of each attempt.
    pub attempts: AttemptSink,
    /// Takes what becomes of the protection of each connection.
    pub tls_results: TlsResultSink,
}

/// The way out. Clones share it.
#[derive(Clone)]
pub struct Outbound(Arc<Gate>);

/// What all deliveries share.
pub(crate) struct Gate {
    pub(crate) rooms: OutboundRooms,
    pub(crate) live: ArcSwap<LiveOut>,
    pub(crate) counts: OutCounts,
    /// Policies of other domains; without them nobody is asked for one.
    pub(crate) sts: Option<StsPolicies>,
    pub(crate) broken_tls: BrokenTls,
}

/// The settings in force and what was made of them.
pub(crate) struct LiveOut {
    pub(crate) settings: OutboundSettings,
    /// Believes every certificate.
    pub(crate) anyone: Connector,
    /// Believes those that chain to a trusted root and show the host's name.
    pub(crate) verified: Connector,
    /// Believes every certificate, and tells what is wrong with it.
    pub(crate) observed: Connector,
}

impl LiveOut {
    fn new(settings: OutboundSettings) -> Result<Self, TlsError> {
        let timeout = settings.timeouts.handshake;
        let roots = settings.trusted_roots.clone();
        Ok(Self {
            anyone: Connector::new(&ConnectorTrust::Anyone, timeout)?,
            verified: Connector::new(&ConnectorTrust::Roots(roots.clone()), timeout)?,
            observed: Connector::new(&ConnectorTrust::Observed(roots), timeout)?,
            settings,
        })
    }
}

impl Outbound {
    /// A way out through these rooms; with `sts` other domains are asked for their policies (MTA-STS). Blocks on the disk,
    /// where those are kept.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub fn new(
        rooms: OutboundRooms,
        sts: Option<StsRooms>,
        settings: OutboundSettings,
        metrics: &Metrics,
    ) -> Result<Self, OutboundError> {
        let live = ArcSwap::from_pointee(LiveOut::new(settings)?);
        let sts = sts.map(|sts| StsPolicies::open(sts, rooms.clock.now())).transpose()?;
        let (counts, broken_tls) = (OutCounts::new(metrics), BrokenTls::default());
        Ok(Self(Arc::new(Gate { rooms, live, counts, sts, broken_tls })))
    }

    /// Takes new settings, for connections that begin from now on.
    ///
    /// # Errors
    /// [`TlsError`] when a trusted root cannot be read; the former settings stay.
    pub fn reconfigure(&self, settings: OutboundSettings) -> Result<(), TlsError> {
        self.0.live.store(Arc::new(LiveOut::new(settings)?));
        Ok(())
    }

    /// Begins to send, in tasks of this house: one that gives leases to deliveries, one for each delivery, and one
    /// that tells senders of what is late. They end when the house shuts down; a delivery ends its message first.
    pub fn start(&self, tasks: &Tasks) {
        dispatch::start(&self.0, tasks);
    }
}

/// Why mail cannot leave: tell the operator.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A trusted root cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The policies that are kept cannot be.
    #[error("the MTA-STS policies cannot be read: {0}")]
    Policies(#[from] std::io::Error),
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}
