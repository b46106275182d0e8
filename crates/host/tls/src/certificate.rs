//! One certificate with its key: read from PEM, checked, and ready for handshakes.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use platform::clock::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::TlsError;
use crate::channel_binding::server_end_point;
use crate::dane::public_key;

/// Largest PEM file we read: a chain of a dozen large certificates.
const PEM_OCTETS_MAX: u64 = 256 * 1024;

/// One certificate's files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The chain, leaf first (PEM).
    pub chain: PathBuf,
    /// The private key (PEM: PKCS#8, SEC 1 or PKCS#1).
    pub key: PathBuf,
}

/// What the operator may want to know of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateState {
    /// Its files; none for one made in memory.
    pub files: Option<CertificateFiles>,
    /// The names it is for, in small letters; wildcards as `*.example.org`.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
    /// SHA-256 of its public key (SubjectPublicKeyInfo): the data of a TLSA record `3 1 1` (RFC 7672 §3.1.1).
    pub public_key_sha256: [u8; 32],
}

/// A certificate ready for use.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) state: CertificateState,
    /// Its own configuration, and so its own tickets: a resumed session never belongs to another certificate,
    /// and its channel binding stays right.
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) server_end_point: Option<Vec<u8>>,
    key: Arc<CertifiedKey>,
}

/// What tells that a file has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileMark {
    inode: u64,
    octets: u64,
    modified: (i64, i64),
}

impl Certificate {
    /// Reads and checks; warns of a key that everyone may read.
    pub(crate) fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        let chain = read_bounded(&files.chain)?;
        let key = read_bounded(&files.key)?;
        warn_of_loose_mode(&files.key);
        let places = (files.chain.display().to_string(), files.key.display().to_string());
        Self::from_pem(&chain, &key, (&places.0, &places.1), Some(files.clone()))
    }

    /// From PEM text; `places` are what errors call the chain and the key.
    pub(crate) fn from_pem(
        chain: &[u8],
        key: &[u8],
        places: (&str, &str),
        files: Option<CertificateFiles>,
    ) -> Result<Self, TlsError> {
        let problem = |place: &str, reason: String| TlsError::Certificate { place: place.to_owned(), reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| problem(places.0, format!("it is no PEM file: {error}")))?;
        let leaf =
            chain.first().ok_or_else(|| problem(places.0, "there is no certificate in it".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| problem(places.1, format!("there is no private key in it: {error}")))?;
        let key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| problem(places.1, format!("its key cannot be used: {error}")))?;
        let (names, not_after) = facts(leaf).map_err(|reason| problem(places.0, reason))?;
        let public_key_sha256 = public_key_sha256(leaf)
            .ok_or_else(|| problem(places.0, "its public key cannot be read".to_owned()))?;
        let end_point = server_end_point(leaf);
        let certified = CertifiedKey::new(chain.clone(), key);
        certified.keys_match().map_err(|_| {
            problem(places.1, format!("it is not the key of the certificate in {}", places.0))
        })?;
        let key = Arc::new(certified);
        Ok(Self {
            state: CertificateState { files, names, not_after, public_key_sha256 },
            config: Arc::new(configuration(&key)?),
            server_end_point: end_point,
            key,
        })
    }

    /// Whether a client that offers these signature schemes can check this certificate's key.
    pub(crate) fn suits(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }
}

impl CertificateFiles {
    /// Marks of both files; `None` while one cannot be seen.
    pub(crate) fn marks(&self) -> Option<[FileMark; 2]> {
        Some([FileMark::of(&self.chain)?, FileMark::of(&self.key)?])
    }
}

impl FileMark {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// The library's cryptography: aws-lc-rs with its own choice of suites and groups, all with forward secrecy.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn configuration(key: &Arc<CertifiedKey>) -> Result<ServerConfig, TlsError> {
    let refused = |error: rustls::Error| TlsError::Configuration(error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
    // Sessions are resumed from tickets that the clients keep: nothing to store here, nothing to bound.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// A leaf's names and end.
fn facts(leaf: &CertificateDer<'_>) -> Result<(Vec<String>, Timestamp), String> {
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(name_text)
        .collect();
    if names.is_empty() {
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    Ok((names, Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp())))
}

fn public_key_sha256(leaf: &CertificateDer<'_>) -> Option<[u8; 32]> {
    digest(&SHA256, public_key(leaf)?).as_ref().try_into().ok()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let octets = fs::metadata(path).map_err(failed)?.len();
    if octets > PEM_OCTETS_MAX {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a PEM file")));
    }
    fs::read(path).map_err(failed)
}

fn warn_of_loose_mode(key: &Path) {
    const OTHERS_READ: u32 = 0o004;
    let mode = fs::metadata(key).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS_READ != 0 {
        tracing::warn!(key = %key.display(), "everyone on this machine may read this private key; run chmod o-rwx on it");
    }
}
