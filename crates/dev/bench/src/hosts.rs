//! Hosts of other people that note when each message arrives: some answer at once, some take seconds for each command,
//! some are a hole in which connections vanish, and at some address nobody listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use crate::sinks::free_port;
use crate::submit::NUMBER_FIELD;

/// How a host behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Health {
    Well,
    /// Each reply takes [`SLOWNESS`].
    Slow,
    /// Connections are neither made nor refused.
    Hole,
    /// Connections are refused.
    Nobody,
}

/// How long a slow host thinks about each command.
pub(crate) const SLOWNESS: Duration = Duration::from_secs(2);

/// Connections that fill the backlog of a hole.
const PLUGS: usize = 4;

/// What arrived when.
#[derive(Debug)]
pub(crate) struct Arrivals {
    begun: Instant,
    /// Microseconds after the beginning, and 0 for what has not come.
    times: Vec<AtomicU64>,
    pub(crate) count: AtomicU32,
    pub(crate) repeated: AtomicU32,
}

impl Arrivals {
    pub(crate) fn new(messages: u32) -> Self {
        let times = (0..messages).map(|_| AtomicU64::new(0)).collect();
        Self { begun: Instant::now(), times, count: AtomicU32::new(0), repeated: AtomicU32::new(0) }
    }

    /// Notes that a message is here now. Twice is counted once.
    pub(crate) fn note(&self, number: u32) {
        let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let Some(time) = usize::try_from(number).ok().and_then(|number| self.times.get(number)) else {
            return;
        };
        match time.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => self.count.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.repeated.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// How much later a message came here than there.
    pub(crate) fn since(&self, there: &Self, number: u32) -> Option<Duration> {
        let (here, there) = (self.begun + self.time(number)?, there.begun + there.time(number)?);
        Some(here.saturating_duration_since(there))
    }

    /// When a message came.
    pub(crate) fn time(&self, number: u32) -> Option<Duration> {
        let micros = self.times.get(usize::try_from(number).ok()?)?.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}

/// The hosts, at work until dropped.
pub(crate) struct Hosts {
    port: u16,
    pub(crate) arrivals: Arc<Arrivals>,
    _plugs: Vec<std::net::TcpStream>,
    _hole: socket2::Socket,
    _runtime: Runtime,
}

impl Health {
    pub(crate) fn address(self) -> IpAddr {
        let last = match self {
            Self::Well => 1,
            Self::Slow => 2,
            Self::Hole => 3,
            Self::Nobody => 4,
        };
        Ipv4Addr::new(127, 0, 101, last).into()
    }
}

impl Hosts {
    /// Opens all of them for so many messages.
    pub(crate) fn open(messages: u32) -> Result<Self> {
        let all = [Health::Well, Health::Slow, Health::Hole, Health::Nobody];
        let port = free_port(&all.map(Health::address))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let arrivals = Arc::new(Arrivals::new(messages));
        for health in [Health::Well, Health::Slow] {
            let arrivals = Arc::clone(&arrivals);
            let _guard = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(health.address(), port))?;
            let listener = socket.listen(4_096)?;
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let arrivals = Arc::clone(&arrivals);
                    // Whoever hangs up early is none of ours.
                    tokio::spawn(async move { drop(converse(stream, health, &arrivals).await) });
                }
            });
        }
        let hole = SocketAddr::new(Health::Hole.address(), port);
        let (socket, plugs) = dig(hole)?;
        Ok(Self { port, arrivals, _plugs: plugs, _hole: socket, _runtime: runtime })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A listener that never accepts, its backlog filled up: the kernel drops what else comes.
fn dig(at: SocketAddr) -> Result<(socket2::Socket, Vec<std::net::TcpStream>)> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&at.into())?;
    socket.listen(0)?;
    let mut plugs = Vec::new();
    for _ in 0..PLUGS {
        match std::net::TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
            Ok(plug) => plugs.push(plug),
            Err(_) => return Ok((socket, plugs)),
        }
    }
    anyhow::bail!("the hole is not full after {PLUGS} connections")
}

async fn converse(stream: TcpStream, health: Health, arrivals: &Arrivals) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(16_384, stream);
    let mut line = Vec::new();
    say(&mut stream, health, "220 host.sink.test ESMTP\r\n").await?;
    loop {
        line.clear();
        ensure!(stream.read_until(b'\n', &mut line).await? > 0, "hung up");
        let verb = line.get(..4).context("a short line")?.to_ascii_uppercase();
        let reply = match &verb[..] {
            b"EHLO" => "250-host.sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            b"DATA" => {
                say(&mut stream, health, "354 go\r\n").await?;
                let number = read_message(&mut stream, &mut line).await?;
                arrivals.note(number);
                "250 ok\r\n"
            }
            b"QUIT" => {
                stream.get_mut().write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        say(&mut stream, health, reply).await?;
    }
}

async fn say(stream: &mut BufReader<TcpStream>, health: Health, reply: &str) -> Result<()> {
    if health == Health::Slow {
        tokio::time::sleep(SLOWNESS).await;
    }
    stream.get_mut().write_all(reply.as_bytes()).await?;
    Ok(())
}

/// Reads up to the final dot; gives the message's number.
async fn read_message(stream: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> Result<u32> {
    let mut number = None;
    loop {
        line.clear();
        ensure!(stream.read_until(b'\n', line).await? > 0, "hung up in a message");
        if line == b".\r\n" {
            return number.context("a message without its number");
        }
        if let (None, Some(rest)) = (number, line.strip_prefix(NUMBER_FIELD.as_bytes())) {
            number = Some(std::str::from_utf8(rest)?.trim().parse()?);
        }
    }
}
