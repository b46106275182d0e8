//! A run of a mailbox's messages: columns side by side, a dozen octets a message.

use mail_types::{Flags, KeywordSet, ModSeq, Uid};

use super::Entry;

/// Messages in a full chunk: small enough to copy for one change (13 KiB), large enough that a mailbox of a
/// hundred thousand messages is a hundred pointers.
pub(crate) const CHUNK_MESSAGES_MAX: usize = 1_024;

/// Messages in ascending order of their identifiers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    uids: Vec<u32>,
    modseqs: Vec<u64>,
    system: Vec<u8>,
    /// Empty as long as no message of the chunk has a keyword: most never have one.
    keywords: Vec<u128>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.uids.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= CHUNK_MESSAGES_MAX
    }

    pub(crate) fn uids(&self) -> &[u32] {
        &self.uids
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.uids.first().copied()
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.uids.last().copied()
    }

    /// Where the identifier is, or where it would be.
    pub(crate) fn position(&self, uid: u32) -> Result<usize, usize> {
        self.uids.binary_search(&uid)
    }

    /// The positions whose identifiers lie in `first..=last`.
    pub(crate) fn positions(&self, first: u32, last: u32) -> std::ops::Range<usize> {
        self.uids.partition_point(|uid| *uid < first)..self.uids.partition_point(|uid| *uid <= last)
    }

    pub(crate) fn entry(&self, at: usize) -> Option<Entry> {
        Some(Entry {
            uid: Uid(*self.uids.get(at)?),
            flags: Flags {
                system: *self.system.get(at)?,
                keywords: KeywordSet(self.keywords.get(at).copied().unwrap_or(0)),
            },
            modseq: ModSeq(*self.modseqs.get(at)?),
        })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len()).filter_map(|at| self.entry(at))
    }

    pub(crate) fn modseq(&self, at: usize) -> Option<u64> {
        self.modseqs.get(at).copied()
    }

    /// Appends a message; the caller knows that it belongs behind all others.
    pub(crate) fn push(&mut self, entry: Entry) {
        if entry.flags.keywords.0 != 0 {
            self.keywords.resize(self.len(), 0);
        }
        if !self.keywords.is_empty() || entry.flags.keywords.0 != 0 {
            self.keywords.push(entry.flags.keywords.0);
        }
        self.uids.push(entry.uid.0);
        self.modseqs.push(entry.modseq.0);
        self.system.push(entry.flags.system);
    }

    /// Gives the message at `at` other flags.
    pub(crate) fn set(&mut self, at: usize, flags: Flags, modseq: ModSeq) {
        if flags.keywords.0 != 0 {
            self.keywords.resize(self.len(), 0);
        }
        if let Some(keywords) = self.keywords.get_mut(at) {
            *keywords = flags.keywords.0;
        }
        if let (Some(system), Some(stamp)) = (self.system.get_mut(at), self.modseqs.get_mut(at)) {
            *system = flags.system;
            *stamp = modseq.0;
        }
    }

    /// The messages for which `keep` holds.
    pub(crate) fn filtered(&self, keep: impl Fn(u32) -> bool) -> Self {
        let mut kept = Self::default();
        self.entries().filter(|entry| keep(entry.uid.0)).for_each(|entry| kept.push(entry));
        kept
    }

    /// Appends all messages of a chunk that stands behind this one.
    pub(crate) fn append(&mut self, other: &Self) {
        other.entries().for_each(|entry| self.push(entry));
    }
}
