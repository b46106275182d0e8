//! Puts mail into a server as programs do that send much: connections that are kept, the envelope in one go (RFC 2920).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::mail::message;

/// Different messages that are sent again and again under other numbers.
const TEXTS: u32 = 64;
/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(120);

/// The header field by which a message is known when it arrives.
pub(crate) const NUMBER_FIELD: &str = "X-Bench-Number: ";

/// What is submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    pub(crate) messages: u32,
    pub(crate) connections: u32,
    /// Message `n` goes to a user of domain `n % destinations`.
    pub(crate) destinations: u32,
    /// Messages a second; as fast as they are taken without it.
    pub(crate) rate: Option<u32>,
}

/// The domain of a destination.
pub(crate) fn domain(destination: u32) -> String {
    format!("d{destination}.sink.test")
}

impl Load {
    /// Submits everything; `accepted` hears of each message that was answered with 250.
    pub(crate) fn run(&self, accepted: &(dyn Fn(u32) + Sync)) -> Result<()> {
        let texts: Vec<Vec<u8>> = (0..TEXTS).map(message).collect();
        let next = AtomicU32::new(0);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let work = || {
                let mut line = Line::open(self.to)?;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= self.messages {
                        return line.command("QUIT\r\n", &["221"]);
                    }
                    self.wait_for_turn(number, begun);
                    let text = &texts[usize::try_from(number % TEXTS)?];
                    line.submit(number, &domain(number % self.destinations), text)?;
                    accepted(number);
                }
            };
            let threads: Vec<_> = (0..self.connections).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
        })
    }

    fn wait_for_turn(&self, number: u32, begun: Instant) {
        if let Some(rate) = self.rate {
            let turn = Duration::from_secs_f64(f64::from(number) / f64::from(rate.max(1)));
            std::thread::sleep(turn.saturating_sub(begun.elapsed()));
        }
    }
}

/// A connection.
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Line {
    pub(crate) fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = Self { stream, buffer: Vec::new(), out: Vec::new() };
        line.reply("220")?;
        line.command("EHLO client.example\r\n", &["250"])?;
        Ok(line)
    }

    pub(crate) fn command(&mut self, text: &str, codes: &[&str]) -> Result<()> {
        self.stream.write_all(text.as_bytes())?;
        codes.iter().try_for_each(|code| self.reply(code))
    }

    fn submit(&mut self, number: u32, domain: &str, text: &[u8]) -> Result<()> {
        let (sender, recipient) =
            (format!("sender{}@elsewhere.example", number % 500), format!("user{number}@{domain}"));
        let field = format!("{NUMBER_FIELD}{number}\r\n");
        self.bring(&sender, &recipient, &[field.as_bytes(), text])
            .with_context(|| format!("message {number}"))
    }

    /// Hands over a message, given in pieces.
    pub(crate) fn bring(&mut self, sender: &str, recipient: &str, message: &[&[u8]]) -> Result<()> {
        let envelope = format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.command(&envelope, &["250", "250", "354"])?;
        self.out.clear();
        // Nothing in these texts begins with a dot.
        message.iter().for_each(|piece| self.out.extend_from_slice(piece));
        self.out.extend_from_slice(b".\r\n");
        self.stream.write_all(&self.out)?;
        self.reply("250")
    }

    /// Reads one whole reply.
    fn reply(&mut self, code: &str) -> Result<()> {
        let mut at = 0;
        loop {
            while let Some(length) = memchr::memchr(b'\n', &self.buffer[at..]) {
                let line = &self.buffer[at..at + length];
                at += length + 1;
                if line.get(3) != Some(&b'-') {
                    ensure!(line.starts_with(code.as_bytes()), "{}", String::from_utf8_lossy(line));
                    self.buffer.drain(..at);
                    return Ok(());
                }
            }
            let mut piece = [0; 4_096];
            let count = self.stream.read(&mut piece)?;
            ensure!(count > 0, "the server hung up");
            self.buffer.extend_from_slice(&piece[..count]);
        }
    }
}
