//! NSEC3: absences proven by hashes of names (RFC 5155).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The hash of a name in wire form, hashed again so many times, without salt (RFC 5155 §5).
pub(crate) fn hash(wire: &[u8], iterations: u16) -> Vec<u8> {
    let mut hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, wire).as_ref().to_vec();
    for _ in 0..iterations {
        hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &hash).as_ref().to_vec();
    }
    hash
}

/// The hash as the first label of an owner: base32 with the extended hex alphabet (RFC 4648 §7), in lower case.
pub(crate) fn label(hash: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    // 160 bits are 32 letters, without padding.
    (0..hash.len() * 8 / 5)
        .map(|at| {
            let value = (0..5).fold(0, |value, bit| {
                let bit = at * 5 + bit;
                value << 1 | usize::from(hash[bit / 8] >> (7 - bit % 8) & 1)
            });
            char::from(ALPHABET[value])
        })
        .collect()
}

/// The data of an NSEC3 record (RFC 5155 §3.2): SHA-1, no opt-out, no salt, the next hash, the types.
pub(crate) fn data(iterations: u16, next: &[u8], types: &[u8]) -> Vec<u8> {
    let mut data = vec![1, 0];
    data.extend(iterations.to_be_bytes());
    data.push(0);
    data.push(next.len().to_le_bytes()[0]);
    data.extend_from_slice(next);
    data.extend_from_slice(types);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_32_letters_in_order() {
        let wire = b"\x07example\x00";
        let (one, other) = (hash(wire, 0), hash(wire, 1));
        assert_eq!((label(&one).len(), label(&other).len()), (32, 32));
        assert_ne!(one, other);
        assert_eq!(one < other, label(&one) < label(&other), "the alphabet keeps the order");
    }
}
