//! A world of names on loopback: root, top-level domains and zones, each on a server of its own, signed or not, with
//! servers that can be silent, lame or out of sorts (RFC 1034 §4.3, RFC 4035 §3).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::name_server::{Record, kind, put_name, take, take_name};
use crate::zone::{Asked, Sections, Zone};
use crate::zone_signing::ZoneKey;

/// TTL of everything that is not told another one.
const TTL_SECONDS: u32 = 3600;
/// TTL of absences.
const ABSENCE_TTL_SECONDS: u32 = 60;
/// How often a server looks whether its world has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Tries to find a port that is free on the addresses of all servers.
const PORT_TRIES: usize = 50;
/// Addresses that servers of one world may have.
const SERVERS_MAX: u8 = 40;
/// Server failure and refusal (RFC 1035 §4.1.1).
const SERVER_FAILURE: u8 = 2;
const REFUSED: u8 = 5;

/// Whether a zone is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    /// It is, and its parent says with which key.
    Signed,
    /// It is not, and its parent, if signed, proves that.
    Unsigned,
    /// Its parent names a key, but it is not signed: nothing in it is to be believed.
    Stripped,
}

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Humour {
    /// It answers what it knows.
    #[default]
    Well,
    /// It says nothing.
    Silent,
    /// It says that it fails (SERVFAIL).
    Failing,
    /// It knows nothing of its zones and refuses: a lame delegation.
    Refusing,
    /// It knows nothing of its zones and sends to the root, as lame servers used to.
    Referring,
    /// It tells over UDP that the answer does not fit.
    Truncating,
}

/// How a question came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// A question that a server was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Who asked.
    pub from: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The name, in lower case.
    pub name: String,
    /// The number of the record type.
    pub kind: u16,
}

/// The world. Its servers end with it.
#[derive(Debug)]
pub struct NameWorld {
    state: Arc<Mutex<State>>,
    port: u16,
    sockets: Sockets,
}

#[derive(Default, Debug)]
struct State {
    zones: BTreeMap<String, Zone>,
    servers: BTreeMap<IpAddr, Server>,
}

#[derive(Default, Debug)]
struct Server {
    zones: Vec<String>,
    humour: Humour,
    asked: Vec<Question>,
}

impl NameWorld {
    /// A world with a root alone.
    ///
    /// # Errors
    /// When the system gives no sockets or no key.
    pub fn start(signing: Signing) -> Result<Self> {
        let found = (0..PORT_TRIES).find_map(|_| sockets(0).ok()).context("no port is free everywhere")?;
        Self::with(found, signing)
    }

    /// The same at a port that is known: in a network of its own a story may have that of real name servers.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start_at(port: u16, signing: Signing) -> Result<Self> {
        Self::with(sockets(port)?, signing)
    }

    fn with((port, sockets): (u16, Sockets), signing: Signing) -> Result<Self> {
        let mut world = Self { state: Arc::default(), port, sockets };
        let root = world.found("", signing)?;
        let mut name = Vec::new();
        put_name(&mut name, "ns");
        if let Some(zone) = world.lock().zones.get_mut("") {
            zone.add("", kind::NS, TTL_SECONDS, name);
        }
        world.add("ns", &Record::Address(root));
        Ok(world)
    }

    /// Where the root server answers.
    #[must_use]
    pub fn root(&self) -> SocketAddr {
        SocketAddr::new(server_address(0), self.port)
    }

    /// The port of all servers.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The root's key, as a trust anchor is written.
    #[must_use]
    pub fn trust_anchor(&self) -> Option<String> {
        self.lock().zones.get("").and_then(Zone::key).map(ZoneKey::dnskey_text)
    }

    /// The lines of a server's configuration that let it live in this world.
    #[must_use]
    pub fn settings(&self) -> String {
        let anchors = self.trust_anchor().map_or(String::new(), |key| format!("\"{key}\""));
        format!(
            "[dns]\nroot_hints = [\"{}\"]\ntrust_anchors = [{anchors}]\nserver_port = {}\nfamilies = \"ipv4\"\n\
             allowed_networks = [\"127.0.0.0/8\"]\n",
            self.root(),
            self.port
        )
    }

    /// Founds a zone on a new server, and delegates to it from the zone above. Gives the server's address.
    ///
    /// # Errors
    /// When the system gives no key, or the world is full.
    pub fn zone(&mut self, origin: &str, signing: Signing) -> Result<IpAddr> {
        let address = self.found(origin, signing)?;
        self.delegate(origin, &format!("ns.{origin}"), address)?;
        Ok(address)
    }

    /// Lets the zone above name one more server for `origin`, and gives its address as glue if it lies in the zone.
    ///
    /// # Errors
    /// When there is no zone above.
    pub fn delegate(&self, origin: &str, server: &str, address: IpAddr) -> Result<()> {
        let mut name = Vec::new();
        put_name(&mut name, server);
        let mut state = self.lock();
        let above = state.above(origin).context("there is no zone above")?;
        above.add(origin, kind::NS, TTL_SECONDS, name.clone());
        let glue = Record::Address(address);
        if server.ends_with(origin) {
            above.add(server, glue.kind(), TTL_SECONDS, glue.data());
        }
        let zone = state.zones.get_mut(origin).context("there is no such zone")?;
        zone.add(origin, kind::NS, TTL_SECONDS, name);
        if server.ends_with(origin) {
            zone.add(server, glue.kind(), TTL_SECONDS, glue.data());
        }
        Ok(())
    }

    /// One more server's address, with these zones on it; nobody delegates to it.
    ///
    /// # Errors
    /// When the world is full.
    pub fn server(&mut self, zones: &[&str]) -> Result<IpAddr> {
        let address = self
            .sockets
            .iter()
            .find(|(_, free)| free.is_some())
            .map(|(address, _)| *address)
            .context("full")?;
        let (udp, tcp) = self.sockets.get_mut(&address).and_then(Option::take).context("full")?;
        let server =
            Server { zones: zones.iter().map(|zone| (*zone).to_owned()).collect(), ..Server::default() };
        self.lock().servers.insert(address, server);
        let (of_udp, of_tcp) = (Arc::downgrade(&self.state), Arc::downgrade(&self.state));
        std::thread::spawn(move || serve_udp(&of_udp, &udp, address));
        std::thread::spawn(move || serve_tcp(&of_tcp, &tcp, address));
        Ok(address)
    }

    /// Gives a name one more record, in the zone it belongs to.
    pub fn add(&self, name: &str, record: &Record) {
        self.add_for(name, record, TTL_SECONDS);
    }

    /// Gives a name one more record with a TTL, in the zone it belongs to.
    pub fn add_for(&self, name: &str, record: &Record, ttl_seconds: u32) {
        if let Some(zone) = self.lock().of(name) {
            zone.add(name, record.kind(), ttl_seconds, record.data());
        }
    }

    /// Gives a name one more record of any type, its data as it is on the wire.
    pub fn add_raw(&self, name: &str, kind: u16, data: Vec<u8>) {
        if let Some(zone) = self.lock().of(name) {
            zone.add(name, kind, TTL_SECONDS, data);
        }
    }

    /// Takes all records of a name away.
    pub fn clear(&self, name: &str) {
        if let Some(zone) = self.lock().of(name) {
            zone.clear(name);
        }
    }

    /// From now on the signatures of a name's records are wrong.
    pub fn forge(&self, name: &str) {
        if let Some(zone) = self.lock().of(name) {
            zone.forge(name);
        }
    }

    /// From now on a signed zone has many keys of the same tag, and for each set of records this many wrong signatures
    /// before the right one: an attack on whoever validates.
    pub fn trap(&self, zone: &str, signatures: usize) {
        if let Some(zone) = self.lock().zones.get_mut(zone) {
            zone.trap(signatures);
        }
    }

    /// From now on every answer of a zone brings along a record that nobody asked for, perhaps of a name that is none of
    /// its business: poison for caches.
    pub fn whisper(&self, zone: &str, name: &str, kind: u16, data: &[u8]) {
        if let Some(zone) = self.lock().zones.get_mut(zone) {
            zone.whisper(name, kind, data);
        }
    }

    /// From now on a server behaves so.
    pub fn set_humour(&self, server: IpAddr, humour: Humour) {
        self.lock().servers.entry(server).or_default().humour = humour;
    }

    /// What a server was asked so far.
    #[must_use]
    pub fn asked(&self, server: IpAddr) -> Vec<Question> {
        self.lock().servers.get(&server).map(|server| server.asked.clone()).unwrap_or_default()
    }

    /// What all servers were asked so far.
    #[must_use]
    pub fn asked_anywhere(&self) -> Vec<Question> {
        self.lock().servers.values().flat_map(|server| server.asked.clone()).collect()
    }

    fn found(&mut self, origin: &str, signing: Signing) -> Result<IpAddr> {
        ensure!(!self.lock().zones.contains_key(origin), "{origin} is there already");
        let key = if signing == Signing::Unsigned { None } else { Some(ZoneKey::generate()?) };
        let mut owner = Vec::new();
        put_name(&mut owner, origin);
        if let (Some(key), false) = (&key, origin.is_empty()) {
            let ds = key.ds(&owner);
            self.lock().above(origin).context("no zone above")?.add(origin, kind::DS, TTL_SECONDS, ds);
        }
        let mut zone = Zone::new(origin, key.filter(|_| signing == Signing::Signed));
        zone.found(ABSENCE_TTL_SECONDS)?;
        self.lock().zones.insert(origin.to_owned(), zone);
        self.server(&[origin])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NameWorld {
    fn drop(&mut self) {
        let servers: Vec<IpAddr> = std::mem::take(&mut self.lock().servers).into_keys().collect();
        for address in servers {
            // Wakes a server that waits for a connection; one that is gone already needs no waking.
            drop(TcpStream::connect(SocketAddr::new(address, self.port)));
        }
    }
}

impl State {
    /// The zone that a name belongs to.
    fn of(&mut self, name: &str) -> Option<&mut Zone> {
        let asked = Asked { name: name.to_owned(), kind: kind::A, wants_signatures: false };
        self.zones
            .values_mut()
            .filter_map(|zone| Some((zone.covers(&asked)?, zone)))
            .max_by_key(|(labels, _)| *labels)
            .map(|(_, zone)| zone)
    }

    /// The zone that delegates `origin`.
    fn above(&mut self, origin: &str) -> Option<&mut Zone> {
        let asked = Asked { name: origin.to_owned(), kind: kind::DS, wants_signatures: false };
        self.zones
            .values_mut()
            .filter_map(|zone| Some((zone.covers(&asked)?, zone)))
            .max_by_key(|(labels, _)| *labels)
            .map(|(_, zone)| zone)
    }

    fn answer(&self, server: IpAddr, asked: &Asked) -> Option<Sections> {
        let server = self.servers.get(&server)?;
        let failed = |code| Some(Sections { code, ..Sections::default() });
        match server.humour {
            Humour::Silent => return None,
            Humour::Failing => return failed(SERVER_FAILURE),
            Humour::Refusing => return failed(REFUSED),
            Humour::Referring => {
                // NS records of the root, which a server of a zone has no business to tell.
                let mut record = vec![0, 0, 2, 0, 1, 0, 0, 14, 16, 0, 4];
                put_name(&mut record, "ns");
                return Some(Sections { authorities: vec![record], ..Sections::default() });
            }
            Humour::Well | Humour::Truncating => {}
        }
        let zone = server
            .zones
            .iter()
            .filter_map(|origin| self.zones.get(origin))
            .filter_map(|zone| Some((zone.covers(asked)?, zone)))
            .max_by_key(|(labels, _)| *labels);
        match zone {
            Some((_, zone)) => Some(zone.answer(asked)),
            None => failed(REFUSED),
        }
    }
}

/// Free ones, and places of those that servers have taken.
type Sockets = BTreeMap<IpAddr, Option<(UdpSocket, TcpListener)>>;

/// Sockets for every server a world may have, all with one port; 0 for any.
fn sockets(port: u16) -> Result<(u16, Sockets)> {
    let first = TcpListener::bind(SocketAddr::new(server_address(0), port))?;
    let port = first.local_addr()?.port();
    let mut sockets = BTreeMap::new();
    let mut first = Some(first);
    for number in 0..SERVERS_MAX {
        let address = SocketAddr::new(server_address(number), port);
        let tcp = first.take().map_or_else(|| TcpListener::bind(address), Ok)?;
        sockets.insert(address.ip(), Some((UdpSocket::bind(address)?, tcp)));
    }
    Ok((port, sockets))
}

/// Addresses of loopback that nothing else has.
fn server_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 53, 0, number + 1))
}

fn serve_udp(state: &Weak<Mutex<State>>, socket: &UdpSocket, server: IpAddr) {
    let mut question = [0; 1500];
    if socket.set_read_timeout(Some(LOOK_EVERY)).is_err() {
        return;
    }
    while let Some(state) = state.upgrade() {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        let answer = answer(&state, server, from, Transport::Udp, &question[..length]);
        // A lost answer is what UDP is like; the asker asks again.
        drop(answer.map(|answer| socket.send_to(&answer, from)));
    }
}

fn serve_tcp(state: &Weak<Mutex<State>>, listener: &TcpListener, server: IpAddr) {
    while let Ok((stream, from)) = listener.accept() {
        if state.upgrade().is_none() {
            return;
        }
        let state = Weak::clone(state);
        std::thread::spawn(move || converse(&state, stream, server, from));
    }
}

/// Answers until the asker goes, or something is no question.
fn converse(
    state: &Weak<Mutex<State>>,
    mut stream: TcpStream,
    server: IpAddr,
    from: SocketAddr,
) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).ok()?;
        let state = state.upgrade()?;
        let answer = answer(&state, server, from, Transport::Tcp, &question)?;
        drop(state);
        let mut framed = u16::try_from(answer.len()).ok()?.to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed).ok()?;
    }
}

fn answer(
    state: &Mutex<State>,
    server: IpAddr,
    from: SocketAddr,
    transport: Transport,
    message: &[u8],
) -> Option<Vec<u8>> {
    let (header, body) = take::<12>(message)?;
    let (name, rest) = take_name(body)?;
    let (kind_and_class, rest) = take::<4>(rest)?;
    let question = &body[..body.len() - rest.len()];
    let kind = u16::from_be_bytes([kind_and_class[0], kind_and_class[1]]);
    let extension = extension(rest);
    let asked = Asked { name, kind, wants_signatures: extension.is_some_and(|(_, wants)| wants) };
    let (sections, truncates) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_here = Question { from, transport, name: asked.name.clone(), kind };
        state.servers.get_mut(&server)?.asked.push(asked_here);
        let truncates = state.servers.get(&server)?.humour == Humour::Truncating;
        (state.answer(server, &asked)?, truncates)
    };
    let wire = write(header, question, &sections, extension.is_some());
    let octets_max = extension.map_or(512, |(octets, _)| usize::from(octets));
    if transport == Transport::Udp && (truncates || wire.len() > octets_max) {
        let mut wire = write(header, question, &Sections::default(), extension.is_some());
        // TC: the rest is to be asked for over TCP (RFC 1035 §4.1.1).
        wire[2] |= 0x02;
        return Some(wire);
    }
    Some(wire)
}

/// What the asker says of itself (RFC 6891 §6.1.2): octets it takes in a datagram, and whether it wants signatures.
fn extension(rest: &[u8]) -> Option<(u16, bool)> {
    let (head, _) = take::<11>(rest)?;
    let is_extension = head[0] == 0 && u16::from_be_bytes([head[1], head[2]]) == kind::OPT;
    is_extension.then(|| (u16::from_be_bytes([head[3], head[4]]), head[7] & 0x80 != 0))
}

fn write(header: [u8; 12], question: &[u8], sections: &Sections, is_extended: bool) -> Vec<u8> {
    let count = |records: &[Vec<u8>], more: usize| u16::try_from(records.len() + more).unwrap_or(u16::MAX);
    let flags = if sections.is_authoritative { 0x84 } else { 0x80 };
    let mut wire = vec![header[0], header[1], flags, sections.code, 0, 1];
    wire.extend(count(&sections.answers, 0).to_be_bytes());
    wire.extend(count(&sections.authorities, 0).to_be_bytes());
    wire.extend(count(&sections.additionals, usize::from(is_extended)).to_be_bytes());
    wire.extend_from_slice(question);
    for record in [&sections.answers, &sections.authorities, &sections.additionals].into_iter().flatten() {
        wire.extend_from_slice(record);
    }
    if is_extended {
        // An empty name, the type, octets we take, DO as a signing server has it, no options.
        wire.extend([0, 0, kind::OPT.to_be_bytes()[1], 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    }
    wire
}
