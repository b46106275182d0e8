//! What may be wrong with a signature, and what each fault makes of its result (RFC 6376 §6.1, RFC 8601 §2.7.1).

/// The result of one signature, in the words of RFC 8601 §2.7.1. That there is none is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DkimResult {
    /// It verifies.
    Pass,
    /// It does not: what it signed was changed, or another key made it.
    Fail,
    /// It may verify, but we do not accept such signatures.
    Policy,
    /// It was not looked at.
    Neutral,
    /// Its key cannot be had now; later may do better.
    TempError,
    /// It, or its key, is broken or missing for good.
    PermError,
}

impl DkimResult {
    /// The word in an Authentication-Results field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Why a signature does not pass. Its text can stand as a reason in an Authentication-Results field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Fault {
    /// No list of tags (RFC 6376 §3.2).
    #[error("not a list of tags")]
    Malformed,
    /// A tag twice.
    #[error("a tag stands there twice")]
    DuplicateTag,
    /// Longer than any honest one.
    #[error("signature too long")]
    TooLong,
    /// A tag that has to be there is not.
    #[error("no {0}= tag")]
    MissingTag(&'static str),
    /// A tag's value makes no sense.
    #[error("bad {0}= tag")]
    BadTag(&'static str),
    /// An algorithm that we do not know.
    #[error("unknown algorithm")]
    UnknownAlgorithm,
    /// SHA-1 proves nothing any more (RFC 8301 §3.1).
    #[error("SHA-1 is not secure")]
    Sha1,
    /// The sender that people see is not signed (RFC 6376 §5.4).
    #[error("From is not signed")]
    FromNotSigned,
    /// There are more From fields than were signed (RFC 6376 §8.15).
    #[error("a From field was added")]
    FromAdded,
    /// `i=` is not in `d=` (RFC 6376 §3.5).
    #[error("i= is outside of d=")]
    ForeignIdentity,
    /// `x=` is over.
    #[error("signature expired")]
    Expired,
    /// `t=` is still to come.
    #[error("signed in the future")]
    FromFuture,
    /// `l=` covers only the beginning of the body (RFC 6376 §8.2).
    #[error("l= leaves a part of the body unsigned")]
    BodyPartlySigned,
    /// We have looked at enough signatures.
    #[error("more signatures than are looked at")]
    TooManySignatures,
    /// The header is longer than we look at.
    #[error("header too long")]
    HeaderTooLong,
    /// DNS fails now.
    #[error("key not available now")]
    KeyUnavailable,
    /// DNS has no key there.
    #[error("no key")]
    NoKey,
    /// What stands there is no key.
    #[error("broken key")]
    KeyBroken,
    /// An empty `p=`.
    #[error("key revoked")]
    KeyRevoked,
    /// The key's algorithm or hash is not the signature's.
    #[error("key for another algorithm")]
    KeyForOtherAlgorithm,
    /// The key is not for mail (RFC 6376 §3.6.1, `s=`).
    #[error("key for another service")]
    KeyForOtherService,
    /// The key is for its domain alone, and `i=` is in a subdomain (RFC 6376 §3.6.1, `t=s`).
    #[error("key not for subdomains")]
    KeyNotForSubdomains,
    /// An RSA key of less than 1024 bits (RFC 8301 §3.2).
    #[error("key too short")]
    KeyTooShort,
    /// An RSA key of more than 8192 bits.
    #[error("key too long")]
    KeyTooLong,
    /// The body is not what was signed.
    #[error("body was changed")]
    BodyChanged,
    /// The header is not what was signed, or with another key.
    #[error("header was changed or signed with another key")]
    HeaderChanged,
}

impl Fault {
    /// The result that a signature with this fault has.
    #[must_use]
    pub fn result(self) -> DkimResult {
        match self {
            // What RFC 6376 leaves to the verifier (§3.5 `t=`, `x=`; §6.1.1, §8.2, §8.15) is our policy.
            Self::Expired
            | Self::FromFuture
            | Self::FromAdded
            | Self::BodyPartlySigned
            | Self::KeyTooShort
            | Self::KeyTooLong => DkimResult::Policy,
            Self::TooManySignatures | Self::HeaderTooLong => DkimResult::Neutral,
            Self::KeyUnavailable => DkimResult::TempError,
            Self::BodyChanged | Self::HeaderChanged => DkimResult::Fail,
            Self::Malformed
            | Self::DuplicateTag
            | Self::TooLong
            | Self::MissingTag(_)
            | Self::BadTag(_)
            | Self::UnknownAlgorithm
            | Self::Sha1
            | Self::FromNotSigned
            | Self::ForeignIdentity
            | Self::NoKey
            | Self::KeyBroken
            | Self::KeyRevoked
            | Self::KeyForOtherAlgorithm
            | Self::KeyForOtherService
            | Self::KeyNotForSubdomains => DkimResult::PermError,
        }
    }
}
