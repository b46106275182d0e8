//! Keyed hashes (SipHash-2-4, Aumasson and Bernstein 2012): of one length, and nobody without the key can make two of them
//! meet or try which name one stands for.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// One that nobody knows.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 16];
        let (first, last) = key.split_at_mut(8);
        first.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
        last.copy_from_slice(&RandomState::new().hash_one(1).to_le_bytes());
        Self(key)
    }

    /// One that was kept.
    #[must_use]
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// For keeping it.
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        self.0
    }

    /// The hash of these parts; their borders count.
    #[must_use]
    pub fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut octets = joined(parts);
        let hash = self.sip(&octets);
        // There may be a password among them.
        octets.fill(0);
        std::hint::black_box(&mut octets);
        hash
    }

    fn sip(&self, octets: &[u8]) -> u64 {
        let key = u128::from_le_bytes(self.0);
        // The low half first.
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let (low, high) = (key as u64, (key >> 64) as u64);
        let mut state = [
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ];
        let mut words = octets.chunks_exact(8);
        for word in words.by_ref() {
            let word = word.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
            absorb(&mut state, word);
        }
        let rest = words.remainder().iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
        absorb(&mut state, (octets.len() as u64) << 56 | rest);
        state[2] ^= 0xff;
        (0..4).for_each(|_| round(&mut state));
        state.into_iter().fold(0, |all, word| all ^ word)
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// The parts behind one another, each after its length. The room is made at once: what grew would leave copies behind.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(room_for(parts));
    for part in parts {
        octets.extend_from_slice(&(part.len() as u64).to_le_bytes());
        octets.extend_from_slice(part);
    }
    octets
}

fn room_for(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| size_of::<u64>() + part.len()).sum()
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_comes_out() {
        // Appendix A of the paper: key 00…0f, octets 00…0e.
        let key = HashKey::from_octets(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let octets: Vec<u8> = (0..15).collect();
        assert_eq!(key.sip(&octets), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn there_is_room_for_all_parts_from_the_beginning() {
        for parts in [&[][..], &[b"".as_slice()], &[b"192.0.2.1/32", b"a", &[b'x'; 4_000]]] {
            assert_eq!(joined(parts).len(), room_for(parts));
        }
    }

    #[test]
    fn borders_count_and_keys_differ() {
        let (one, other) = (HashKey::random(), HashKey::random());
        assert_ne!(one.hash(&[b"ab", b"c"]), one.hash(&[b"a", b"bc"]));
        assert_ne!(one.hash(&[b"ab"]), other.hash(&[b"ab"]));
        assert_eq!(one.hash(&[b"ab"]), HashKey::from_octets(one.octets()).hash(&[b"ab"]));
    }
}
