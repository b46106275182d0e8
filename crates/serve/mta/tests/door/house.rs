//! A small house: one domain, a few people, a door, and clients that speak in dialogues.

use std::sync::Arc;

use directory::{AccountState, Directory};
use dns::{FixedRecords, Resolver};
use mail_types::AccountId;
use mailstore::{Filed, Store, StoreError};
use mta::screen::Screen;
use mta::{Breaker, Content, Listener, MessageWay, Outcome, Rooms, Settings, SmtpDoor};
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::guard::Guard;
use platform::metrics::Metrics;
use platform::stream::Endpoint;

use crate::foundation::{
    Peer, Street, acceptor, add_alias, add_person, address, breaker, content, directory, domain, filters,
    guard_settings, now, read_whole, transactions,
};

pub(crate) struct House {
    pub(crate) door: SmtpDoor,
    pub(crate) directory: Directory,
    pub(crate) guard: Guard,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    pub(crate) content: Content,
    pub(crate) breaker: Breaker,
    ways: Arc<Mutex<Vec<MessageWay>>>,
    clock: Clock,
    screen: Option<Screen>,
    street: Street,
    data: tempfile::TempDir,
}

pub(crate) fn settings() -> Settings {
    Settings {
        bare_newlines: smtp::framing::BareNewlines::Normalise,
        ..Settings::new(domain("mail.example.org"))
    }
}

/// Who is judged before mail is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judging {
    Nobody,
    Strangers,
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
        Self::build(settings, store, None, Clock::system(), Judging::Nobody)
    }

    /// One that asks DNS who may send.
    pub(crate) fn checking(settings: Settings, records: FixedRecords) -> Self {
        let resolver = Some(Resolver::fixed(records));
        Self::build(settings, mailstore::Settings::default(), resolver, Clock::system(), Judging::Nobody)
    }

    /// One that judges strangers before their mail is seen, by a clock that a test moves.
    pub(crate) fn screening(settings: Settings, records: FixedRecords) -> Self {
        let resolver = Some(Resolver::fixed(records));
        let clock = Clock::settable(now());
        Self::build(settings, mailstore::Settings::default(), resolver, clock, Judging::Strangers)
    }

    /// What judges strangers.
    pub(crate) fn screen(&self) -> &Screen {
        self.screen.as_ref().unwrap()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn build(
        settings: Settings,
        store: mailstore::Settings,
        resolver: Option<Resolver>,
        clock: Clock,
        judging: Judging,
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let directory = populate(data.path(), &clock);
        let store = Store::open(data.path(), store, clock.clone()).unwrap();
        let guard = Guard::new(guard_settings(), clock.clone(), &metrics);
        let ways = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&ways);
        let pair = tls::self_signed::generate(&["localhost"], now()).unwrap();
        let screen = (judging == Judging::Strangers)
            .then(|| Screen::open(&data.path().join("senders.db"), clock.clone(), &metrics).unwrap());
        let content = content(data.path(), &clock, &metrics);
        let breaker = breaker(data.path(), &directory, &clock, &metrics);
        let rooms = Rooms {
            store: store.clone(),
            queue: None,
            directory: directory.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            acceptor: Some(acceptor(&pair, &metrics)),
            next_transaction: transactions(),
            ways: Arc::new(move |way| sink.lock().push(way)),
            resolver,
            checked: Arc::new(|_| {}),
            filters: filters(data.path(), &metrics),
            content: content.clone(),
            screen: screen.clone(),
            breaker: breaker.clone(),
        };
        let door = SmtpDoor::new(rooms, settings, &metrics);
        let street = Street::new(door.clone(), guard.clone());
        Self { door, directory, guard, metrics, store, content, breaker, ways, clock, screen, street, data }
    }

    /// A client from somewhere in the network.
    pub(crate) fn connect(&self, listener: Listener) -> Peer {
        self.connect_from(listener, Endpoint::Inet("192.0.2.1:4711".parse().unwrap()))
    }

    pub(crate) fn connect_from(&self, listener: Listener, peer: Endpoint) -> Peer {
        self.street.connect(listener, peer)
    }

    /// How large the future of a session is.
    pub(crate) fn session_octets(&self) -> usize {
        self.street.session_octets()
    }

    /// A client that begins with TLS.
    pub(crate) async fn connect_tls(&self, listener: Listener) -> Peer {
        self.connect_tls_session(listener).await.0
    }

    /// The same, with what its TLS session is bound by.
    /// Ann's mail program, which has logged in.
    pub(crate) async fn connect_ann(&self) -> Peer {
        let mut peer = self.connect_tls(Listener::ImplicitSubmission).await;
        peer.reply().await;
        peer.say("EHLO laptop.example").await;
        assert!(peer.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").await.starts_with("235"));
        peer
    }

    pub(crate) async fn connect_tls_session(&self, listener: Listener) -> (Peer, tls::Session) {
        self.street.connect_tls(listener, Endpoint::Inet("192.0.2.1:4711".parse().unwrap())).await
    }

    pub(crate) fn shut_down(&self) {
        self.street.shut_down();
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
        read_whole(reader).await
    }

    /// Nothing can be filed for an account from now on.
    pub(crate) fn break_account(&self, account: AccountId) {
        let index = self.data.path().join("accounts").join(account.to_string()).join("index.db");
        std::fs::create_dir_all(index.join("in the way")).unwrap();
    }

    pub(crate) fn account(&self, text: &str) -> AccountId {
        self.directory.account_by_address(&address(text)).unwrap().id
    }
}

fn populate(data: &std::path::Path, clock: &Clock) -> Directory {
    let directory = directory(data, clock);
    for name in ["ann", "bob", "carl"] {
        let account = add_person(&directory, &format!("{name}@example.org"));
        if name == "carl" {
            directory.set_state(account.id, AccountState::Disabled { reason: "away".into() }).unwrap();
        }
    }
    add_alias(&directory, "team@example.org", &["ann@example.org", "bob@example.org"]);
    add_alias(&directory, "nothing@example.org", &[":discard:"]);
    add_alias(&directory, "away@example.org", &["ann@example.org", "ann@elsewhere.example"]);
    directory
}
