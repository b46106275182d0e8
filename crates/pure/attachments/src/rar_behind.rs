//! A RAR archive behind something else: programs that unpack it seek its signature, so a file that is named after one may begin
//! with anything. Where it is found that is told, and it is looked into.

use memchr::memmem;

use crate::content::Content;
use crate::examination::Examination;
use crate::kind::Kind;
use crate::policy::Class;
use crate::rar::RarReader;

/// Octets before a signature, as far as programs seek it.
const SEEK_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// What both signatures begin with, and what follows.
const SIGNATURE: &[u8] = b"Rar!\x1a\x07";
const OLD_END: &[u8] = b"\0";
const NEW_END: &[u8] = b"\x01\0";
const SIGNATURE_OCTETS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct RarBehind {
    /// Octets before what is kept.
    passed: usize,
    /// What the next octets may make a signature.
    kept: Vec<u8>,
    reader: Option<Box<RarReader>>,
}

impl RarBehind {
    /// `octets` are the next of a content that begins as something else.
    pub(crate) fn feed(&mut self, octets: &[u8], content: &Content, examination: &mut Examination) {
        if let Some(reader) = &mut self.reader {
            return reader.feed(octets, examination);
        }
        if self.passed > SEEK_OCTETS_MAX {
            return;
        }
        self.kept.extend_from_slice(octets);
        let mut sought = 0;
        while let Some(at) = memmem::find(self.kept.get(sought..).unwrap_or_default(), SIGNATURE) {
            let begin = sought + at;
            let behind = self.kept.get(begin + SIGNATURE.len()..).unwrap_or_default();
            let kind = if behind.starts_with(OLD_END) {
                Kind::Rar4
            } else if behind.starts_with(NEW_END) {
                Kind::Rar5
            } else {
                sought = begin + 1;
                continue;
            };
            return self.begin(begin, kind, content, examination);
        }
        let done = self.kept.len().saturating_sub(SIGNATURE_OCTETS_MAX - 1);
        self.kept.drain(..done);
        self.passed += done;
    }

    fn begin(&mut self, at: usize, kind: Kind, content: &Content, examination: &mut Examination) {
        let kept = std::mem::take(&mut self.kept);
        self.passed += at;
        if self.passed > SEEK_OCTETS_MAX {
            return;
        }
        content.find(
            Class::Ambiguous,
            "holds the RAR archive that it is named after behind something else",
            examination,
        );
        let mut reader = RarReader::new(content, kind);
        reader.feed(kept.get(at..).unwrap_or_default(), examination);
        self.reader = Some(Box::new(reader));
    }

    pub(crate) fn finish(self, examination: &mut Examination) {
        if let Some(reader) = self.reader {
            reader.finish(examination);
        }
    }
}
