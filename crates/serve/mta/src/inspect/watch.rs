//! What looks at a message while it passes: verifies the signatures it has, makes those that we put on it.

use directory::Directory;
use mail_types::DomainName;
use sender_auth::arc::{ChainResult, Sealer};
use sender_auth::dkim::{KeyFor, Limits, Signer, SigningOptions, Verification, Verifier};
use sender_auth::dmarc::AuthorDomains;

/// A message whose body is still to come.
#[derive(Default)]
pub(crate) struct Watch {
    verifier: Option<Box<Verifier>>,
    authors: Option<AuthorDomains>,
    sealer: Option<Box<(Sealer, KeyFor)>>,
    signer: Option<Box<Signer>>,
}

/// A message that has passed.
pub(crate) struct Watched {
    /// Its signatures and its authors, if they are to be judged.
    pub(crate) claims: Option<Claims>,
    pub(crate) sealer: Option<Box<(Sealer, KeyFor)>>,
    pub(crate) signer: Option<Box<Signer>>,
}

/// What a message says of where it comes from.
pub(crate) struct Claims {
    pub(crate) signatures: Verification,
    pub(crate) authors: AuthorDomains,
}

impl Watch {
    /// Verifies what strangers bring; `header` as it came.
    pub(crate) fn verify(&mut self, header: &[u8]) {
        self.verifier = Some(Box::new(Verifier::new(header, Limits::default())));
        self.authors = Some(AuthorDomains::of_header(header));
    }

    /// Seals what is passed on; `header` as it leaves. What nobody may seal any more is passed on as it is.
    pub(crate) fn seal(&mut self, header: &[u8], key: KeyFor, now: u64) {
        match Sealer::new(header, now) {
            Ok(sealer) => self.sealer = Some(Box::new((sealer, key))),
            Err(error) => tracing::debug!(%error, "not sealed"),
        }
    }

    /// Signs mail of our people; `header` as it leaves.
    pub(crate) fn sign(&mut self, header: &[u8], keys: &[KeyFor], now: u64) {
        if !keys.is_empty() {
            let options = SigningOptions { now, good_for_seconds: None };
            self.signer = Some(Box::new(Signer::new(header, keys, options)));
        }
    }

    /// Takes the next octets of the body.
    pub(crate) fn body(&mut self, octets: &[u8]) {
        if let Some(verifier) = &mut self.verifier {
            verifier.body(octets);
        }
        if let Some(sealer) = &mut self.sealer {
            sealer.0.body(octets);
        }
        if let Some(signer) = &mut self.signer {
            signer.body(octets);
        }
    }

    /// The end of the body.
    pub(crate) fn finish(self) -> Watched {
        let claims = self
            .verifier
            .zip(self.authors)
            .map(|(verifier, authors)| Claims { signatures: verifier.finish(), authors });
        Watched { claims, sealer: self.sealer, signer: self.signer }
    }
}

/// The fields of a seal; nothing where it cannot be made, since a message without one is better than none.
pub(crate) fn sealed(sealer: Box<(Sealer, KeyFor)>, results: &str, chain: ChainResult) -> Vec<u8> {
    let (sealer, key) = *sealer;
    sealer.finish(&key, results, chain).unwrap_or_else(|error| {
        tracing::warn!(%error, "a message is passed on without a seal");
        Vec::new()
    })
}

/// The fields of a signature; nothing where it cannot be made.
pub(crate) fn signed(signer: Signer) -> Vec<u8> {
    signer.finish().unwrap_or_else(|error| {
        tracing::error!(%error, "a message leaves without a signature");
        Vec::new()
    })
}

/// Labels of an author's domain that are gone through for a domain of ours with keys.
const PARENTS_MAX: usize = 8;

/// The keys that vouch for an author: those of the author's domain, or of the nearest one above it that has some. Both
/// are aligned (RFC 9989 §4.4.1).
pub(crate) fn keys_for(directory: &Directory, author: &DomainName) -> Vec<KeyFor> {
    let mut name = author.as_str();
    for _ in 0..PARENTS_MAX {
        let Ok(domain) = DomainName::parse(name) else { break };
        let keys = directory.signing_keys(&domain);
        if !keys.is_empty() {
            return keys;
        }
        match name.split_once('.') {
            Some((_, parent)) => name = parent,
            None => break,
        }
    }
    Vec::new()
}
