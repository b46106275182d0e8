//! What the stories of the door and those of the way out stand on: a directory, certificates, a door in memory, and clients
//! at it.

mod peer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use directory::{Account, AliasSource, AliasTarget, Directory, NewAccount, NewPassword, PasswordCost, Quota};
use mail_types::{Address, DomainName, TransactionId};
use mailstore::MessageReader;
use mta::{
    Breaker, BreakerSettings, Content, ContentSettings, FilterSettings, Filters, Listener, SmtpDoor, Taste,
};
use platform::clock::{Clock, Timestamp};
use platform::guard::{Guard, GuardSettings};
use platform::listener::{Accepted, ConnectionNumber};
use platform::metrics::Metrics;
use platform::stream::{Endpoint, Stream};
use platform::tasks::{Shutdown, ShutdownTrigger};
use tls::self_signed::PemPair;
use tls::{Acceptor, AcceptorSettings, Certificates, Connector, ConnectorTrust};

pub(crate) use peer::Peer;

/// How long one of two ends waits for the other's part of a handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

/// Names ways, each of its own.
pub(crate) fn transactions() -> Box<dyn Fn() -> TransactionId + Send + Sync> {
    let last = AtomicU64::new(0);
    Box::new(move || TransactionId(last.fetch_add(1, Ordering::Relaxed) + 1))
}

/// A directory with example.org and nobody in it.
pub(crate) fn directory(data: &Path, clock: &Clock) -> Directory {
    let settings = directory::Settings {
        hostname: DomainName::parse("mail.example.org").ok(),
        // Cheap: what is tested here is not how hard guessing is.
        password_cost: PasswordCost { memory_kib: 64, passes: 1, lanes: 1 },
        ..directory::Settings::default()
    };
    let directory =
        Directory::open(&data.join("directory.db"), settings, clock.clone(), &Metrics::new()).unwrap();
    directory.add_domain(&domain("example.org")).unwrap();
    directory
}

/// Somebody whose password is `secret`.
pub(crate) fn add_person(directory: &Directory, who: &str) -> Arc<Account> {
    let new = NewAccount {
        address: address(who),
        password: NewPassword::Cleartext("secret".into()),
        display_name: None,
        quota: Quota::default(),
    };
    directory.add_account(new).unwrap()
}

/// A room for scripts, with the rule that files junk.
pub(crate) fn filters(data: &Path, metrics: &Metrics) -> Filters {
    Filters::open(&data.join("filters.db"), FilterSettings::default(), metrics).unwrap()
}

/// A breaker that remembers nothing yet.
pub(crate) fn breaker(data: &Path, directory: &Directory, clock: &Clock, metrics: &Metrics) -> Breaker {
    let settings = BreakerSettings::default();
    Breaker::open(&data.join("breaker.db"), settings, directory.clone(), clock.clone(), metrics).unwrap()
}

/// A room for the content filter, which judges nothing: what these stories bring is no mail that anybody would write.
pub(crate) fn content(data: &Path, clock: &Clock, metrics: &Metrics) -> Content {
    let everybody = Taste { is_on: false, ..Taste::default() };
    let settings = ContentSettings { everybody, looks_at_own: false, ..ContentSettings::default() };
    Content::open(&data.join("spam"), settings, None, clock, metrics).unwrap()
}

pub(crate) fn add_alias(directory: &Directory, source: &str, targets: &[&str]) {
    let targets: Vec<_> = targets.iter().map(|text| AliasTarget::parse(text).unwrap()).collect();
    directory.add_alias(&AliasSource::parse(source).unwrap(), &targets).unwrap();
}

pub(crate) fn guard_settings() -> GuardSettings {
    GuardSettings {
        connections_max: 100,
        connections_per_address_max: 10,
        failures_free: 100,
        delay_first: Duration::from_secs(1),
        delay_max: Duration::from_secs(1),
        points_before_ban: 10_000,
        window: Duration::from_secs(60),
        ban_first: Duration::from_secs(60),
        ban_longest: Duration::from_secs(60),
        trusted: Vec::new(),
        bans_private: true,
    }
}

pub(crate) fn acceptor(pair: &PemPair, metrics: &Metrics) -> Acceptor {
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), metrics).unwrap();
    Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: HANDSHAKE_WAIT })
}

/// A client's end of TLS that believes everybody.
pub(crate) fn connector() -> Connector {
    Connector::new(&ConnectorTrust::Anyone, HANDSHAKE_WAIT).unwrap()
}

/// All octets of a message.
pub(crate) async fn read_whole(reader: MessageReader) -> Vec<u8> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < reader.octets() {
        octets.extend(reader.read(octets.len() as u64..reader.octets()).await.unwrap());
    }
    octets
}

/// Where connections to a door come from. Clones are the same place.
#[derive(Clone)]
pub(crate) struct Street {
    door: SmtpDoor,
    guard: Guard,
    numbers: Arc<AtomicU64>,
    shutdown: (Arc<ShutdownTrigger>, Shutdown),
}

impl Street {
    pub(crate) fn new(door: SmtpDoor, guard: Guard) -> Self {
        let (trigger, shutdown) = Shutdown::channel();
        Self { door, guard, numbers: Arc::default(), shutdown: (Arc::new(trigger), shutdown) }
    }

    /// The same with another door.
    pub(crate) fn to(&self, door: SmtpDoor) -> Self {
        Self { door, ..self.clone() }
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.0.trigger();
    }

    fn accepted(&self, peer: Endpoint, stream: Stream) -> Accepted {
        Accepted {
            stream,
            number: ConnectionNumber(self.numbers.fetch_add(1, Ordering::Relaxed) + 1),
            peer,
            local: Endpoint::Unix,
            visit: self.guard.admit(peer.address()).unwrap(),
            shutdown: self.shutdown.1.clone(),
        }
    }

    /// How large the future of a session is.
    pub(crate) fn session_octets(&self) -> usize {
        let (ours, _theirs) = Stream::pair(1);
        size_of_val(&self.door.serve(self.accepted(Endpoint::Unix, ours), Listener::Relay))
    }

    pub(crate) fn serve(&self, listener: Listener, peer: Endpoint, stream: Stream) {
        let accepted = self.accepted(peer, stream);
        let door = self.door.clone();
        tokio::spawn(async move { door.serve(accepted, listener).await });
    }

    /// A client that comes from there.
    pub(crate) fn connect(&self, listener: Listener, peer: Endpoint) -> Peer {
        let (ours, theirs) = Stream::pair(64 * 1024);
        self.serve(listener, peer, ours);
        Peer::over(theirs)
    }

    /// A client that begins with TLS, and what its session is bound by.
    pub(crate) async fn connect_tls(&self, listener: Listener, peer: Endpoint) -> (Peer, tls::Session) {
        let (ours, theirs) = Stream::pair(64 * 1024);
        self.serve(listener, peer, ours);
        let (stream, session) = connector().connect(theirs, "localhost").await.unwrap();
        (Peer::over(stream), session)
    }
}
