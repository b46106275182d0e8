//! Deflated octets of one entry while they are expanded: in small steps, counted, and stopped where they become too many
//! (RFC 1951).

use flate2::{Decompress, FlushDecompress, Status};

use crate::content::Content;
use crate::examination::Examination;

/// Octets expanded at once.
const STEP_OCTETS: usize = 8 * 1024;

/// One deflated entry.
pub(crate) struct Expansion {
    inflate: Decompress,
    step: Vec<u8>,
}

/// How far an expansion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All octets were taken; more may follow.
    More,
    /// The entry ends after so many of them.
    Ended(usize),
    /// These are no deflated octets, after so many of them.
    Damaged(usize),
    /// A bound was reached after so many of them, and has been told of.
    Stopped(usize),
}

impl std::fmt::Debug for Expansion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expansion of {} octets to {}", self.inflate.total_in(), self.inflate.total_out())
    }
}

impl Expansion {
    /// At the first octet of a deflated entry.
    pub(crate) fn new() -> Expansion {
        Expansion { inflate: Decompress::new(false), step: vec![0; STEP_OCTETS] }
    }

    /// At the first octet of one with a zlib header (RFC 1950).
    pub(crate) fn with_header() -> Expansion {
        Expansion { inflate: Decompress::new(true), step: vec![0; STEP_OCTETS] }
    }

    /// Packed octets taken.
    pub(crate) fn packed_octets(&self) -> u64 {
        self.inflate.total_in()
    }

    /// Expands the next octets into a content. `place` is the archive's.
    pub(crate) fn feed(
        &mut self,
        octets: &[u8],
        content: &mut Content,
        place: &[String],
        examination: &mut Examination,
    ) -> Progress {
        self.expand(octets, place, examination, |octets, examination| content.feed(octets, examination))
    }

    /// Expands the next octets and hands them over step by step.
    pub(crate) fn expand(
        &mut self,
        octets: &[u8],
        place: &[String],
        examination: &mut Examination,
        mut take: impl FnMut(&[u8], &mut Examination),
    ) -> Progress {
        let mut taken = 0;
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let rest = octets.get(taken..).unwrap_or_default();
            let status = self.inflate.decompress(rest, &mut self.step, FlushDecompress::None);
            let used = (self.inflate.total_in() - before_in) as usize;
            let made = (self.inflate.total_out() - before_out) as usize;
            taken += used;
            if let Some((class, words)) = examination.end_of_expanded(made) {
                examination.find(class, place, words);
                return Progress::Stopped(taken);
            }
            take(self.step.get(..made).unwrap_or_default(), examination);
            let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
            if let Some((class, words)) = examination.end_of_ratio(total_in, total_out) {
                examination.find(class, place, words);
                return Progress::Stopped(taken);
            }
            match status {
                Ok(Status::StreamEnd) => return Progress::Ended(taken),
                Err(_) => return Progress::Damaged(taken),
                Ok(_) if used == 0 && made == 0 => return Progress::More,
                Ok(_) if taken == octets.len() && made < self.step.len() => return Progress::More,
                Ok(_) => {}
            }
        }
    }
}
