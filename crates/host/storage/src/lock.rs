//! One server per data directory.

use crate::error::StorageError;
use std::path::Path;

/// The lock on a data directory (`DATA/lock`, flock). Held until dropped, or until the process dies.
#[derive(Debug)]
pub struct DataLock {
    _private: (),
}

impl DataLock {
    /// Creates the directory if it is missing and locks it, or says at once who holds it
    /// ([`StorageError::Locked`]).
    pub fn acquire(data: &Path) -> Result<DataLock, StorageError> {
        let _ = data;
        todo!()
    }
}
