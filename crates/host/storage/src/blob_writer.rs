//! Octets on their way in: kept in memory while they are few, streamed into a pack of their own when they
//! become many. The message's path comes here from the doors' intake and goes on to the committer.

use crate::compression;
use crate::error::StorageError;
use crate::packs::PackKind;
use crate::packs::Shared;
use crate::packs::file_header::{FILE_HEADER_OCTETS, FileHeader};
use crate::packs::record::{
    Batch, Codec, ELSEWHERE_OCTETS, HEAD_OCTETS, INLINE_ORIGINAL_OCTETS_MAX, ORIGINAL_OCTETS_MAX, Place,
    RecordHead, Section,
};
use crate::position::{BlobRef, PackId};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// Original octets in each frame of a large blob: what a read of one octet costs at most.
pub(crate) const FRAME_ORIGINAL_OCTETS: usize = 128 << 10;

/// Where the stored octets of a blob pack begin: its one record has no notes.
const FRAMES_AT: u64 = (FILE_HEADER_OCTETS + HEAD_OCTETS) as u64;

/// Takes a blob's octets as they arrive.
///
/// Up to 256 KiB stay in memory; more goes, frame by frame, into a pack of its own while it arrives.
/// Blocking (compression, and file writes for large blobs): call it on a worker thread.
/// Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    shared: Arc<Shared>,
    octets: u64,
    /// What has arrived and is not yet in a frame.
    pending: Vec<u8>,
    large: Option<LargeBlob>,
}

impl BlobWriter {
    pub(crate) fn new(shared: Arc<Shared>) -> BlobWriter {
        BlobWriter { shared, octets: 0, pending: Vec::new(), large: None }
    }

    /// Takes more octets.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), StorageError> {
        self.octets += octets.len() as u64;
        if self.octets > ORIGINAL_OCTETS_MAX {
            let (octets, octets_max) = (self.octets, ORIGINAL_OCTETS_MAX);
            return Err(StorageError::TooLarge { what: "blob", octets, octets_max });
        }
        if self.large.is_none() {
            if self.octets <= INLINE_ORIGINAL_OCTETS_MAX {
                self.pending.extend_from_slice(octets);
                return Ok(());
            }
            let large = self.large.insert(LargeBlob::create(&self.shared)?);
            for piece in std::mem::take(&mut self.pending).chunks(FRAME_ORIGINAL_OCTETS) {
                if piece.len() == FRAME_ORIGINAL_OCTETS {
                    large.write_frame(piece)?;
                } else {
                    self.pending = piece.to_vec();
                }
            }
        }
        self.write_large(octets)
    }

    fn write_large(&mut self, mut octets: &[u8]) -> Result<(), StorageError> {
        let Some(large) = &mut self.large else { return Ok(()) };
        while !octets.is_empty() {
            let (piece, rest) = octets.split_at(octets.len().min(FRAME_ORIGINAL_OCTETS - self.pending.len()));
            self.pending.extend_from_slice(piece);
            octets = rest;
            if self.pending.len() == FRAME_ORIGINAL_OCTETS {
                // Many large mails at once must not eat what the disk keeps for deletions, whether they end or not.
                self.shared.check_space()?;
                large.write_frame(&self.pending)?;
                self.pending.clear();
            }
        }
        Ok(())
    }

    /// Octets taken so far.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Compresses (or, for a large blob, syncs and names its pack) and gives what an entry needs.
    pub fn finish(self) -> Result<PreparedBlob, StorageError> {
        if let Some(mut large) = self.large {
            if !self.pending.is_empty() {
                large.write_frame(&self.pending)?;
            }
            return large.finish(&self.shared, self.octets);
        }
        let hash = blake3::hash(&self.pending);
        let (codec, stored) = compression::pack(self.pending);
        Ok(PreparedBlob { octets: self.octets, hash, content: Content::Inline { codec, stored } })
    }
}

/// A blob ready to be committed with an entry. Dropped without being committed, it leaves nothing behind.
#[derive(Debug)]
pub struct PreparedBlob {
    octets: u64,
    hash: blake3::Hash,
    pub(crate) content: Content,
}

/// Where a prepared blob's octets are.
#[derive(Debug)]
pub(crate) enum Content {
    /// To be written with the entry.
    Inline { codec: Codec, stored: Vec<u8> },
    /// Already durable in a pack of their own; `fresh` if no entry names it yet.
    Own { at: BlobRef, fresh: Option<FreshPack> },
}

impl PreparedBlob {
    pub(crate) fn new(octets: u64, hash: blake3::Hash, content: Content) -> PreparedBlob {
        PreparedBlob { octets, hash, content }
    }

    /// Octets of the original.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// BLAKE3 of the original.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// Octets that it will take in the log itself.
    pub(crate) fn log_octets(&self) -> u64 {
        match &self.content {
            Content::Inline { stored, .. } => stored.len() as u64,
            Content::Own { .. } => ELSEWHERE_OCTETS,
        }
    }

    /// From now on an entry names it, or may do so: its pack stays.
    pub(crate) fn keep(&mut self) {
        if let Content::Own { fresh, .. } = &mut self.content
            && let Some(fresh) = fresh.take()
        {
            fresh.keep();
        }
    }
}

/// A file that is removed again unless it is kept.
#[derive(Debug)]
pub(crate) struct FreshPack {
    path: Option<PathBuf>,
}

impl FreshPack {
    fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for FreshPack {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed now is found without a reference by the next purge.
            let _ = fs::remove_file(path);
        }
    }
}

/// A large blob while it is written.
#[derive(Debug)]
struct LargeBlob {
    pack: PackId,
    file: File,
    temporary: FreshPack,
    path: PathBuf,
    hasher: blake3::Hasher,
    frame_lengths: Vec<u8>,
    stored_octets: u64,
}

impl LargeBlob {
    fn create(shared: &Shared) -> Result<LargeBlob, StorageError> {
        let pack = shared.spend_pack_number()?;
        let path = shared.files.temporary_path(pack);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StorageError::io("create", &path, error))?;
        Ok(LargeBlob {
            pack,
            file,
            temporary: FreshPack { path: Some(path.clone()) },
            path,
            hasher: blake3::Hasher::new(),
            frame_lengths: Vec::new(),
            stored_octets: 0,
        })
    }

    fn write_frame(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        self.hasher.update(piece);
        let frame =
            compression::pack_frame(piece).map_err(|e| StorageError::io("compress into", &self.path, e))?;
        // A frame of 128 KiB is far below 4 GiB, whatever the octets.
        self.frame_lengths.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        self.append(&frame)
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), StorageError> {
        self.file
            .write_all_at(octets, FRAMES_AT + self.stored_octets)
            .map_err(|error| StorageError::io("write", &self.path, error))?;
        self.stored_octets += octets.len() as u64;
        Ok(())
    }

    /// Writes the frames' index and, last, the heads in front; syncs, names and syncs the name.
    fn finish(mut self, shared: &Shared, octets: u64) -> Result<PreparedBlob, StorageError> {
        let index = std::mem::take(&mut self.frame_lengths);
        self.append(&index)?;
        let hash = self.hasher.finalize();
        let heads = self.heads(shared, octets, hash, &index);
        let final_path = shared.files.path(PackKind::Blob, self.pack);
        self.file
            .write_all_at(&heads, 0)
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.path, &final_path))
            .map_err(|error| StorageError::io("write", &self.path, error))?;
        self.temporary.path = Some(final_path);
        let directory = shared.files.directory();
        platform::durable::sync_directory(directory)
            .map_err(|error| StorageError::io("sync", directory, error))?;
        let at = BlobRef { pack: self.pack, offset: FILE_HEADER_OCTETS as u64 };
        let content = Content::Own { at, fresh: Some(self.temporary) };
        Ok(PreparedBlob { octets, hash, content })
    }

    fn heads(&self, shared: &Shared, octets: u64, hash: blake3::Hash, index: &[u8]) -> Vec<u8> {
        let header = FileHeader {
            kind: PackKind::Blob,
            pack: self.pack,
            previous: PackId(0),
            previous_octets: 0,
            key: shared.key,
        };
        let place = Place { key: &shared.key, pack: self.pack, offset: FILE_HEADER_OCTETS as u64 };
        let head = RecordHead {
            codec: Codec::ZstdFrames,
            batch: Batch::Ends,
            original_octets: octets,
            stored_octets: self.stored_octets,
            notes_octets: 0,
            frame_octets: FRAME_ORIGINAL_OCTETS as u32,
            group_distance: 0,
            hash: *hash.as_bytes(),
            notes_check: place.check(Section::Notes, &[]),
            body_check: place.check(Section::Body, index),
        };
        [header.encode().as_slice(), &head.encode(place)].concat()
    }
}
