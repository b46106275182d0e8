//! Answering other programs of this machine over UDP and TCP (RFC 1035 §4.2, RFC 7766): on loopback, for loopback.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use platform::tasks::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::question::Questions;
use crate::resolver::Resolver;
use crate::respond::{Heard, Request, hear, write};

/// Questions over UDP that one socket works on at once; others wait in the kernel, and are lost beyond that.
const DATAGRAMS_OPEN_MAX: usize = 256;
/// Connections of one socket at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may say nothing, and take to hear an answer.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Octets of one question.
const QUESTION_OCTETS_MAX: usize = 4096;
/// How long is waited after the system could not receive or accept: it is out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// Sockets on loopback at which other programs of this machine may ask.
#[derive(Debug)]
pub struct LocalService {
    sockets: Vec<(std::net::UdpSocket, std::net::TcpListener)>,
}

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// An open resolver is a weapon in others' hands (RFC 5358).
    #[error("{0} is no address of loopback: this resolver answers programs of its own machine alone")]
    NotLoopback(SocketAddr),
    /// The system does not give the socket.
    #[error("{0} cannot be listened at")]
    Socket(SocketAddr, #[source] io::Error),
}

impl LocalService {
    /// Binds UDP and TCP at each address.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, ServiceError> {
        let bind = |address: &SocketAddr| {
            if !is_ours(address.ip()) {
                return Err(ServiceError::NotLoopback(*address));
            }
            sockets(*address).map_err(|error| ServiceError::Socket(*address, error))
        };
        Ok(Self { sockets: addresses.iter().map(bind).collect::<Result<_, _>>()? })
    }

    /// Where it can be asked.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(datagrams, _)| datagrams.local_addr().ok()).collect()
    }

    /// Answers until `stop`. To be spawned as a task.
    pub async fn serve(self, resolver: Resolver, stop: Shutdown) {
        let Some(questions) = resolver.questions() else { return };
        let serving = self.sockets.into_iter().map(|(datagrams, listener)| async move {
            let sockets = UdpSocket::from_std(datagrams)
                .and_then(|datagrams| Ok((datagrams, TcpListener::from_std(listener)?)));
            match sockets {
                Ok((datagrams, listener)) => {
                    tokio::join!(serve_datagrams(datagrams, questions), serve_streams(&listener, questions));
                }
                Err(error) => tracing::error!(%error, "programs of this machine cannot ask the resolver"),
            }
        });
        // Questions that are open go unanswered: their programs ask again.
        tokio::select! {
            () = stop.triggered() => {}
            _ = join_all(serving) => {}
        }
    }
}

fn sockets(address: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let listener = std::net::TcpListener::bind(address)?;
    let datagrams = std::net::UdpSocket::bind(listener.local_addr()?)?;
    listener.set_nonblocking(true)?;
    datagrams.set_nonblocking(true)?;
    Ok((datagrams, listener))
}

/// Whether an address is of this machine's loopback: of those we bind, and of those we hear.
pub(crate) fn is_ours(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Answers what is known at once, and asks for the rest in tasks, on all processors: a proof is work.
async fn serve_datagrams(socket: UdpSocket, questions: &Questions) {
    let socket = Arc::new(socket);
    let mut open = JoinSet::new();
    let mut buffer = vec![0; QUESTION_OCTETS_MAX];
    loop {
        // Neither arm loses anything when cancelled: a datagram is received at once or not at all, and a task's end is
        // nobody's news.
        tokio::select! {
            received = socket.recv_from(&mut buffer), if open.len() < DATAGRAMS_OPEN_MAX => match received {
                Ok((length, from)) if is_ours(from.ip()) => {
                    match begin(questions, buffer.get(..length).unwrap_or_default(), None) {
                        Begun::Nothing => {}
                        // A lost answer is what UDP is like; the program asks again.
                        Begun::Answer(answer) => drop(socket.send_to(&answer, from).await),
                        Begun::Question(request) => {
                            let (socket, questions) = (Arc::clone(&socket), questions.clone());
                            open.spawn(async move {
                                if let Some(answer) = ask(&questions, &request, None).await {
                                    drop(socket.send_to(&answer, from).await);
                                }
                            });
                        }
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "no DNS question could be received");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = open.join_next(), if !open.is_empty() => {}
        }
    }
}

async fn serve_streams(listener: &TcpListener, questions: &Questions) {
    let mut open = FuturesUnordered::new();
    loop {
        // Neither arm loses anything when cancelled: a connection is accepted at once or not at all.
        tokio::select! {
            accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, from)) if is_ours(from.ip()) => open.push(async move {
                    // However it ends, it is over; the program sees it closed.
                    drop(converse(stream, questions).await);
                }),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "no DNS connection could be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(()) = open.next(), if !open.is_empty() => {}
        }
    }
}

/// Answers one question after the other, until the program goes or is silent for too long.
async fn converse(mut stream: TcpStream, questions: &Questions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let question = tokio::time::timeout(IDLE_MAX, read(&mut stream)).await??;
        let octets_max = Some(usize::from(u16::MAX));
        let answer = match begin(questions, &question, octets_max) {
            Begun::Nothing => None,
            Begun::Answer(answer) => Some(answer),
            Begun::Question(request) => ask(questions, &request, octets_max).await,
        };
        let Some(answer) = answer else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        tokio::time::timeout(IDLE_MAX, stream.write_all(&framed)).await??;
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > QUESTION_OCTETS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

/// What comes of a program's octets before the network is asked.
enum Begun {
    Nothing,
    Answer(Vec<u8>),
    /// The answer is not known.
    Question(Box<Request>),
}

/// Without `octets_max`, an answer is what fits the program's datagram.
fn begin(questions: &Questions, octets: &[u8], octets_max: Option<usize>) -> Begun {
    let request = match hear(octets) {
        Heard::Nothing => return Begun::Nothing,
        Heard::Refused(answer) => return Begun::Answer(answer),
        Heard::Question(request) => request,
    };
    let Some(reply) = questions.known_reply(&request.asked) else { return Begun::Question(request) };
    let octets_max = octets_max.unwrap_or_else(|| request.datagram_octets_max());
    write(&request, &reply, octets_max).map_or(Begun::Nothing, Begun::Answer)
}

/// Asks the network; as [`begin`] otherwise.
async fn ask(questions: &Questions, request: &Request, octets_max: Option<usize>) -> Option<Vec<u8>> {
    let reply = questions.reply(request.asked.clone()).await;
    write(request, &reply, octets_max.unwrap_or_else(|| request.datagram_octets_max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_ask() {
        for (address, ours) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_ours(address.parse().unwrap()), ours, "{address}");
        }
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:53"] {
            let bound = LocalService::bind(&[address.parse().unwrap()]);
            assert!(matches!(bound, Err(ServiceError::NotLoopback(_))), "{address}");
        }
    }
}
