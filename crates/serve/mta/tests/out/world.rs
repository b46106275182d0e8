//! A small world: our house with a door and a way out, names, and other people's hosts.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use directory::Directory;
use dns::{FixedRecords, MailExchanger, Name, RecordData, Resolver, Security, TlsaRecord};
use mailstore::{Store, Want};
use mta::{
    Attempt, Content, Filters, Listener, Loopback, Outbound, OutboundRooms, OutboundSettings, PolicyFetch,
    PolicyFetchError, Rooms, Routing, Settings, SmtpDoor, StsRooms, Timeouts, TlsResult,
};
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::guard::Guard;
use platform::metrics::Metrics;
use platform::stream::Endpoint;
use platform::tasks::Tasks;
use platform::workers::{Workers, WorkersSettings};
use queue::{Queue, RecipientOutcome};
use sender_auth::reports::TlsFailureType;
use tls::self_signed::TestAuthority;
use tls::{Acceptor, Certificates};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::host::{Host, Manner};
use crate::foundation::{
    Peer, Street, acceptor, add_alias, add_person, address, content, directory, domain, filters,
    guard_settings, now, read_whole, transactions,
};

/// Beyond it a test is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) names: FixedRecords,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    /// What can be fetched by HTTPS.
    pub(crate) policies: Policies,
    authority: Arc<TestAuthority>,
    attempts: UnboundedReceiver<Attempt>,
    results: UnboundedReceiver<TlsResult>,
    guard: Guard,
    filters: Filters,
    content: Content,
    street: Street,
    /// Keeps the port of all hosts from other tests.
    keeper: Arc<TcpListener>,
    _data: tempfile::TempDir,
}

/// Policies of domains, by the name of the server that has them.
#[derive(Clone, Default)]
pub(crate) struct Policies(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    texts: HashMap<String, String>,
    fetches: usize,
}

impl Policies {
    /// How often somebody asked.
    pub(crate) fn fetches(&self) -> usize {
        self.0.lock().fetches
    }

    /// From now on there is nothing to be had.
    pub(crate) fn close(&self) {
        self.0.lock().texts.clear();
    }

    fn fetch(&self) -> PolicyFetch {
        let shown = Arc::clone(&self.0);
        Arc::new(move |order| {
            let mut shown = shown.lock();
            shown.fetches += 1;
            let text = shown.texts.get(order.host.as_str()).cloned();
            let found = text.filter(|_| !order.addresses.is_empty()).map(String::into_bytes);
            Box::pin(async move { found.ok_or(PolicyFetchError::Failed("status 404".to_owned())) })
        })
    }
}

/// A change of the settings of mail going out.
pub(crate) type Change = Box<dyn FnOnce(&mut OutboundSettings) + Send>;

/// What a test changes of the house.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) routing: Routing,
    pub(crate) outbound: Option<Change>,
    pub(crate) queue: queue::Settings,
}

impl Wishes {
    pub(crate) fn routing(routing: Routing) -> Self {
        Self { routing, ..Self::default() }
    }

    pub(crate) fn outbound(change: impl FnOnce(&mut OutboundSettings) + Send + 'static) -> Self {
        Self { outbound: Some(Box::new(change)), ..Self::default() }
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A text for people as they read it.
pub(crate) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, what).await.unwrap()
}

/// A port that no other test has: on another address of this machine it is free for this one's hosts.
pub(crate) async fn port_of_its_own() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Wishes::default()).await
    }

    pub(crate) async fn with(wishes: Wishes) -> Self {
        Self::at_port(port_of_its_own().await, wishes).await
    }

    /// With a port that was chosen before, for wishes that name it.
    pub(crate) async fn at_port(keeper: TcpListener, wishes: Wishes) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_795_640_400));
        let metrics = Metrics::new();
        let directory = populate(data.path(), &clock);
        let unattached = Queue::open(data.path(), wishes.queue, clock.clone(), &metrics).unwrap();
        let tenants = vec![unattached.tenant()];
        let store =
            Store::open_with(data.path(), mailstore::Settings::default(), clock.clone(), &metrics, tenants)
                .unwrap();
        let queue = unattached.attach(&store).unwrap();
        let guard = Guard::new(guard_settings(), clock.clone(), &metrics);
        let names = FixedRecords::new();
        let authority = Arc::new(TestAuthority::new("test", now()).unwrap());
        let (sender, attempts) = unbounded_channel();
        let (results_sender, results) = unbounded_channel();
        let policies = Policies::default();
        let mut outbound = OutboundSettings {
            loopback: Loopback::Others,
            port: keeper.local_addr().unwrap().port(),
            timeouts: Timeouts { fall_over: Duration::from_millis(50), ..Timeouts::default() },
            idle_wait: Duration::ZERO,
            trusted_roots: vec![authority.root()],
            routing: wishes.routing.clone(),
            ..OutboundSettings::new(domain("mail.example.org"), address("postmaster@example.org"))
        };
        if let Some(change) = wishes.outbound {
            change(&mut outbound);
        }
        let out = Outbound::new(
            OutboundRooms {
                queue: queue.clone(),
                store: store.clone(),
                directory: directory.clone(),
                resolver: Resolver::fixed(names.clone()),
                clock: clock.clone(),
                next_transaction: transactions(),
                workers: Workers::start("logins", WorkersSettings { threads: 1, queue_max: 10 }, &metrics)
                    .unwrap(),
                attempts: Arc::new(move |attempt| {
                    // A test that is over listens no more.
                    let _ = sender.send(attempt);
                }),
                tls_results: Arc::new(move |result| {
                    let _ = results_sender.send(result.clone());
                }),
            },
            Some(StsRooms { directory: data.path().join("mta-sts"), fetch: policies.fetch() }),
            outbound,
            &metrics,
        )
        .unwrap();
        let tasks = Tasks::new(&metrics);
        out.start(&tasks);
        let filters = filters(data.path(), &metrics);
        let content = content(data.path(), &clock, &metrics);
        let own_acceptor = acceptor(&authority.issue(&["mail.example.org"], now()).unwrap(), &metrics);
        let rooms = Rooms {
            store: store.clone(),
            queue: Some(queue.clone()),
            directory: directory.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            acceptor: Some(own_acceptor),
            next_transaction: transactions(),
            ways: Arc::new(|_| {}),
            resolver: None,
            checked: Arc::new(|_| {}),
            filters: filters.clone(),
            content: content.clone(),
        };
        let settings = Settings {
            plaintext_on_loopback: true,
            routing: wishes.routing,
            ..Settings::new(domain("mail.example.org"))
        };
        Self {
            street: Street::new(SmtpDoor::new(rooms, settings, &metrics), guard.clone()),
            queue,
            store,
            directory,
            clock,
            names,
            metrics,
            tasks,
            policies,
            authority,
            attempts,
            results,
            guard,
            filters,
            content,
            keeper: Arc::new(keeper),
            _data: data,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.keeper.local_addr().unwrap().port()
    }

    /// The place of a host.
    pub(crate) fn at(&self, host: &str) -> SocketAddr {
        SocketAddr::new(host.parse::<IpAddr>().unwrap(), self.port())
    }

    pub(crate) async fn host(&self, place: &str, manner: Manner) -> Host {
        Host::start(self.at(place), manner, Arc::clone(&self.keeper)).await
    }

    /// The only exchanger of far.example.
    pub(crate) async fn far(&self, manner: Manner) -> Host {
        self.exchanger("far.example", 10, "mx.far.example", "127.0.0.2");
        self.host("127.0.0.2", manner).await
    }

    pub(crate) fn exchanger(&self, domain: &str, preference: u16, host: &str, place: &str) {
        let exchange = name(host);
        self.names
            .add(&name(domain), RecordData::Mx(MailExchanger { preference, exchange: exchange.clone() }));
        self.names.add(&exchange, RecordData::Address(place.parse().unwrap()));
    }

    /// TLS with a certificate for these names that everybody here trusts.
    pub(crate) fn acceptor(&self, names: &[&str]) -> Acceptor {
        let pair = self.authority.issue(names, now()).unwrap();
        acceptor(&pair, &self.metrics)
    }

    /// TLS with a certificate that nobody trusts, and its key as TLSA records have it.
    pub(crate) fn keyed_acceptor(&self, names: &[&str]) -> (Acceptor, [u8; 32]) {
        let pair = tls::self_signed::generate(names, now()).unwrap();
        let certificates =
            Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), &self.metrics).unwrap();
        (acceptor(&pair, &self.metrics), certificates.states()[0].public_key_sha256)
    }

    /// From now on what these names have is proven.
    pub(crate) fn prove(&self, names: &[&str]) {
        for text in names {
            self.names.set_security(&name(text), Security::Secure);
        }
    }

    /// Where a host's TLSA records stand.
    pub(crate) fn tlsa_name(&self, host: &str) -> Name {
        Name::tlsa(self.port(), &name(host)).unwrap()
    }

    /// Gives a host one more TLSA record, of its public key's SHA-256; proven.
    pub(crate) fn add_tlsa(&self, host: &str, usage: u8, key: [u8; 32]) {
        let owner = self.tlsa_name(host);
        let record = TlsaRecord { usage, selector: 1, matching: 1, data: key.to_vec() };
        self.names.add(&owner, RecordData::Tlsa(record));
        self.names.set_security(&owner, Security::Secure);
    }

    /// Publishes a domain's MTA-STS policy under an id.
    pub(crate) fn publish(&self, domain: &str, id: &str, mode: &str, exchanger: &str) {
        let host = name(&format!("mta-sts.{domain}"));
        let record = name(&format!("_mta-sts.{domain}"));
        self.names.clear(&host);
        self.names.clear(&record);
        self.names.add(&host, RecordData::Address([127, 0, 0, 9].into()));
        self.names.add(&record, RecordData::Text(format!("v=STSv1; id={id};").into_bytes()));
        let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {exchanger}\r\nmax_age: 604800\r\n");
        self.policies.0.lock().texts.insert(host.to_string(), text);
    }

    /// TLS with a certificate that nobody trusts.
    pub(crate) fn strange_acceptor(&self, names: &[&str]) -> Acceptor {
        let pair = tls::self_signed::generate(names, now()).unwrap();
        acceptor(&pair, &self.metrics)
    }

    pub(crate) fn connect(&self, listener: Listener, peer: Endpoint) -> Peer {
        self.street.connect(listener, peer)
    }

    /// The door for connections that come from elsewhere, with this certificate.
    pub(crate) fn street_with(&self, acceptor: Option<Acceptor>) -> Street {
        let rooms = Rooms {
            store: self.store.clone(),
            queue: Some(self.queue.clone()),
            directory: self.directory.clone(),
            guard: self.guard.clone(),
            clock: self.clock.clone(),
            acceptor,
            next_transaction: transactions(),
            ways: Arc::new(|_| {}),
            resolver: None,
            checked: Arc::new(|_| {}),
            filters: self.filters.clone(),
            content: self.content.clone(),
        };
        let settings = Settings::new(domain("mail.example.org"));
        self.street.to(SmtpDoor::new(rooms, settings, &Metrics::new()))
    }

    /// A stranger on port 25 who has said EHLO.
    pub(crate) async fn stranger(&self) -> Peer {
        let mut peer = self.connect(Listener::Relay, Endpoint::Inet("192.0.2.1:4711".parse().unwrap()));
        assert!(peer.reply().await.starts_with("220"));
        assert!(peer.say("EHLO client.example").await.starts_with("250"));
        peer
    }

    /// One of our people, logged in.
    pub(crate) async fn log_in(&self, who: &str) -> Peer {
        Self::greet_and_log_in(self.connect(Listener::Submission, Endpoint::Unix), who).await
    }

    async fn greet_and_log_in(mut peer: Peer, who: &str) -> Peer {
        assert!(peer.reply().await.starts_with("220"));
        assert!(peer.say("EHLO laptop.example").await.starts_with("250"));
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{who}\0secret"));
        assert!(peer.say(&format!("AUTH PLAIN {plain}")).await.starts_with("235"));
        peer
    }

    /// The same by TLS.
    pub(crate) async fn log_in_encrypted(&self, who: &str) -> Peer {
        let peer = Endpoint::Inet("192.0.2.7:4711".parse().unwrap());
        Self::greet_and_log_in(self.street.connect_tls(Listener::ImplicitSubmission, peer).await.0, who).await
    }

    /// ann@example.org sends a message; what the door says at the end.
    pub(crate) async fn submit(&self, to: &[&str], text: &str) -> String {
        self.submit_asking("", to, text).await
    }

    /// The same with parameters of MAIL, and of RCPT behind a recipient.
    pub(crate) async fn submit_asking(&self, asked: &str, to: &[&str], text: &str) -> String {
        let mut peer = self.log_in("ann@example.org").await;
        send(&mut peer, &format!("<ann@example.org> {asked}"), to, text).await
    }

    /// The record of the next attempt.
    pub(crate) async fn attempt(&mut self) -> Attempt {
        soon(self.attempts.recv()).await.unwrap()
    }

    /// What the next try to protect a connection came to: `kind host failure`.
    pub(crate) async fn tls_result(&mut self) -> String {
        let result = soon(self.results.recv()).await.unwrap();
        let host = result.place.map_or_else(|| "-".to_owned(), |place| place.host.into());
        let failure = result.failure.map_or("success", TlsFailureType::as_str);
        format!("{} {host} {failure}", result.policy.kind.as_str())
    }

    /// How the next attempt's connection had to be protected and who vouched for the server: `source by`; `-` without one.
    pub(crate) async fn protection(&mut self) -> String {
        let attempt = self.attempt().await;
        let words = |it: mta::Protection| format!("{} {}", it.source.as_str(), it.verified.as_str());
        attempt.protection.map_or_else(|| "-".to_owned(), words)
    }

    /// What the next attempt came to, recipient by recipient: `to: outcome words`.
    pub(crate) async fn outcomes(&mut self) -> Vec<String> {
        let attempt = self.attempt().await;
        let outcome = |outcome: &RecipientOutcome| match outcome {
            RecipientOutcome::Delivered => "delivered".to_owned(),
            RecipientOutcome::Relayed => "relayed".to_owned(),
            RecipientOutcome::Failed(words) => format!("failed {words}"),
            RecipientOutcome::Deferred(words) => format!("deferred {words}"),
        };
        let told = attempt.recipients.iter();
        told.map(|told| format!("{}: {}", told.address, outcome(&told.outcome))).collect()
    }

    pub(crate) async fn outcome(&mut self) -> String {
        let outcomes = self.outcomes().await;
        let [one] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        one.clone()
    }

    /// Waits until so many messages lie in somebody's INBOX, and gives the last one's octets.
    pub(crate) async fn inbox(&self, who: &str, count: usize) -> String {
        let account = self.directory.account_by_address(&address(who)).unwrap().id;
        let account = self.store.account(account).await.unwrap();
        let mut changes = account.watch();
        soon(async {
            loop {
                let list = account.mailboxes().await.unwrap();
                let inbox = list.by_name(&mail_types::MailboxName::inbox()).unwrap().id;
                let uids = mail_types::UidSet::from_ranges([(1, u32::MAX)]);
                let rows = account.rows(inbox, &uids, Want::Facts).await.unwrap();
                if rows.len() >= count {
                    let reader = account.reader(rows.last().unwrap().email).await.unwrap();
                    let octets = read_whole(reader).await;
                    return String::from_utf8_lossy(&octets).into_owned();
                }
                changes.changed().await.unwrap();
            }
        })
        .await
    }

    /// An address that means all these people, who are made.
    pub(crate) fn add_list(&self, list: &str, people: &[String]) {
        for who in people {
            add_person(&self.directory, who);
        }
        let targets: Vec<&str> = people.iter().map(String::as_str).collect();
        add_alias(&self.directory, list, &targets);
    }

    /// Lets time pass, once what is under way has come to its end, and the queue look at the clock.
    pub(crate) async fn pass(&self, time: Duration) {
        soon(async {
            while self.queue.stats().await.unwrap().connections > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.clock.advance(time);
        self.queue.look().await.unwrap();
    }

    /// Waits until nothing is left in the queue.
    pub(crate) async fn empty_queue(&self) {
        soon(async {
            while self.queue.stats().await.unwrap().messages > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Sends one message; the door's last word, or its first no.
pub(crate) async fn send(peer: &mut Peer, from: &str, to: &[&str], text: &str) -> String {
    let sender = peer.say(&format!("MAIL FROM:{}", from.trim_end())).await;
    if !sender.starts_with('2') {
        return sender;
    }
    for recipient in to {
        let (recipient, asked) = recipient.split_once(' ').unwrap_or((recipient, ""));
        let said = peer.say(format!("RCPT TO:<{recipient}> {asked}").trim_end()).await;
        if !said.starts_with('2') {
            return said;
        }
    }
    assert!(peer.say("DATA").await.starts_with("354"));
    peer.say(&format!("{text}\r\n.")).await
}

fn populate(data: &Path, clock: &Clock) -> Directory {
    let directory = directory(data, clock);
    for name in ["ann", "bob"] {
        add_person(&directory, &format!("{name}@example.org"));
    }
    add_alias(&directory, "away@example.org", &["bob@example.org", "bob@far.example"]);
    add_alias(&directory, "moved@example.org", &["carl@far.example"]);
    directory
}
