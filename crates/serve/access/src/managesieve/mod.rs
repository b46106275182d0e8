//! The ManageSieve door: people's clients write, check and choose the scripts that sort their mail (RFC 5804).
//!
//! A command's way: `connection` frames it, `session` hands it on by its verb, `login` lets people in, `scripts` does
//! what is asked, `replies` words the answer. What a script may say is the Sieve dialect's to judge.

mod capability;
mod connection;
mod login;
mod replies;
mod scripts;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use directory::Directory;
use mailstore::{ScriptLimits, Store};
use platform::guard::Guard;
use platform::listener::Accepted;
use platform::metrics::{Counter, Gauge, Metrics};
use platform::workers::Workers;
use sieve::Dialect;
use tls::Acceptor;
use tracing::Instrument as _;

use crate::login::{Entrance, NewPlaceSink};
use crate::security::Security;

/// The rooms that the door leads to.
pub struct ScriptRooms {
    /// Where scripts are kept.
    pub store: Store,
    /// Who may log in.
    pub directory: Directory,
    /// Who tried passwords too often.
    pub guard: Guard,
    /// Hears of log-ins from new places.
    pub new_places: NewPlaceSink,
    /// TLS; without it nobody can log in over a network.
    pub acceptor: Option<Acceptor>,
    /// Where scripts are compiled: a long one takes longer than a session may hold its thread.
    pub judges: Workers,
}

/// The door's settings.
#[derive(Clone, Debug)]
pub struct ScriptSettings {
    /// How long a client that has logged in may be silent.
    pub idle_timeout: Duration,
    /// How long a stranger may take to log in.
    pub login_timeout: Duration,
    /// How long a client may go on without taking what we send.
    pub write_timeout: Duration,
    /// Sessions that one account may have at a time.
    pub sessions_per_account_max: usize,
    /// Commands in a row that may be mistakes, or passwords that may be wrong, before the connection ends.
    pub errors_max: u32,
    /// What accounts may keep of scripts.
    pub limits: ScriptLimits,
    /// What scripts may say.
    pub dialect: Arc<Dialect>,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        Self {
            // RFC 5804 §1.2: at least 30 minutes.
            idle_timeout: Duration::from_secs(30 * 60),
            login_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            sessions_per_account_max: 10,
            errors_max: 20,
            limits: ScriptLimits::default(),
            dialect: Arc::default(),
        }
    }
}

/// The ManageSieve door. Clones share it.
#[derive(Clone)]
pub struct ManageSieveDoor(Arc<Door>);

/// What all sessions share.
pub(crate) struct Door {
    rooms: ScriptRooms,
    settings: ArcSwap<ScriptSettings>,
    entrance: Entrance,
    counts: Counts,
}

/// What the door counts.
struct Counts {
    sessions: Gauge,
    taken: Counter,
    faulty: Counter,
}

impl ManageSieveDoor {
    /// A door to these rooms.
    #[must_use]
    pub fn new(rooms: ScriptRooms, settings: ScriptSettings, metrics: &Metrics) -> Self {
        let sessions = "mailstead_managesieve_sessions";
        let puts = ("mailstead_managesieve_scripts_total", "Scripts that clients wanted kept or checked.");
        let counts = Counts {
            sessions: metrics.gauge(sessions, "ManageSieve sessions that have logged in.", &[]),
            taken: metrics.counter(puts.0, puts.1, &[("result", "valid")]),
            faulty: metrics.counter(puts.0, puts.1, &[("result", "faulty")]),
        };
        let entrance = Entrance::new(
            (&rooms.store, &rooms.directory, &rooms.guard, &rooms.new_places),
            metrics,
            ("mailstead_managesieve_logins_total", "ManageSieve logins."),
        );
        Self(Arc::new(Door { rooms, settings: ArcSwap::from_pointee(settings), entrance, counts }))
    }

    /// Takes new settings, for sessions that begin from now on.
    pub fn reconfigure(&self, settings: ScriptSettings) {
        self.0.settings.store(Arc::new(settings));
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, accepted: Accepted, security: Security) {
        let span = tracing::info_span!("managesieve", connection = accepted.number.0, peer = %accepted.peer);
        session::run(Arc::clone(&self.0), accepted, security).instrument(span).await;
    }
}

impl fmt::Debug for ManageSieveDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManageSieveDoor")
    }
}
