//! A house for tests: a store and a directory in a temporary directory, the IMAP and ManageSieve doors over pipes, and
//! clients that play dialogues.

#![allow(dead_code, reason = "each test binary uses its own part of the house")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{ImapDoor, ManageSieveDoor, Rooms, ScriptRooms, ScriptSettings, Security, Settings};
use directory::{Directory, NewAccount, NewPassword, PasswordCost, Quota};
use mail_types::{AccountId, Address, DomainName, Secret, TransactionId};
use mailstore::{MailboxEvent, Store};
use platform::clock::{Clock, Timestamp};
use platform::guard::{Guard, GuardSettings};
use platform::listener::{Accepted, ConnectionNumber};
use platform::metrics::Metrics;
use platform::stream::{Endpoint, Stream};
use platform::tasks::{Shutdown, ShutdownTrigger};
use platform::workers::{Workers, WorkersSettings};
use tls::{Acceptor, AcceptorSettings, Certificates, Connector, ConnectorTrust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The password of everybody in the house.
pub(crate) const PASSWORD: &str = "secret word";
/// 17 July 1996, 02:44:25 UTC.
pub(crate) const NOW: i64 = 837_571_465;

pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) door: ImapDoor,
    pub(crate) scripts: ManageSieveDoor,
    /// What clients have done to messages.
    events: Arc<Mutex<Vec<MailboxEvent>>>,
    shutdown: Shutdown,
    trigger: ShutdownTrigger,
    guard: Guard,
    _data: tempfile::TempDir,
}

impl House {
    /// A house with default settings where ann@example.org and bob@example.org live.
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default(), Quota::default()).await
    }

    pub(crate) async fn with(settings: Settings, quota: Quota) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(NOW));
        let metrics = Metrics::new();
        let store = Store::open(data.path(), mailstore::Settings::default(), clock.clone()).unwrap();
        let directory = directory(data.path(), &clock, &metrics, quota);
        let guard = Guard::new(guard_settings(), clock.clone(), &metrics);
        let transactions = AtomicU64::new(1);
        let events: Arc<Mutex<Vec<MailboxEvent>>> = Arc::default();
        let heard = Arc::clone(&events);
        let acceptor = acceptor(&clock, &metrics);
        let script_rooms = ScriptRooms {
            store: store.clone(),
            directory: directory.clone(),
            guard: guard.clone(),
            new_places: std::sync::Arc::new(|_, _| {}),
            acceptor: Some(acceptor.clone()),
            judges: Workers::start("judges", WorkersSettings { threads: 1, queue_max: 4 }, &metrics).unwrap(),
        };
        let scripts = ManageSieveDoor::new(script_rooms, ScriptSettings::default(), &metrics);
        let rooms = Rooms {
            store: store.clone(),
            directory: directory.clone(),
            guard: guard.clone(),
            new_places: std::sync::Arc::new(|_, _| {}),
            clock: clock.clone(),
            acceptor: Some(acceptor),
            next_transaction: Box::new(move || TransactionId(transactions.fetch_add(1, Ordering::Relaxed))),
            events: Box::new(move |event| heard.lock().unwrap().push(event)),
        };
        let door = ImapDoor::new(rooms, settings, &metrics);
        let (trigger, shutdown) = Shutdown::channel();
        Self { events, store, directory, clock, door, scripts, shutdown, trigger, guard, _data: data }
    }

    /// What clients have done to messages since this was last asked.
    pub(crate) fn heard(&self) -> Vec<MailboxEvent> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// A connection at its greeting.
    pub(crate) fn connect(&self, security: Security) -> Stream {
        let (stream, session) = self.session(security);
        tokio::spawn(session);
        stream
    }

    /// The client's end of a connection, and the session at its other end, which does not run yet.
    pub(crate) fn session(&self, security: Security) -> (Stream, impl Future<Output = ()> + Send + use<>) {
        let (ours, accepted) = self.accepted();
        let door = self.door.clone();
        (ours, async move { door.serve(accepted, security).await })
    }

    fn accepted(&self) -> (Stream, Accepted) {
        let (ours, theirs) = Stream::pair(256 * 1024);
        let accepted = Accepted {
            stream: theirs,
            number: ConnectionNumber(1),
            peer: Endpoint::Inet("192.0.2.1:1024".parse().unwrap()),
            local: Endpoint::Unix,
            visit: self.guard.admit(None).unwrap(),
            shutdown: self.shutdown.clone(),
        };
        (ours, accepted)
    }

    /// A connection to the ManageSieve door, at its greeting.
    pub(crate) fn connect_to_scripts(&self, security: Security) -> Stream {
        let (ours, accepted) = self.accepted();
        let door = self.scripts.clone();
        tokio::spawn(async move { door.serve(accepted, security).await });
        ours
    }

    /// A client that has read the greeting.
    pub(crate) async fn stranger(&self) -> Client {
        let mut client = Client::new(self.connect(Security::Trusted));
        let greeting = client.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        client
    }

    /// A client of ann@example.org.
    pub(crate) async fn ann(&self) -> Client {
        self.person("ann").await
    }

    /// A client that has logged in.
    pub(crate) async fn person(&self, name: &str) -> Client {
        let mut client = self.stranger().await;
        let answer = client.command(&format!("in LOGIN {name}@example.org \"{PASSWORD}\"")).await;
        assert!(answer.last().unwrap().starts_with("in OK [CAPABILITY "), "{answer:?}");
        client
    }

    pub(crate) fn account(&self, name: &str) -> AccountId {
        let address = Address::parse(&format!("{name}@example.org")).unwrap();
        self.directory.account_by_address(&address).unwrap().id
    }

    pub(crate) fn shut_down(&self) {
        self.trigger.trigger();
    }
}

fn guard_settings() -> GuardSettings {
    GuardSettings {
        connections_max: 1_000,
        connections_per_address_max: 1_000,
        failures_free: 3,
        delay_first: Duration::from_millis(1),
        delay_max: Duration::from_millis(4),
        points_before_ban: 100,
        window: Duration::from_secs(600),
        ban_first: Duration::from_secs(600),
        ban_longest: Duration::from_secs(600),
        trusted: Vec::new(),
        bans_private: true,
    }
}

fn directory(data: &std::path::Path, clock: &Clock, metrics: &Metrics, quota: Quota) -> Directory {
    let settings = directory::Settings {
        password_cost: PasswordCost::MINIMAL,
        scram_iterations: 4_096,
        ..directory::Settings::default()
    };
    let directory = Directory::open(&data.join("directory.db"), settings, clock.clone(), metrics).unwrap();
    directory.add_domain(&DomainName::parse("example.org").unwrap()).unwrap();
    for name in ["ann", "bob"] {
        directory
            .add_account(NewAccount {
                address: Address::parse(&format!("{name}@example.org")).unwrap(),
                password: NewPassword::Cleartext(Secret::from(PASSWORD)),
                display_name: None,
                quota,
            })
            .unwrap();
    }
    directory
}

fn acceptor(clock: &Clock, metrics: &Metrics) -> Acceptor {
    let pair = tls::self_signed::generate(&["mail.example.org"], Clock::system().now()).unwrap();
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, clock.clone(), metrics).unwrap();
    let settings = AcceptorSettings { handshake_timeout: Duration::from_secs(10) };
    Acceptor::new(&certificates, settings)
}

/// A client that has laid TLS over a stream, and what the handshake agreed on.
pub(crate) async fn secured(stream: Stream) -> (Client, tls::Session) {
    let connector = Connector::new(&ConnectorTrust::Anyone, Duration::from_secs(10)).unwrap();
    let (stream, session) = connector.connect(stream, "mail.example.org").await.unwrap();
    (Client::new(stream), session)
}

/// A client that speaks a line at a time.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_octets(text.as_bytes()).await;
    }

    pub(crate) async fn send_octets(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next line with the literals in it, without its line end. `<closed>` at the end of the connection.
    pub(crate) async fn line(&mut self) -> String {
        String::from_utf8_lossy(&self.line_octets().await).into_owned()
    }

    pub(crate) async fn line_octets(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                    break at;
                }
                if !self.fill().await {
                    return b"<closed>".to_vec();
                }
            };
            let part: Vec<u8> = self.input.drain(..end + 2).collect();
            line.extend_from_slice(&part);
            let Some(octets) = literal_octets(&part) else {
                line.truncate(line.len() - 2);
                return line;
            };
            while self.input.len() < octets {
                assert!(self.fill().await, "the connection ended within a literal");
            }
            line.extend(self.input.drain(..octets));
        }
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut buffer)).await;
        let read = read.expect("an answer in time").unwrap_or(0);
        self.input.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Sends a command and gives every line up to its tagged answer.
    pub(crate) async fn command(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("{command}\r\n")).await;
        let tag = command.split(' ').next().unwrap();
        self.until(tag).await
    }

    /// Every line up to the answer with this tag.
    pub(crate) async fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let is_last = line.starts_with(&format!("{tag} ")) || line == "<closed>";
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// Appends a message to a mailbox and expects it to be taken.
    pub(crate) async fn append(&mut self, mailbox: &str, flags: &str, message: &str) {
        self.send(&format!("ap APPEND {mailbox} ({flags}) {{{}+}}\r\n{message}\r\n", message.len())).await;
        let answer = self.until("ap").await;
        assert!(answer.last().unwrap().starts_with("ap OK [APPENDUID "), "{answer:?}");
    }

    /// Appends so many small messages, each with its number as subject.
    pub(crate) async fn append_many(&mut self, mailbox: &str, count: usize) {
        for number in 1..=count {
            self.append(mailbox, "", &format!("Subject: number {number}\r\n\r\nbody {number}\r\n")).await;
        }
    }

    /// Plays a dialogue: `C:` lines are sent, each `S:` line must come next, `…` standing for anything.
    pub(crate) async fn play(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(command) = line.strip_prefix("C:") {
                self.send(&format!("{}\r\n", command.trim_start())).await;
            } else if let Some(expected) = line.strip_prefix("S: ") {
                let answer = self.line().await;
                assert!(matches(expected, &answer), "expected {expected}\n     got {answer}\n in {script}");
            } else {
                panic!("neither C: nor S:: {line}");
            }
        }
    }
}

/// The octets of the literal that a line announces at its end.
fn literal_octets(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let start = line.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&line[start + 1..]).ok()?.trim_end_matches('+').parse().ok()
}

/// Whether an answer is as expected, `…` standing for anything.
pub(crate) fn matches(expected: &str, answer: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = answer.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The lines of an answer that are untagged and contain a word.
pub(crate) fn with_word<'a>(lines: &'a [String], word: &str) -> Vec<&'a str> {
    lines.iter().map(String::as_str).filter(|line| line.starts_with("* ") && line.contains(word)).collect()
}
