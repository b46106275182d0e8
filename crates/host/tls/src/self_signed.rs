//! Certificates of our own making: self-signed for a first start, and a small authority for tests.

use platform::clock::Timestamp;

use crate::TlsError;

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

/// A certificate signed by itself, for these names (domain names, one-label wildcards, IP addresses), good for ten years.
///
/// # Errors
/// [`TlsError::Configuration`] when a name cannot stand in a certificate.
pub fn generate(names: &[&str], now: Timestamp) -> Result<PemPair, TlsError> {
    unimplemented!("{names:?}{now:?}")
}

/// A certificate authority that lives as long as a test.
pub struct TestAuthority {}

impl TestAuthority {
    /// A new authority with a name of its own.
    ///
    /// # Errors
    /// [`TlsError::Configuration`].
    pub fn new(name: &str, now: Timestamp) -> Result<Self, TlsError> {
        unimplemented!("{name}{now:?}")
    }

    /// Its root certificate (PEM), for a connector's trust.
    #[must_use]
    pub fn root(&self) -> String {
        unimplemented!()
    }

    /// A certificate for these names.
    ///
    /// # Errors
    /// [`TlsError::Configuration`] when a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str], now: Timestamp) -> Result<PemPair, TlsError> {
        unimplemented!("{names:?}{now:?}")
    }
}
