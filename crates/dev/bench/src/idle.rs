//! Memory: a server at rest with ten accounts, and with thousands of clients that idle over TLS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use platform::lines::{INPUT_OCTETS_MAX, Wire, WireSettings};
use platform::stream::Stream;
use tls::{Connector, ConnectorTrust};

use crate::peer::{PASSWORD, Peer, account};
use crate::report::{Better, Report};

/// Handshakes under way at a time.
const OPENING_MAX: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) fn run(report: &mut Report, peer: &dyn Peer, sessions: u32) -> Result<()> {
    let sessions = sessions.min(peer.sessions_max());
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let rest = peer.resident_octets()?;
    report.add("memory at rest, 10 accounts", &peer.name(), mib(rest), "MiB", Better::Less);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let with_all = runtime.block_on(async {
        let open = open(peer.imaps(), sessions).await?;
        ensure!(
            open.len() == usize::try_from(sessions)?,
            "only {} of {sessions} sessions are open",
            open.len()
        );
        peer.resident_octets()
    })?;
    report.add(
        &format!("memory with {sessions} idle TLS sessions"),
        &peer.name(),
        mib(with_all),
        "MiB",
        Better::Less,
    );
    let each = with_all.saturating_sub(rest) as f64 / 1_024.0 / f64::from(sessions);
    report.add("memory of one idle TLS session", &peer.name(), each, "KiB", Better::Less);
    Ok(())
}

async fn open(address: std::net::SocketAddr, sessions: u32) -> Result<Vec<Wire>> {
    let connector = Connector::new(&ConnectorTrust::Anyone, TIMEOUT)?;
    let places = Arc::new(tokio::sync::Semaphore::new(OPENING_MAX));
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..sessions {
        let (connector, places) = (connector.clone(), Arc::clone(&places));
        opening.spawn(async move {
            let _place = places.acquire().await?;
            idle(&connector, address, &account(number)).await.with_context(|| format!("session {number}"))
        });
    }
    let mut open = Vec::new();
    while let Some(session) = opening.join_next().await {
        open.push(session??);
    }
    Ok(open)
}

/// One session: log in, select, idle.
async fn idle(connector: &Connector, address: std::net::SocketAddr, user: &str) -> Result<Wire> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = Stream::Tcp(stream);
    let (stream, _) = connector.connect(stream, "localhost").await?;
    let settings = WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout: TIMEOUT };
    let mut wire = Wire::new(stream, settings);
    expect(&mut wire, "* OK").await?;
    say(&mut wire, &format!("a LOGIN {user} \"{PASSWORD}\"")).await?;
    expect(&mut wire, "a OK").await?;
    say(&mut wire, "b SELECT INBOX").await?;
    expect(&mut wire, "b OK").await?;
    say(&mut wire, "c IDLE").await?;
    expect(&mut wire, "+").await?;
    Ok(wire)
}

async fn say(wire: &mut Wire, line: &str) -> Result<()> {
    wire.put(format!("{line}\r\n").as_bytes());
    wire.flush().await?;
    Ok(())
}

/// Reads lines up to one that begins so.
async fn expect(wire: &mut Wire, beginning: &str) -> Result<()> {
    loop {
        while let Some(at) = memchr::memchr(b'\n', wire.input()) {
            let is_it = wire.input().starts_with(beginning.as_bytes());
            wire.consume(at + 1);
            if is_it {
                return Ok(());
            }
        }
        wire.fill(TIMEOUT).await?;
    }
}
