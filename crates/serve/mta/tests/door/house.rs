//! A small house: one domain, a few people, a door, and clients that speak in dialogues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use directory::{
    AccountState, AliasSource, AliasTarget, Directory, NewAccount, NewPassword, PasswordCost, Quota,
};
use dns::{FixedRecords, Resolver};
use mail_types::{AccountId, Address, DomainName, TransactionId};
use mailstore::{Filed, Store, StoreError};
use mta::{Listener, MessageWay, Outcome, Rooms, Settings, SmtpDoor};
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::guard::{Guard, GuardSettings};
use platform::lines::{Wire, WireSettings};
use platform::listener::{Accepted, ConnectionNumber};
use platform::metrics::Metrics;
use platform::stream::{Endpoint, Stream};
use platform::tasks::{Shutdown, ShutdownTrigger};
use tls::{Acceptor, AcceptorSettings, Certificates, Connector, ConnectorTrust};

/// How long a client waits for a reply: a stuck test fails instead of hanging. Longer than anything the door waits for.
const WAIT_MAX: Duration = Duration::from_secs(36_000);
const WIRE: WireSettings = WireSettings { input_octets_max: 128 * 1024, write_timeout: WAIT_MAX };

pub(crate) struct House {
    pub(crate) door: SmtpDoor,
    pub(crate) directory: Directory,
    pub(crate) guard: Guard,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    ways: Arc<Mutex<Vec<MessageWay>>>,
    numbers: AtomicU64,
    shutdown: (ShutdownTrigger, Shutdown),
    _data: tempfile::TempDir,
}

pub(crate) fn settings() -> Settings {
    Settings {
        bare_newlines: smtp::framing::BareNewlines::Normalise,
        ..Settings::new(DomainName::parse("mail.example.org").unwrap())
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl House {
    /// ann, bob and carl live at example.org; carl is disabled, and team means ann and bob.
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::on_a_disk(settings, mailstore::Settings::default())
    }

    pub(crate) fn on_a_disk(settings: Settings, store: mailstore::Settings) -> Self {
        Self::build(settings, store, None)
    }

    /// One that asks DNS who may send.
    pub(crate) fn checking(settings: Settings, records: FixedRecords) -> Self {
        Self::build(settings, mailstore::Settings::default(), Some(Resolver::fixed(records)))
    }

    fn build(settings: Settings, store: mailstore::Settings, resolver: Option<Resolver>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let metrics = Metrics::new();
        let directory = populate(data.path(), &clock);
        let store = Store::open(data.path(), store, clock.clone()).unwrap();
        let guard = Guard::new(guard_settings(), clock.clone(), &metrics);
        let ways = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&ways);
        let last = AtomicU64::new(0);
        let rooms = Rooms {
            store: store.clone(),
            queue: None,
            directory: directory.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            acceptor: Some(acceptor(clock, &metrics)),
            next_transaction: Box::new(move || TransactionId(last.fetch_add(1, Ordering::Relaxed) + 1)),
            ways: Arc::new(move |way| sink.lock().push(way)),
            resolver,
            checked: Arc::new(|_| {}),
        };
        let door = SmtpDoor::new(rooms, settings, &metrics);
        let (trigger, shutdown) = Shutdown::channel();
        Self {
            door,
            directory,
            guard,
            metrics,
            store,
            ways,
            numbers: AtomicU64::new(0),
            shutdown: (trigger, shutdown),
            _data: data,
        }
    }

    /// A client from somewhere in the network.
    pub(crate) fn connect(&self, listener: Listener) -> Peer {
        self.connect_from(listener, Endpoint::Inet("192.0.2.1:4711".parse().unwrap()))
    }

    pub(crate) fn connect_from(&self, listener: Listener, peer: Endpoint) -> Peer {
        let (ours, theirs) = Stream::pair(64 * 1024);
        self.serve(listener, peer, ours);
        Peer { wire: Some(Wire::new(theirs, WIRE)), unsent: Vec::new() }
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

    fn serve(&self, listener: Listener, peer: Endpoint, stream: Stream) {
        let accepted = self.accepted(peer, stream);
        let door = self.door.clone();
        tokio::spawn(async move { door.serve(accepted, listener).await });
    }

    /// A client that begins with TLS.
    pub(crate) async fn connect_tls(&self, listener: Listener) -> Peer {
        self.connect_tls_session(listener).await.0
    }

    /// The same, with what its TLS session is bound by.
    pub(crate) async fn connect_tls_session(&self, listener: Listener) -> (Peer, tls::Session) {
        let (ours, theirs) = Stream::pair(64 * 1024);
        self.serve(listener, Endpoint::Inet("192.0.2.1:4711".parse().unwrap()), ours);
        let (stream, session) = connector().connect(theirs, "localhost").await.unwrap();
        (Peer { wire: Some(Wire::new(stream, WIRE)), unsent: Vec::new() }, session)
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.0.trigger();
    }

    /// The records so far.
    pub(crate) fn ways(&self) -> Vec<MessageWay> {
        self.ways.lock().clone()
    }

    /// What was filed for the only message.
    pub(crate) fn only_filings(&self) -> Vec<Filed> {
        let ways = self.ways();
        let filed = ways.iter().flat_map(|way| &way.recipients).filter_map(|way| match &way.outcome {
            Outcome::Filed(filed) => Some(filed.clone()),
            _ => None,
        });
        filed.flatten().collect()
    }

    /// The octets of the only message, which went to one account.
    pub(crate) async fn only_message(&self) -> String {
        let filings = self.only_filings();
        let [filed] = filings.as_slice() else { panic!("{filings:?}") };
        String::from_utf8_lossy(&self.read(filed).await).into_owned()
    }

    pub(crate) async fn read(&self, filed: &Filed) -> Vec<u8> {
        let account = self.store.account(filed.account).await.unwrap();
        let mut changes = account.watch();
        let reader = loop {
            match account.reader(filed.email).await {
                Ok(reader) => break reader,
                // Durable, and in the index a moment later.
                Err(StoreError::NoSuchMessage) => changes.changed().await.unwrap(),
                Err(error) => panic!("{error}"),
            }
        };
        let mut octets = Vec::new();
        while (octets.len() as u64) < reader.octets() {
            octets.extend(reader.read(octets.len() as u64..reader.octets()).await.unwrap());
        }
        octets
    }

    pub(crate) fn account(&self, text: &str) -> AccountId {
        self.directory.account_by_address(&address(text)).unwrap().id
    }
}

fn populate(data: &std::path::Path, clock: &Clock) -> Directory {
    let settings = directory::Settings {
        hostname: DomainName::parse("mail.example.org").ok(),
        // Cheap: what is tested here is not how hard guessing is.
        password_cost: PasswordCost { memory_kib: 64, passes: 1, lanes: 1 },
        ..directory::Settings::default()
    };
    let directory =
        Directory::open(&data.join("directory.db"), settings, clock.clone(), &Metrics::new()).unwrap();
    directory.add_domain(&DomainName::parse("example.org").unwrap()).unwrap();
    for name in ["ann", "bob", "carl"] {
        let added = directory.add_account(NewAccount {
            address: address(&format!("{name}@example.org")),
            password: NewPassword::Cleartext("secret".into()),
            display_name: None,
            quota: Quota::default(),
        });
        let state = AccountState::Disabled { reason: "away".into() };
        if name == "carl" {
            directory.set_state(added.unwrap().id, state).unwrap();
        }
    }
    let alias = |source: &str, targets: &[&str]| {
        let targets: Vec<_> = targets.iter().map(|text| AliasTarget::parse(text).unwrap()).collect();
        directory.add_alias(&AliasSource::parse(source).unwrap(), &targets).unwrap();
    };
    alias("team@example.org", &["ann@example.org", "bob@example.org"]);
    alias("nothing@example.org", &[":discard:"]);
    alias("away@example.org", &["ann@example.org", "ann@elsewhere.example"]);
    directory
}

pub(crate) fn guard_settings() -> GuardSettings {
    GuardSettings {
        connections_max: 100,
        connections_per_address_max: 10,
        failures_free: 100,
        delay_first: Duration::from_secs(1),
        delay_max: Duration::from_secs(1),
        failures_before_block: 1_000,
        failures_window: Duration::from_secs(60),
        block: Duration::from_secs(60),
        trusted: Vec::new(),
    }
}

fn acceptor(clock: Clock, metrics: &Metrics) -> Acceptor {
    let now = Timestamp::from(std::time::SystemTime::now());
    let pair = tls::self_signed::generate(&["localhost"], now).unwrap();
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, clock, metrics).unwrap();
    Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: Duration::from_secs(30) })
}

fn connector() -> Connector {
    Connector::new(&ConnectorTrust::Anyone, Duration::from_secs(30)).unwrap()
}

/// A client.
pub(crate) struct Peer {
    /// Away only while TLS begins.
    wire: Option<Wire>,
    unsent: Vec<u8>,
}

impl Peer {
    pub(crate) fn over(stream: Stream) -> Self {
        Self { wire: Some(Wire::new(stream, WIRE)), unsent: Vec::new() }
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().unwrap()
    }

    /// Says a line and reads one reply.
    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        for piece in octets.chunks(32 * 1024) {
            self.wire().put(piece);
            self.wire().flush().await.unwrap();
        }
    }

    /// Reads one whole reply, its lines joined by `|`.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("closed after {reply:?}"));
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('|');
        }
    }

    /// One line; `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        loop {
            let wire = self.wire();
            if let Some(end) = wire.input().windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(wire.input()[..end].to_vec()).unwrap();
                wire.consume(end + 2);
                return Some(line);
            }
            wire.fill(WAIT_MAX).await.ok()?;
        }
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None);
    }

    /// Runs a script: `C:` lines go in, those in a row at once; `S:` lines come out, `*` at the end of one stands for
    /// anything. `tls` shakes hands, `end` sees the connection closed.
    pub(crate) async fn dialogue(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("C:") {
                self.unsent.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
                self.unsent.extend_from_slice(b"\r\n");
                continue;
            }
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent).await;
            if let Some(expected) = line.strip_prefix("S: ") {
                let heard = self.line().await.unwrap_or_else(|| panic!("closed instead of {expected}"));
                match expected.strip_suffix('*') {
                    Some(beginning) => assert!(heard.starts_with(beginning), "{heard} instead of {expected}"),
                    None => assert_eq!(heard, expected),
                }
            } else if line == "tls" {
                self.start_tls().await;
            } else if line == "end" {
                self.expect_end().await;
            } else {
                panic!("what is {line}?");
            }
        }
        let unsent = std::mem::take(&mut self.unsent);
        self.send(&unsent).await;
    }

    async fn start_tls(&mut self) {
        let wire = self.wire.take().unwrap();
        let (wire, _) = connector().start_tls(wire, "localhost", WIRE).await.unwrap();
        self.wire = Some(wire);
    }
}
