//! The other half of the small internet: domains of other people, found by name and all at one port, with certificates
//! of an authority that our servers may be told to trust.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use platform::clock::Clock;
use platform::metrics::Metrics;
use tempfile::TempDir;
use tls::self_signed::{self, PemPair, TestAuthority};
use tls::{Acceptor, AcceptorSettings, Certificates};

use crate::dialogue::WAIT_MAX;
use crate::exchanger::Exchanger;
use crate::name_server::Record;
use crate::name_world::{NameWorld, Signing};

/// Below the ports that the system gives to outgoing connections, above those of test servers.
const PORTS: std::ops::Range<u16> = 25_000..32_000;
/// Hosts of one internet.
const HOSTS_MAX: u8 = 250;

/// Names and hosts of the world outside; it ends when it is dropped.
pub struct Internet {
    /// The names, for what a story wants to add.
    pub names: NameWorld,
    /// Keeps the port from other internets on this machine.
    reserved: TcpListener,
    authority: TestAuthority,
    directory: TempDir,
    hosts: u8,
}

impl std::fmt::Debug for Internet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Internet").field("port", &self.port()).finish_non_exhaustive()
    }
}

impl Internet {
    /// An internet with the top-level domains `example` and `test`, and nobody in it.
    ///
    /// # Errors
    /// When the system gives no sockets.
    pub fn start() -> Result<Self> {
        Self::start_with(Signing::Unsigned)
    }

    /// The same, with signed names from the root on: its servers believe the root's key.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_signed() -> Result<Self> {
        Self::start_with(Signing::Signed)
    }

    fn start_with(signing: Signing) -> Result<Self> {
        let mut names = NameWorld::start(signing)?;
        names.zone("example", signing)?;
        names.zone("test", signing)?;
        let reserved = reserve()?;
        let authority = TestAuthority::new("small internet", Clock::system().now())?;
        let directory = TempDir::new()?;
        std::fs::write(directory.path().join("roots.pem"), authority.root())?;
        Ok(Self { names, reserved, authority, directory, hosts: 0 })
    }

    /// The port of all hosts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.reserved.local_addr().map_or(0, |address| address.port())
    }

    /// The next address that no host has; nobody listens there.
    ///
    /// # Errors
    /// When there are too many.
    pub fn address(&mut self) -> Result<SocketAddr> {
        if self.hosts == HOSTS_MAX {
            bail!("the small internet is full");
        }
        self.hosts += 1;
        Ok(SocketAddr::from((host_address(self.hosts), self.port())))
    }

    /// A host with a name that leads to it.
    ///
    /// # Errors
    /// When its address is taken.
    pub fn host(&mut self, name: &str) -> Result<Exchanger> {
        let address = self.address()?;
        self.names.add(name, &Record::Address(address.ip()));
        Exchanger::start(name, address)
    }

    /// A domain and its one exchanger, `mx.DOMAIN`.
    ///
    /// # Errors
    /// When its address is taken.
    pub fn domain(&mut self, domain: &str) -> Result<Exchanger> {
        let name = format!("mx.{domain}");
        self.names.add(domain, &Record::MailExchanger(10, name.clone()));
        self.host(&name)
    }

    /// Shows a certificate of the authority for these names.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn certified(&self, names: &[&str]) -> Result<Acceptor> {
        acceptor(&self.authority.issue(names, Clock::system().now())?)
    }

    /// A certificate of the authority for these names, and its key, as PEM texts.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn certificate(&self, names: &[&str]) -> Result<(String, String)> {
        let pair = self.authority.issue(names, Clock::system().now())?;
        Ok((pair.chain, pair.key))
    }

    /// Shows a certificate that nobody vouches for.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn self_signed(&self, names: &[&str]) -> Result<Acceptor> {
        acceptor(&self_signed::generate(names, Clock::system().now())?)
    }

    /// The lines of a server's configuration that let it live in this internet: it asks its name servers, sends to its
    /// hosts and tries again soon. These lines are added to its `[outbound]` and `[queue]`.
    #[must_use]
    pub fn settings(&self, outbound: &str, queue: &str) -> String {
        let retry = if queue.contains("retry_first") { "" } else { "retry_first = 1\nretry_longest = 1\n" };
        format!(
            "{}[outbound]\nport = {}\nto_loopback = true\ntrusted_roots = \"{}\"\n{outbound}\n[queue]\n{retry}{queue}\n",
            self.names.settings(),
            self.port(),
            self.directory.path().join("roots.pem").display(),
        )
    }
}

fn host_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 25, 0, number + 1))
}

/// A port that no other internet of this machine has.
fn reserve() -> Result<TcpListener> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    // Test processes that run side by side begin in different places.
    let begin = u16::try_from(std::process::id() % u32::from(width)).unwrap_or_default();
    let tries = (0..width).map(|_| {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        TcpListener::bind((host_address(0), PORTS.start + begin.wrapping_add(turn) % width))
    });
    tries.flatten().next().context("no port is free")
}

fn acceptor(pair: &PemPair) -> Result<Acceptor> {
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), &Metrics::default())?;
    Ok(Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: WAIT_MAX }))
}
