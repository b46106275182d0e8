//! A client that speaks line by line, or in dialogues.

use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;

use super::connector;

/// How long a client waits for a reply: a stuck test fails instead of hanging. Longer than anything the door waits for.
const WAIT_MAX: Duration = Duration::from_secs(36_000);
const WIRE: WireSettings = WireSettings { input_octets_max: 128 * 1024, write_timeout: WAIT_MAX };

/// A client.
pub(crate) struct Peer {
    /// Away only while TLS begins.
    wire: Option<Wire>,
    unsent: Vec<u8>,
}

impl Peer {
    pub(crate) fn over(stream: Stream) -> Self {
        Self { wire: Some(Wire::new(stream, WIRE)), unsent: Vec::new() }
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().unwrap()
    }

    /// Says a line and reads one reply.
    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        for piece in octets.chunks(32 * 1024) {
            self.wire().put(piece);
            self.wire().flush().await.unwrap();
        }
    }

    /// Reads one whole reply, its lines joined by `|`.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("closed after {reply:?}"));
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('|');
        }
    }

    /// One line of a reply.
    pub(crate) async fn reply_line(&mut self) -> String {
        self.line().await.unwrap()
    }

    /// One line; `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        loop {
            let wire = self.wire();
            if let Some(end) = wire.input().windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(wire.input()[..end].to_vec()).unwrap();
                wire.consume(end + 2);
                return Some(line);
            }
            wire.fill(WAIT_MAX).await.ok()?;
        }
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None);
    }

    /// Runs a script: `C:` lines go in, those in a row at once; `S:` lines come out, `*` at the end of one stands for
    /// anything. `tls` shakes hands, `end` sees the connection closed.
    pub(crate) async fn dialogue(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("C:") {
                self.unsent.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
                self.unsent.extend_from_slice(b"\r\n");
                continue;
            }
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent).await;
            if let Some(expected) = line.strip_prefix("S: ") {
                let heard = self.line().await.unwrap_or_else(|| panic!("closed instead of {expected}"));
                match expected.strip_suffix('*') {
                    Some(beginning) => assert!(heard.starts_with(beginning), "{heard} instead of {expected}"),
                    None => assert_eq!(heard, expected),
                }
            } else if line == "tls" {
                self.start_tls().await;
            } else if line == "end" {
                self.expect_end().await;
            } else {
                panic!("what is {line}?");
            }
        }
        let unsent = std::mem::take(&mut self.unsent);
        self.send(&unsent).await;
    }

    async fn start_tls(&mut self) {
        let wire = self.wire.take().unwrap();
        let (wire, _) = connector().start_tls(wire, "localhost", WIRE).await.unwrap();
        self.wire = Some(wire);
    }
}
