//! Other people's mail hosts where they take mail: each keeps and counts what it took, and does what a story planned for
//! it, from greylisting to hanging up behind the final dot.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tls::Acceptor;

use crate::dialogue::WAIT_MAX;
use crate::exchanger_session;

/// Where in a conversation something happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Before the greeting.
    Greeting,
    /// At EHLO or LHLO.
    Hello,
    /// At STARTTLS, before its reply.
    StartTls,
    /// At AUTH.
    Login,
    /// At MAIL.
    Sender,
    /// At RCPT.
    Recipient,
    /// At DATA, or at the first BDAT.
    Data,
    /// When a part of the message has come.
    Message,
    /// When the message has come as a whole, before its reply: what hangs up here has taken it.
    End,
}

/// What a host does instead of going on as the book says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whim {
    /// Answers with this line.
    Says(String),
    /// Hangs up.
    HangsUp,
    /// Says nothing any more until the other side goes.
    IsSilent,
    /// Sends its answer an octet at a time.
    Dribbles,
    /// The same, and takes so long for all of it.
    Drags(Duration),
    /// Takes a message in portions of so many octets, and rests so long after each; at [`Phase::Message`].
    Sips(usize, Duration),
    /// Reads no more of a message until it is told to behave; at [`Phase::Message`].
    StopsReading,
    /// Answers as it should, and sends these lines behind, unasked, in the same segment.
    Injects(String),
    /// Speaks nonsense where TLS should begin.
    Babbles,
}

/// How a host speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tongue {
    /// SMTP.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): an answer for each recipient.
    Lmtp,
}

/// A message that a host took.
#[derive(Clone, Debug)]
pub struct Received {
    /// The name in EHLO.
    pub hello: String,
    /// What stood behind `MAIL FROM:`, parameters included.
    pub sender: String,
    /// What stood behind each accepted `RCPT TO:`, parameters included.
    pub recipients: Vec<String>,
    /// The message, dots unstuffed.
    pub octets: Vec<u8>,
    /// Whether it came under TLS.
    pub is_encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// The host's count of connections when it came.
    pub connection: usize,
    /// The era that the story had declared when its connection was made.
    pub era: u64,
}

impl Received {
    /// The text of its Message-ID field without brackets; empty without one.
    #[must_use]
    pub fn message_id(&self) -> String {
        let text = String::from_utf8_lossy(&self.octets);
        let header = text.split("\r\n\r\n").next().unwrap_or_default();
        let field = header.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
        field.and_then(|line| line.split(['<', '>']).nth(1)).unwrap_or_default().to_owned()
    }

    /// The recipients' addresses without brackets and parameters.
    #[must_use]
    pub fn addresses(&self) -> Vec<&str> {
        self.recipients.iter().map(|text| address_in(text)).collect()
    }

    /// The message as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }
}

/// A MAIL command that a host heard, whatever came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardSender {
    /// What stood behind `MAIL FROM:`, parameters included.
    pub sender: String,
    /// Whether it came under TLS.
    pub is_encrypted: bool,
}

/// The address in `<address> PARAMETERS`.
pub(crate) fn address_in(path: &str) -> &str {
    path.split(['<', '>']).nth(1).unwrap_or(path)
}

/// A host that takes mail; it ends with its last clone.
#[derive(Clone, Debug)]
pub struct Exchanger {
    address: SocketAddr,
    house: Arc<House>,
}

#[derive(Debug)]
pub(crate) struct House {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) extensions: Vec<String>,
    pub(crate) tongue: Tongue,
    pub(crate) acceptor: Option<Acceptor>,
    /// TLS comes before the greeting.
    pub(crate) is_implicit: bool,
    pub(crate) logins: BTreeMap<String, String>,
    plans: Vec<Plan>,
    senders: Vec<HeardSender>,
    received: Vec<Received>,
    connections: usize,
    live: Vec<TcpStream>,
    accepting: Option<Accepting>,
    era: u64,
}

struct Accepting {
    thread: std::thread::JoinHandle<()>,
}

struct Plan {
    phase: Phase,
    /// This recipient alone.
    recipient: Option<String>,
    whim: Whim,
    /// How often it still happens.
    left: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

/// What hosts of our days tell at EHLO.
const EXTENSIONS: [&str; 6] =
    ["PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"];

impl Exchanger {
    /// A host with a name that listens at an address.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(name: &str, address: SocketAddr) -> Result<Self> {
        let state = State { extensions: EXTENSIONS.map(str::to_owned).into(), ..State::default() };
        let house = House { name: name.to_owned(), state: Mutex::new(state), changed: Condvar::new() };
        let host = Self { address, house: Arc::new(house) };
        host.up()?;
        Ok(host)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.house.name
    }

    /// From now on it tells these extensions alone; STARTTLS and AUTH come by themselves.
    pub fn set_extensions(&self, extensions: &[&str]) {
        self.house.lock().extensions = extensions.iter().map(|&text| text.to_owned()).collect();
    }

    /// From now on it speaks LMTP or SMTP.
    pub fn set_tongue(&self, tongue: Tongue) {
        self.house.lock().tongue = tongue;
    }

    /// From now on it offers STARTTLS with what this acceptor shows, or not.
    pub fn set_tls(&self, acceptor: Option<Acceptor>) {
        self.house.lock().acceptor = acceptor;
    }

    /// From now on TLS comes before its greeting.
    pub fn set_implicit_tls(&self) {
        self.house.lock().is_implicit = true;
    }

    /// From now on it takes mail from those alone who log in; under TLS it offers AUTH PLAIN.
    pub fn add_login(&self, user: &str, password: &str) {
        self.house.lock().logins.insert(user.to_owned(), password.to_owned());
    }

    /// Plans something for the next so many times that a phase comes.
    pub fn plan(&self, phase: Phase, whim: Whim, times: u64) {
        self.house.lock().plans.push(Plan { phase, recipient: None, whim, left: times });
    }

    /// Answers a recipient so, always.
    pub fn refuse(&self, recipient: &str, reply: &str) {
        let (recipient, whim) = (Some(recipient.to_owned()), Whim::Says(reply.to_owned()));
        self.house.lock().plans.push(Plan { phase: Phase::Recipient, recipient, whim, left: u64::MAX });
    }

    /// Forgets all plans.
    pub fn behave(&self) {
        self.house.lock().plans.clear();
        self.house.changed.notify_all();
    }

    /// The MAIL commands that it heard so far.
    #[must_use]
    pub fn senders_heard(&self) -> Vec<HeardSender> {
        self.house.lock().senders.clone()
    }

    /// What it took so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.house.lock().received.clone()
    }

    /// How often it took each message, by Message-ID.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for received in &self.house.lock().received {
            *counts.entry(received.message_id()).or_default() += 1;
        }
        counts
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.house.lock().connections
    }

    /// What comes over connections from now on belongs to this era of the story.
    pub fn set_era(&self, era: u64) {
        self.house.lock().era = era;
    }

    /// Waits until it has taken so many messages in all, and gives them.
    ///
    /// # Errors
    /// When they do not come.
    pub fn wait_for(&self, count: usize) -> Result<Vec<Received>> {
        let state = self.wait_until(|state| state.received.len() >= count)?;
        Ok(state.received.clone())
    }

    /// Waits until so many connections were made to it in all.
    ///
    /// # Errors
    /// When they are not made.
    pub fn wait_for_connections(&self, count: usize) -> Result<()> {
        self.wait_until(|state| state.connections >= count).map(drop)
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>> {
        let state = self.house.lock();
        let waited = self.house.changed.wait_timeout_while(state, WAIT_MAX, |state| !is_so(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let (took, connections) = (state.received.len(), state.connections);
            bail!(
                "{} took {took} messages over {connections} connections, and no more come",
                self.house.name
            );
        }
        Ok(state)
    }

    /// Listens again.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn up(&self) -> Result<()> {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.address) {
                // A program that is just being started may have a copy of the former socket for a moment.
                Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < WAIT_MAX => {}
                bound => break bound.with_context(|| format!("at {}", self.address))?,
            }
        };
        let house = Arc::clone(&self.house);
        let thread = std::thread::spawn(move || accept(&house, &listener));
        self.house.lock().accepting = Some(Accepting { thread });
        Ok(())
    }

    /// Listens no more, and drops all connections.
    ///
    /// # Errors
    /// When its thread died.
    pub fn down(&self) -> Result<()> {
        let Some(accepting) = self.house.lock().accepting.take() else { return Ok(()) };
        // Wakes the thread, which then sees that it has nothing to do any more.
        drop(TcpStream::connect(self.address));
        if accepting.thread.join().is_err() {
            bail!("the thread of {} died", self.house.name);
        }
        for live in std::mem::take(&mut self.house.lock().live) {
            // It may be gone already.
            drop(live.shutdown(Shutdown::Both));
        }
        Ok(())
    }
}

impl State {
    /// Whether nonsense was planned where TLS should begin.
    pub(crate) fn take_babble(&mut self) -> bool {
        let is_meant =
            |plan: &&mut Plan| plan.phase == Phase::StartTls && plan.left > 0 && plan.whim == Whim::Babbles;
        let plan = self.plans.iter_mut().find(is_meant);
        plan.map(|plan| plan.left -= 1).is_some()
    }
}

impl House {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was planned for this moment.
    pub(crate) fn whim(&self, phase: Phase, recipient: Option<&str>) -> Option<Whim> {
        let mut state = self.lock();
        let fits = |plan: &&mut Plan| {
            plan.phase == phase
                && plan.left > 0
                && plan.recipient.as_deref().is_none_or(|one| recipient == Some(one))
        };
        let plan = state.plans.iter_mut().find(fits)?;
        plan.left -= 1;
        Some(plan.whim.clone())
    }

    /// Waits until all plans are forgotten.
    pub(crate) fn wait_until_it_behaves(&self) {
        let waited = self.changed.wait_timeout_while(self.lock(), WAIT_MAX, |state| !state.plans.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn hear_sender(&self, sender: HeardSender) {
        self.lock().senders.push(sender);
    }

    /// Speaks over a connection until it ends, and closes it.
    fn converse(&self, stream: TcpStream, number: usize, era: u64) {
        let peer = stream.peer_addr().ok();
        // What went wrong in a conversation is the other side's story to tell.
        drop(exchanger_session::converse(self, stream, number, era));
        let is_this = |live: &TcpStream| live.peer_addr().ok() == peer;
        for live in self.lock().live.extract_if(.., |live| is_this(live)) {
            drop(live.shutdown(Shutdown::Both));
        }
    }

    pub(crate) fn keep(&self, received: Received) {
        self.lock().received.push(received);
        self.changed.notify_all();
    }
}

/// Gives each connection a thread until the host goes down.
fn accept(house: &Arc<House>, listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        let (number, era) = {
            let mut state = house.lock();
            if state.accepting.is_none() {
                return;
            }
            state.connections += 1;
            state.live.extend(stream.try_clone().ok());
            (state.connections, state.era)
        };
        house.changed.notify_all();
        let house = Arc::clone(house);
        std::thread::spawn(move || house.converse(stream, number, era));
    }
}

impl Drop for Exchanger {
    fn drop(&mut self) {
        // The thread that accepts has one; with ours there were two.
        if Arc::strong_count(&self.house) <= 2 && self.down().is_err() {
            eprintln!("a host did not go down");
        }
    }
}
