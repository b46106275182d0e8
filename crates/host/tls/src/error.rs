//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::PathBuf;

use platform::lines::WireError;
use rustls::CertificateError;

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
    #[error("the TLS handshake failed: {}", reason(.0))]
    Handshake(#[source] io::Error),
    /// The plaintext side failed before the handshake: hang up.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What speaks against a server's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CertificateFault {
    /// It does not show the name that it should.
    WrongName,
    /// Its time is over, or has not come.
    Expired,
    /// Nobody whom we trust vouches for it.
    Untrusted,
    /// It is none of those that the TLSA records name.
    NoTlsaMatch,
    /// It cannot be used for another reason: revoked, malformed, for another purpose.
    Unusable,
}

impl TlsError {
    /// What speaks against the server's certificate, where the handshake failed for it.
    #[must_use]
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        let Self::Handshake(error) = self else { return None };
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            error @ rustls::Error::InvalidCertificate(_) => Some(CertificateFault::of(error)),
            _ => None,
        }
    }
}

impl CertificateFault {
    pub(crate) fn of(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(error) = error else { return Self::Unusable };
        match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            // The verifier of TLSA records says so, and no other.
            CertificateError::ApplicationVerificationFailure => Self::NoTlsaMatch,
            _ => Self::Unusable,
        }
    }
}

/// The library has no words of its own for what only we look for.
impl TlsError {
    /// Whether what came was no TLS at all: another protocol's client, or a scanner.
    #[must_use]
    pub fn is_no_tls(&self) -> bool {
        let Self::Handshake(error) = self else { return false };
        let library = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        matches!(library, Some(rustls::Error::InvalidMessage(_)))
    }
}

fn reason(error: &io::Error) -> String {
    let library = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match library {
        Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            "the certificate matches none of the server's TLSA records".to_owned()
        }
        _ => error.to_string(),
    }
}
