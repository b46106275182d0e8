//! The sockets that queries leave by: from our address, to allowed families, few at a time, with small answers only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::io::{AsyncRead, AsyncWrite};
use futures_util::stream::BoxStream;
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{
    DnsTcpStream, DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{ConnectionProvider, PoolContext};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::frames::{Frames, RESPONSE_RECORDS_MAX, check_counts};
use crate::settings::{Families, Settings};
use crate::trail::{Step, Trail, Transport};
use crate::wire::reason;

/// TCP connections to servers that may be open at once. One that idles is closed, so it is not ours to keep for long.
const CONNECTIONS_MAX: usize = 128;
/// How long a connection may say nothing before it is closed (RFC 7766 §6.2.3: a few seconds).
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Queries that may be under way over one connection (RFC 7766 §6.2.1.1).
const PIPELINED_MAX: usize = 32;

/// Opens connections to name servers as the settings say.
#[derive(Clone)]
pub(crate) struct Connections {
    sockets: Sockets,
    families: Families,
    bind_v4: Option<Ipv4Addr>,
    bind_v6: Option<Ipv6Addr>,
    query_time_max: Duration,
    /// Root servers and the port of all others, when it is us who walk down from the root.
    ports: Option<Arc<(Vec<SocketAddr>, u16)>>,
}

impl Connections {
    /// For recursion from these root servers; without any, for the forwarders' own ports.
    pub(crate) fn new(settings: &Settings, roots: &[SocketAddr]) -> Self {
        Self {
            sockets: Sockets::new(settings.bounds.queries_open_max),
            families: settings.families,
            bind_v4: settings.bind_v4,
            bind_v6: settings.bind_v6,
            query_time_max: settings.bounds.query_time_max,
            ports: (!roots.is_empty()).then(|| Arc::new((roots.to_vec(), settings.server_port))),
        }
    }

    fn remote(&self, ip: IpAddr, port: u16) -> SocketAddr {
        let Some(ports) = &self.ports else { return SocketAddr::new(ip, port) };
        let (roots, others) = &**ports;
        roots.iter().find(|root| root.ip() == ip).copied().unwrap_or_else(|| SocketAddr::new(ip, *others))
    }

    fn local(&self, remote: SocketAddr) -> Option<SocketAddr> {
        let address = match remote {
            SocketAddr::V4(_) => self.bind_v4.map(IpAddr::V4),
            SocketAddr::V6(_) => self.bind_v6.map(IpAddr::V6),
        };
        address.map(|address| SocketAddr::new(address, 0))
    }
}

impl ConnectionProvider for Connections {
    type Conn = Exchange;
    type FutureConn = BoxFuture<'static, Result<Self::Conn, NetError>>;
    type RuntimeProvider = Sockets;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        if !self.families.contain(ip) {
            return Err(NetError::from("this host does not reach the server's address family"));
        }
        // Whatever networks are allowed: to the system these are addresses of its own (CVE-2026-50251).
        if ip.is_unspecified() {
            return Err(NetError::from("no server has this address"));
        }
        let remote = self.remote(ip, config.port);
        let local = self.local(remote);
        let (sockets, timeout) = (self.sockets.clone(), self.query_time_max);
        let peers = if self.ports.is_some() { Peers::Responsible } else { Peers::Resolvers };
        let opening: BoxFuture<'static, Result<DnsExchange<Sockets>, NetError>> = match &config.protocol {
            ProtocolConfig::Udp => Box::pin(async move {
                Ok(UdpClientStream::builder(remote, sockets)
                    .with_timeout(Some(timeout))
                    .with_bind_addr(local)
                    .exchange())
            }),
            ProtocolConfig::Tcp => {
                Box::pin(TcpClientStream::exchange(remote, local, timeout, Some(PIPELINED_MAX), sockets))
            }
            _ => {
                let mut config = config.clone();
                config.bind_addr = local;
                self.sockets.encrypted().new_connection(ip, &config, context)?
            }
        };
        let transport = match &config.protocol {
            ProtocolConfig::Udp => Transport::Udp,
            ProtocolConfig::Tcp => Transport::Tcp,
            _ => Transport::Tls,
        };
        Ok(Box::pin(async move { Ok(Exchange { exchange: opening.await?, peers, remote, transport }) }))
    }

    fn runtime_provider(&self) -> &Sockets {
        &self.sockets
    }
}

/// What those whom we ask are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Peers {
    /// Servers that are responsible for the zone we ask for.
    Responsible,
    /// Resolvers that ask others for us.
    Resolvers,
}

/// Questions and answers with one server, charged to the question they are asked for. An answer that says no more than
/// that this server is of no use becomes a failure to reach it: the library then asks the zone's next server, and would
/// not otherwise.
#[derive(Clone)]
pub(crate) struct Exchange {
    exchange: DnsExchange<Sockets>,
    peers: Peers,
    remote: SocketAddr,
    transport: Transport,
}

impl DnsHandle for Exchange {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = Sockets;

    fn send(&self, mut request: DnsRequest) -> Self::Response {
        let trail = Trail::current();
        let wanted = request.queries.first().cloned();
        let known = trail.as_ref().zip(wanted.as_ref()).and_then(|(trail, wanted)| trail.at_hand(wanted));
        if let Some(known) = known {
            return futures_util::stream::once(std::future::ready(Ok(known))).boxed();
        }
        if trail.as_ref().is_some_and(|trail| !trail.charge()) {
            let spent = NetError::from("the question has cost all the queries it may");
            return futures_util::stream::once(std::future::ready(Err(spent))).boxed();
        }
        let (peers, server, transport) = (self.peers, self.remote, self.transport);
        let question = match (&trail, &wanted) {
            (Some(trail), Some(wanted)) if peers == Peers::Responsible => trail.instead_of(wanted),
            _ => None,
        };
        if let Some(question) = &question {
            request.queries = vec![question.clone()];
        }
        let asked = question.clone().or_else(|| wanted.clone());
        let began = Instant::now();
        let judged = move |mut response: Result<DnsResponse, NetError>| {
            let uselessness = response.as_ref().ok().and_then(|response| uselessness(response, peers));
            if let (Some(trail), Some(asked)) = (&trail, &asked) {
                if response.as_ref().is_ok_and(|response| is_alias(response, asked)) {
                    trail.meet_alias();
                }
                trail.step(|| Step {
                    server,
                    transport,
                    name: asked.name().to_ascii(),
                    kind: asked.query_type().to_string(),
                    outcome: match (&response, &uselessness) {
                        (_, Some(why)) => why.clone(),
                        (Ok(response), None) => said(response),
                        (Err(error), None) => reason(error),
                    },
                    took: began.elapsed(),
                });
            }
            if let (Some(trail), Some(_), Some(wanted), Ok(response), None) =
                (&trail, &question, &wanted, &mut response, &uselessness)
            {
                trail.keep(response);
                response.queries = vec![wanted.clone()];
            }
            match (response, uselessness) {
                (Ok(_), Some(why)) => Err(io::Error::other(why).into()),
                (response, _) => response,
            }
        };
        self.exchange.send(request).map(judged).boxed()
    }
}

/// Whether an answer sends on to another name. Servers of zones are looked for by questions that meet the same aliases
/// again, and do not count.
fn is_alias(response: &DnsResponse, asked: &Query) -> bool {
    !matches!(asked.query_type(), RecordType::NS | RecordType::CNAME)
        && response.answers.iter().any(|record| matches!(record.data, RData::CNAME(_)))
}

/// What an answer says, for people.
fn said(response: &DnsResponse) -> String {
    if response.truncation {
        return "does not fit a datagram".to_owned();
    }
    if response.response_code != ResponseCode::NoError {
        return response.response_code.to_string();
    }
    let count = |records: &[Record]| {
        records.iter().filter(|record| record.record_type() != RecordType::RRSIG).count()
    };
    let referral = response.authorities.iter().find(|record| matches!(record.data, RData::NS(_)));
    match (count(&response.answers), referral) {
        (0, Some(referral)) if !response.authoritative => format!("servers of {}", referral.name.to_ascii()),
        (0, _) => "no such records".to_owned(),
        (1, _) => "1 record".to_owned(),
        (many, _) => format!("{many} records"),
    }
}

/// Why an answer is of no use, though another server of the zone may do better.
fn uselessness(response: &DnsResponse, peers: Peers) -> Option<String> {
    let code = response.response_code;
    if matches!(
        code,
        ResponseCode::ServFail
            | ResponseCode::Refused
            | ResponseCode::NotImp
            | ResponseCode::FormErr
            | ResponseCode::NotAuth
    ) {
        return Some(format!("the server says: {code}"));
    }
    // What came under TLS was not looked into before it was read.
    if response.all_sections().count() > RESPONSE_RECORDS_MAX {
        return Some("an answer of too many records".to_owned());
    }
    let is_empty = response.answers.is_empty() && !response.truncation;
    if peers == Peers::Resolvers || response.authoritative || !is_empty {
        return None;
    }
    // Neither an answer, nor its word that there is none, nor a way further down: a lame delegation (RFC 1713 §2.3).
    let leads_down = response.authorities.iter().any(|record| match &record.data {
        RData::NS(_) => !record.name.is_root(),
        _ => false,
    });
    (!leads_down).then(|| "the server knows nothing of the zone".to_owned())
}

/// Opens sockets, few at a time.
#[derive(Clone)]
pub(crate) struct Sockets {
    tasks: TokioHandle,
    queries: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    /// Whether streams carry messages that can be looked into.
    frames: Option<Frames>,
}

impl Sockets {
    fn new(queries_open_max: usize) -> Self {
        Self {
            tasks: TokioRuntimeProvider::new().create_handle(),
            queries: Arc::new(Semaphore::new(queries_open_max)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            frames: Some(Frames::default()),
        }
    }

    /// The same, for streams under TLS: what is on them says nothing before it is deciphered.
    fn encrypted(&self) -> Self {
        Self { frames: None, ..self.clone() }
    }
}

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Datagrams;
    type Tcp = Stream;

    fn create_handle(&self) -> TokioHandle {
        self.tasks.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        wait_for: Option<Duration>,
    ) -> BoxFuture<'static, io::Result<Stream>> {
        let connections = Arc::clone(&self.connections);
        let frames = self.frames.clone();
        Box::pin(async move {
            let place =
                connections.try_acquire_owned().map_err(|_| io::Error::other("too many connections"))?;
            let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            if let Some(local) = local {
                socket.bind(local)?;
            }
            socket.set_nodelay(true)?;
            let stream = tokio::time::timeout(wait_for.unwrap_or(IDLE_MAX), socket.connect(server)).await??;
            Ok(Stream { stream, frames, idle: Box::pin(tokio::time::sleep(IDLE_MAX)), _place: place })
        })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> BoxFuture<'static, io::Result<Datagrams>> {
        let queries = Arc::clone(&self.queries);
        Box::pin(async move {
            let place = queries.acquire_owned().await.map_err(io::Error::other)?;
            let socket = UdpSocket::bind(local).await?;
            // The kernel drops what strangers send, and tells at once when nobody listens.
            socket.connect(server).await?;
            Ok(Datagrams { socket, server, _place: place })
        })
    }
}

/// A UDP socket for one query to one server.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    server: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl DnsUdpSocket for Datagrams {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut read = ReadBuf::new(buffer);
        ready!(self.socket.poll_recv(context, &mut read))?;
        check_counts(read.filled())?;
        Poll::Ready(Ok((read.filled().len(), self.server)))
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        datagram: &[u8],
        _target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(context, datagram)
    }
}

/// A TCP connection to one server.
pub(crate) struct Stream {
    stream: TcpStream,
    frames: Option<Frames>,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    fn touch(&mut self) {
        self.idle.as_mut().reset(tokio::time::Instant::now() + IDLE_MAX);
    }
}

impl DnsTcpStream for Stream {
    type Time = TokioTime;
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        if Pin::new(&mut self.stream).poll_read(context, &mut read)?.is_pending() {
            ready!(self.idle.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.touch();
        if let Some(frames) = &mut self.frames {
            frames.pass(read.filled())?;
        }
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, octets))?;
        self.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
