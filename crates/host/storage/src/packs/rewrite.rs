//! Purge: what still lives of a pack is copied to the log's end; when nobody needs the pack any more, it goes.
//!
//! The protocol with the indexes, and why a crash at each point is harmless, is written down in
//! `docs/internals/store-format.md`.

use super::queue::{Job, Room, record_octets_estimate};
use super::record::Codec;
use super::{PackInfo, PackKind, PackStore};
use crate::blob_reader::StoredRecord;
use crate::blob_writer::{Content, PreparedBlob};
use crate::entry::{Committed, LogEntry, NewEntry, Note};
use crate::error::StorageError;
use crate::position::{BlobRef, LogPosition, PackId};
use std::collections::VecDeque;
use std::sync::mpsc;

/// Octets of copied entries under way at once.
const UNDER_WAY_OCTETS_MAX: u64 = 4 << 20;

/// What a purge keeps of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing of it is needed any more.
    Nothing,
    /// Its octets are dead, but these notes must live on.
    Notes(Vec<Note>),
    /// Its octets live on, with these notes.
    Blob(Vec<Note>),
}

/// An entry that a purge has copied to the log's end, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The entry as it was.
    pub from: LogEntry,
    /// Where it is now. A blob in a pack of its own stays where it was.
    pub to: Committed,
}

/// What a purge did with a pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewriteSummary {
    /// Entries copied.
    pub copied: u64,
    /// Entries of which nothing was kept.
    pub dropped: u64,
    /// Damaged places, and blobs to be kept that could not be read. Unless this is 0, removing the pack
    /// destroys what may still be saved by hand.
    pub damaged: u64,
}

impl PackStore {
    /// Takes a stored blob as it is (packed, compared with its hash), for a further entry.
    /// A blob in a pack of its own is not copied but named again.
    pub fn copy_blob(&self, blob: BlobRef) -> Result<PreparedBlob, StorageError> {
        let pack = self.open_pack(blob.pack)?.ok_or(StorageError::Gone(blob))?;
        let reader = self.read(blob)?;
        let record = StoredRecord::read(&pack, blob)?;
        let (octets, hash) = (reader.len(), reader.hash());
        let content = match record.head.codec {
            Codec::ZstdFrames => Content::Own { at: blob, fresh: None },
            codec => Content::Inline { codec, stored: record.into_body(&pack)? },
        };
        Ok(PreparedBlob::new(octets, hash, content))
    }

    /// Copies what `keep` wants of a sealed log pack to the log's end and waits until all is durable.
    /// `rewritten` is called for each copied entry, in order, so that the caller can change its rows. The
    /// pack itself stays, and stays readable, until [`PackStore::remove`].
    ///
    /// Copies may use the space that is kept free of new mail. Blocking and long.
    pub fn rewrite(
        &self,
        pack: PackId,
        mut keep: impl FnMut(&LogEntry) -> Keep,
        rewritten: impl FnMut(Rewritten),
    ) -> Result<RewriteSummary, StorageError> {
        let mut summary = RewriteSummary::default();
        let mut copies = Copies { store: self, under_way: VecDeque::new(), octets: 0, rewritten };
        for entry in self.entries(pack)? {
            let entry = match entry {
                Err(StorageError::Corrupt { .. }) => {
                    summary.damaged += 1;
                    continue;
                }
                entry => entry?,
            };
            match copies.prepare(&entry, keep(&entry)) {
                Ok(Some(new)) => {
                    copies.send(entry, new)?;
                    summary.copied += 1;
                }
                Ok(None) => summary.dropped += 1,
                Err(damage @ (StorageError::Corrupt { .. } | StorageError::Gone(_))) => {
                    tracing::error!(%damage, "a purge cannot copy a blob that is to be kept");
                    summary.damaged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        copies.wait_until_at_most(0)?;
        Ok(summary)
    }

    /// Removes a sealed pack whose entries nobody needs any more. Open readers finish undisturbed. Refused
    /// (with an `Io` error of kind `InvalidInput`) for the current pack and while the mark is before its end.
    /// A pack that is not there is no error.
    pub fn remove(&self, pack: PackId) -> Result<(), StorageError> {
        let shared = self.shared();
        let Some(open) = self.open_pack(pack)? else { return Ok(()) };
        if open.kind == PackKind::Log {
            let end = LogPosition { pack, offset: shared.end_of(&open)? };
            if shared.is_current(pack) || self.mark() < end {
                let refused = std::io::ErrorKind::InvalidInput.into();
                return Err(StorageError::io("remove, before a later checkpoint,", &open.path, refused));
            }
            shared.cut_predecessor(&open)?;
        }
        shared.keep_numbers_spent(pack)?;
        shared.files.remove(open.kind, pack)?;
        shared.forget_pack(pack);
        Ok(())
    }

    /// All packs, by number. Reads the directory.
    pub fn packs(&self) -> Result<Vec<PackInfo>, StorageError> {
        let mut packs = self.shared().files.list()?;
        for pack in &mut packs {
            pack.sealed = !self.shared().is_current(pack.id);
        }
        Ok(packs)
    }
}

/// Copies under way to the log's end.
struct Copies<'a, F> {
    store: &'a PackStore,
    under_way: VecDeque<Copy>,
    octets: u64,
    rewritten: F,
}

struct Copy {
    from: LogEntry,
    octets: u64,
    answer: mpsc::Receiver<Result<Vec<Committed>, StorageError>>,
}

impl<F: FnMut(Rewritten)> Copies<'_, F> {
    fn prepare(&self, entry: &LogEntry, keep: Keep) -> Result<Option<NewEntry>, StorageError> {
        Ok(match (keep, entry.blob) {
            (Keep::Nothing, _) => None,
            (Keep::Notes(notes), _) | (Keep::Blob(notes), None) => Some(NewEntry { blob: None, notes }),
            (Keep::Blob(notes), Some(blob)) => {
                Some(NewEntry { blob: Some(self.store.copy_blob(blob.at)?), notes })
            }
        })
    }

    fn send(&mut self, from: LogEntry, new: NewEntry) -> Result<(), StorageError> {
        let octets = record_octets_estimate(&new);
        self.wait_until_at_most(UNDER_WAY_OCTETS_MAX.saturating_sub(octets))?;
        let (sender, answer) = mpsc::channel();
        let done = Box::new(move |result| {
            // A purge that has failed no longer listens.
            let _ = sender.send(result);
        });
        self.store.shared().queue.push_patiently(Job { entries: vec![new], room: Room::Freeing, done });
        self.octets += octets;
        self.under_way.push_back(Copy { from, octets, answer });
        Ok(())
    }

    fn wait_until_at_most(&mut self, octets: u64) -> Result<(), StorageError> {
        while self.octets > octets {
            let Some(copy) = self.under_way.pop_front() else { break };
            let committed = copy.answer.recv().unwrap_or(Err(StorageError::Closed))?;
            self.octets -= copy.octets;
            if let Some(to) = committed.first() {
                (self.rewritten)(Rewritten { from: copy.from, to: *to });
            }
        }
        Ok(())
    }
}
