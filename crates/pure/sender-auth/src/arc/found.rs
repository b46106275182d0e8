//! The sets of a chain as they stand in a header, and whether they are a chain at all (RFC 8617 §4, §5.2 steps 1 to 3).

use std::ops::Range;

use message::Field;

use crate::arc::ChainResult;
use crate::arc::validate::{Chain, Link};
use crate::dkim::{
    Fault, FieldIndex, Kind, SIGNATURE_OCTETS_MAX, Signature, SignedBy, Tags, Times, Verifiable, number,
    parse_tags,
};

/// Most sets of a chain (RFC 8617 §4.2.1).
pub(crate) const SETS_MAX: u32 = 50;
/// Most fields of a chain: three for each set.
const FIELDS_MAX: usize = 3 * SETS_MAX as usize;

/// Why a chain fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ChainFault {
    /// More sets than RFC 8617 allows.
    #[error("more than 50 sets")]
    TooManySets,
    /// The header is longer than we look at.
    #[error("header too long")]
    HeaderTooLong,
    /// A field without an instance that it belongs to.
    #[error("a field without instance")]
    NoInstance,
    /// One of the three fields is missing or stands there twice.
    #[error("set {0} is not whole")]
    NotWhole(u32),
    /// Someone before us found the chain broken.
    #[error("set {0} says that the chain failed")]
    SealedAsFailed(u32),
    /// `cv=` is not "none" in the first set, or not "pass" in another.
    #[error("set {0} has a wrong cv= tag")]
    WrongStatus(u32),
    /// The seal does not verify.
    #[error("seal {0}: {1}")]
    Seal(u32, Fault),
    /// The newest message signature does not verify: the message was changed after its last seal.
    #[error("message signature {0}: {1}")]
    Message(u32, Fault),
}

/// The sets of a header.
pub(crate) struct Found<'a> {
    /// In ascending order of their instances, if there is no fault.
    sets: Vec<Set<'a>>,
    /// The greatest instance that some field names.
    pub(crate) highest: u32,
    pub(crate) fault: Option<ChainFault>,
}

struct Set<'a> {
    results: Field<'a>,
    message: Field<'a>,
    seal: Field<'a>,
    signature: Result<(Signature, Range<usize>), Fault>,
    sealed: Seal,
}

/// What an ARC-Seal field says.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub(crate) signed_by: SignedBy,
    pub(crate) signature: Vec<u8>,
    status: ChainResult,
    span: Range<usize>,
}

/// The fields of one instance while they are gathered.
#[derive(Default)]
struct Parts<'a> {
    results: Option<Field<'a>>,
    message: Option<(Field<'a>, Tags<'a>)>,
    seal: Option<(Field<'a>, Tags<'a>)>,
}

impl<'a> Found<'a> {
    pub(crate) fn new(header: &'a [u8]) -> Self {
        let mut found = Self { sets: Vec::new(), highest: 0, fault: None };
        let mut parts: Vec<Parts<'a>> = Vec::new();
        for (count, (kind, field)) in arc_fields(header).enumerate() {
            let gathered = if count < FIELDS_MAX {
                gather(&mut parts, kind, field)
            } else {
                Err(ChainFault::TooManySets)
            };
            if let Err(fault) = gathered {
                found.fault = found.fault.or(Some(fault));
            }
            if count >= FIELDS_MAX {
                break;
            }
        }
        found.highest = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let status = parts.last().and_then(|last| last.seal.as_ref()).and_then(|(_, tags)| status(tags).ok());
        if status == Some(ChainResult::Fail) {
            found.fault = Some(ChainFault::SealedAsFailed(found.highest));
        }
        for (instance, parts) in (1..).zip(parts) {
            match parts.into_set(instance) {
                Ok(set) => found.sets.push(set),
                Err(fault) => found.fault = found.fault.or(Some(fault)),
            }
        }
        found
    }

    /// The signatures that need a hash of the body.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = &Signature> + Clone {
        let sets = if self.fault.is_none() { self.sets.as_slice() } else { &[] };
        sets.iter().filter_map(|set| set.signature.as_ref().ok()).map(|(signature, _)| signature)
    }

    /// The canonical fields of all sets in the order in which seals sign them: for each set its results, its message
    /// signature and its seal (RFC 8617 §5.1.1).
    pub(crate) fn sealed_fields(&self) -> impl Iterator<Item = &'a [u8]> {
        self.sets.iter().flat_map(|set| [set.results.raw, set.message.raw, set.seal.raw])
    }

    /// Hashes what signatures and seals are of.
    pub(crate) fn hash(self, index: &FieldIndex<'_>) -> Chain {
        if let Some(fault) = self.fault {
            return Chain::Broken(fault);
        }
        if self.sets.is_empty() {
            return Chain::Absent;
        }
        let mut sealed = super::seal::SealContext::new();
        let mut links = Vec::with_capacity(self.sets.len());
        for set in self.sets {
            sealed.add(set.results.raw);
            sealed.add(set.message.raw);
            let seal_hash = sealed.hash_with_own(&set.seal, &set.sealed.span);
            sealed.add(set.seal.raw);
            let message =
                set.signature.map(|(signature, span)| Verifiable::new(signature, &set.message, &span, index));
            let results = message::unfold(set.results.value);
            let after = memchr::memchr(b';', &results).and_then(|semicolon| results.get(semicolon + 1..));
            let results = after.unwrap_or_default().trim_ascii().into();
            links.push(Link { results, message, seal: set.sealed, seal_hash });
        }
        Chain::Whole(links)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Results,
    Message,
    Seal,
}

fn arc_fields(header: &[u8]) -> impl Iterator<Item = (Part, Field<'_>)> {
    message::fields(header).filter_map(|field| {
        let kinds = [
            ("ARC-Authentication-Results", Part::Results),
            ("ARC-Message-Signature", Part::Message),
            ("ARC-Seal", Part::Seal),
        ];
        kinds.into_iter().find(|(name, _)| field.is_named(name)).map(|(_, kind)| (kind, field))
    })
}

/// Puts a field where its instance belongs.
fn gather<'a>(parts: &mut Vec<Parts<'a>>, kind: Part, field: Field<'a>) -> Result<(), ChainFault> {
    let too_long =
        || if field.raw.len() > SIGNATURE_OCTETS_MAX { Err(ChainFault::NoInstance) } else { Ok(()) };
    let tags = match kind {
        Part::Results => None,
        Part::Message | Part::Seal => {
            too_long()?;
            Some(Tags::parse(field.value).map_err(|_| ChainFault::NoInstance)?)
        }
    };
    let instance = match &tags {
        None => results_instance(field.value),
        Some(tags) => tags.find("i").and_then(instance),
    };
    let instance = instance.ok_or(ChainFault::NoInstance)?;
    if instance > SETS_MAX {
        return Err(ChainFault::TooManySets);
    }
    let index = instance as usize - 1;
    if parts.len() <= index {
        parts.resize_with(index + 1, Parts::default);
    }
    let Some(part) = parts.get_mut(index) else { return Err(ChainFault::NoInstance) };
    let is_second = match (kind, tags) {
        (Part::Message, Some(tags)) => part.message.replace((field, tags)).is_some(),
        (Part::Seal, Some(tags)) => part.seal.replace((field, tags)).is_some(),
        _ => part.results.replace(field).is_some(),
    };
    if is_second { Err(ChainFault::NotWhole(instance)) } else { Ok(()) }
}

/// RFC 8617 §4.2.1: from 1, of at most two digits.
fn instance(value: &[u8]) -> Option<u32> {
    let number = number(value).filter(|number| value.len() <= 2 && *number > 0)?;
    u32::try_from(number).ok()
}

/// `i=1;` at the beginning of an ARC-Authentication-Results field (RFC 8617 §4.1.1).
fn results_instance(value: &[u8]) -> Option<u32> {
    let (start, _) = value.split_at(memchr::memchr(b';', value)?);
    let number = start.trim_ascii().strip_prefix(b"i")?.trim_ascii_start().strip_prefix(b"=")?;
    instance(number.trim_ascii())
}

fn status(tags: &Tags<'_>) -> Result<ChainResult, Fault> {
    match tags.require("cv")? {
        b"none" => Ok(ChainResult::None),
        b"pass" => Ok(ChainResult::Pass),
        b"fail" => Ok(ChainResult::Fail),
        _ => Err(Fault::BadTag("cv")),
    }
}

impl<'a> Parts<'a> {
    fn into_set(self, instance: u32) -> Result<Set<'a>, ChainFault> {
        let Self { results: Some(results), message: Some(message), seal: Some(seal) } = self else {
            return Err(ChainFault::NotWhole(instance));
        };
        let sealed = Seal::from_tags(&seal.1).map_err(|fault| ChainFault::Seal(instance, fault))?;
        match (instance, sealed.status) {
            (_, ChainResult::Fail) => return Err(ChainFault::SealedAsFailed(instance)),
            (1, ChainResult::None) | (2.., ChainResult::Pass) => {}
            _ => return Err(ChainFault::WrongStatus(instance)),
        }
        let signature = parse_tags(&message.1, Kind::ArcMessage).and_then(|(signature, span)| {
            // RFC 8617 §4.1.2: seals are signed by seals alone. The draft-era ARC-Authentication-Results does no harm.
            let has_seal = signature.signed.iter().any(|name| **name == *"arc-seal");
            if has_seal { Err(Fault::BadTag("h")) } else { Ok((signature, span)) }
        });
        Ok(Set { results, message: message.0, seal: seal.0, signature, sealed })
    }
}

impl Seal {
    fn from_tags(tags: &Tags<'_>) -> Result<Self, Fault> {
        // RFC 8617 §4.1.3: what a seal signs is fixed.
        if tags.find("h").is_some() {
            return Err(Fault::BadTag("h"));
        }
        let status = status(tags)?;
        let signed_by = SignedBy::from_tags(tags)?;
        let signature = crate::dkim::decode_base64(tags.require("b")?).ok_or(Fault::BadTag("b"))?;
        let span = tags.tag("b").map(|tag| tag.span.clone()).ok_or(Fault::MissingTag("b"))?;
        Times::from_tags(tags)?;
        Ok(Self { signed_by, signature, status, span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_their_instance_first() {
        for (value, instance) in [
            (" i=1; a.example", Some(1)),
            ("\r\n\ti = 50 ;", Some(50)),
            ("i=51;x", Some(51)),
            ("i=0;x", None),
            ("i=;x", None),
            ("i=100;x", None),
            ("i=1 x", None),
            ("a.example; i=1;", None),
            ("i=-1;", None),
        ] {
            assert_eq!(results_instance(value.as_bytes()), instance, "{value}");
        }
    }

    fn fault(instances: impl Iterator<Item = u32>) -> Option<ChainFault> {
        let sets = instances.map(|instance| {
            let status = if instance == 1 { "none" } else { "pass" };
            format!(
                "ARC-Seal: i={instance}; cv={status}; a=rsa-sha256; d=a.example; s=s; b=AAAA\r\n\
                 ARC-Message-Signature: i={instance}; a=rsa-sha256; d=a.example; s=s; h=from; b=AAAA; bh=AAAA\r\n\
                 ARC-Authentication-Results: i={instance}; a.example; none\r\n"
            )
        });
        Found::new(sets.collect::<String>().as_bytes()).fault
    }

    #[test]
    fn sets_are_counted() {
        assert_eq!(fault(1..SETS_MAX), None);
        assert_eq!(fault(1..=SETS_MAX), None);
        assert_eq!(fault(1..=SETS_MAX + 1), Some(ChainFault::TooManySets));
        assert_eq!(fault(std::iter::repeat_n(1, 60)), Some(ChainFault::NotWhole(1)));
    }

    #[test]
    fn instances_have_no_gaps() {
        assert_eq!(fault([2, 1].into_iter()), None);
        assert_eq!(fault([1, 3].into_iter()), Some(ChainFault::NotWhole(2)));
        assert_eq!(fault([2].into_iter()), Some(ChainFault::NotWhole(1)));
    }
}
