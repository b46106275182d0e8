//! What looks at a message while it passes: verifies the signatures it has, makes those that we put on it.

use directory::Directory;
use mail_types::DomainName;
use message::fields;
use sender_auth::arc::{ChainResult, Sealer};
use sender_auth::dkim::{Algorithm, KeyFor, Limits, Signer, SigningOptions, Verification, Verifier};
use sender_auth::dmarc::AuthorDomains;

/// A message whose body is still to come.
#[derive(Default)]
pub(crate) struct Watch {
    verifier: Option<Box<Verifier>>,
    authors: Option<AuthorDomains>,
    is_report: bool,
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
    /// Whether it calls itself a report on mail.
    pub(crate) is_report: bool,
}

impl Watch {
    /// Verifies what strangers bring; `header` as it came.
    pub(crate) fn verify(&mut self, header: &[u8]) {
        self.verifier = Some(Box::new(Verifier::new(header, Limits::default())));
        self.authors = Some(AuthorDomains::of_header(header));
        self.is_report = calls_itself_report(header);
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
        let is_report = self.is_report;
        let claims = self.verifier.zip(self.authors).map(|(verifier, authors)| Claims {
            signatures: verifier.finish(),
            authors,
            is_report,
        });
        Watched { claims, sealer: self.sealer, signer: self.signer }
    }
}

/// Whether a header has the subject of a report on mail or on TLS (RFC 9990 §3.5.2, RFC 8460 §5.3).
fn calls_itself_report(header: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"report domain:";
    let subject = fields(header).find(|field| field.is_named("Subject"));
    let beginning = subject.and_then(|subject| subject.value.trim_ascii_start().get(..BEGINNING.len()));
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(BEGINNING))
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

/// The key that seals what is passed on: few know another algorithm than RSA in seals (RFC 8617 §4.1.3).
pub(crate) fn sealing_key(keys: &[KeyFor]) -> Option<KeyFor> {
    let is_rsa = |key: &&KeyFor| key.key().algorithm() == Algorithm::RsaSha256;
    keys.iter().find(is_rsa).or(keys.first()).cloned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_known_by_their_subject() {
        for (header, expected) in [
            ("Subject: Report Domain: a.example Submitter: b.example Report-ID: <1>\r\n", true),
            ("SUBJECT:\r\n report domain: a.example\r\n", true),
            ("Subject: Re: Report Domain: a.example\r\n", false),
            ("Subject: Report\r\n", false),
            ("From: a@b.example\r\n", false),
        ] {
            assert_eq!(calls_itself_report(header.as_bytes()), expected, "{header}");
        }
    }
}
