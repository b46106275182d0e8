//! Verifying all signatures of a message while it passes, those of its ARC chain included (RFC 6376 §6.1).

use std::collections::HashSet;

use message::Field;

use crate::arc::{Chain, ChainVerdict};
use crate::dkim::body_hash::{BodyDigests, BodyHashes};
use crate::dkim::header_hash::{FieldIndex, finish_with_own};
use crate::dkim::public_key::{HeaderHash, KeyRecord};
use crate::dkim::signature::{
    IdentityDomain, Kind, SIGNATURE_OCTETS_MAX, SIGNED_FIELDS_MAX, Signature, SignedBy, identity_domain,
};
use crate::dkim::tags::Tags;
use crate::dkim::{Algorithm, DkimResult, Fault};
use crate::{Answers, Needs, QueryName, Question, ReplyError};
use mail_types::DomainName;

/// Most records looked at under one key's name; RFC 6376 §3.6.2.2 allows one, and some keep an old one beside it. Each
/// costs up to half a millisecond of arithmetic.
pub(crate) const KEY_RECORDS_MAX: usize = 2;
/// Octets of `b=` that tell signatures apart (RFC 6008 §4).
const SIGNATURE_PREFIX_OCTETS: usize = 8;

/// What a signature with `l=` is worth that leaves a part of the body unsigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PartialBody {
    /// Nothing: anybody can put another text, even a whole other page, below the signed one (RFC 6376 §8.2).
    #[default]
    Refused,
    /// As much as one for the whole body.
    Accepted,
}

/// Bounds and rules of verifying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Signatures that are looked at, from the top of the header down. Each costs a question to DNS; real mail has up to
    /// four.
    pub signatures_max: usize,
    /// Octets of a header that is looked at; each signature reads it once.
    pub header_octets_max: usize,
    /// Seconds that clocks may differ in `t=` and `x=`.
    pub clock_skew_seconds_max: u64,
    /// What becomes of `l=`.
    pub partial_body: PartialBody,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signatures_max: 8,
            header_octets_max: 1024 * 1024,
            clock_skew_seconds_max: 300,
            partial_body: PartialBody::Refused,
        }
    }
}

/// A message's signatures while its body passes.
pub struct Verifier {
    limits: Limits,
    signatures: Vec<Checked>,
    has_more: bool,
    chain: Chain,
    hashes: BodyHashes,
}

/// One signature: what can be said of it, and what it takes to verify it or why that is not worth trying.
struct Checked {
    about: About,
    state: Result<Box<Verifiable>, Fault>,
}

/// What a verdict repeats of the field, whatever is wrong with it.
#[derive(Clone, Default)]
struct About {
    domain: Option<DomainName>,
    selector: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    identity: Option<Box<str>>,
    signature_prefix: Box<str>,
    signed_fields: Vec<Box<str>>,
    identity_domain: Option<IdentityDomain>,
}

/// A signature and the hash of the header that it should be of.
pub(crate) struct Verifiable {
    pub(crate) signature: Signature,
    hash: HeaderHash,
    has_added_from: bool,
}

impl Verifier {
    /// Reads the header: all its fields, with or without the blank line.
    #[must_use]
    pub fn new(header: &[u8], limits: Limits) -> Self {
        if header.len() > limits.header_octets_max {
            let signatures = vec![Checked { about: About::default(), state: Err(Fault::HeaderTooLong) }];
            let chain = Chain::too_long();
            return Self { limits, signatures, has_more: false, chain, hashes: BodyHashes::default() };
        }
        let mut found = Vec::new();
        let mut has_more = false;
        for field in message::fields(header).filter(|field| field.is_named("DKIM-Signature")) {
            has_more = found.len() == limits.signatures_max;
            if has_more {
                break;
            }
            found.push((field, parse(&field, Kind::Dkim)));
        }
        let chain = crate::arc::Found::new(header);
        let parsed =
            found.iter().filter_map(|(_, (_, parsed))| parsed.as_ref().ok()).map(|(signature, _)| signature);
        let names: HashSet<&str> =
            parsed.clone().chain(chain.signatures()).flat_map(|one| &one.signed).map(AsRef::as_ref).collect();
        let index = FieldIndex::new(header, names.into_iter().chain(["from"]));
        let hashes = BodyHashes::new(parsed.chain(chain.signatures()).map(|signature| signature.body));
        let chain = chain.hash(&index);
        let signatures = found.into_iter().map(|(field, (about, parsed))| {
            let state =
                parsed.map(|(signature, span)| Box::new(Verifiable::new(signature, &field, &span, &index)));
            Checked { about, state }
        });
        Self { limits, signatures: signatures.collect(), has_more, chain, hashes }
    }

    /// Takes the next octets of the body, in chunks of any size.
    pub fn body(&mut self, octets: &[u8]) {
        self.hashes.feed(octets);
    }

    /// The end of the body.
    #[must_use]
    pub fn finish(self) -> Verification {
        let Self { limits, signatures, has_more, chain, hashes } = self;
        Verification { limits, signatures, has_more, chain, body: hashes.finish() }
    }
}

/// Reads a signature's field, and where its `b=` stands.
pub(crate) type Parsed = Result<(Signature, std::ops::Range<usize>), Fault>;

fn parse(field: &Field<'_>, kind: Kind) -> (About, Parsed) {
    if field.raw.len() > SIGNATURE_OCTETS_MAX {
        return (About::default(), Err(Fault::TooLong));
    }
    let tags = match Tags::parse(field.value) {
        Ok(tags) => tags,
        Err(fault) => return (About::default(), Err(fault)),
    };
    (About::new(&tags), parse_tags(&tags, kind))
}

pub(crate) fn parse_tags(tags: &Tags<'_>, kind: Kind) -> Parsed {
    let signature = Signature::from_tags(tags, kind)?;
    let span = tags.tag("b").map(|tag| tag.span.clone()).ok_or(Fault::MissingTag("b"))?;
    Ok((signature, span))
}

impl About {
    /// What can be repeated without harm: a signature is anybody's, and a verdict ends in a field of ours.
    fn new(tags: &Tags<'_>) -> Self {
        let domain = tags.find("d").and_then(crate::dkim::signature::domain);
        let prefix = tags.find("b").unwrap_or_default().iter().filter(|octet| is_base64(**octet));
        let prefix: Vec<u8> = prefix.copied().take(SIGNATURE_PREFIX_OCTETS).collect();
        let names = tags.find("h").map(crate::dkim::tags::colon_list).into_iter().flatten();
        Self {
            selector: tags.find("s").and_then(one_word),
            algorithm: tags.find("a").and_then(|algorithm| Algorithm::parse(algorithm).ok()),
            identity: tags
                .find("i")
                .map_or_else(|| domain.as_ref().map(|d| format!("@{d}").into()), one_word),
            signature_prefix: String::from_utf8_lossy(&prefix).into(),
            signed_fields: names
                .filter_map(one_word)
                .take(SIGNED_FIELDS_MAX)
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            identity_domain: domain.as_ref().and_then(|domain| identity_domain(tags, domain).ok()),
            domain,
        }
    }
}

/// A value without blanks, folds and control characters.
fn one_word(value: &[u8]) -> Option<Box<str>> {
    let word = str::from_utf8(value).ok().filter(|word| !word.is_empty())?;
    let is_one = !word.chars().any(|character| character.is_whitespace() || character.is_control());
    is_one.then(|| word.into())
}

fn is_base64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=')
}

impl Verifiable {
    pub(crate) fn new(
        signature: Signature,
        field: &Field<'_>,
        span: &std::ops::Range<usize>,
        index: &FieldIndex<'_>,
    ) -> Self {
        let names = signature.signed.iter().map(AsRef::as_ref);
        let context = index.hash(signature.header_form, names, Some(field.raw));
        let hash = finish_with_own(context, signature.header_form, field, span);
        let signed_from = signature.signed.iter().filter(|name| ***name == *"from").count();
        let has_added_from = index.count("from") > signed_from;
        Self { signature, hash, has_added_from }
    }

    /// Everything but the key: times and the body. Says how many octets of the body are not signed.
    pub(crate) fn check(&self, body: &BodyDigests, now: u64, limits: &Limits) -> Result<u64, Fault> {
        self.signature.times.check(now, limits)?;
        if self.has_added_from {
            return Err(Fault::FromAdded);
        }
        let digest = body.find(self.signature.body).ok_or(Fault::BodyChanged)?;
        if digest.hash != self.signature.body_hash {
            return Err(Fault::BodyChanged);
        }
        Ok(digest.octets_left_out)
    }

    /// The signature itself.
    pub(crate) fn verify(
        &self,
        answers: &Answers,
    ) -> Result<Result<KeyRecord, (Option<KeyRecord>, Fault)>, Needs> {
        verify_with_keys(&self.signature.signed_by, &self.hash, &self.signature.signature, answers)
    }
}

/// Tries the keys under a signer's name: the first that verifies, or what is wrong with the first.
pub(crate) fn verify_with_keys(
    signed_by: &SignedBy,
    hash: &HeaderHash,
    signature: &[u8],
    answers: &Answers,
) -> Result<Result<KeyRecord, (Option<KeyRecord>, Fault)>, Needs> {
    let records = match answers.txt(&signed_by.key_name)? {
        Ok(records) => records,
        Err(ReplyError::Failure) => return Ok(Err((None, Fault::KeyUnavailable))),
        Err(ReplyError::NoSuchName | ReplyError::NoData) => return Ok(Err((None, Fault::NoKey))),
    };
    let mut first = None;
    for record in records.iter().filter_map(|record| KeyRecord::parse(record)).take(KEY_RECORDS_MAX) {
        let failed = match record {
            Ok(key) => match key.verify(signed_by.algorithm, hash, signature) {
                Ok(()) => return Ok(Ok(key)),
                Err(fault) => (Some(key), fault),
            },
            Err(fault) => (None, fault),
        };
        first.get_or_insert(failed);
    }
    Ok(Err(first.unwrap_or((None, Fault::NoKey))))
}

/// All that a message says, read and hashed; what is missing is the keys.
pub struct Verification {
    pub(crate) limits: Limits,
    signatures: Vec<Checked>,
    has_more: bool,
    chain: Chain,
    pub(crate) body: BodyDigests,
}

/// What is to be said of one signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureVerdict {
    /// The result. [`DkimResult::Pass`] means: `domain` answers for the whole body and for `signed_fields`, From among them.
    pub result: DkimResult,
    /// Why it is not a pass.
    pub fault: Option<Fault>,
    /// `d=`, if it can be read.
    pub domain: Option<DomainName>,
    /// `s=`.
    pub selector: Option<Box<str>>,
    /// `a=`, if we know it.
    pub algorithm: Option<Algorithm>,
    /// `i=`, or `@` and the domain where it is missing.
    pub identity: Option<Box<str>>,
    /// The first octets of `b=`: what tells signatures of one domain apart in an Authentication-Results field
    /// (`header.b`, RFC 6008).
    pub signature_prefix: Box<str>,
    /// Bits of the key, if it was seen.
    pub key_bits: Option<u32>,
    /// The key says that its domain is only trying DKIM (`t=y`).
    pub is_testing: bool,
    /// Octets of the canonical body that `l=` leaves unsigned.
    pub unsigned_body_octets: u64,
    /// Names of the signed fields, in lower case and in the order of `h=`.
    pub signed_fields: Vec<Box<str>>,
}

impl SignatureVerdict {
    /// The domain that answers for the message, if the signature passes.
    #[must_use]
    pub fn passing_domain(&self) -> Option<&DomainName> {
        self.domain.as_ref().filter(|_| self.result == DkimResult::Pass)
    }
}

impl Verification {
    /// Judges each signature, from the top of the header down. Of those that are too many there is one verdict, the last.
    ///
    /// Takes some 20 microseconds for each usual key, and up to half a millisecond for the longest.
    ///
    /// # Errors
    /// [`Needs`] names all keys that are missing.
    pub fn judge(&self, answers: &Answers, now: u64) -> Result<Vec<SignatureVerdict>, Needs> {
        let checked: Vec<_> = self.signatures.iter().map(|one| (one, self.check(one, now))).collect();
        let verifiable = checked.iter().filter_map(|(_, checked)| checked.as_ref().ok());
        ask(verifiable.map(|(verifiable, _)| &verifiable.signature.signed_by.key_name), answers)?;
        let mut verdicts = Vec::with_capacity(checked.len());
        for (one, checked) in checked {
            let mut verdict = one.about.verdict();
            let outcome = match checked {
                Ok((verifiable, left_out)) => {
                    verdict.unsigned_body_octets = left_out;
                    self.outcome(verifiable, &one.about, answers, &mut verdict)?
                }
                Err(fault) => Err(fault),
            };
            verdict.fault = outcome.err();
            verdict.result = verdict.fault.map_or(DkimResult::Pass, Fault::result);
            verdicts.push(verdict);
        }
        if self.has_more {
            let mut verdict = About::default().verdict();
            verdict.fault = Some(Fault::TooManySignatures);
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    /// Validates the message's ARC chain (RFC 8617 §5.2). Fifty sets with the longest keys take a tenth of a second.
    ///
    /// # Errors
    /// [`Needs`] names the keys that are missing.
    pub fn judge_chain(&self, answers: &Answers, now: u64) -> Result<ChainVerdict, Needs> {
        self.chain.judge(self, answers, now)
    }

    fn check<'a>(&self, one: &'a Checked, now: u64) -> Result<(&'a Verifiable, u64), Fault> {
        let verifiable = one.state.as_ref().map_err(|fault| *fault)?;
        Ok((verifiable, verifiable.check(&self.body, now, &self.limits)?))
    }

    fn outcome(
        &self,
        verifiable: &Verifiable,
        about: &About,
        answers: &Answers,
        verdict: &mut SignatureVerdict,
    ) -> Result<Result<(), Fault>, Needs> {
        let (key, outcome) = match verifiable.verify(answers)? {
            Ok(key) => (Some(key), Ok(())),
            Err((key, fault)) => (key, Err(fault)),
        };
        verdict.key_bits = key.as_ref().map(|key| key.bits);
        verdict.is_testing = key.as_ref().is_some_and(|key| key.is_testing);
        let is_for_domain_alone = key.is_some_and(|key| key.is_for_domain_alone);
        Ok(outcome.and_then(|()| {
            if is_for_domain_alone && about.identity_domain != Some(IdentityDomain::Same) {
                Err(Fault::KeyNotForSubdomains)
            } else if verdict.unsigned_body_octets > 0 && self.limits.partial_body == PartialBody::Refused {
                Err(Fault::BodyPartlySigned)
            } else {
                Ok(())
            }
        }))
    }
}

impl About {
    fn verdict(&self) -> SignatureVerdict {
        let about = self.clone();
        SignatureVerdict {
            result: DkimResult::Neutral,
            fault: None,
            domain: about.domain,
            selector: about.selector,
            algorithm: about.algorithm,
            identity: about.identity,
            signature_prefix: about.signature_prefix,
            key_bits: None,
            is_testing: false,
            unsigned_body_octets: 0,
            signed_fields: about.signed_fields,
        }
    }
}

/// Asks for all these keys at once, each of them once.
pub(crate) fn ask<'a>(
    names: impl IntoIterator<Item = &'a QueryName>,
    answers: &Answers,
) -> Result<(), Needs> {
    let mut missing: Vec<Question> = Vec::new();
    for name in names {
        let question = Question::Txt(name.clone());
        if !answers.knows(&question) && !missing.contains(&question) {
            missing.push(question);
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Needs(missing)) }
}
