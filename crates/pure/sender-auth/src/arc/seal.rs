//! Sealing: what we saw of a message's authentication, for those who get it from us (RFC 8617 §5.1).

use std::ops::Range;

use aws_lc_rs::digest;
use message::Field;

use crate::arc::found::SETS_MAX;
use crate::arc::{ChainFault, ChainResult, Found};
use crate::dkim::{
    BodyHashes, Canonicalization, FieldWriter, HeaderHash, KeyFor, SIGNED_BODY, SignError, base64,
    canonical_field, chosen_names, finish_with_own, sign_field,
};

/// Why a message cannot be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    /// Who found the chain broken was to be the last one to seal it (RFC 8617 §5.1).
    #[error("the chain has failed already")]
    FailedBefore,
    /// There are as many sets as there may be.
    #[error("the chain has 50 sets already")]
    ChainFull,
    /// The chain is not what the given result says.
    #[error("the chain is not {}", .0.as_str())]
    WrongStatus(ChainResult),
    /// Results that no field can carry.
    #[error("the authentication results are no field's text")]
    BadResults,
    /// The cryptographic library failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A seal in the making. [`Sealer::finish`] makes two signatures: with an RSA key about a millisecond of work.
pub struct Sealer {
    instance: u32,
    now: u64,
    fault: Option<ChainFault>,
    sealed: SealContext,
    names: Vec<&'static str>,
    header: digest::Context,
    body: BodyHashes,
}

impl Sealer {
    /// Reads the header as it will leave us, with or without the blank line; fields put above it do not matter. `now` is
    /// in seconds since 1970.
    ///
    /// # Errors
    /// [`SealError`] if nobody may seal this message any more.
    pub fn new(header: &[u8], now: u64) -> Result<Self, SealError> {
        let found = Found::new(header);
        match found.fault {
            Some(ChainFault::SealedAsFailed(_)) => return Err(SealError::FailedBefore),
            Some(ChainFault::TooManySets) => return Err(SealError::ChainFull),
            _ if found.highest >= SETS_MAX => return Err(SealError::ChainFull),
            _ => {}
        }
        let mut sealed = SealContext::new();
        found.sealed_fields().for_each(|field| sealed.add(field));
        // RFC 8617 §4.1.2: DKIM's signatures should be signed too, ARC's fields must not.
        let (names, index) = chosen_names(header, &["DKIM-Signature"]);
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let context = index.hash(Canonicalization::Relaxed, lower.iter().map(String::as_str), None);
        let body = BodyHashes::new([SIGNED_BODY]);
        Ok(Self {
            instance: found.highest + 1,
            now,
            fault: found.fault,
            sealed,
            names,
            header: context,
            body,
        })
    }

    /// Takes the next octets of the body, in chunks of any size.
    pub fn body(&mut self, octets: &[u8]) {
        self.body.feed(octets);
    }

    /// The instance that this seal has.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// Seals: gives the three fields, to be put before the header as they are. `results` is what an
    /// Authentication-Results field of ours says after its colon, folded or not; `chain` is what we found of the chain as
    /// it came.
    ///
    /// # Errors
    /// [`SealError`] says what does not fit.
    pub fn finish(self, key: &KeyFor, results: &str, chain: ChainResult) -> Result<Vec<u8>, SealError> {
        let Self { instance, now, fault, sealed, names, header, body } = self;
        let is_right = match chain {
            ChainResult::None => instance == 1 && fault.is_none(),
            ChainResult::Pass => instance > 1 && fault.is_none(),
            ChainResult::Fail => instance > 1 || fault.is_some(),
        };
        if !is_right {
            return Err(SealError::WrongStatus(chain));
        }
        let results = results.trim();
        if !is_field_text(results) {
            return Err(SealError::BadResults);
        }
        let results = format!("ARC-Authentication-Results: i={instance}; {results}\r\n").into_bytes();
        let digest = body.finish().find(SIGNED_BODY).ok_or(SignError::Library)?;
        let begin = |name: &str, status: Option<ChainResult>| {
            let mut writer = FieldWriter::new(name);
            writer.tag("i", &instance.to_string());
            writer.tag("a", key.key().algorithm().as_str());
            if let Some(status) = status {
                writer.tag("cv", status.as_str());
            }
            writer.tag("d", key.domain().as_str());
            writer.tag("s", key.selector().as_str());
            writer.tag("t", &now.to_string());
            writer
        };
        let mut writer = begin("ARC-Message-Signature", None);
        writer.tag("c", "relaxed/relaxed");
        writer.list("h", &names);
        writer.tag("bh", &base64(&digest.hash));
        let message = sign_field(writer, header, key.key())?;
        // RFC 8617 §5.1.2: of a broken chain nobody knows the order; its last seal is over its own set alone.
        let mut sealed = if chain == ChainResult::Fail { SealContext::new() } else { sealed };
        sealed.add(&results);
        sealed.add(&message);
        let seal = sign_field(begin("ARC-Seal", Some(chain)), sealed.0, key.key())?;
        Ok([seal, message, results].concat())
    }
}

/// A hash of sets, which grows with each of them: seals sign all sets before their own one.
#[derive(Clone)]
pub(crate) struct SealContext(digest::Context);

impl SealContext {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds a field as seals sign it, always relaxed (RFC 8617 §4.1.3).
    pub(crate) fn add(&mut self, field: &[u8]) {
        let mut canonical = Vec::new();
        canonical_field(Canonicalization::Relaxed, field, &mut canonical);
        self.0.update(&canonical);
    }

    /// The hash that a seal is of: everything so far and the seal without its signature.
    pub(crate) fn hash_with_own(&self, seal: &Field<'_>, span: &Range<usize>) -> HeaderHash {
        finish_with_own(self.0.clone(), Canonicalization::Relaxed, seal, span)
    }
}

/// Whether a text can stand in a field: line ends only where it is folded, and no other control characters.
fn is_field_text(text: &str) -> bool {
    let mut lines = text.split("\r\n");
    let is_clean = |line: &str| !line.is_empty() && !line.chars().any(|c| c.is_control() && c != '\t');
    lines.next().is_some_and(is_clean)
        && lines.all(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty() && is_clean(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_cannot_add_fields() {
        assert!(is_field_text("mx.example.org;\r\n\tspf=pass smtp.mailfrom=é@example.org"));
        for text in ["", "a\nb", "a\r\nBcc: b", "a\r\n \r\n b", "a\r b", "a\0", "a\r\n"] {
            assert!(!is_field_text(text), "{text:?}");
        }
    }
}
