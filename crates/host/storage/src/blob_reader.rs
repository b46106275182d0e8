//! Octets on their way out.

use crate::error::StorageError;
use std::ops::Range;

/// Reads one blob. `Send` and `Sync`; keeps its file open, so it outlives a purge of the pack.
#[derive(Debug)]
pub struct BlobReader {
    _private: (),
}

impl BlobReader {
    /// Octets of the original.
    pub fn len(&self) -> u64 {
        todo!()
    }

    /// Whether the original is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// BLAKE3 of the original, as recorded.
    pub fn hash(&self) -> blake3::Hash {
        todo!()
    }

    /// The octets of `range`, cut to the blob's length. Small blobs were read, unpacked and compared with
    /// their hash by [`crate::PackStore::read`]; of large ones only the frames needed are read (128 KiB of
    /// original octets each; the last one is kept, so reading forward in small steps is cheap).
    pub fn read_at(&self, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
        let _ = range;
        todo!()
    }

    /// The whole blob, in chunks of at most 128 KiB, in order.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Vec<u8>, StorageError>> + '_ {
        std::iter::empty()
    }

    /// Reads the whole blob and compares it with its hash.
    pub fn verify(&self) -> Result<(), StorageError> {
        todo!()
    }
}
