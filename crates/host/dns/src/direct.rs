//! One message to one server and what it answers: a datagram first, a stream where that does not do (RFC 7766 §4).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};

use crate::answer::LookupError;
use crate::frames::{RESPONSE_OCTETS_MAX, check_counts};
use crate::settings::{Families, Settings};
use crate::wire::reason;

/// Octets of the largest datagram that is asked for: it passes every path without fragments (RFC 9715 §3.2).
pub(crate) const DATAGRAM_OCTETS_MAX: u16 = 1232;
/// Datagrams to one server before it counts as silent: networks lose some.
const DATAGRAMS_MAX: usize = 2;
/// The octet of a message's header that says whether it is an answer, and whether it is whole (RFC 1035 §4.1.1).
const FLAGS_AT: usize = 2;
const IS_ANSWER: u8 = 0x80;
const IS_TRUNCATED: u8 = 0x02;

/// How servers are spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    families: Families,
    bind_v4: Option<Ipv4Addr>,
    bind_v6: Option<Ipv6Addr>,
    query_time_max: Duration,
}

impl Direct {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            families: settings.families,
            bind_v4: settings.bind_v4,
            bind_v6: settings.bind_v6,
            query_time_max: settings.bounds.query_time_max,
        }
    }

    /// Asks by a datagram, and by a stream when the answer does not fit into one.
    pub(crate) async fn ask(&self, server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, LookupError> {
        self.check_family(server)?;
        let mut outcome = Err(LookupError::Timeout);
        for _ in 0..DATAGRAMS_MAX {
            outcome = self.within_time(self.by_datagram(server, question)).await;
            if !matches!(outcome, Err(LookupError::Timeout)) {
                break;
            }
        }
        match outcome {
            Ok(answer) if answer.get(FLAGS_AT).is_some_and(|flags| flags & IS_TRUNCATED != 0) => {
                self.ask_by_stream(server, question).await
            }
            outcome => outcome,
        }
    }

    /// Asks by a stream.
    pub(crate) async fn ask_by_stream(
        &self,
        server: SocketAddr,
        question: &[u8],
    ) -> Result<Vec<u8>, LookupError> {
        self.check_family(server)?;
        self.within_time(self.by_stream(server, question)).await
    }

    fn check_family(&self, server: SocketAddr) -> Result<(), LookupError> {
        match self.families.contain(server.ip()) {
            true => Ok(()),
            false => Err(LookupError::Unreachable("this host does not reach its address family".to_owned())),
        }
    }

    async fn within_time(
        &self,
        asking: impl Future<Output = io::Result<Vec<u8>>>,
    ) -> Result<Vec<u8>, LookupError> {
        match tokio::time::timeout(self.query_time_max, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(LookupError::Unreachable(reason(&error))),
            Err(_) => Err(LookupError::Timeout),
        }
    }

    fn local(&self, server: SocketAddr) -> SocketAddr {
        let address = match server {
            SocketAddr::V4(_) => IpAddr::V4(self.bind_v4.unwrap_or(Ipv4Addr::UNSPECIFIED)),
            SocketAddr::V6(_) => IpAddr::V6(self.bind_v6.unwrap_or(Ipv6Addr::UNSPECIFIED)),
        };
        SocketAddr::new(address, 0)
    }

    async fn by_datagram(&self, server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
        let socket = UdpSocket::bind(self.local(server)).await?;
        // The kernel drops what strangers send, and tells at once when nobody listens.
        socket.connect(server).await?;
        socket.send(question).await?;
        let mut answer = vec![0; usize::from(DATAGRAM_OCTETS_MAX)];
        loop {
            let length = socket.recv(&mut answer).await?;
            // Anything else may be a forger's guess: the right answer may still come.
            if let Some(octets) = answer.get(..length)
                && answers(question, octets)
            {
                check_counts(octets)?;
                return Ok(octets.to_vec());
            }
        }
    }

    async fn by_stream(&self, server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
        let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(self.local(server))?;
        let mut stream = socket.connect(server).await?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(question);
        stream.write_all(&framed).await?;
        let length = usize::from(stream.read_u16().await?);
        if length > RESPONSE_OCTETS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of too many octets"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        check_counts(&answer)?;
        match answers(question, &answer) {
            true => Ok(answer),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another question")),
        }
    }
}

/// Whether a message can be the answer to a question: it bears its number and says that it is one.
fn answers(question: &[u8], message: &[u8]) -> bool {
    message.get(..FLAGS_AT).is_some_and(|id| question.starts_with(id))
        && message.get(FLAGS_AT).is_some_and(|flags| flags & IS_ANSWER != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_bears_the_questions_number() {
        let question = [7, 8, 1, 0];
        assert!(answers(&question, &[7, 8, 0x81, 0]));
        assert!(!answers(&question, &[7, 9, 0x81, 0]));
        assert!(!answers(&question, &[7, 8, 1, 0]));
        assert!(!answers(&question, &[7]));
        assert!(!answers(&question, &[]));
    }
}
