//! Octets on their way in.

use crate::error::StorageError;

/// Takes a blob's octets as they arrive.
///
/// Up to 256 KiB stay in memory; more goes, frame by frame, into a pack of its own while it arrives.
/// Blocking (compression, and file writes for large blobs): call it on a worker thread.
/// Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    _private: (),
}

impl BlobWriter {
    /// Takes more octets.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), StorageError> {
        let _ = octets;
        todo!()
    }

    /// Octets taken so far.
    pub fn octets(&self) -> u64 {
        todo!()
    }

    /// Compresses (or, for a large blob, syncs and names its pack) and gives what an entry needs.
    pub fn finish(self) -> Result<PreparedBlob, StorageError> {
        todo!()
    }
}

/// A blob ready to be committed with an entry. Dropped without being committed, it leaves nothing behind.
#[derive(Debug)]
pub struct PreparedBlob {
    _private: (),
}

impl PreparedBlob {
    /// Octets of the original.
    pub fn octets(&self) -> u64 {
        todo!()
    }

    /// BLAKE3 of the original.
    pub fn hash(&self) -> blake3::Hash {
        todo!()
    }
}
