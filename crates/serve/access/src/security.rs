//! What lies between a client and us: TLS from the start, TLS when the client asks, or a machine's own wires.

use std::net::IpAddr;

use directory::sasl::{Channel, ChannelBindings};
use platform::guard::{Guard, Offence};
use platform::stream::Stream;
use tls::Acceptor;

/// When TLS begins on a listener's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// At once: port 993.
    ImplicitTls,
    /// When the client says STARTTLS: ports 143 and 4190.
    StartTls,
    /// When the client likes, and passwords may come without it: a Unix socket, the loopback address, a proxy on this
    /// machine that has ended TLS.
    Trusted,
}

/// Lays TLS over the stream where it comes first. `None` when that failed; the guard hears of what is no TLS.
pub(crate) async fn secure(
    acceptor: Option<&Acceptor>,
    stream: Stream,
    security: Security,
    (guard, peer): (&Guard, Option<IpAddr>),
) -> Option<(Stream, Channel)> {
    match security {
        Security::StartTls => return Some((stream, Channel::Clear)),
        Security::Trusted => return Some((stream, Channel::Trusted)),
        Security::ImplicitTls => {}
    }
    match acceptor?.accept(stream).await {
        Ok((stream, session)) => Some((stream, bound(session))),
        Err(error) => {
            tracing::info!(%error, "TLS handshake failed");
            if error.is_no_tls() {
                guard.offended(peer, Offence::Probe);
            }
            None
        }
    }
}

/// The channel that a TLS session is to SASL.
pub(crate) fn bound(session: tls::Session) -> Channel {
    Channel::Tls(ChannelBindings {
        exporter: session.bindings.exporter.map(|exporter| exporter.to_vec()),
        server_end_point: session.bindings.server_end_point,
    })
}
