//! Signs what zones of the small internet have: ECDSA P-256, one key a zone, NSEC (RFC 4034, RFC 6605).
//!
//! Written from the RFCs and not with the library under test, so that both have to agree.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// ECDSA over P-256 with SHA-256 (RFC 6605 §6).
const ALGORITHM: u8 = 13;
/// SHA-256 (RFC 4509).
const DIGEST_TYPE: u8 = 2;
/// Zone key and secure entry point (RFC 4034 §2.1.1).
const KEY_FLAGS: u16 = 257;
/// The bit by which a key revokes itself (RFC 5011 §7).
const REVOKED: u16 = 0x0080;
const HOUR_SECONDS: u32 = 3600;
/// How long signatures are good when nothing else is said.
pub(crate) const LASTING_SECONDS: u32 = 24 * HOUR_SECONDS;

/// A zone's key.
#[derive(Debug)]
pub(crate) struct ZoneKey {
    pair: EcdsaKeyPair,
    flags: u16,
}

impl ZoneKey {
    pub(crate) fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| anyhow!("no key"))?;
        Ok(Self { pair, flags: KEY_FLAGS })
    }

    /// The DNSKEY record's data (RFC 4034 §2.1).
    pub(crate) fn dnskey(&self) -> Vec<u8> {
        let mut data = self.flags.to_be_bytes().to_vec();
        data.extend([3, ALGORITHM]);
        // The first octet says "uncompressed point" and is left out (RFC 6605 §4).
        data.extend_from_slice(&self.pair.public_key().as_ref()[1..]);
        data
    }

    /// From now on it says that it is not to be trusted any more.
    pub(crate) fn revoke(&mut self) {
        self.flags |= REVOKED;
    }

    /// Data of further DNSKEY records with this key's tag, at most 31: none of them is a key that signed anything.
    pub(crate) fn colliding(&self) -> impl Iterator<Item = Vec<u8>> {
        let dnskey = self.dnskey();
        // A sum of 16-bit words does not change when two of them change places (RFC 4034 appendix B).
        (3..dnskey.len() / 2).map(move |word| {
            let mut other = dnskey.clone();
            for octet in 0..2 {
                other.swap(4 + octet, 2 * word + octet);
            }
            other
        })
    }

    /// The DNSKEY record's data in presentation form, as trust anchors are written.
    pub(crate) fn dnskey_text(&self) -> String {
        let data = self.dnskey();
        format!("{KEY_FLAGS} 3 {ALGORITHM} {}", STANDARD.encode(&data[4..]))
    }

    /// The DS record's data for the parent zone (RFC 4034 §5.1).
    pub(crate) fn ds(&self, owner_wire: &[u8]) -> Vec<u8> {
        let dnskey = self.dnskey();
        let mut data = key_tag(&dnskey).to_be_bytes().to_vec();
        data.extend([ALGORITHM, DIGEST_TYPE]);
        data.extend_from_slice(digest(&SHA256, &[owner_wire, &dnskey].concat()).as_ref());
        data
    }

    /// The RRSIG record's data over a set of records (RFC 4034 §3.1).
    pub(crate) fn rrsig(&self, set: &Signable<'_>, lasting_seconds: u32) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let mut data = set.kind.to_be_bytes().to_vec();
        // The asterisk of a wildcard does not count (RFC 4034 §3.1.3).
        let labels = labels(set.owner_wire) - u8::from(set.owner_wire.starts_with(b"\x01*"));
        data.extend([ALGORITHM, labels]);
        data.extend_from_slice(&set.ttl.to_be_bytes());
        data.extend_from_slice(&(now + lasting_seconds).to_be_bytes());
        data.extend_from_slice(&(now - HOUR_SECONDS).to_be_bytes());
        data.extend_from_slice(&key_tag(&self.dnskey()).to_be_bytes());
        data.extend_from_slice(set.signer_wire);
        let mut signed = data.clone();
        let mut records = set.data.to_vec();
        records.sort();
        for record in records {
            signed.extend_from_slice(set.owner_wire);
            signed.extend_from_slice(&set.kind.to_be_bytes());
            signed.extend_from_slice(&[0, 1]);
            signed.extend_from_slice(&set.ttl.to_be_bytes());
            signed.extend_from_slice(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
            signed.extend_from_slice(&record);
        }
        if let Ok(signature) = self.pair.sign(&SystemRandom::new(), &signed) {
            data.extend_from_slice(signature.as_ref());
        }
        data
    }
}

/// A set of records in canonical form (RFC 4034 §6.2: names in full and in lower case).
#[derive(Debug)]
pub(crate) struct Signable<'a> {
    pub(crate) owner_wire: &'a [u8],
    pub(crate) signer_wire: &'a [u8],
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: &'a [Vec<u8>],
}

/// The bit map of types that a name has (RFC 4034 §4.1.2), for types below 256.
pub(crate) fn type_bitmap(kinds: &[u16]) -> Vec<u8> {
    let mut bits = [0_u8; 32];
    for kind in kinds.iter().filter(|kind| **kind < 256) {
        bits[usize::from(kind / 8)] |= 0x80 >> (kind % 8);
    }
    let length = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let mut map = vec![0, u8::try_from(length).unwrap_or(32)];
    map.extend_from_slice(&bits[..length]);
    map
}

/// RFC 4034 appendix B.
fn key_tag(dnskey: &[u8]) -> u16 {
    let sum: u32 = dnskey
        .iter()
        .enumerate()
        .map(|(at, octet)| if at % 2 == 0 { u32::from(*octet) << 8 } else { u32::from(*octet) })
        .sum();
    ((sum + (sum >> 16)) & 0xffff) as u16
}

fn labels(wire: &[u8]) -> u8 {
    let (mut count, mut at) = (0, 0);
    while let Some(length) = wire.get(at).filter(|length| **length > 0) {
        count += 1;
        at += 1 + usize::from(*length);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_tags_are_as_in_the_rfc() {
        // RFC 6605 §6.1: the key's tag is 55648.
        let key = "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";
        let mut data = vec![1, 1, 3, 13];
        data.extend(STANDARD.decode(key).unwrap());
        assert_eq!(key_tag(&data), 55648);
    }

    #[test]
    fn bitmaps_are_as_in_the_rfc() {
        // RFC 4034 §4.3, its first window: A, MX, RRSIG and NSEC.
        assert_eq!(type_bitmap(&[1, 15, 46, 47]), [0, 6, 0x40, 0x01, 0, 0, 0, 0x03]);
    }
}
