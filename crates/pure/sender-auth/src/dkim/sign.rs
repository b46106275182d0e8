//! Signing a message while it passes (RFC 6376 §5): header and body relaxed, with each of a domain's keys.

use aws_lc_rs::digest;
use mail_types::DomainName;

use crate::QueryName;
use crate::dkim::body_hash::{BodyHashes, Wanted};
use crate::dkim::canonical::{Canonicalization, canonical_field_unended};
use crate::dkim::fields::chosen_names;
use crate::dkim::key::{Selector, SelectorError, SigningKey};
use crate::dkim::public_key::{Algorithm, HeaderHash};
use crate::dkim::write::{FieldWriter, base64};

/// The hash of the body that we sign: all of it, relaxed.
pub(crate) const SIGNED_BODY: Wanted = Wanted { canonicalization: Canonicalization::Relaxed, octets: None };

/// Why a message cannot be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignError {
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to sign")]
    Library,
}

/// A key and the name that it signs in.
#[derive(Clone, Debug)]
pub struct KeyFor {
    domain: DomainName,
    selector: Selector,
    key: SigningKey,
    record_name: QueryName,
}

impl KeyFor {
    /// A domain's key under a selector.
    ///
    /// # Errors
    /// [`SelectorError::TooLong`] if the key's record would have no name in DNS.
    pub fn new(domain: DomainName, selector: Selector, key: SigningKey) -> Result<Self, SelectorError> {
        let record_name = QueryName::parse(&format!("{selector}._domainkey.{domain}"));
        let record_name = record_name.map_err(|_| SelectorError::TooLong)?;
        Ok(Self { domain, selector, key, record_name })
    }

    /// The domain that signs.
    #[must_use]
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// The key's selector.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Where [`SigningKey::public_record`] has to stand as a TXT record.
    #[must_use]
    pub fn record_name(&self) -> &QueryName {
        &self.record_name
    }
}

/// How to sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigningOptions {
    /// The time, in seconds since 1970.
    pub now: u64,
    /// For how many seconds the signature is good; for ever if `None`.
    pub good_for_seconds: Option<u64>,
}

/// Signatures in the making.
///
/// [`Signer::finish`] is where the work is: an RSA key of 2048 bits takes about half a millisecond, so do it where such work
/// belongs. Hashing the body costs next to nothing.
pub struct Signer {
    keys: Vec<KeyFor>,
    options: SigningOptions,
    names: Vec<&'static str>,
    header: digest::Context,
    body: BodyHashes,
}

impl Signer {
    /// Reads the header: all its fields, with or without the blank line.
    ///
    /// The fields that are made stand RSA first: a verifier that looks only at the topmost signature, or knows no
    /// Ed25519, then still finds one that it knows.
    #[must_use]
    pub fn new(header: &[u8], keys: &[KeyFor], options: SigningOptions) -> Self {
        let (names, index) = chosen_names(header, &[]);
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let context = index.hash(Canonicalization::Relaxed, lower.iter().map(String::as_str), None);
        let mut keys = keys.to_vec();
        keys.sort_by_key(|key| key.key.algorithm() != Algorithm::RsaSha256);
        Self { keys, options, names, header: context, body: BodyHashes::new([SIGNED_BODY]) }
    }

    /// Takes the next octets of the body, in chunks of any size.
    pub fn body(&mut self, octets: &[u8]) {
        self.body.feed(octets);
    }

    /// Signs: gives the DKIM-Signature fields, to be put before the header as they are.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn finish(self) -> Result<Vec<u8>, SignError> {
        let Self { keys, options, names, header, body } = self;
        let digest = body.finish().find(SIGNED_BODY).ok_or(SignError::Library)?;
        let mut fields = Vec::new();
        for key in &keys {
            let mut writer = FieldWriter::new("DKIM-Signature");
            writer.tag("v", "1");
            writer.tag("a", key.key.algorithm().as_str());
            writer.tag("c", "relaxed/relaxed");
            writer.tag("d", key.domain.as_str());
            writer.tag("s", key.selector.as_str());
            writer.tag("t", &options.now.to_string());
            if let Some(seconds) = options.good_for_seconds {
                writer.tag("x", &options.now.saturating_add(seconds.max(1)).to_string());
            }
            writer.list("h", &names);
            writer.tag("bh", &base64(&digest.hash));
            fields.extend(sign_field(writer, header.clone(), &key.key)?);
        }
        Ok(fields)
    }
}

/// Ends a hash with the field that is being written, signs it and writes the signature into the field.
pub(crate) fn sign_field(
    mut writer: FieldWriter,
    mut context: digest::Context,
    key: &SigningKey,
) -> Result<Vec<u8>, SignError> {
    let mut canonical = Vec::new();
    canonical_field_unended(Canonicalization::Relaxed, writer.begin_signature(), &mut canonical);
    context.update(&canonical);
    let signature = key.sign(&HeaderHash(context.finish()))?;
    Ok(writer.finish(&signature))
}
