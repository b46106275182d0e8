//! The next view of a mailbox in the making: copies the chunks it changes, shares the others.

use std::sync::Arc;

use mail_types::{Flags, Keyword, MailboxId, ModSeq, Uid, UidSet, UidValidity};

use super::chunk::CHUNK_MESSAGES_MAX;
use super::{Chunk, Entry, Snapshot};

/// A snapshot being changed. Every change is stamped, and an older stamp changes nothing: the same record may come
/// twice, once in the index that the snapshot was read from and once more behind it.
pub(crate) struct Draft {
    mailbox: MailboxId,
    uid_validity: UidValidity,
    uid_next: Uid,
    highest_modseq: ModSeq,
    keywords: Arc<[Keyword]>,
    chunks: Vec<Arc<Chunk>>,
}

impl Snapshot {
    pub(crate) fn draft(&self) -> Draft {
        Draft {
            mailbox: self.mailbox,
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            keywords: Arc::clone(&self.keywords),
            chunks: self.chunks.clone(),
        }
    }
}

impl Draft {
    /// An empty mailbox, to be filled from the index with [`Self::push`].
    pub(crate) fn new(
        mailbox: MailboxId,
        uid_validity: UidValidity,
        uid_next: Uid,
        highest_modseq: ModSeq,
        keywords: Arc<[Keyword]>,
    ) -> Self {
        Self { mailbox, uid_validity, uid_next, highest_modseq, keywords, chunks: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn uid_next(&self) -> Uid {
        self.uid_next
    }

    pub(crate) fn set_keywords(&mut self, keywords: &Arc<[Keyword]>) {
        self.keywords = Arc::clone(keywords);
    }

    /// Notes that something in the mailbox changed.
    pub(crate) fn stamp(&mut self, modseq: ModSeq) {
        self.highest_modseq = self.highest_modseq.max(modseq);
    }

    /// Adds a message behind all others.
    pub(crate) fn push(&mut self, entry: Entry) {
        match self.chunks.last_mut() {
            Some(chunk) if !chunk.is_full() => Arc::make_mut(chunk).push(entry),
            _ => {
                let mut chunk = Chunk::default();
                chunk.push(entry);
                self.chunks.push(Arc::new(chunk));
            }
        }
    }

    /// Adds a new message. One below UIDNEXT is either here already or was expunged in the meantime.
    pub(crate) fn file(&mut self, entry: Entry) {
        self.stamp(entry.modseq);
        let Some(next) = entry.uid.next() else { return };
        if entry.uid >= self.uid_next {
            self.uid_next = next;
            self.push(entry);
        }
    }

    /// Gives messages other flags.
    pub(crate) fn set_flags(&mut self, uids: &UidSet, flags: Flags, modseq: ModSeq) {
        self.stamp(modseq);
        for &(first, last) in uids.ranges() {
            let begin = self.chunks.partition_point(|chunk| chunk.last() < Some(first));
            let touched = self.chunks.iter_mut().skip(begin);
            for chunk in touched.take_while(|chunk| chunk.first().is_some_and(|uid| uid <= last)) {
                let is_older = |chunk: &Chunk, at| chunk.modseq(at) < Some(modseq.0);
                let positions = chunk.positions(first, last);
                // A chunk in which nothing changes stays shared.
                if positions.clone().any(|at| is_older(chunk, at)) {
                    let chunk = Arc::make_mut(chunk);
                    positions.for_each(|at| {
                        if is_older(chunk, at) {
                            chunk.set(at, flags, modseq);
                        }
                    });
                }
            }
        }
    }

    /// Takes messages away.
    pub(crate) fn expunge(&mut self, uids: &UidSet, modseq: ModSeq) {
        self.stamp(modseq);
        let ranges = uids.ranges();
        let mut chunks: Vec<Arc<Chunk>> = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks.drain(..) {
            let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { continue };
            let at = ranges.partition_point(|range| range.1 < first);
            let kept = match ranges.get(at) {
                Some(range) if range.0 <= last => Arc::new(chunk.filtered(|uid| !uids.contains(Uid(uid)))),
                _ => chunk,
            };
            join(&mut chunks, kept);
        }
        self.chunks = chunks;
    }

    pub(crate) fn finish(self) -> Snapshot {
        Snapshot::of_chunks(
            (self.mailbox, self.uid_validity, self.uid_next, self.highest_modseq),
            self.keywords,
            self.chunks,
        )
    }
}

impl Snapshot {
    pub(super) fn of_chunks(
        (mailbox, uid_validity, uid_next, highest_modseq): (MailboxId, UidValidity, Uid, ModSeq),
        keywords: Arc<[Keyword]>,
        chunks: Vec<Arc<Chunk>>,
    ) -> Self {
        let mut messages = 0;
        let before = chunks
            .iter()
            .map(|chunk| {
                let before = messages;
                messages += chunk.len() as u32;
                before
            })
            .collect();
        Self { mailbox, uid_validity, uid_next, highest_modseq, keywords, chunks, before, messages }
    }
}

/// Appends a chunk, joining it with the one before where both have shrunk to little.
fn join(chunks: &mut Vec<Arc<Chunk>>, chunk: Arc<Chunk>) {
    match chunks.last_mut() {
        _ if chunk.len() == 0 => {}
        Some(last) if last.len() + chunk.len() <= CHUNK_MESSAGES_MAX / 2 => {
            Arc::make_mut(last).append(&chunk)
        }
        _ => chunks.push(chunk),
    }
}
