//! The IMAP door: each connection becomes a session that turns commands into calls on the store (RFC 9051, RFC 3501).
//!
//! A command's way: `connection` frames it, `stranger` serves those who have not logged in, `session` those who
//! have; `dispatch` hands it to the file named for its verb; `replies` words the answer; `updates` tells first
//! what other sessions have changed.

mod append;
mod capability;
mod close;
mod connection;
mod copy_move;
mod dispatch;
mod enable;
mod event;
mod expunge;
mod fetch;
mod filings;
mod id;
mod idle;
mod list;
mod login;
mod mailbox;
mod metadata;
mod namespace;
mod octets;
mod person;
mod quota;
mod replies;
mod search;
mod select;
mod session;
mod status;
mod store;
mod stranger;
mod updates;

pub use event::EventSink;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use directory::Directory;
use mail_types::TransactionId;
use mailstore::Store;
use platform::clock::Clock;
use platform::guard::Guard;
use platform::listener::Accepted;
use platform::metrics::{Counter, Gauge, Metrics};
use tls::Acceptor;
use tracing::Instrument as _;

use crate::login::{Entrance, NewPlaceSink};
use crate::security::Security;
use crate::settings::Settings;

/// The rooms that the door leads to.
pub struct Rooms {
    /// Mailboxes and messages.
    pub store: Store,
    /// Who may log in.
    pub directory: Directory,
    /// Who tried passwords too often.
    pub guard: Guard,
    /// Hears of log-ins from new places.
    pub new_places: NewPlaceSink,
    /// What time it is.
    pub clock: Clock,
    /// TLS; without it nobody can log in over a network.
    pub acceptor: Option<Acceptor>,
    /// Names the way of each appended message.
    pub next_transaction: Box<dyn Fn() -> TransactionId + Send + Sync>,
    /// Hears of what clients do to messages.
    pub events: EventSink,
}

/// The IMAP door. Clones share it.
#[derive(Clone)]
pub struct ImapDoor(Arc<Door>);

/// What all sessions share.
pub(crate) struct Door {
    rooms: Rooms,
    settings: ArcSwap<Settings>,
    entrance: Entrance,
    counts: Counts,
}

/// What the door counts.
struct Counts {
    sessions: Gauge,
    appended: Counter,
}

impl ImapDoor {
    /// A door to these rooms.
    #[must_use]
    pub fn new(rooms: Rooms, settings: Settings, metrics: &Metrics) -> Self {
        let counts = Counts {
            sessions: metrics.gauge("mailstead_imap_sessions", "IMAP sessions that have logged in.", &[]),
            appended: metrics.counter(
                "mailstead_imap_appended_total",
                "Messages stored by IMAP APPEND.",
                &[],
            ),
        };
        let entrance = Entrance::new(
            (&rooms.store, &rooms.directory, &rooms.guard, &rooms.new_places),
            metrics,
            ("mailstead_imap_logins_total", "IMAP logins."),
        );
        Self(Arc::new(Door { rooms, settings: ArcSwap::from_pointee(settings), entrance, counts }))
    }

    /// Takes new settings, for sessions that begin from now on.
    pub fn reconfigure(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, accepted: Accepted, security: Security) {
        let span = tracing::info_span!("imap", connection = accepted.number.0, peer = %accepted.peer);
        session::run(Arc::clone(&self.0), accepted, security).instrument(span).await;
    }
}

impl fmt::Debug for ImapDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImapDoor")
    }
}
