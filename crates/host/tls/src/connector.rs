//! The client's side of TLS: for tests, and for delivery to other hosts.

use std::sync::Arc;
use std::time::Duration;

use platform::lines::{Wire, WireSettings};
use platform::stream::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use crate::certificate::provider;
use crate::channel_binding::server_end_point;
use crate::dane::{DaneTrust, DaneVerifier};
use crate::{CertificateFault, ChannelBindings, Session, TlsError};

/// Whom a connector trusts.
#[derive(Clone, Debug)]
pub enum ConnectorTrust {
    /// Certificates that chain to these roots (PEM) and carry the server's name.
    Roots(Vec<String>),
    /// Any certificate: opportunistic TLS, better than none against listeners only (RFC 7435).
    Anyone,
    /// Any certificate; [`Session::fault`] tells what [`Self::Roots`] would have had against it.
    Observed(Vec<String>),
    /// Certificates that TLSA records vouch for.
    Dane(DaneTrust),
}

/// Opens TLS to servers. Clones share session tickets.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    handshake_timeout: Duration,
    /// Judges what was believed already.
    observer: Option<Observer>,
}

impl Connector {
    /// A connector with this trust.
    ///
    /// # Errors
    /// [`TlsError`] when a root cannot be read.
    pub fn new(trust: &ConnectorTrust, handshake_timeout: Duration) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsError::Configuration(error.to_string()))?;
        let observer = match trust {
            ConnectorTrust::Observed(roots) => Some(Observer::new(roots, &provider)?),
            _ => None,
        };
        let is_resumed = observer.is_none();
        let builder = match trust {
            ConnectorTrust::Roots(roots) => builder.with_root_certificates(root_store(roots)?),
            ConnectorTrust::Anyone | ConnectorTrust::Observed(_) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
            }
            ConnectorTrust::Dane(trust) => {
                let verifier = DaneVerifier { trust: trust.clone(), provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = builder.with_no_client_auth();
        if !is_resumed {
            // A resumed session shows no certificate.
            config.resumption = Resumption::disabled();
        }
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), handshake_timeout, observer })
    }

    /// Shakes hands with the server called `server_name` (a domain name or IP address).
    ///
    /// # Errors
    /// [`TlsError::HandshakeTimeout`], [`TlsError::Handshake`]; [`TlsError::Configuration`] for an impossible name.
    pub async fn connect(&self, stream: Stream, server_name: &str) -> Result<(Stream, Session), TlsError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsError::Configuration(format!("{server_name:?} cannot be a server's name")))?;
        // Boxed: a handshake's state is large, and the session that waits for it lives long after it.
        let handshake = Box::pin(self.connector.connect(name.clone(), stream));
        let tls = match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(done) => done.map_err(TlsError::Handshake)?,
            Err(_) => return Err(TlsError::HandshakeTimeout),
        };
        let (_, connection) = tls.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let bindings = ChannelBindings::of(connection, leaf.and_then(|leaf| server_end_point(leaf)));
        let mut session = Session::of(connection, Some(server_name.to_owned()), bindings)?;
        if let (Some(observer), Some(chain)) = (&self.observer, connection.peer_certificates()) {
            session.fault = observer.fault(chain, &name);
        }
        Ok((Stream::layered(tls), session))
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
        let (stream, discarded) = wire.into_stream().await?;
        if discarded > 0 {
            tracing::warn!(octets = discarded, server_name, "threw away what came in clear behind STARTTLS");
        }
        let (stream, session) = self.connect(stream, server_name).await?;
        Ok((Wire::new(stream, settings), session))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

fn root_store(roots: &[String]) -> Result<RootCertStore, TlsError> {
    let problem = |reason: String| TlsError::Certificate { place: "a root certificate".to_owned(), reason };
    let mut store = RootCertStore::empty();
    for pem in roots {
        let before = store.len();
        for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let root = root.map_err(|error| problem(format!("it is no PEM text: {error}")))?;
            store.add(root).map_err(|error| problem(format!("it cannot be trusted: {error}")))?;
        }
        if store.len() == before {
            return Err(problem("there is no certificate in it".to_owned()));
        }
    }
    Ok(store)
}

/// What authorities say of a certificate, asked after the handshake. Without any authority none is vouched for.
#[derive(Clone)]
struct Observer(Option<Arc<WebPkiServerVerifier>>);

impl Observer {
    fn new(roots: &[String], provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let roots = root_store(roots)?;
        if roots.is_empty() {
            return Ok(Self(None));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let verifier = verifier.build().map_err(|error| TlsError::Configuration(error.to_string()))?;
        Ok(Self(Some(verifier)))
    }

    fn fault(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Option<CertificateFault> {
        let (Some(verifier), [leaf, others @ ..]) = (&self.0, chain) else {
            return Some(CertificateFault::Untrusted);
        };
        let judged = verifier.verify_server_cert(leaf, others, name, &[], UnixTime::now());
        judged.err().map(|error| CertificateFault::of(&error))
    }
}

/// Believes every certificate, but not that someone has its key who has not.
#[derive(Debug)]
struct TrustAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
