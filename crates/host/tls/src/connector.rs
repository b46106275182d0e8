//! The client's side of TLS: for tests, and for delivery to other hosts.

use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;

use crate::{Session, TlsError};

/// Whom a connector trusts.
#[derive(Clone, Debug)]
pub enum ConnectorTrust {
    /// Certificates that chain to these roots (PEM) and carry the server's name.
    Roots(Vec<String>),
    /// Any certificate: opportunistic TLS, better than none against listeners only (RFC 7435).
    Anyone,
}

/// Opens TLS to servers. Clones share session tickets.
#[derive(Clone, Debug)]
pub struct Connector {}

impl Connector {
    /// A connector with this trust.
    ///
    /// # Errors
    /// [`TlsError`] when a root cannot be read.
    pub fn new(trust: &ConnectorTrust, handshake_timeout: Duration) -> Result<Self, TlsError> {
        unimplemented!("{trust:?}{handshake_timeout:?}")
    }

    /// Shakes hands with the server called `server_name` (a domain name or IP address).
    ///
    /// # Errors
    /// [`TlsError::HandshakeTimeout`], [`TlsError::Handshake`].
    pub async fn connect(&self, stream: Stream, server_name: &str) -> Result<(Stream, Session), TlsError> {
        unimplemented!("{stream:?}{server_name}")
    }

    /// STARTTLS: drops what the server sent in clear behind its answer (response injection, CVE-2021-38371), shakes hands.
    ///
    /// # Errors
    /// As [`Self::connect`], and [`TlsError::Wire`].
    pub async fn start_tls(
        &self,
        wire: Wire,
        server_name: &str,
        settings: WireSettings,
    ) -> Result<(Wire, Session), TlsError> {
        unimplemented!("{wire:?}{server_name}{settings:?}")
    }
}
