//! What became of an older view: what a session tells its client (RFC 9051 §7.4.1, §7.5.1; RFC 7162 §3.2.10).

use std::sync::Arc;

use mail_types::Uid;

use super::chunk::CHUNK_MESSAGES_MAX;
use super::{Chunk, Entry, Snapshot};

/// What became of an older view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Messages of the old view that are gone: their sequence numbers there, and identifiers; ascending.
    pub vanished: Vec<(u32, Uid)>,
    /// Sequence numbers in the new view of messages of both whose flags or mod-sequence changed; ascending.
    pub changed: Vec<u32>,
    /// How many messages at the end of the new view are new.
    pub arrived: u32,
    /// Whether the mailbox has keywords that it had not.
    pub has_new_keywords: bool,
}

/// One step of walking an old and a new view side by side.
enum Step<'a> {
    /// The same chunk stands in both.
    Shared(&'a Arc<Chunk>),
    /// The message is in both.
    Both(Entry, Entry),
    /// The message is only in the old view.
    Gone(Entry),
    /// The message is only in the new view.
    New(Entry),
}

pub(super) fn between(old: &Snapshot, new: &Snapshot) -> Changes {
    let mut changes =
        Changes { has_new_keywords: new.keywords.len() > old.keywords.len(), ..Changes::default() };
    let (mut old_sequence, mut new_sequence) = (0, 0);
    walk(old, new, |step| match step {
        Step::Shared(chunk) => {
            old_sequence += chunk.len() as u32;
            new_sequence += chunk.len() as u32;
        }
        Step::Both(before, after) => {
            old_sequence += 1;
            new_sequence += 1;
            if before != after {
                changes.changed.push(new_sequence);
            }
        }
        Step::Gone(entry) => {
            old_sequence += 1;
            changes.vanished.push((old_sequence, entry.uid));
        }
        Step::New(_) => {
            new_sequence += 1;
            changes.arrived += 1;
        }
    });
    changes
}

pub(super) fn keeping_vanished(old: &Snapshot, new: &Snapshot) -> Snapshot {
    let mut chunks: Vec<Arc<Chunk>> = Vec::new();
    let mut open = Chunk::default();
    let close = |open: &mut Chunk, chunks: &mut Vec<Arc<Chunk>>| {
        if open.len() > 0 {
            chunks.push(Arc::new(std::mem::take(open)));
        }
    };
    walk(old, new, |step| match step {
        Step::Shared(chunk) => {
            close(&mut open, &mut chunks);
            chunks.push(Arc::clone(chunk));
        }
        Step::Both(_, entry) | Step::Gone(entry) | Step::New(entry) => {
            open.push(entry);
            if open.len() >= CHUNK_MESSAGES_MAX {
                close(&mut open, &mut chunks);
            }
        }
    });
    close(&mut open, &mut chunks);
    Snapshot::of_chunks(
        (new.mailbox, new.uid_validity, new.uid_next, new.highest_modseq),
        Arc::clone(&new.keywords),
        chunks,
    )
}

/// Visits the messages of both views in the order of their identifiers, passing over shared chunks in one step.
fn walk<'a>(old: &'a Snapshot, new: &'a Snapshot, mut visit: impl FnMut(Step<'a>)) {
    let (mut old, mut new) = (Place::new(&old.chunks), Place::new(&new.chunks));
    loop {
        match (old.chunk_start(), new.chunk_start()) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => {
                visit(Step::Shared(b));
                old.skip_chunk();
                new.skip_chunk();
                continue;
            }
            _ => {}
        }
        match (old.entry(), new.entry()) {
            (None, None) => return,
            (Some(before), Some(after)) if before.uid == after.uid => {
                visit(Step::Both(before, after));
                old.advance();
                new.advance();
            }
            (Some(before), after) if after.is_none_or(|after| before.uid < after.uid) => {
                visit(Step::Gone(before));
                old.advance();
            }
            (_, Some(after)) => {
                visit(Step::New(after));
                new.advance();
            }
            (Some(_), None) => return,
        }
    }
}

/// A place in a view's chunks.
struct Place<'a> {
    chunks: &'a [Arc<Chunk>],
    at: usize,
}

impl<'a> Place<'a> {
    fn new(chunks: &'a [Arc<Chunk>]) -> Self {
        Self { chunks, at: 0 }
    }

    /// The chunk that begins here, if one does.
    fn chunk_start(&self) -> Option<&'a Arc<Chunk>> {
        if self.at == 0 { self.chunks.first() } else { None }
    }

    fn skip_chunk(&mut self) {
        self.chunks = self.chunks.get(1..).unwrap_or_default();
        self.at = 0;
    }

    fn entry(&self) -> Option<Entry> {
        self.chunks.first()?.entry(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.chunks.first().is_some_and(|chunk| self.at >= chunk.len()) {
            self.skip_chunk();
        }
    }
}
