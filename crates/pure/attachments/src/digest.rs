//! Digests of one content, only those that some list asks for.
//!
//! Also by itself, for a file that is no attachment: [`Lookup`].

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use md5::{Digest, Md5};

use crate::hash_list::{Algorithm, HashList};

/// Whether some content is on a list, whatever it is.
#[derive(Debug)]
pub struct Lookup<'l> {
    lists: &'l [HashList],
    digests: Digests,
    octets: u64,
}

impl<'l> Lookup<'l> {
    /// At the first octet of the content.
    pub fn new(lists: &'l [HashList]) -> Lookup<'l> {
        Lookup { lists, digests: Digests::new(lists), octets: 0 }
    }

    /// Takes the next octets.
    pub fn feed(&mut self, octets: &[u8]) {
        self.digests.feed(octets);
        self.octets += octets.len() as u64;
    }

    /// What the first list that knows the content calls it; empty where that list has no name for it.
    pub fn finish(self) -> Option<String> {
        self.digests.look_up(self.lists, self.octets)
    }
}

#[derive(Default)]
pub(crate) struct Digests {
    md5: Option<Md5>,
    sha1: Option<Context>,
    sha256: Option<Context>,
}

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digests")
    }
}

impl Digests {
    pub(crate) fn new(lists: &[HashList]) -> Digests {
        let is_asked = |algorithm| lists.iter().any(|list| list.has(algorithm));
        Digests {
            md5: is_asked(Algorithm::Md5).then(Md5::new),
            sha1: is_asked(Algorithm::Sha1).then(|| Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            sha256: is_asked(Algorithm::Sha256).then(|| Context::new(&SHA256)),
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(octets);
        }
        for context in self.sha1.iter_mut().chain(&mut self.sha256) {
            context.update(octets);
        }
    }

    /// What the first list that knows the content calls it.
    pub(crate) fn look_up(self, lists: &[HashList], octets: u64) -> Option<String> {
        let md5 = self.md5.map(|md5| md5.finalize().to_vec());
        let sha1 = self.sha1.map(|context| context.finish().as_ref().to_vec());
        let sha256 = self.sha256.map(|context| context.finish().as_ref().to_vec());
        Algorithm::ALL.into_iter().zip([md5, sha1, sha256]).find_map(|(algorithm, digest)| {
            let digest = digest?;
            lists.iter().find_map(|list| list.look_up(algorithm, &digest, octets))
        })
    }
}
