//! The pack files by name: `<n>.pack` for the log, `<n>.blob` for one large blob each; a bounded set of them
//! stays open for reading.

use super::file_header::{FILE_HEADER_OCTETS, FileHeader, HeaderFault};
use super::record::StoreKey;
use super::{PackInfo, PackKind};
use crate::error::StorageError;
use crate::position::PackId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pack file open for reading.
#[derive(Debug)]
pub(crate) struct OpenPack {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) kind: PackKind,
    pub(crate) pack: PackId,
    /// The key its records are made with.
    pub(crate) key: StoreKey,
    /// `None` when the header is damaged.
    pub(crate) header: Option<FileHeader>,
}

impl OpenPack {
    /// A finding about this file, for the operator.
    pub(crate) fn corrupt(&self, offset: u64, what: impl ToString) -> StorageError {
        StorageError::Corrupt {
            place: format!("{} at offset {offset}", self.path.display()),
            what: what.to_string(),
        }
    }

    /// The file's length now.
    pub(crate) fn octets(&self) -> Result<u64, StorageError> {
        let metadata = self.file.metadata().map_err(|e| StorageError::io("look at", &self.path, e))?;
        Ok(metadata.len())
    }

    /// Fills `buffer` from `offset` as far as the file goes; gives how far.
    pub(crate) fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StorageError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StorageError::io("read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    /// Exactly `octets` from `offset`. The caller has bounded the length.
    pub(crate) fn read_exactly(&self, offset: u64, octets: usize) -> Result<Vec<u8>, StorageError> {
        let mut buffer = vec![0; octets];
        if self.read_up_to(&mut buffer, offset)? < octets {
            return Err(self.corrupt(offset, "the file ends within the record"));
        }
        Ok(buffer)
    }
}

/// The directory of packs.
#[derive(Debug)]
pub(crate) struct PackFiles {
    directory: PathBuf,
    open_packs_max: usize,
    open: Mutex<OpenSet>,
}

#[derive(Debug, Default)]
struct OpenSet {
    packs: HashMap<PackId, (Arc<OpenPack>, u64)>,
    /// Counts uses: the pack with the smallest number is closed first.
    uses: u64,
}

impl PackFiles {
    pub(crate) fn new(directory: &Path, open_packs_max: usize) -> PackFiles {
        PackFiles {
            directory: directory.to_owned(),
            open_packs_max: open_packs_max.max(1),
            open: Mutex::default(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn path(&self, kind: PackKind, pack: PackId) -> PathBuf {
        self.directory.join(format!("{pack}.{}", extension(kind)))
    }

    /// Where a blob's pack is written until it is whole. Removed when the store is opened.
    pub(crate) fn temporary_path(&self, pack: PackId) -> PathBuf {
        self.directory.join(format!(".{pack}.{}.tmp", extension(PackKind::Blob)))
    }

    /// Opens a pack for reading, or takes it from the set of open ones. `None`: there is no such pack.
    pub(crate) fn open(
        &self,
        pack: PackId,
        store_key: &StoreKey,
    ) -> Result<Option<Arc<OpenPack>>, StorageError> {
        if let Some(open) = self.open.lock().find(pack) {
            return Ok(Some(open));
        }
        let Some(opened) = self.open_unshared(pack, store_key)? else { return Ok(None) };
        let opened = Arc::new(opened);
        self.open.lock().insert(Arc::clone(&opened), self.open_packs_max);
        Ok(Some(opened))
    }

    fn open_unshared(&self, pack: PackId, store_key: &StoreKey) -> Result<Option<OpenPack>, StorageError> {
        for kind in [PackKind::Log, PackKind::Blob] {
            let path = self.path(kind, pack);
            match File::open(&path) {
                Ok(file) => return open_pack(file, path, kind, pack, store_key).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::io("open", &path, error)),
            }
        }
        Ok(None)
    }

    /// Closes what is open for reading.
    pub(crate) fn forget_open(&self) {
        self.open.lock().packs.clear();
    }

    /// Removes a pack's file and forgets it; readers that have it open are not disturbed.
    pub(crate) fn remove(&self, kind: PackKind, pack: PackId) -> Result<(), StorageError> {
        let path = self.path(kind, pack);
        self.open.lock().packs.remove(&pack);
        platform::durable::remove(&path).map_err(|e| StorageError::io("remove", &path, e))?;
        self.open.lock().packs.remove(&pack);
        Ok(())
    }

    /// All packs by number. `sealed` is left to the caller, who knows which one is being written.
    pub(crate) fn list(&self) -> Result<Vec<PackInfo>, StorageError> {
        let mut packs = Vec::new();
        for entry in self.entries()? {
            let Some((kind, id)) = entry.file_name().to_str().and_then(parse_name) else { continue };
            match entry.metadata() {
                Ok(metadata) => packs.push(PackInfo { id, kind, octets: metadata.len(), sealed: true }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::io("look at", &entry.path(), error)),
            }
        }
        packs.sort_by_key(|pack| pack.id);
        Ok(packs)
    }

    /// Removes what a crashed process was still writing.
    pub(crate) fn remove_temporaries(&self) -> Result<(), StorageError> {
        for entry in self.entries()? {
            let name = entry.file_name();
            let is_temporary =
                name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp"));
            if is_temporary {
                fs::remove_file(entry.path()).map_err(|e| StorageError::io("remove", &entry.path(), e))?;
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<fs::DirEntry>, StorageError> {
        fs::read_dir(&self.directory)
            .and_then(Iterator::collect)
            .map_err(|e| StorageError::io("list", &self.directory, e))
    }
}

impl OpenSet {
    fn find(&mut self, pack: PackId) -> Option<Arc<OpenPack>> {
        self.uses += 1;
        let (open, used) = self.packs.get_mut(&pack)?;
        *used = self.uses;
        Some(Arc::clone(open))
    }

    fn insert(&mut self, open: Arc<OpenPack>, packs_max: usize) {
        if self.packs.len() >= packs_max {
            let oldest = self.packs.iter().min_by_key(|(_, (_, used))| *used).map(|(pack, _)| *pack);
            if let Some(oldest) = oldest {
                self.packs.remove(&oldest);
            }
        }
        self.uses += 1;
        self.packs.insert(open.pack, (open, self.uses));
    }
}

fn open_pack(
    file: File,
    path: PathBuf,
    kind: PackKind,
    pack: PackId,
    store_key: &StoreKey,
) -> Result<OpenPack, StorageError> {
    let mut opened = OpenPack { file, path, kind, pack, key: *store_key, header: None };
    let mut octets = [0; FILE_HEADER_OCTETS];
    if opened.read_up_to(&mut octets, 0)? == FILE_HEADER_OCTETS {
        match FileHeader::decode(&octets) {
            Ok(header) if header.pack == pack && header.kind == kind => {
                opened.key = header.key;
                opened.header = Some(header);
            }
            Ok(_) | Err(HeaderFault::Damaged) => {}
            Err(HeaderFault::Newer(found)) => {
                return Err(StorageError::Newer { path: opened.path, found: found.into(), known: 1 });
            }
        }
    }
    Ok(opened)
}

fn extension(kind: PackKind) -> &'static str {
    match kind {
        PackKind::Log => "pack",
        PackKind::Blob => "blob",
    }
}

/// `00000012.pack` is log pack 12. Other names are none of ours.
fn parse_name(name: &str) -> Option<(PackKind, PackId)> {
    let (number, extension) = name.split_once('.')?;
    let kind = match extension {
        "pack" => PackKind::Log,
        "blob" => PackKind::Blob,
        _ => return None,
    };
    if number.len() < 8 || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse().ok().filter(|number| *number > 0).map(|number| (kind, PackId(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StoreKey = StoreKey([0; 32]);

    #[test]
    fn names_are_read_strictly() {
        assert_eq!(parse_name("00000012.pack"), Some((PackKind::Log, PackId(12))));
        assert_eq!(parse_name("4294967295.blob"), Some((PackKind::Blob, PackId(u32::MAX))));
        for other in
            ["12.pack", "00000000.pack", "0000001a.pack", "00000012.pack.bak", "+0000012.pack", "mark"]
        {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn only_so_many_packs_stay_open() {
        let directory = tempfile::tempdir().unwrap();
        let files = PackFiles::new(directory.path(), 2);
        for number in 1..=3 {
            fs::write(files.path(PackKind::Log, PackId(number)), b"").unwrap();
        }
        let first = files.open(PackId(1), &KEY).unwrap().unwrap();
        files.open(PackId(2), &KEY).unwrap().unwrap();
        let again = files.open(PackId(1), &KEY).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        files.open(PackId(3), &KEY).unwrap().unwrap();
        let open: Vec<_> = {
            let mut open: Vec<_> = files.open.lock().packs.keys().copied().collect();
            open.sort();
            open
        };
        assert_eq!(open, [PackId(1), PackId(3)]);
        assert!(files.open(PackId(4), &KEY).unwrap().is_none());
    }

    #[test]
    fn temporaries_go_and_strangers_stay() {
        let directory = tempfile::tempdir().unwrap();
        let files = PackFiles::new(directory.path(), 2);
        fs::write(files.temporary_path(PackId(9)), b"half").unwrap();
        fs::write(directory.path().join("notes.txt"), b"mine").unwrap();
        fs::write(files.path(PackKind::Blob, PackId(2)), b"blob").unwrap();
        files.remove_temporaries().unwrap();
        let listed = files.list().unwrap();
        assert_eq!(listed, [PackInfo { id: PackId(2), kind: PackKind::Blob, octets: 4, sealed: true }]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
