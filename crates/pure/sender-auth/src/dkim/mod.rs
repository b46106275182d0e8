//! DKIM: domains that answer for messages with their signatures (RFC 6376, with 8301, 8463 and 8616).

mod body_hash;
mod canonical;
mod fault;
mod fields;
mod header_hash;
mod key;
mod pem;
mod public_key;
mod rsa_bits;
mod sign;
mod signature;
mod tags;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub(crate) use body_hash::BodyHashes;
pub(crate) use canonical::{Canonicalization, canonical_field};
pub(crate) use fields::chosen_names;
pub(crate) use header_hash::{FieldIndex, finish_with_own};
pub(crate) use public_key::{HeaderHash, decode_base64};
pub(crate) use sign::{SIGNED_BODY, sign_field};
pub(crate) use signature::{Kind, SIGNATURE_OCTETS_MAX, Signature, SignedBy, Times};
pub(crate) use tags::{Tags, number};
pub(crate) use verify::{Verifiable, ask, parse_tags, verify_with_keys};
pub(crate) use write::{FieldWriter, base64};

pub use fault::{DkimResult, Fault};
pub use key::{KeyError, Selector, SelectorError, SigningKey};
pub use public_key::Algorithm;
pub use sign::{KeyFor, SignError, Signer, SigningOptions};
pub use verify::{Limits, PartialBody, SignatureVerdict, Verification, Verifier};
