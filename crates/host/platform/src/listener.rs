//! Listening sockets: accepts connections and hands each to a door with who and where.
//!
//! The first step of a message's path. Asks [`crate::guard`] whether the peer may speak.

mod bind;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

use crate::guard::{Guard, Refusal, Visit};
use crate::network::Network;
use crate::proxy_protocol::{self, Header};
use crate::stream::{Endpoint, Stream};
use crate::tasks::{Shutdown, Tasks};

pub use bind::BindError;

/// How long to wait when the process or the system is out of file descriptors or memory: some session will end.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

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

/// Gives connections their numbers. One for all listeners of a process, so that no number comes twice.
#[derive(Clone, Debug, Default)]
pub struct ConnectionNumbers(Arc<AtomicU64>);

impl ConnectionNumbers {
    /// Numbers that begin with 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn next(&self) -> ConnectionNumber {
        ConnectionNumber(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    settings: ListenerSettings,
    socket: bind::Bound,
}

/// What a listener's connections share.
struct Gate<D> {
    settings: ListenerSettings,
    open: AtomicUsize,
    /// Whether the log has been told that the house is full.
    was_full: AtomicBool,
    guard: Guard,
    tasks: Tasks,
    numbers: ConnectionNumbers,
    door: D,
}

/// A connection's place among those of its listener.
struct Slot<D>(Arc<Gate<D>>);

/// A connection as the socket gave it.
struct Arrival {
    stream: Stream,
    peer: Endpoint,
    local: Endpoint,
}

enum Socket {
    Tcp(TcpListener),
    Unix { socket: UnixListener, _file: bind::SocketFile },
}

impl Listener {
    /// Binds. May be done before privileges are dropped and before a runtime runs.
    ///
    /// # Errors
    /// With the reason and the way out.
    pub fn bind(settings: ListenerSettings) -> Result<Self, BindError> {
        let socket = bind::bind(settings.name, &settings.address)?;
        Ok(Self { settings, socket })
    }

    /// Where it listens; shows the port that was taken for port 0.
    #[must_use]
    pub fn local(&self) -> Endpoint {
        self.socket.local()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.name
    }

    /// Accepts until `stop` or the shutdown of `tasks`, running `door` on each connection in a task of its own.
    /// Connections that are open then go on; [`Accepted::shutdown`] tells them when the process ends.
    pub async fn serve<D, F>(
        self,
        tasks: Tasks,
        guard: Guard,
        numbers: ConnectionNumbers,
        stop: Shutdown,
        door: D,
    ) where
        D: Fn(Accepted) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (name, local) = (self.settings.name, self.local());
        let socket = match self.socket.into_socket() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(listener = name, %error, "cannot accept connections");
                return;
            }
        };
        tracing::info!(listener = name, address = %local, "listening");
        let shutdown = tasks.shutdown();
        let gate = Arc::new(Gate {
            settings: self.settings,
            open: AtomicUsize::new(0),
            was_full: AtomicBool::new(false),
            guard,
            tasks,
            numbers,
            door,
        });
        tokio::select! {
            // Cancelled between two connections: those in the kernel's queue are reset when the socket closes.
            () = accept_all(&socket, &gate) => {}
            () = stop.triggered() => {}
            () = shutdown.triggered() => {}
        }
        tracing::info!(listener = name, address = %local, "closed");
    }
}

async fn accept_all<D, F>(socket: &Socket, gate: &Arc<Gate<D>>)
where
    D: Fn(Accepted) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut is_exhausted = false;
    loop {
        match socket.accept().await {
            Ok(arrival) => {
                is_exhausted = false;
                gate.let_in(arrival);
            }
            Err(error) if is_exhaustion(&error) => {
                if !is_exhausted {
                    tracing::error!(listener = gate.settings.name, %error, "cannot accept for now; raise the limit of open files");
                }
                is_exhausted = true;
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // The connection failed before we took it: the next may do better.
            Err(error) => tracing::debug!(listener = gate.settings.name, %error, "accept failed"),
        }
    }
}

impl<D, F> Gate<D>
where
    D: Fn(Accepted) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn let_in(self: &Arc<Self>, arrival: Arrival) {
        let Some(slot) = self.slot() else {
            self.refuse(arrival, Refusal::ServerFull);
            return;
        };
        let is_proxy = |address| self.settings.proxies.iter().any(|proxy| proxy.contains(address));
        if arrival.peer.address().is_some_and(is_proxy) {
            self.tasks.spawn(self.settings.name, slot.hear_proxy(arrival));
            return;
        }
        match self.admit(arrival) {
            // The slot is given back when the session ends.
            Ok(accepted) => self.tasks.spawn(self.settings.name, async move {
                (slot.0.door)(accepted).await;
            }),
            Err((arrival, refusal)) => self.refuse(arrival, refusal),
        }
    }

    fn slot(self: &Arc<Self>) -> Option<Slot<D>> {
        let slot = Slot(Arc::clone(self));
        let others = self.open.fetch_add(1, Ordering::Relaxed);
        (others < self.settings.connections_max).then_some(slot)
    }

    fn admit(&self, arrival: Arrival) -> Result<Accepted, (Arrival, Refusal)> {
        match self.guard.admit(arrival.peer.address()) {
            Ok(visit) => {
                self.was_full.store(false, Ordering::Relaxed);
                Ok(Accepted {
                    stream: arrival.stream,
                    number: self.numbers.next(),
                    peer: arrival.peer,
                    local: arrival.local,
                    visit,
                    shutdown: self.tasks.shutdown(),
                })
            }
            Err(refusal) => Err((arrival, refusal)),
        }
    }

    /// Tells why, as far as the socket takes it at once, and hangs up. A fresh socket takes a line.
    fn refuse(&self, arrival: Arrival, refusal: Refusal) {
        // A flood must not fill the log as well: the counters tell how many.
        if refusal == Refusal::ServerFull && !self.was_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(listener = self.settings.name, "too many connections; refusing more");
        }
        tracing::debug!(listener = self.settings.name, peer = %arrival.peer, ?refusal, "connection refused");
        let text = (self.settings.refusal)(refusal);
        // The peer may be gone already; there is nobody to tell then.
        let _ = match &arrival.stream {
            Stream::Tcp(stream) => stream.try_write(text),
            Stream::Unix(stream) => stream.try_write(text),
            Stream::Layered(_) => Ok(0),
        };
    }
}

impl<D, F> Slot<D>
where
    D: Fn(Accepted) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    /// A trusted proxy says who the client is; then the client is treated as if it had come by itself.
    async fn hear_proxy(self, mut arrival: Arrival) {
        let gate = &self.0;
        match proxy_protocol::read(&mut arrival.stream, gate.settings.proxy_timeout).await {
            Ok(Header::Local) => {}
            Ok(Header::Proxied { source, destination }) => {
                arrival.peer = Endpoint::Inet(source);
                arrival.local = Endpoint::Inet(destination);
            }
            Err(error) => {
                tracing::warn!(listener = gate.settings.name, proxy = %arrival.peer, %error, "hung up");
                return;
            }
        }
        match gate.admit(arrival) {
            Ok(accepted) => (gate.door)(accepted).await,
            Err((arrival, refusal)) => gate.refuse(arrival, refusal),
        }
    }
}

impl<D> Drop for Slot<D> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    /// Cancelling loses no connection.
    async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                let local = stream.local_addr()?;
                let endpoint = |address: SocketAddr| {
                    Endpoint::Inet((address.ip().to_canonical(), address.port()).into())
                };
                Ok(Arrival { stream: Stream::Tcp(stream), peer: endpoint(peer), local: endpoint(local) })
            }
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok(Arrival { stream: Stream::Unix(stream), peer: Endpoint::Unix, local: Endpoint::Unix })
            }
        }
    }
}

/// Whether the process or the system has run out of something that sessions give back when they end.
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| exhausted.contains(&code))
}

#[cfg(test)]
mod tests;
