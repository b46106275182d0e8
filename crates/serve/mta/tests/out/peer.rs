//! A client at the door.

use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;

const WAIT_MAX: Duration = Duration::from_secs(60);
pub(crate) const WIRE: WireSettings = WireSettings { input_octets_max: 128 * 1024, write_timeout: WAIT_MAX };

pub(crate) struct Peer(pub(crate) Wire);

impl Peer {
    pub(crate) fn over(stream: Stream) -> Self {
        Self(Wire::new(stream, WIRE))
    }

    /// Says a line and reads one reply, its lines joined by `|`.
    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.0.put(format!("{line}\r\n").as_bytes());
        self.0.flush().await.unwrap();
        self.reply().await
    }

    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('|');
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.0.input().windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(self.0.input()[..end].to_vec()).unwrap();
                self.0.consume(end + 2);
                return line;
            }
            self.0.fill(WAIT_MAX).await.unwrap();
        }
    }
}
