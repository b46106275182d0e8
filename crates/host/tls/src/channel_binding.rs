//! What ties a password exchange to its TLS session, for SCRAM-SHA-256-PLUS (RFC 5056, 5929, 9266).

/// The channel bindings of one session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266); only with TLS 1.3, where the exporter is unique without further conditions.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the certificate shown; `None` when its signature
    /// algorithm names no hash.
    pub server_end_point: Option<Vec<u8>>,
}
