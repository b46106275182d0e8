//! The pack that is being written: groups go to its end, each with one write and one sync.

use super::PackKind;
use super::file_header::{FILE_HEADER_OCTETS, FileHeader};
use super::files::PackFiles;
use crate::error::StorageError;
use crate::position::PackId;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Zeros are written this far ahead of small groups, so that a sync need not make a new file length durable
/// (a journal commit of the file system): half as many disk flushes, 1.5 times the rate on ext4.
const AHEAD_OCTETS: u64 = 1 << 20;

/// Groups longer than this are not worth it: the disk's bandwidth counts, not the flushes.
const AHEAD_GROUP_OCTETS_MAX: usize = 64 << 10;

/// Whether zeros may be written ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    Allowed,
    /// The disk is nearly full.
    No,
}

/// The last pack of the log, open for writing.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    pub(super) path: PathBuf,
    pub(super) pack: PackId,
    /// Octets that are synced.
    pub(super) durable: u64,
    /// Octets that the file is known to have on disk, zeros ahead included.
    allocated: u64,
}

/// Which part of a failed commit failed.
#[derive(Debug)]
pub(super) enum WriteFault {
    /// Nothing of the group can be on the disk's books any more: the file was cut back. Go on in it.
    CutBack(io::Error),
    /// Nobody knows what is on the disk: leave this pack.
    Unknown(io::Error),
}

impl LogFile {
    /// Founds a pack, durably: header and directory entry are synced before the first group is written.
    pub(super) fn create(files: &PackFiles, header: &FileHeader) -> Result<LogFile, StorageError> {
        let path = files.path(PackKind::Log, header.pack);
        let io_error = |error| StorageError::io("create", &path, error);
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io_error)?;
        let founded = file
            .write_all_at(&header.encode(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| platform::durable::sync_directory(files.directory()));
        if let Err(error) = founded {
            // Without an entry it means nothing; if it cannot be removed, it is an empty pack.
            let _ = fs::remove_file(&path);
            return Err(io_error(error));
        }
        let length = FILE_HEADER_OCTETS as u64;
        Ok(LogFile { file, path, pack: header.pack, durable: length, allocated: length })
    }

    /// Opens a pack to go on at `end`; the file has been cut there.
    pub(super) fn reopen(path: &Path, pack: PackId, end: u64) -> Result<LogFile, StorageError> {
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|error| StorageError::io("open", path, error))?;
        Ok(LogFile { file, path: path.to_owned(), pack, durable: end, allocated: end })
    }

    /// Writes a group at the end and syncs it. On failure the file ends where it did.
    pub(super) fn commit(&mut self, group: &mut Vec<u8>, ahead: Ahead) -> Result<(), WriteFault> {
        let octets = group.len();
        if let Err(error) = self.write(group, ahead) {
            return Err(match self.cut_back() {
                Ok(()) => WriteFault::CutBack(error),
                Err(_) => WriteFault::Unknown(error),
            });
        }
        if let Err(error) = self.file.sync_data() {
            // The kernel may have dropped the pages it could not write and call them clean: a second sync
            // would succeed and mean nothing. What was synced before is safe; the rest is cut off.
            let _ = self.cut_back();
            return Err(WriteFault::Unknown(error));
        }
        self.durable += octets as u64;
        self.allocated = self.allocated.max(self.durable);
        Ok(())
    }

    fn write(&mut self, group: &mut Vec<u8>, ahead: Ahead) -> io::Result<()> {
        let octets = group.len();
        let end = self.durable + octets as u64;
        if end <= self.allocated || octets > AHEAD_GROUP_OCTETS_MAX || ahead == Ahead::No {
            return self.file.write_all_at(group, self.durable);
        }
        let allocated = (end + 1).next_multiple_of(AHEAD_OCTETS);
        group.resize((allocated - self.durable) as usize, 0);
        let written = self.file.write_all_at(group, self.durable);
        group.truncate(octets);
        if written.is_err() {
            // Perhaps there is room for the group alone.
            self.cut_back()?;
            return self.file.write_all_at(group, self.durable);
        }
        self.allocated = allocated;
        Ok(())
    }

    /// Ends the file after its last durable octet.
    pub(super) fn cut_back(&mut self) -> io::Result<()> {
        self.allocated = self.durable;
        self.file.set_len(self.durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packs::record::StoreKey;

    const FIRST: u64 = FILE_HEADER_OCTETS as u64;

    fn found(directory: &Path) -> LogFile {
        let files = PackFiles::new(directory, 1);
        let (pack, previous, key) = (PackId(1), PackId(0), StoreKey([0; 32]));
        let header = FileHeader { kind: PackKind::Log, pack, previous, previous_octets: 0, key };
        LogFile::create(&files, &header).unwrap()
    }

    fn octets(log: &LogFile) -> u64 {
        fs::metadata(&log.path).unwrap().len()
    }

    #[test]
    fn zeros_are_written_ahead_of_small_groups_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = found(directory.path());
        log.commit(&mut vec![1; 100], Ahead::No).unwrap();
        assert_eq!(octets(&log), FIRST + 100);
        log.commit(&mut vec![2; AHEAD_GROUP_OCTETS_MAX + 1], Ahead::Allowed).unwrap();
        assert_eq!(octets(&log), FIRST + 101 + AHEAD_GROUP_OCTETS_MAX as u64);
        let mut group = vec![3; AHEAD_GROUP_OCTETS_MAX];
        log.commit(&mut group, Ahead::Allowed).unwrap();
        assert_eq!((group.len(), octets(&log)), (AHEAD_GROUP_OCTETS_MAX, AHEAD_OCTETS));
        let end = log.durable;
        log.cut_back().unwrap();
        assert_eq!(octets(&log), end);
        let content = fs::read(&log.path).unwrap();
        assert_eq!(content.iter().filter(|octet| **octet == 3).count(), AHEAD_GROUP_OCTETS_MAX);
        assert!(content.ends_with(&[3]));
    }

    #[test]
    fn a_pack_that_cannot_be_written_or_cut_is_to_be_left() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = found(directory.path());
        log.commit(&mut vec![1; 100], Ahead::No).unwrap();
        log.file = File::open(&log.path).unwrap();
        assert!(matches!(log.commit(&mut vec![2; 100], Ahead::No), Err(WriteFault::Unknown(_))));
        assert_eq!((log.durable, octets(&log)), (FIRST + 100, FIRST + 100));
    }

    #[test]
    fn a_founded_pack_is_not_founded_again() {
        let directory = tempfile::tempdir().unwrap();
        let log = found(directory.path());
        let files = PackFiles::new(directory.path(), 1);
        let header = FileHeader {
            kind: PackKind::Log,
            pack: log.pack,
            previous: PackId(0),
            previous_octets: 0,
            key: StoreKey([0; 32]),
        };
        assert!(LogFile::create(&files, &header).is_err());
        assert_eq!(octets(&log), FIRST, "and not taken away");
    }
}
