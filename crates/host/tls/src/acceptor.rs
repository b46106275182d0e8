//! The server's side of TLS: lays a session over a stream, once the plaintext before it is surely gone.

use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;
use tokio_rustls::LazyConfigAcceptor;

use crate::{Certificates, ChannelBindings, Session, TlsError};

/// How handshakes are done.
#[derive(Clone, Copy, Debug)]
pub struct AcceptorSettings {
    /// How long a handshake may take in all.
    pub handshake_timeout: Duration,
}

/// Accepts TLS. Clones share certificates and session tickets.
#[derive(Clone, Debug)]
pub struct Acceptor {
    certificates: Certificates,
    settings: AcceptorSettings,
}

impl Acceptor {
    /// An acceptor that shows these certificates, always the newest.
    #[must_use]
    pub fn new(certificates: &Certificates, settings: AcceptorSettings) -> Self {
        Self { certificates: certificates.clone(), settings }
    }

    /// Implicit TLS: the handshake comes first.
    ///
    /// # Errors
    /// [`TlsError::HandshakeTimeout`], [`TlsError::Handshake`].
    pub async fn accept(&self, stream: Stream) -> Result<(Stream, Session), TlsError> {
        // Boxed: a handshake's state is large, and the session that waits for it lives long after it.
        let handshake = Box::pin(self.handshake(stream));
        match tokio::time::timeout(self.settings.handshake_timeout, handshake).await {
            Ok(done) => done,
            Err(_) => Err(TlsError::HandshakeTimeout),
        }
    }

    /// STARTTLS: flushes the answer, throws away input the client sent in clear behind its command (it is never
    /// seen by the new session), shakes hands, and gives back a fresh wire.
    ///
    /// # Errors
    /// As [`Self::accept`], and [`TlsError::Wire`] when the flush failed.
    pub async fn start_tls(&self, wire: Wire, settings: WireSettings) -> Result<(Wire, Session), TlsError> {
        let (stream, discarded) = wire.into_stream().await?;
        if discarded > 0 {
            tracing::warn!(octets = discarded, "threw away what came in clear behind STARTTLS");
        }
        let (stream, session) = self.accept(stream).await?;
        Ok((Wire::new(stream, settings), session))
    }

    async fn handshake(&self, stream: Stream) -> Result<(Stream, Session), TlsError> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream)
            .await
            .map_err(TlsError::Handshake)?;
        let hello = start.client_hello();
        let server_name = hello.server_name().map(str::to_owned);
        let certificate = self.certificates.choose(server_name.as_deref(), hello.signature_schemes());
        let tls = start.into_stream(certificate.config.clone()).await.map_err(TlsError::Handshake)?;
        let (_, connection) = tls.get_ref();
        let bindings = ChannelBindings::of(connection, certificate.server_end_point.clone());
        let session = Session::of(connection, server_name, bindings)?;
        Ok((Stream::layered(tls), session))
    }
}

#[cfg(test)]
mod tests;
