//! Certificates and TLS sessions: the one door to the TLS library (rustls with aws-lc-rs, TLS 1.2 and 1.3).
//!
//! A message's path crosses it when a peer speaks implicit TLS or says STARTTLS (RFC 3207, RFC 8314).

mod acceptor;
mod certificate;
mod certificates;
mod channel_binding;
mod connector;
mod dane;
mod error;
pub mod self_signed;
mod session;

pub use acceptor::{Acceptor, AcceptorSettings};
pub use certificate::{CertificateFiles, CertificateState};
pub use certificates::{Certificates, EXPIRY_WARNING};
pub use channel_binding::ChannelBindings;
pub use connector::{Connector, ConnectorTrust};
pub use dane::{ASSOCIATIONS_MAX, DaneTrust, TlsaFields};
pub use error::{CertificateFault, TlsError};
pub use session::{Session, Version};
