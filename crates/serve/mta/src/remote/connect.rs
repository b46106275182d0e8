//! A connection to another host that mail can go over: reached, greeted, encrypted as the policy says, logged in where it
//! is a relay (RFC 5321 §3.1, §3.2; RFC 3207; RFC 4954).

use std::net::SocketAddr;
use std::time::Duration;

use platform::egress::{self, Egress};
use platform::lines::{INPUT_OCTETS_MAX, Wire, WireError, WireSettings};
use platform::stream::{Endpoint, Stream};
use queue::LmtpServer;
use smtp::Reply;
use smtp::client::{Client, ClientError, ClientStep, Missing, Readiness};
use smtp::server::Protocol;
use tls::{Connector, ConnectorTrust, TlsError};
use tokio::time::Instant;

use super::judge;
use super::login::{Exchange, LoginFailure, RelayLogin};
use super::mx::Host;
use super::tls_policy::{TlsBegins, TlsPolicy};
use crate::outbound::settings::{Identity, Timeouts};
use crate::outbound::{Gate, LiveOut};
use crate::receive::session::tls_way;
use crate::way::{Protection, RemoteEnd, TlsWay};

/// How a connection is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) identity: &'a Identity,
    pub(crate) policy: &'a TlsPolicy,
    pub(crate) login: Option<&'a RelayLogin>,
    pub(crate) port: u16,
}

/// A connection that mail can go over.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) wire: Wire,
    pub(super) client: Client,
    /// What the client says and the wire has not got yet.
    pub(super) out: Vec<u8>,
    pub(super) timeouts: Timeouts,
    pub(crate) end: RemoteEnd,
    pub(crate) tls: Option<tls::Session>,
    /// Why it is in clear although the host offers TLS.
    pub(crate) tls_failure: Option<Box<str>>,
    /// The certificate was right.
    pub(crate) is_verified: bool,
    /// How it had to be protected, and what was proven; known once it is made.
    pub(crate) protection: Option<Protection>,
    pub(crate) protocol: Protocol,
    /// Messages that were offered over it.
    pub(crate) transactions: u32,
}

/// Why a host is of no use.
#[derive(Debug)]
pub(crate) enum NoUse {
    /// Nobody answers at its addresses.
    Unreachable(std::io::Error),
    /// It speaks, and does not want us: at the greeting, EHLO, STARTTLS or AUTH.
    Refused(Reply),
    /// It lacks what is demanded.
    Lacks(Missing),
    /// TLS was to be had, and failed.
    Tls(TlsFailure),
    /// It is not the relay it should be, or does not speak the mechanism it offers.
    Login(LoginFailure),
    /// The conversation broke off.
    Broken(Broken),
}

/// How TLS failed where it was offered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFailure {
    /// In the handshake.
    #[error(transparent)]
    Handshake(TlsError),
    /// Before it, at the word STARTTLS; or behind it, before anything was heard within TLS.
    #[error(transparent)]
    Conversation(Broken),
}

/// How a conversation broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The wire failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What came makes no sense, or was a good-bye.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Our own copy of the message could not be read.
    #[error("the message could not be read: {0}")]
    Unreadable(mailstore::StoreError),
}

impl From<Broken> for NoUse {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Client(ClientError::Closing(reply)) => Self::Refused(reply),
            broken => Self::Broken(broken),
        }
    }
}

/// Reaches a host and prepares everything. Where TLS fails and is not needed, the host is asked once more without, over
/// a new connection, and for a while not for TLS at all: clear text keeps out nobody whom an untrusted certificate would
/// keep out (RFC 7435 §3).
pub(crate) async fn to_host(
    gate: &Gate,
    live: &LiveOut,
    host: &Host,
    manner: Manner<'_>,
) -> Result<Connection, NoUse> {
    if *manner.policy == TlsPolicy::Never || !manner.policy.allows_clear() {
        return open_tcp(live, host, manner).await;
    }
    let in_clear = Manner { policy: &TlsPolicy::Never, ..manner };
    let known = gate.broken_tls.why(&host.name, manner.port, gate.rooms.clock.monotonic());
    if let Some(why) = known {
        let mut connection = open_tcp(live, host, in_clear).await?;
        connection.tls_failure = Some(why);
        return Ok(connection);
    }
    let failure = match open_tcp(live, host, manner).await {
        Err(NoUse::Tls(failure)) => judge::tls_failure(&failure),
        outcome => return outcome,
    };
    gate.counts.tls_failures.increment();
    tracing::info!(host = &*host.name, failure, "TLS failed; trying without");
    let mut connection = open_tcp(live, host, in_clear).await?;
    // A host that is out of reach altogether is asked for TLS when it is back.
    gate.broken_tls.remember(&host.name, manner.port, &failure, gate.rooms.clock.monotonic());
    connection.tls_failure = Some(failure);
    Ok(connection)
}

async fn open_tcp(live: &LiveOut, host: &Host, manner: Manner<'_>) -> Result<Connection, NoUse> {
    let timeouts = live.settings.timeouts;
    let addresses: Vec<SocketAddr> =
        host.addresses.iter().map(|&address| SocketAddr::new(address, manner.port)).collect();
    let egress = Egress {
        ipv4: manner.identity.ipv4,
        ipv6: manner.identity.ipv6,
        connect_timeout: timeouts.connect,
        fall_over: timeouts.fall_over,
    };
    let (stream, address) = egress::connect(&addresses, egress).await.map_err(NoUse::Unreachable)?;
    let end = RemoteEnd { name: host.name.clone(), address: Endpoint::Inet(address) };
    prepare(live, stream, end, manner).await
}

/// Reaches an LMTP server on this machine.
pub(crate) async fn to_socket(
    live: &LiveOut,
    server: &LmtpServer,
    manner: Manner<'_>,
) -> Result<Connection, NoUse> {
    let LmtpServer::Unix(path) = server else {
        return Err(NoUse::Unreachable(std::io::ErrorKind::Unsupported.into()));
    };
    let stream = egress::connect_unix(path, live.settings.timeouts.connect).await;
    let end = RemoteEnd { name: path.clone(), address: Endpoint::Unix };
    prepare(live, stream.map_err(NoUse::Unreachable)?, end, manner).await
}

/// Everything between the first octet and the first MAIL.
async fn prepare(
    live: &LiveOut,
    stream: Stream,
    end: RemoteEnd,
    manner: Manner<'_>,
) -> Result<Connection, NoUse> {
    let connector = connector(live, manner.policy).map_err(handshake)?;
    let mut connection = Connection::begin(live, stream, end, manner, &connector).await?;
    let mut exchange = manner.login.map(RelayLogin::exchange);
    let mut patience = connection.timeouts.greeting;
    let mut step = ClientStep::Read;
    loop {
        step = match connection.prepare_step(step, patience).await? {
            ClientStep::StartTls => {
                connection = connection.start_tls(&connector, manner.policy).await?;
                connection.client.on_tls_started(&mut connection.out)
            }
            ClientStep::Authenticate { mechanism, challenge } => {
                let channel = connection.tls.as_ref().map(|session| &session.bindings);
                let response = match &mut exchange {
                    Some(exchange) => exchange.turn(mechanism, challenge, channel).await,
                    None => None,
                };
                connection.client.respond(response.as_deref(), &mut connection.out)
            }
            ClientStep::Ready(readiness) => return connection.conclude(readiness, exchange).await,
            ClientStep::Read | ClientStep::SendMessage(_) | ClientStep::Done(_) | ClientStep::Closed => {
                return Err(NoUse::Broken(Broken::Wire(WireError::Closed)));
            }
        };
        patience = connection.timeouts.command;
    }
}

fn handshake(error: TlsError) -> NoUse {
    NoUse::Tls(TlsFailure::Handshake(error))
}

fn wire_settings(timeouts: Timeouts) -> WireSettings {
    WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout: timeouts.data }
}

fn connector(live: &LiveOut, policy: &TlsPolicy) -> Result<Connector, TlsError> {
    match policy {
        TlsPolicy::Verified { .. } => Ok(live.verified.clone()),
        TlsPolicy::Observed { .. } => Ok(live.observed.clone()),
        TlsPolicy::Never | TlsPolicy::Opportunistic | TlsPolicy::Encrypted => Ok(live.anyone.clone()),
        TlsPolicy::Dane(records) => {
            // Without records that can be used this is no policy that anybody decides on.
            let trust = records.trust.clone().map_or(ConnectorTrust::Roots(Vec::new()), ConnectorTrust::Dane);
            Connector::new(&trust, live.settings.timeouts.handshake)
        }
    }
}

/// An address as certificates show it: without the brackets.
fn bare(name: &str) -> &str {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    inner.strip_prefix("IPv6:").unwrap_or(inner)
}

impl Connection {
    /// A stream to a host, under TLS already where that comes first.
    async fn begin(
        live: &LiveOut,
        stream: Stream,
        end: RemoteEnd,
        manner: Manner<'_>,
        connector: &Connector,
    ) -> Result<Self, NoUse> {
        let timeouts = live.settings.timeouts;
        let (stream, tls) = match manner.policy {
            TlsPolicy::Verified { name, begins: TlsBegins::AtOnce } => {
                let (stream, session) = connector.connect(stream, bare(name)).await.map_err(handshake)?;
                (stream, Some(session))
            }
            _ => (stream, None),
        };
        let settings = smtp::client::Settings {
            protocol: manner.protocol,
            hostname: manner.identity.hello.as_str().into(),
            starttls: manner.policy.starttls(),
            credentials: manner.login.map(RelayLogin::credentials),
            chunking: live.settings.chunking,
        };
        Ok(Self {
            wire: Wire::new(stream, wire_settings(timeouts)),
            client: Client::new(settings),
            out: Vec::new(),
            timeouts,
            end,
            tls,
            tls_failure: None,
            is_verified: manner.policy.verifies(),
            protection: None,
            protocol: manner.protocol,
            transactions: 0,
        })
    }

    /// The client is done with preparing: it is this connection, or says why it is of no use.
    async fn conclude(mut self, readiness: Readiness, exchange: Option<Exchange<'_>>) -> Result<Self, NoUse> {
        let failure = match readiness {
            Readiness::Ready => exchange.and_then(Exchange::distrust),
            Readiness::Refused(_) | Readiness::Lacks(_) => exchange.and_then(Exchange::failure),
        };
        let no_use = match (failure, readiness) {
            (Some(failure), _) => NoUse::Login(failure),
            (None, Readiness::Ready) => {
                self.tls_failure = self.client.starttls_refusal().map(judge::said);
                return Ok(self);
            }
            (None, Readiness::Refused(reply)) => NoUse::Refused(reply),
            (None, Readiness::Lacks(missing)) => NoUse::Lacks(missing),
        };
        self.quit().await;
        Err(no_use)
    }

    /// Says what is to be said and listens until the client knows what to do next. `patience` is for each reply.
    pub(super) async fn listen(
        &mut self,
        mut step: ClientStep,
        patience: Duration,
    ) -> Result<ClientStep, Broken> {
        let mut deadline = Instant::now() + patience;
        loop {
            self.wire.put(&std::mem::take(&mut self.out));
            if self.wire.output_octets() > 0 {
                self.wire.flush().await?;
            }
            if step != ClientStep::Read {
                return Ok(step);
            }
            if self.wire.input().is_empty() {
                self.wire.fill_until(deadline).await?;
            }
            let heard = self.client.replies_heard();
            let (used, next) = self.client.on_octets(self.wire.input(), &mut self.out)?;
            self.wire.consume(used);
            if self.client.replies_heard() != heard {
                deadline = Instant::now() + patience;
            }
            step = next;
        }
    }

    /// [`Self::listen`] before the first message: what breaks off on the way to TLS is TLS.
    async fn prepare_step(&mut self, step: ClientStep, patience: Duration) -> Result<ClientStep, NoUse> {
        let listened = self.listen(step, patience).await;
        listened.map_err(|broken| match self.client.is_securing() {
            true => NoUse::Tls(TlsFailure::Conversation(broken)),
            false => broken.into(),
        })
    }

    async fn start_tls(mut self, connector: &Connector, policy: &TlsPolicy) -> Result<Self, NoUse> {
        let name = policy.server_name(&self.end.name);
        let (wire, session) = connector
            .start_tls(self.wire, bare(name), wire_settings(self.timeouts))
            .await
            .map_err(handshake)?;
        self.wire = wire;
        self.tls = Some(session);
        Ok(self)
    }

    /// How it is encrypted.
    pub(crate) fn tls_way(&self) -> Option<TlsWay> {
        self.tls.as_ref().map(tls_way)
    }

    /// Says good-bye. Nothing depends on the answer.
    pub(crate) async fn quit(mut self) {
        let patience = self.timeouts.quit;
        let farewell = async {
            let step = self.client.quit(&mut self.out);
            self.listen(step, patience).await
        };
        if tokio::time::timeout(patience, farewell).await.is_ok_and(|ended| ended.is_ok()) {
            self.wire.close().await;
        }
    }
}
