//! Certificates of our own making: self-signed for a first start, and a small authority for tests.

use std::time::Duration;

use platform::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::TlsError;

/// How long such a certificate is good: nobody renews it.
pub const VALIDITY: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// Clocks of the two sides may differ by so much.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate (chain) and its key, as PEM text.
#[derive(Clone)]
pub struct PemPair {
    /// The chain, leaf first.
    pub chain: String,
    /// The private key (PKCS#8).
    pub key: String,
}

impl std::fmt::Debug for PemPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// A certificate signed by itself, for these names (domain names, one-label wildcards, IP addresses), good for
/// [`VALIDITY`]. It is not an authority: trusting it trusts these names alone.
///
/// # Errors
/// [`TlsError::Configuration`] when a name cannot stand in a certificate.
pub fn generate(names: &[&str], now: Timestamp) -> Result<PemPair, TlsError> {
    let key = KeyPair::generate().map_err(refused)?;
    let certificate = leaf(names, now)?.self_signed(&key).map_err(refused)?;
    Ok(PemPair { chain: certificate.pem(), key: key.serialize_pem() })
}

/// A certificate authority that lives as long as a test.
pub struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    /// A new authority with a name of its own.
    ///
    /// # Errors
    /// [`TlsError::Configuration`].
    pub fn new(name: &str, now: Timestamp) -> Result<Self, TlsError> {
        let mut parameters = parameters(&[], now)?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(refused)?;
        CertifiedIssuer::self_signed(parameters, key).map(Self).map_err(refused)
    }

    /// Its root certificate (PEM), for a connector's trust.
    #[must_use]
    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, good for [`VALIDITY`].
    ///
    /// # Errors
    /// [`TlsError::Configuration`] when a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str], now: Timestamp) -> Result<PemPair, TlsError> {
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = leaf(names, now)?.signed_by(&key, &self.0).map_err(refused)?;
        Ok(PemPair { chain: certificate.pem(), key: key.serialize_pem() })
    }
}

fn leaf(names: &[&str], now: Timestamp) -> Result<CertificateParams, TlsError> {
    let mut parameters = parameters(names, now)?;
    let name = names.first().copied().unwrap_or("mailstead");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

fn parameters(names: &[&str], now: Timestamp) -> Result<CertificateParams, TlsError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).map_err(refused)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = |time: Timestamp| time.since(Timestamp::from_unix_millis(0));
    parameters.not_before = epoch + since_epoch(now.saturating_sub(CLOCK_DIFFERENCE));
    parameters.not_after = epoch + since_epoch(now.saturating_add(VALIDITY));
    Ok(parameters)
}

fn refused(error: rcgen::Error) -> TlsError {
    TlsError::Configuration(format!("a certificate cannot be made: {error}"))
}
