//! One server per data directory: `DATA/lock`, held with flock and carrying the holder's process number.

use crate::error::StorageError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longest process number we read from the lock file, line end included.
const PID_OCTETS_MAX: u64 = 16;

/// The lock on a data directory. Held until dropped, or until the process dies.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Creates the directory if it is missing and locks it, or says at once who holds it
    /// ([`StorageError::Locked`]).
    pub fn acquire(data: &Path) -> Result<DataLock, StorageError> {
        platform::durable::create_directories(data)
            .map_err(|error| StorageError::io("create", data, error))?;
        let path = data.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StorageError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::Locked { path: data.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(StorageError::io("lock", &path, error)),
        }
        // Only for the error text of a second server, so a full disk is no reason not to start.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(DataLock { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_OCTETS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let lock = DataLock::acquire(&data).unwrap();
        let refused = DataLock::acquire(&data).unwrap_err();
        assert!(matches!(refused, StorageError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(refused.to_string().ends_with(&format!("is in use by process {}", std::process::id())));
        drop(lock);
        DataLock::acquire(&data).unwrap();
    }
}
