//! Hashes of a body while it passes: one pass for each canonical form, whatever number of signatures wants it.

use aws_lc_rs::digest;

use crate::dkim::canonical::{BodyForm, Canonicalization};

/// Octets of a SHA-256 hash.
pub(crate) const HASH_OCTETS: usize = 32;
/// Octets gathered before they are hashed: canonical forms come in small pieces.
const GATHERED_OCTETS: usize = 4_096;

/// Which hash is wanted: a canonical form, and how many of its octets (RFC 6376 §3.5, `l=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) canonicalization: Canonicalization,
    pub(crate) octets: Option<u64>,
}

/// Hashes in the making.
#[derive(Clone, Default)]
pub(crate) struct BodyHashes {
    passes: Vec<Pass>,
}

impl BodyHashes {
    /// Hashes for all who want one; the shared ones are made once.
    pub(crate) fn new(wanted: impl IntoIterator<Item = Wanted>) -> Self {
        let mut passes: Vec<Pass> = Vec::new();
        for Wanted { canonicalization, octets } in wanted {
            let index = passes.iter().position(|pass| pass.canonicalization == canonicalization);
            let cuts = octets.into_iter();
            match index.and_then(|index| passes.get_mut(index)) {
                Some(pass) => pass.hash.cuts.extend(cuts),
                None => passes.push(Pass::new(canonicalization, cuts.collect())),
            }
        }
        for pass in &mut passes {
            pass.hash.cuts.sort_unstable_by(|left, right| right.cmp(left));
            pass.hash.cuts.dedup();
        }
        Self { passes }
    }

    pub(crate) fn feed(&mut self, octets: &[u8]) {
        for Pass { form, hash, .. } in &mut self.passes {
            form.feed(octets, &mut |octets| hash.gather(octets));
        }
    }

    pub(crate) fn finish(self) -> BodyDigests {
        let finished = self.passes.into_iter().map(|Pass { canonicalization, form, mut hash }| {
            form.finish(&mut |octets| hash.gather(octets));
            hash.flush();
            let whole = octets_of(hash.context);
            Finished { canonicalization, whole, octets: hash.octets, cuts: hash.cut_hashes }
        });
        BodyDigests(finished.collect())
    }
}

#[derive(Clone)]
struct Pass {
    canonicalization: Canonicalization,
    form: BodyForm,
    hash: CutHash,
}

impl Pass {
    fn new(canonicalization: Canonicalization, cuts: Vec<u64>) -> Self {
        let hash = CutHash {
            context: digest::Context::new(&digest::SHA256),
            gathered: Vec::new(),
            octets: 0,
            cuts,
            cut_hashes: Vec::new(),
        };
        Self { canonicalization, form: BodyForm::new(canonicalization), hash }
    }
}

/// A hash of everything that also knows the hashes of some beginnings.
#[derive(Clone)]
struct CutHash {
    context: digest::Context,
    gathered: Vec<u8>,
    /// Octets hashed.
    octets: u64,
    /// Lengths still to come, greatest first.
    cuts: Vec<u64>,
    cut_hashes: Vec<(u64, [u8; HASH_OCTETS])>,
}

impl CutHash {
    fn gather(&mut self, octets: &[u8]) {
        if self.gathered.len() + octets.len() > GATHERED_OCTETS {
            self.flush();
        }
        if octets.len() > GATHERED_OCTETS {
            self.hash(octets);
        } else {
            self.gathered.extend_from_slice(octets);
        }
    }

    fn flush(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.hash(&gathered);
        gathered.clear();
        self.gathered = gathered;
    }

    fn hash(&mut self, mut octets: &[u8]) {
        while let Some(&cut) = self.cuts.last() {
            let missing = usize::try_from(cut.saturating_sub(self.octets)).unwrap_or(usize::MAX);
            let Some((before, after)) = octets.split_at_checked(missing) else { break };
            self.update(before);
            self.cut_hashes.push((cut, octets_of(self.context.clone())));
            self.cuts.pop();
            octets = after;
        }
        self.update(octets);
    }

    fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
        self.octets += octets.len() as u64;
    }
}

fn octets_of(context: digest::Context) -> [u8; HASH_OCTETS] {
    let mut octets = [0; HASH_OCTETS];
    octets.copy_from_slice(context.finish().as_ref());
    octets
}

/// What a body hashed to.
#[derive(Clone, Default, Debug)]
pub(crate) struct BodyDigests(Vec<Finished>);

#[derive(Clone, Debug)]
struct Finished {
    canonicalization: Canonicalization,
    whole: [u8; HASH_OCTETS],
    octets: u64,
    cuts: Vec<(u64, [u8; HASH_OCTETS])>,
}

/// One hash, and how much of the body it leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BodyDigest {
    pub(crate) hash: [u8; HASH_OCTETS],
    pub(crate) octets_left_out: u64,
}

impl BodyDigests {
    /// The hash that was wanted; `None` if the body is shorter than that.
    pub(crate) fn find(&self, wanted: Wanted) -> Option<BodyDigest> {
        let finished = self.0.iter().find(|one| one.canonicalization == wanted.canonicalization)?;
        let Some(octets) = wanted.octets else {
            return Some(BodyDigest { hash: finished.whole, octets_left_out: 0 });
        };
        let (_, hash) = finished.cuts.iter().find(|(cut, _)| *cut == octets)?;
        Some(BodyDigest { hash: *hash, octets_left_out: finished.octets - octets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(octets: &[u8]) -> [u8; HASH_OCTETS] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(octets);
        octets_of(context)
    }

    #[test]
    fn one_pass_knows_every_length() {
        let body = b"one\r\ntwo \t three\r\n\r\n\r\n".repeat(1_000);
        let relaxed = b"one\r\ntwo three\r\n\r\n\r\n".repeat(1_000);
        let relaxed = relaxed.strip_suffix(b"\r\n\r\n").unwrap();
        let lengths = [None, Some(0), Some(7), Some(5_000), Some(relaxed.len() as u64), Some(7)];
        let wanted = |octets| Wanted { canonicalization: Canonicalization::Relaxed, octets };
        for chunk in [1, 7, 4_096, 10_000, body.len()] {
            let mut hashes = BodyHashes::new(lengths.map(wanted));
            body.chunks(chunk).for_each(|octets| hashes.feed(octets));
            let digests = hashes.finish();
            for length in lengths {
                let octets = length.unwrap_or(relaxed.len() as u64);
                let digest = digests.find(wanted(length)).unwrap();
                assert_eq!(digest.hash, sha256(&relaxed[..usize::try_from(octets).unwrap()]));
                assert_eq!(digest.octets_left_out, relaxed.len() as u64 - octets);
            }
            assert_eq!(digests.find(wanted(Some(relaxed.len() as u64 + 1))), None);
        }
    }

    #[test]
    fn a_length_beyond_the_body_has_no_hash() {
        let wanted = |octets| Wanted { canonicalization: Canonicalization::Simple, octets };
        let mut hashes = BodyHashes::new([wanted(Some(5)), wanted(Some(6)), wanted(Some(u64::MAX))]);
        hashes.feed(b"abc");
        let digests = hashes.finish();
        assert_eq!(digests.find(wanted(Some(5))).map(|digest| digest.hash), Some(sha256(b"abc\r\n")));
        assert_eq!(digests.find(wanted(Some(6))), None);
        assert_eq!(digests.find(wanted(Some(u64::MAX))), None);
    }
}
