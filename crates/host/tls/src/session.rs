//! What a handshake agreed on, for logs, `Received` fields and SASL.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::{CertificateFault, ChannelBindings, TlsError};

/// A version of TLS; older ones are not spoken (RFC 8996).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// As `Received` fields and logs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
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
    /// Whether an earlier session was resumed, without showing a certificate again.
    pub is_resumed: bool,
    /// What SCRAM-PLUS binds to.
    pub bindings: ChannelBindings,
    /// What speaks against the server's certificate, where it was believed all the same and looked at; see
    /// [`ConnectorTrust::Observed`](crate::ConnectorTrust::Observed).
    pub fault: Option<CertificateFault>,
}

impl Session {
    /// Reads a finished handshake.
    pub(crate) fn of(
        state: &CommonState,
        server_name: Option<String>,
        bindings: ChannelBindings,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            version: version_of(state)?,
            cipher: state
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            server_name,
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            bindings,
            fault: None,
        })
    }
}

pub(crate) fn version_of(state: &CommonState) -> Result<Version, TlsError> {
    match state.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Ok(Version::Tls13),
        Some(ProtocolVersion::TLSv1_2) => Ok(Version::Tls12),
        other => Err(TlsError::Configuration(format!("a session of version {other:?}"))),
    }
}
