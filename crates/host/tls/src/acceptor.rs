//! The server's side of TLS: lays a session over a stream, once the plaintext before it is surely gone.

use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;

use crate::{Certificates, ChannelBindings, TlsError};

/// How handshakes are done.
#[derive(Clone, Copy, Debug)]
pub struct AcceptorSettings {
    /// How long a handshake may take in all.
    pub handshake_timeout: Duration,
}

/// A version of TLS; older ones are not spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What a handshake agreed on.
#[derive(Clone, Debug)]
pub struct Session {
    /// The version.
    pub version: Version,
    /// The cipher suite's name, such as `TLS13_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The name the client asked for (SNI, RFC 6066 §3).
    pub server_name: Option<String>,
    /// What SCRAM-PLUS binds to.
    pub bindings: ChannelBindings,
}

/// Accepts TLS. Clones share certificates and session tickets.
#[derive(Clone, Debug)]
pub struct Acceptor {}

impl Acceptor {
    /// An acceptor that shows these certificates, always the newest.
    ///
    /// # Errors
    /// [`TlsError::Configuration`].
    pub fn new(certificates: &Certificates, settings: AcceptorSettings) -> Result<Self, TlsError> {
        unimplemented!("{certificates:?}{settings:?}")
    }

    /// Implicit TLS: the handshake comes first.
    ///
    /// # Errors
    /// [`TlsError::HandshakeTimeout`], [`TlsError::Handshake`].
    pub async fn accept(&self, stream: Stream) -> Result<(Stream, Session), TlsError> {
        unimplemented!("{stream:?}")
    }

    /// STARTTLS: flushes the answer, throws away input the client sent in clear behind its command (it is never
    /// seen by the new session), shakes hands, and gives back a fresh wire.
    ///
    /// # Errors
    /// As [`Self::accept`], and [`TlsError::Wire`] when the flush failed.
    pub async fn start_tls(&self, wire: Wire, settings: WireSettings) -> Result<(Wire, Session), TlsError> {
        unimplemented!("{wire:?}{settings:?}")
    }
}
