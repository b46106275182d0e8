//! Measures what idle TLS sessions weigh: `cargo run --release -p tls --example idle_memory -- 1000`.
//!
//! The server counts its own resident memory; the clients are another process, this program once more.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use platform::clock::Clock;
use platform::lines::{Wire, WireSettings};
use platform::metrics::Metrics;
use platform::privileges::raise_open_files;
use platform::stream::Stream;
use platform::telemetry::octets_resident;
use tls::{Acceptor, AcceptorSettings, Certificates, Connector, ConnectorTrust};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const WIRE: WireSettings =
    WireSettings { input_octets_max: 64 * 1024, write_timeout: Duration::from_secs(60) };
const WAIT: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if raise_open_files(20_000) < 20_000 {
        eprintln!("few open files are allowed here");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["clients", address, sessions] => clients(address, sessions.parse()?).await,
        [sessions] => server(sessions.parse()?).await,
        _ => anyhow::bail!("how many sessions?"),
    }
}

async fn server(sessions: usize) -> anyhow::Result<()> {
    let clock = Clock::system();
    let pair = tls::self_signed::generate(&["localhost"], clock.now())?;
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, clock, &Metrics::new())?;
    let acceptor = Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: WAIT });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let mut others = tokio::process::Command::new(std::env::current_exe()?)
        .args(["clients", &address, &sessions.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // One session first, so that what all share is there before counting.
    let before = await_sessions(&listener, &acceptor, 1).await?;
    let after = await_sessions(&listener, &acceptor, sessions - 1).await?;
    let mut lines = BufReader::new(others.stdout.take().context("no output")?).lines();
    lines.next_line().await?;
    let settled = octets_resident().context("no /proc")?;
    println!(
        "{sessions} idle sessions: {} KiB each ({} KiB in all, {} KiB before, {} KiB right after)",
        (settled - before) / 1024 / (sessions as u64 - 1),
        settled / 1024,
        before / 1024,
        after / 1024
    );
    Ok(())
}

/// Accepts sessions, speaks a little with each, leaves them waiting for a command. Returns resident memory then.
async fn await_sessions(listener: &TcpListener, acceptor: &Acceptor, sessions: usize) -> anyhow::Result<u64> {
    let (sender, mut idle) = tokio::sync::mpsc::channel(16);
    for _ in 0..sessions {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let (stream, _) = acceptor.accept(Stream::Tcp(stream)).await?;
            let mut wire = Wire::new(stream, WIRE);
            for _ in 0..3 {
                wire.fill(WAIT).await?;
                wire.consume(usize::MAX);
                wire.put(&[b'x'; 2000]);
                wire.flush().await?;
            }
            sender.send(()).await?;
            drop(sender);
            wire.fill(WAIT).await?;
            anyhow::Ok(())
        });
    }
    for _ in 0..sessions {
        idle.recv().await.context("a session failed")?;
    }
    octets_resident().context("no /proc")
}

async fn clients(address: &str, sessions: usize) -> anyhow::Result<()> {
    let connector = Connector::new(&ConnectorTrust::Anyone, WAIT)?;
    let mut wires = Vec::new();
    for _ in 0..sessions {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = Stream::Tcp(stream);
        let mut wire = Wire::new(connector.connect(stream, "localhost").await?.0, WIRE);
        for _ in 0..3 {
            wire.put(&[b'y'; 200]);
            wire.flush().await?;
            let mut missing = 2000;
            while missing > 0 {
                wire.fill(WAIT).await?;
                missing -= wire.input().len();
                wire.consume(usize::MAX);
            }
        }
        wires.push(wire);
    }
    println!("all idle");
    tokio::time::sleep(WAIT).await;
    drop(wires);
    Ok(())
}
