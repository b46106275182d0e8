//! The certificates in use: which one a name gets (SNI), and new ones when the files change.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use platform::clock::{Clock, Monotonic};
use platform::metrics::Metrics;
use platform::tasks::Shutdown;
use platform::workers::Workers;
use rustls::SignatureScheme;

use crate::TlsError;
use crate::certificate::{Certificate, CertificateFiles, CertificateState, FileMark};

/// How long before its end a certificate is complained about. Renewal should have happened thirty days before (Let's
/// Encrypt's advice), so something is broken, and there is time to mend it.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How often the log is reminded of a certificate that ends soon.
const EXPIRY_REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificates in use; the first is shown to clients that ask for no name or for one we have not. Clones share.
#[derive(Clone)]
pub struct Certificates(Arc<Keeper>);

struct Keeper {
    current: ArcSwap<Set>,
    /// Held while files are read, so that two reloads do not undo each other. Empty for certificates without files.
    sources: Mutex<Vec<Source>>,
    clock: Clock,
    metrics: Metrics,
}

/// A certificate's files and what was last seen of them.
struct Source {
    files: CertificateFiles,
    marks: Option<[FileMark; 2]>,
    certificate: Arc<Certificate>,
}

/// The certificates of one moment.
struct Set {
    certificates: Vec<Arc<Certificate>>,
    /// Places in `certificates` by name or wildcard.
    by_name: HashMap<String, Vec<usize>>,
}

impl Certificates {
    /// Reads certificates from files.
    ///
    /// # Errors
    /// [`TlsError`] naming the file and what is wrong with it.
    pub fn open(files: &[CertificateFiles], clock: Clock, metrics: &Metrics) -> Result<Self, TlsError> {
        let sources = read_all(files)?;
        let set = Set::of(&sources);
        Ok(Self::with(set, sources, clock, metrics))
    }

    /// One certificate from PEM text, for tests and the demo.
    ///
    /// # Errors
    /// [`TlsError`] saying what is wrong with it.
    pub fn from_pem(chain: &str, key: &str, clock: Clock, metrics: &Metrics) -> Result<Self, TlsError> {
        let places = ("the certificate", "the key");
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes(), places, None)?;
        Ok(Self::with(Set::new(vec![Arc::new(certificate)]), Vec::new(), clock, metrics))
    }

    /// Takes a new list of files (from a reloaded configuration) and reads them all. When one is bad, all old
    /// certificates stay. Blocks on disk: call it from a worker thread.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn replace(&self, files: &[CertificateFiles]) -> Result<(), TlsError> {
        let mut sources = self.0.sources.lock();
        *sources = read_all(files)?;
        self.0.put(Set::of(&sources));
        Ok(())
    }

    /// Reads files that have changed; one that is broken keeps its old certificate, and the log says why.
    /// Blocks on disk: call it from a worker thread.
    pub fn reload_changed(&self) {
        let mut sources = self.0.sources.lock();
        let mut changed = 0;
        for source in sources.iter_mut() {
            changed += usize::from(source.reload_if_changed());
        }
        if changed > 0 {
            self.0.put(Set::of(&sources));
        }
    }

    /// Looks every `every` whether files have changed, and reminds the log of certificates that end soon; until `stop`.
    pub async fn keep_fresh(self, workers: Workers, every: Duration, stop: Shutdown) {
        let mut reminded = self.0.clock.monotonic();
        loop {
            tokio::select! {
                // Cancelled asleep: nothing is lost.
                () = tokio::time::sleep(every) => {}
                () = stop.triggered() => return,
            }
            let certificates = self.clone();
            if let Err(error) = workers.run(move || certificates.reload_changed()).await {
                tracing::warn!(%error, "certificates were not looked at");
            }
            self.0.remind(&mut reminded);
        }
    }

    /// What is in use, the default first.
    #[must_use]
    pub fn states(&self) -> Vec<CertificateState> {
        self.0.current.load().certificates.iter().map(|certificate| certificate.state.clone()).collect()
    }

    /// The certificate for a client that asks for `server_name` and can check `schemes`.
    pub(crate) fn choose(&self, server_name: Option<&str>, schemes: &[SignatureScheme]) -> Arc<Certificate> {
        self.0.current.load().choose(server_name, schemes)
    }

    fn with(set: Set, sources: Vec<Source>, clock: Clock, metrics: &Metrics) -> Self {
        let (current, sources) = (ArcSwap::from_pointee(set), Mutex::new(sources));
        let keeper = Keeper { current, sources, clock, metrics: metrics.clone() };
        keeper.announce(&keeper.current.load());
        Self(Arc::new(keeper))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

fn read_all(files: &[CertificateFiles]) -> Result<Vec<Source>, TlsError> {
    if files.is_empty() {
        return Err(TlsError::Configuration("no certificate is named".to_owned()));
    }
    files.iter().map(|files| Source::read(files.clone())).collect()
}

impl Source {
    fn read(files: CertificateFiles) -> Result<Self, TlsError> {
        // Marked before reading: what changes meanwhile is seen the next time.
        let marks = files.marks();
        let certificate = Arc::new(Certificate::read(&files)?);
        Ok(Self { files, marks, certificate })
    }

    fn reload_if_changed(&mut self) -> bool {
        let marks = self.files.marks();
        // Files that are missing for a moment are being replaced.
        if marks.is_none() || marks == self.marks {
            return false;
        }
        self.marks = marks;
        let chain = self.files.chain.display();
        match Certificate::read(&self.files) {
            Ok(certificate) => {
                tracing::info!(%chain, names = ?certificate.state.names, "new certificate in use");
                self.certificate = Arc::new(certificate);
                true
            }
            // Perhaps only half of the pair was replaced yet; the other half's change brings us back here.
            Err(error) => {
                tracing::error!(%chain, %error, "the changed certificate cannot be used; the old one stays");
                false
            }
        }
    }
}

impl Keeper {
    fn put(&self, set: Set) {
        self.announce(&set);
        self.current.store(Arc::new(set));
    }

    fn announce(&self, set: &Set) {
        for certificate in &set.certificates {
            let name = certificate.state.names.first().map_or("(no name)", String::as_str);
            let labels = &[("name", name)];
            let help = "When a certificate ends, in seconds since 1970.";
            let gauge = self.metrics.gauge("mailstead_certificate_not_after_seconds", help, labels);
            gauge.set(certificate.state.not_after.unix_seconds());
        }
        self.warn_of_ends(set);
    }

    fn remind(&self, reminded: &mut Monotonic) {
        let now = self.clock.monotonic();
        if now.since(*reminded) >= EXPIRY_REMINDER {
            *reminded = now;
            self.warn_of_ends(&self.current.load());
        }
    }

    fn warn_of_ends(&self, set: &Set) {
        let now = self.clock.now();
        for state in set.certificates.iter().map(|certificate| &certificate.state) {
            let days = state.not_after.since(now).as_secs() / (24 * 60 * 60);
            if state.not_after <= now {
                tracing::error!(names = ?state.names, "this certificate has ended; clients refuse it");
            } else if state.not_after <= now.saturating_add(EXPIRY_WARNING) {
                tracing::warn!(names = ?state.names, days, "this certificate ends soon and was not renewed");
            }
        }
    }
}

impl Set {
    fn of(sources: &[Source]) -> Self {
        Self::new(sources.iter().map(|source| Arc::clone(&source.certificate)).collect())
    }

    fn new(certificates: Vec<Arc<Certificate>>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, certificate) in certificates.iter().enumerate() {
            for name in &certificate.state.names {
                by_name.entry(name.clone()).or_default().push(place);
            }
        }
        Self { certificates, by_name }
    }

    /// By its name; else by a wildcard for one label (RFC 9525 §6.3); else the default. Among several (an ECDSA and an
    /// RSA certificate for one name) the first that the client can check.
    fn choose(&self, server_name: Option<&str>, schemes: &[SignatureScheme]) -> Arc<Certificate> {
        let name = server_name.map(str::to_ascii_lowercase).unwrap_or_default();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}")).unwrap_or_default();
        let named = [&name, &wildcard].into_iter().filter_map(|name| self.by_name.get(name)).flatten();
        let named = named.filter_map(|place| self.certificates.get(*place));
        let candidates = named.chain(&self.certificates);
        let chosen = candidates.clone().find(|certificate| certificate.suits(schemes));
        // There is always one: a set is made of one certificate or more. With none that suits, the handshake says so.
        #[allow(clippy::expect_used)]
        Arc::clone(chosen.or_else(|| candidates.clone().next()).expect("a set is never empty"))
    }
}

#[cfg(test)]
mod tests;
