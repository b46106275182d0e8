//! What lies between a client and us: TLS from the start, TLS when the client asks, or a machine's own wires.

use directory::sasl::{Channel, ChannelBindings};
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

/// Lays TLS over the stream where it comes first. `None` when that failed.
pub(crate) async fn secure(
    acceptor: Option<&Acceptor>,
    stream: Stream,
    security: Security,
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
