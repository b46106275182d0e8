//! Certificates from PEM files: which one a name gets (SNI), and new ones when the files change.

use std::path::PathBuf;

use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;

use crate::TlsError;

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
    /// The names it is for.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// The certificates in use; the first is shown to clients that ask for no name or for one we have not. Clones share.
#[derive(Clone, Debug)]
pub struct Certificates {}

impl Certificates {
    /// Reads certificates from files.
    ///
    /// # Errors
    /// [`TlsError`] naming the file and what is wrong with it.
    pub fn open(files: &[CertificateFiles], clock: Clock, metrics: &Metrics) -> Result<Self, TlsError> {
        unimplemented!("{files:?}{clock:?}{metrics:?}")
    }

    /// One certificate from PEM text, for tests and the demo.
    ///
    /// # Errors
    /// [`TlsError`] saying what is wrong with it.
    pub fn from_pem(chain: &str, key: &str, clock: Clock, metrics: &Metrics) -> Result<Self, TlsError> {
        unimplemented!("{chain:?}{key:?}{clock:?}{metrics:?}")
    }

    /// Takes a new list of files (from a reloaded configuration). When one is bad, all old ones stay.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn replace(&self, files: &[CertificateFiles]) -> Result<(), TlsError> {
        unimplemented!("{files:?}")
    }

    /// Reads files that have changed; one that is broken keeps its old certificate, and the log says why.
    /// Blocks on disk: call it from a worker thread.
    pub fn reload_changed(&self) {
        unimplemented!()
    }

    /// What is in use.
    #[must_use]
    pub fn states(&self) -> Vec<CertificateState> {
        unimplemented!()
    }
}
