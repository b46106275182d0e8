//! Validating a chain (RFC 8617 §5.2 steps 4 to 7).

use mail_types::DomainName;

use crate::arc::ChainFault;
use crate::arc::found::Seal;
use crate::dkim::{Fault, HeaderHash, PartialBody, Verifiable, Verification, ask, verify_with_keys};
use crate::{Answers, Needs};

/// What became of a chain, in the words of RFC 8617 §4.4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChainResult {
    /// There is none.
    None,
    /// The newest message signature and all seals verify.
    Pass,
    /// They do not.
    Fail,
}

impl ChainResult {
    /// The word in `cv=` and in an Authentication-Results field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

/// What is to be said of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainVerdict {
    /// The result.
    pub result: ChainResult,
    /// Why it fails.
    pub fault: Option<ChainFault>,
    /// The sets of a chain that passes, oldest first; of others nothing is to be believed. A seal proves no more than
    /// who made it: what it says counts only if that domain is trusted.
    pub hops: Vec<Hop>,
    /// The oldest set whose message signature still verifies: the message was not changed since. Zero if all do, so that
    /// nobody changed it (RFC 8617 §5.2 step 5); `None` if the chain does not pass.
    pub oldest_pass: Option<u32>,
}

impl ChainVerdict {
    /// Whether the chain fails only because DNS does: asking later may do better (RFC 8617 §5.2.1).
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self.fault,
            Some(ChainFault::Seal(_, Fault::KeyUnavailable) | ChainFault::Message(_, Fault::KeyUnavailable))
        )
    }
}

/// One set of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    /// `i=`: from 1 on.
    pub instance: u32,
    /// `d=` of the seal.
    pub domain: DomainName,
    /// `s=` of the seal.
    pub selector: Box<str>,
    /// What this handler found: its ARC-Authentication-Results field on one line, what follows the instance.
    pub authentication_results: Box<[u8]>,
}

/// A chain with the hashes that its signatures should be of.
pub(crate) enum Chain {
    Absent,
    Broken(ChainFault),
    /// Sets 1 to N.
    Whole(Vec<Link>),
}

pub(crate) struct Link {
    pub(crate) results: Box<[u8]>,
    pub(crate) message: Result<Verifiable, Fault>,
    pub(crate) seal: Seal,
    pub(crate) seal_hash: HeaderHash,
}

impl Chain {
    /// The chain of a header that is not looked at.
    pub(crate) fn too_long() -> Self {
        Self::Broken(ChainFault::HeaderTooLong)
    }

    pub(crate) fn judge(
        &self,
        message: &Verification,
        answers: &Answers,
        now: u64,
    ) -> Result<ChainVerdict, Needs> {
        let (result, fault) = match self {
            Self::Absent => (ChainResult::None, None),
            Self::Broken(fault) => (ChainResult::Fail, Some(*fault)),
            Self::Whole(links) => match validate(links, message, answers, now)? {
                Ok(oldest_pass) => {
                    let hops = (1..).zip(links).map(|(instance, link)| link.hop(instance)).collect();
                    let oldest_pass = Some(oldest_pass);
                    return Ok(ChainVerdict { result: ChainResult::Pass, fault: None, hops, oldest_pass });
                }
                Err(fault) => (ChainResult::Fail, Some(fault)),
            },
        };
        Ok(ChainVerdict { result, fault, hops: Vec::new(), oldest_pass: None })
    }
}

impl Link {
    fn hop(&self, instance: u32) -> Hop {
        Hop {
            instance,
            domain: self.seal.signed_by.domain.clone(),
            selector: self.seal.signed_by.selector.clone(),
            authentication_results: self.results.clone(),
        }
    }

    /// The message signature, as far as it can be judged without its key.
    fn checked(&self, message: &Verification, now: u64) -> Result<&Verifiable, Fault> {
        let verifiable = self.message.as_ref().map_err(|fault| *fault)?;
        let left_out = verifiable.check(&message.body, now, &message.limits)?;
        if left_out > 0 && message.limits.partial_body == PartialBody::Refused {
            return Err(Fault::BodyPartlySigned);
        }
        Ok(verifiable)
    }
}

/// Verifies the newest message signature and all seals, the newest first; then says which is the oldest message
/// signature that verifies.
fn validate(
    links: &[Link],
    message: &Verification,
    answers: &Answers,
    now: u64,
) -> Result<Result<u32, ChainFault>, Needs> {
    let numbered = || (1_u32..).zip(links).collect::<Vec<_>>().into_iter().rev();
    let Some((newest, link)) = numbered().next() else { return Ok(Ok(0)) };
    let verifiable = match link.checked(message, now) {
        Ok(verifiable) => verifiable,
        Err(fault) => return Ok(Err(ChainFault::Message(newest, fault))),
    };
    let seal_keys = links.iter().map(|link| &link.seal.signed_by.key_name);
    ask(seal_keys.chain([&verifiable.signature.signed_by.key_name]), answers)?;
    if let Err((_, fault)) = verifiable.verify(answers)? {
        return Ok(Err(ChainFault::Message(newest, fault)));
    }
    for (instance, link) in numbered() {
        let seal = &link.seal;
        if let Err((_, fault)) = verify_with_keys(&seal.signed_by, &link.seal_hash, &seal.signature, answers)?
        {
            return Ok(Err(ChainFault::Seal(instance, fault)));
        }
    }
    let older: Vec<_> = numbered()
        .skip(1)
        .map_while(|(instance, link)| Some((instance, link.checked(message, now).ok()?)))
        .collect();
    ask(older.iter().map(|(_, verifiable)| &verifiable.signature.signed_by.key_name), answers)?;
    let mut oldest = newest;
    for (instance, verifiable) in older {
        if verifiable.verify(answers)?.is_err() {
            break;
        }
        oldest = instance;
    }
    Ok(Ok(if oldest == 1 { 0 } else { oldest }))
}
