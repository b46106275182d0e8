//! Room on the disk: new mail is refused early, and a reserve is given up late, so that deleting always works.

use super::PackSettings;
use crate::error::StorageError;
use parking_lot::Mutex;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Free octets beyond what new mail must leave that count as plenty.
const PLENTY_OCTETS: u64 = 64 << 20;

/// Octets written to the reserve file at once.
const RESERVE_STEP_OCTETS: usize = 256 << 10;

/// Watches the file system's free space and keeps the reserve file.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    free_octets_min: u64,
    reserve_octets: u64,
    reserve: Mutex<Reserve>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserve {
    Kept,
    Released,
}

impl Space {
    pub(super) fn new(directory: &Path, settings: &PackSettings) -> Space {
        let space = Space {
            directory: directory.to_owned(),
            free_octets_min: settings.free_octets_min,
            reserve_octets: settings.reserve_octets,
            reserve: Mutex::new(Reserve::Released),
        };
        let kept = fs::metadata(space.reserve_path()).is_ok_and(|file| file.len() == space.reserve_octets);
        if kept {
            *space.reserve.lock() = Reserve::Kept;
        }
        space.restore_reserve();
        space
    }

    /// [`StorageError::Full`] when new mail must be refused. What the reserve gave is for deletions alone: while
    /// it is gone, mail must leave the room to make it again.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let wanted = match *self.reserve.lock() {
            Reserve::Kept => self.free_octets_min,
            Reserve::Released => self.free_octets_min.saturating_add(self.reserve_octets),
        };
        if self.free_octets()? < wanted { Err(StorageError::Full) } else { Ok(()) }
    }

    /// Whether there is so much room that some may be used for speed.
    pub(super) fn is_plenty(&self) -> bool {
        let wanted = self.free_octets_min.saturating_add(PLENTY_OCTETS);
        self.free_octets().is_ok_and(|free| free >= wanted)
    }

    /// Gives the reserve up. Whether there was one.
    pub(super) fn release_reserve(&self) -> bool {
        let mut reserve = self.reserve.lock();
        if *reserve == Reserve::Released {
            return false;
        }
        *reserve = Reserve::Released;
        let path = self.reserve_path();
        let removed = platform::durable::remove(&path);
        tracing::warn!(path = %path.display(), ?removed, "the disk is full: the reserve is given up for deletions");
        removed.is_ok()
    }

    /// Makes the reserve again once there is room for it beyond what new mail must leave free.
    pub(super) fn restore_reserve(&self) {
        let mut reserve = self.reserve.lock();
        if *reserve == Reserve::Kept || self.reserve_octets == 0 {
            return;
        }
        let wanted = self.free_octets_min.saturating_add(self.reserve_octets);
        if self.free_octets().is_ok_and(|free| free >= wanted) {
            match self.write_reserve() {
                Ok(()) => *reserve = Reserve::Kept,
                Err(error) => {
                    tracing::warn!(%error, "cannot make the reserve file");
                    // Half a reserve only takes room away.
                    let _ = fs::remove_file(self.reserve_path());
                }
            }
        }
    }

    fn free_octets(&self) -> Result<u64, StorageError> {
        free_octets(&self.directory)
    }

    /// Written, not only allocated, and with octets that no file system can compress away.
    fn write_reserve(&self) -> io::Result<()> {
        let mut file = File::create(self.reserve_path())?;
        let mut noise = blake3::Hasher::new().update(b"reserve").finalize_xof();
        let mut step = vec![0; RESERVE_STEP_OCTETS];
        let mut missing = self.reserve_octets;
        while missing > 0 {
            noise.fill(&mut step);
            let octets = missing.min(RESERVE_STEP_OCTETS as u64);
            file.write_all(step.get(..octets as usize).unwrap_or_default())?;
            missing -= octets;
        }
        file.sync_all()
    }

    fn reserve_path(&self) -> PathBuf {
        self.directory.join("reserve")
    }
}

/// Octets that an unprivileged process may still write on the file system of `directory` (`f_bavail` of statvfs).
///
/// # Errors
/// When the system does not tell, because `directory` is not there, say.
pub fn free_octets(directory: &Path) -> Result<u64, StorageError> {
    let stat = rustix::fs::statvfs(directory)
        .map_err(|error| StorageError::io("ask for the free space of", directory, error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(free_octets_min: u64, reserve_octets: u64) -> PackSettings {
        PackSettings { free_octets_min, reserve_octets, ..PackSettings::default() }
    }

    #[test]
    fn the_reserve_is_released_once_and_restored_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let space = Space::new(directory.path(), &settings(0, 300_001));
        assert_eq!(fs::metadata(space.reserve_path()).unwrap().len(), 300_001);
        assert!(space.release_reserve());
        assert!(!space.release_reserve());
        assert!(!space.reserve_path().exists());
        space.restore_reserve();
        assert!(space.reserve_path().exists());
        // A second opening finds the first one's reserve.
        let again = Space::new(directory.path(), &settings(0, 300_001));
        assert!(again.release_reserve());
    }

    #[test]
    fn a_short_disk_is_full_and_gets_no_reserve() {
        let directory = tempfile::tempdir().unwrap();
        let space = Space::new(directory.path(), &settings(u64::MAX, 4096));
        assert!(matches!(space.check(), Err(StorageError::Full)));
        assert!(!space.reserve_path().exists());
        assert!(Space::new(directory.path(), &settings(0, 0)).check().is_ok());
    }
}
