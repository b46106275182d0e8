//! Whether what is something else also ends as a zip archive does: a program that goes by a name like `.zip` begins at the end
//! (APPNOTE.TXT 4.3.16), and finds there what none sees who begins in front.

use memchr::memmem;

/// What the last record of a zip begins with.
const SIGNATURE: &[u8; 4] = b"PK\x05\x06";
/// Octets of that record, with the longest comment.
const RECORD_OCTETS_MAX: u64 = 22 + 0xffff;

#[derive(Debug, Default)]
pub(crate) struct ZipEnd {
    octets: u64,
    /// Where the last signature begins.
    signature_at: Option<u64>,
    /// The last octets, with which a signature may begin.
    before: Vec<u8>,
}

impl ZipEnd {
    pub(crate) fn feed(&mut self, octets: &[u8]) {
        // Across the border of two pieces, then within this one.
        let kept = self.before.len() as u64;
        self.before.extend(octets.iter().take(SIGNATURE.len() - 1));
        if let Some(at) = memmem::find(&self.before, SIGNATURE) {
            self.signature_at = Some(self.octets - kept + at as u64);
        }
        if let Some(at) = memmem::rfind(octets, SIGNATURE) {
            self.signature_at = Some(self.octets + at as u64);
        }
        self.octets += octets.len() as u64;
        if octets.len() >= SIGNATURE.len() {
            self.before.clear();
            self.before.extend_from_slice(octets.get(octets.len() - 3..).unwrap_or_default());
        } else {
            self.before.drain(..self.before.len().saturating_sub(SIGNATURE.len() - 1));
        }
    }

    /// Whether a program would find the record.
    pub(crate) fn is_found(&self) -> bool {
        self.signature_at.is_some_and(|at| self.octets - at <= RECORD_OCTETS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_found_however_it_comes_and_as_far_back_as_programs_look() {
        let most = RECORD_OCTETS_MAX as usize - SIGNATURE.len();
        for (front, behind, is_found) in
            [(0, 18, true), (5, most - 1, true), (5, most, true), (5, most + 1, false)]
        {
            let octets = [vec![b'P'; front], SIGNATURE.to_vec(), vec![b'K'; behind]].concat();
            for piece in [1, 2, 3, 4, 5, 7, 70_000] {
                let mut end = ZipEnd::default();
                octets.chunks(piece).for_each(|octets| end.feed(octets));
                assert_eq!(end.is_found(), is_found, "{front} {behind} {piece}");
            }
        }
        let mut end = ZipEnd::default();
        end.feed(b"PK\x05\x05PK\x06\x05");
        assert!(!end.is_found());
    }
}
