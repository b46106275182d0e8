//! Debian's `smtp-sink`: the hosts that mail goes out to. They take it, count it and throw it away.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait between two arrivals before a run is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the counters are looked at: short beside any run.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Sinks on addresses of loopback, all with one port.
pub(crate) struct Sinks {
    running: Vec<Child>,
    counts: Vec<Arc<AtomicU64>>,
    port: u16,
}

impl Sinks {
    /// Starts so many.
    pub(crate) fn start(count: u8) -> Result<Self> {
        let port = free_port(&(0..count).map(address).collect::<Vec<_>>())?;
        let mut sinks = Self { running: Vec::new(), counts: Vec::new(), port };
        for number in 0..count {
            let place = SocketAddr::new(address(number), port).to_string();
            let mut sink = Command::new("/usr/sbin/smtp-sink")
                .args(["-c", "-u", "nobody", "-m", "1000", &place, "1000"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .context("starting smtp-sink; scripts/bench installs it")?;
            let count = Arc::new(AtomicU64::new(0));
            let output = sink.stdout.take().context("no output")?;
            let shared = Arc::clone(&count);
            std::thread::spawn(move || read_counts(output, &shared));
            sinks.running.push(sink);
            sinks.counts.push(count);
            sinks.await_listener(&place)?;
        }
        Ok(sinks)
    }

    /// Every sink's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of one of them: destinations are dealt out among them.
    pub(crate) fn address(&self, destination: u32) -> IpAddr {
        let count = u32::try_from(self.running.len()).unwrap_or(1).max(1);
        address(u8::try_from(destination % count).unwrap_or(0))
    }

    /// Messages that have arrived so far.
    pub(crate) fn arrived(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Waits until so many have arrived.
    pub(crate) fn wait_for(&self, messages: u64) -> Result<()> {
        let (mut last, mut since) = (self.arrived(), Instant::now());
        while last < messages {
            ensure!(since.elapsed() < PATIENCE, "only {last} of {messages} messages have arrived");
            std::thread::sleep(LOOK_EVERY);
            let now = self.arrived();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn await_listener(&self, place: &str) -> Result<()> {
        let begun = Instant::now();
        while std::net::TcpStream::connect(place).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "no smtp-sink at {place}");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        for sink in &mut self.running {
            if sink.kill().and_then(|()| sink.wait().map(drop)).is_err() {
                eprintln!("an smtp-sink did not stop");
            }
        }
    }
}

/// 127.0.0.1 is the server itself: mail for an MX there would be a loop.
fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 100, number.saturating_add(1)).into()
}

/// A port that is free on all of these, below those that the kernel gives to outgoing connections.
pub(crate) fn free_port(addresses: &[IpAddr]) -> Result<u16> {
    let begin = 22_000 + u16::try_from(std::process::id() % 8_000).unwrap_or(0);
    for port in begin..begin + 2_000 {
        if addresses.iter().all(|&address| TcpListener::bind((address, port)).is_ok()) {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// Reads `sess=1 quit=0 mesg=17`, each after a carriage return, as long as the sink lives.
fn read_counts(mut output: ChildStdout, count: &AtomicU64) {
    let mut buffer = [0; 65_536];
    let mut kept = String::new();
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        kept.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some(end) = kept.rfind('\r') else { continue };
        let last = kept[..end].rsplit('\r').next().and_then(|line| line.rsplit("mesg=").next());
        if let Some(number) = last.and_then(|number| number.trim().parse().ok()) {
            count.store(number, Ordering::Relaxed);
        }
        kept.drain(..=end);
    }
}
