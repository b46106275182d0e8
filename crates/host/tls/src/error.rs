//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::PathBuf;

use platform::lines::WireError;

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file cannot be read: tell the operator.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A certificate or key cannot be used: tell the operator.
    #[error("{place}: {reason}")]
    Certificate {
        /// The file, or what stands for it.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refuses the configuration: tell the operator.
    #[error("TLS cannot be set up: {0}")]
    Configuration(String),
    /// The peer was too slow: hang up.
    #[error("the TLS handshake took too long")]
    HandshakeTimeout,
    /// The handshake failed: hang up.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The plaintext side failed before the handshake: hang up.
    #[error(transparent)]
    Wire(#[from] WireError),
}
