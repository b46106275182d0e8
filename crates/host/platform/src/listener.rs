//! Listening sockets: binds them, accepts connections, hands each to a door with who and where.
//!
//! The first step of a message's path. Asks [`crate::guard`] whether the peer may speak.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::guard::{Guard, Refusal, Visit};
use crate::network::Network;
use crate::stream::{Endpoint, Stream};
use crate::tasks::{Shutdown, Tasks};

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListenAddress {
    /// A TCP address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket with its permission bits.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// Permission bits, such as 0o660.
        mode: u32,
    },
}

/// One listener's settings.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// What it is called in logs, metrics and errors: `smtp`, `imaps`.
    pub name: &'static str,
    /// Where it listens.
    pub address: ListenAddress,
    /// Connections through this listener at once.
    pub connections_max: usize,
    /// Networks whose connections must begin with a PROXY header.
    pub proxies: Vec<Network>,
    /// How long such a header may take.
    pub proxy_timeout: Duration,
    /// What a refused peer is told before it is hung up on; empty for nothing (implicit TLS).
    pub refusal: fn(Refusal) -> &'static [u8],
}

/// A connection's number in logs, unique while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionNumber(pub u64);

/// A connection that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// Its octets.
    pub stream: Stream,
    /// Its number.
    pub number: ConnectionNumber,
    /// The peer; the client itself when a trusted proxy said who it is.
    pub peer: Endpoint,
    /// Our end.
    pub local: Endpoint,
    /// Its place; hold it as long as the connection lives.
    pub visit: Visit,
    /// Tells the session to end politely.
    pub shutdown: Shutdown,
}

/// Why a listener could not be opened; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{name}: cannot listen on {address}: {hint}")]
pub struct BindError {
    name: &'static str,
    address: String,
    hint: String,
    #[source]
    source: io::Error,
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Listener {}

impl Listener {
    /// Binds. May be done before privileges are dropped and before a runtime runs.
    ///
    /// # Errors
    /// With the reason and the way out.
    pub fn bind(settings: ListenerSettings) -> Result<Self, BindError> {
        unimplemented!("{settings:?}")
    }

    /// Where it listens; shows the port that was taken for port 0.
    #[must_use]
    pub fn local(&self) -> Endpoint {
        unimplemented!()
    }

    /// Accepts until `stop`, running `door` on each connection in a task of its own.
    pub async fn serve<D, F>(self, tasks: Tasks, guard: Guard, stop: Shutdown, door: D)
    where
        D: Fn(Accepted) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = (tasks, guard, stop, door);
        unimplemented!()
    }
}
