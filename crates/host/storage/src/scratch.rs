//! Octets held aside on the disk for a while: a file without a name, gone with its owner or with the process.

use crate::error::StorageError;
use crate::packs::Shared;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Octets read back at a time.
const PIECE_OCTETS: usize = 128 << 10;

/// Octets that are not yet anything. Never synced: what is in it was promised to nobody.
///
/// Blocking: use it on a worker thread.
#[derive(Debug)]
pub struct Scratch {
    shared: Arc<Shared>,
    file: Arc<File>,
    /// Where it was made, for what errors say.
    path: Arc<Path>,
    /// Octets in it.
    octets: u64,
    /// Octets written since the disk's room was last looked at.
    unchecked_octets: usize,
}

impl Scratch {
    pub(crate) fn create(shared: Arc<Shared>) -> Result<Scratch, StorageError> {
        let path = shared.files.temporary_path(shared.spend_pack_number()?);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| fs::remove_file(&path).map(|()| file))
            .map_err(|error| StorageError::io("create", &path, error))?;
        Ok(Scratch { shared, file: Arc::new(file), path: path.into(), octets: 0, unchecked_octets: 0 })
    }

    /// Adds octets.
    ///
    /// # Errors
    /// [`StorageError::Full`] when they would take what the disk keeps for deletions, or what the disk says.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), StorageError> {
        self.unchecked_octets = self.unchecked_octets.saturating_add(octets.len());
        if self.unchecked_octets >= PIECE_OCTETS {
            self.unchecked_octets = 0;
            self.shared.check_space()?;
        }
        (&*self.file).write_all(octets).map_err(|error| StorageError::io("write", &self.path, error))?;
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Reads what is in it so far, whoever writes on.
    #[must_use]
    pub fn reader(&self) -> ScratchReader {
        ScratchReader { file: Arc::clone(&self.file), path: Arc::clone(&self.path), octets: self.octets }
    }

    /// Gives all octets back, in pieces, and ends.
    ///
    /// # Errors
    /// What the disk says, or what `take` says first.
    pub fn read_back(
        self,
        mut take: impl FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let failed = |error| StorageError::io("read back", &self.path, error);
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut piece = vec![0; PIECE_OCTETS];
        loop {
            let read = file.read(&mut piece).map_err(failed)?;
            match piece.get(..read) {
                None | Some([]) => return Ok(()),
                Some(octets) => take(octets)?,
            }
        }
    }
}

/// Reads octets that are held aside; they stay as long as it does. Blocking.
#[derive(Clone, Debug)]
pub struct ScratchReader {
    file: Arc<File>,
    path: Arc<Path>,
    octets: u64,
}

impl ScratchReader {
    /// How many there are.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The octets of `range`, as far as there are some.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_at(&self, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
        let length = range.end.min(self.octets).saturating_sub(range.start);
        // More than memory can address is more than anybody reads at once.
        let mut octets = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file
            .read_exact_at(&mut octets, range.start)
            .map_err(|error| StorageError::io("read", &self.path, error))?;
        Ok(octets)
    }
}
