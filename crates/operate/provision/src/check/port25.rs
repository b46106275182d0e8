//! Whether mail leaves at all: many networks let nobody connect to port 25 outside.

use std::net::SocketAddr;
use std::time::Duration;

use platform::egress::{self, Egress};
use tokio::io::AsyncReadExt;

use super::Checker;
use crate::finding::Finding;

/// How long the other host may take for its greeting (RFC 5321 §4.5.3.2.1 gives it five minutes; a check is no delivery).
const GREETING_WAIT: Duration = Duration::from_secs(15);
/// Octets that are looked at of a greeting.
const GREETING_OCTETS: usize = 3;

impl Checker<'_> {
    pub(super) async fn mail_host(&self) -> Option<Finding> {
        let (host, port) = self.probes.mail_host.as_ref()?;
        let about = format!("port {port} outward");
        let addresses = match self.world.resolver().addresses(host, dns::Families::Both).await {
            Ok(answer) => answer.records,
            Err(error) => return Some(Finding::unknown(&about, format!("{host}: {error}"))),
        };
        let addresses: Vec<SocketAddr> =
            addresses.into_iter().map(|address| SocketAddr::new(address, *port)).collect();
        Some(match greeted(&addresses, self.probes.egress).await {
            Ok(()) => Finding::right(&about, format!("{host} answers")),
            Err(why) => Finding::wrong(
                &about,
                format!("{host} cannot be reached: {why}"),
                "most likely your network lets no mail out: nothing that people send leaves this host",
                "ask your provider to open outgoing port 25, or send by a smart host (outbound.relay)",
            ),
        })
    }
}

async fn greeted(addresses: &[SocketAddr], egress: Egress) -> Result<(), String> {
    let (mut stream, _) = egress::connect(addresses, egress).await.map_err(|error| error.to_string())?;
    let mut greeting = [0; GREETING_OCTETS];
    match tokio::time::timeout(GREETING_WAIT, stream.read_exact(&mut greeting)).await {
        Ok(Ok(_)) if greeting == *b"220" => Ok(()),
        // Busy or unwilling: but it was reached.
        Ok(Ok(_)) if greeting.starts_with(b"4") || greeting.starts_with(b"5") => Ok(()),
        Ok(Ok(_)) => Err("what answers there is no mail server".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it connects, and then nobody greets".to_owned()),
    }
}
