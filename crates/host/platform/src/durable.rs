//! Files that are whole or absent after a power cut: write beside, sync, rename, sync the directory.
//!
//! For small files (marks, keys, settings). The store's packs have their own committer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Who may read a file that [`write`] makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readable {
    /// The owner alone (0600): keys and everything secret.
    Owner,
    /// The owner and the group (0640).
    Group,
    /// Everyone (0644).
    All,
}

impl Readable {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o640,
            Self::All => 0o644,
        }
    }
}

/// Replaces `path` by a file with these octets: after a crash at any instant the old file or the new one is
/// there, whole. Returns when the new one is on disk. Blocks: call it from a worker thread.
///
/// # Errors
/// What the operating system says; the old file is then untouched, unless the disk failed in the last step.
pub fn write(path: &Path, octets: &[u8], readable: Readable) -> io::Result<()> {
    // Opened first: that can fail for want of descriptors, and must not once the new file is there.
    let directory = File::open(directory_of(path))?;
    let temporary = temporary_beside(path)?;
    let written = write_new(&temporary, octets, readable).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one to tell; a file left behind does no harm.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    directory.sync_all()
}

/// Gives the file at `from` the name `to` as well, in place of what has it; a copy, where a file cannot have two. Whoever later
/// replaces one of them by [`write`] leaves the other as it is. Both are in one directory. Blocks.
///
/// # Errors
/// What the operating system says.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    let temporary = temporary_beside(to)?;
    let _ = fs::remove_file(&temporary);
    if fs::hard_link(from, &temporary).is_err() {
        return write(to, &fs::read(from)?, Readable::Owner);
    }
    let renamed = fs::rename(&temporary, to);
    // Where both already were one file, rename does nothing and leaves this name.
    let _ = fs::remove_file(&temporary);
    renamed?;
    sync_directory(directory_of(to))
}

/// Makes the names in a directory durable: a created, renamed or removed file survives a power cut after this.
///
/// # Errors
/// What the operating system says.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates a directory and its parents, each made durable in the one above it.
///
/// # Errors
/// What the operating system says.
pub fn create_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory_of(directory);
    create_directories(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        other => other?,
    }
    sync_directory(parent)
}

/// Removes a file and makes its absence durable. A file that is not there is no error.
///
/// # Errors
/// What the operating system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    sync_directory(directory_of(path))
}

fn write_new(path: &Path, octets: &[u8], readable: Readable) -> io::Result<()> {
    // A crashed process may have left one of that name: in a container ours is always process 1.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(readable.mode()).open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// A name no other living writer has: the target's, our process and our thread.
fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.{:?}.tmp", std::process::id(), std::thread::current().id()));
    Ok(path.with_file_name(temporary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mark");
        write(&path, b"one", Readable::Owner).unwrap();
        write(&path, b"two", Readable::Owner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_name_keeps_what_the_first_one_loses() {
        let directory = tempfile::tempdir().unwrap();
        let (path, former) = (directory.path().join("model"), directory.path().join("model.former"));
        assert!(link(&path, &former).is_err());
        for text in [b"one", b"two"] {
            write(&path, text, Readable::Owner).unwrap();
            // Twice: the second time both are one file already.
            link(&path, &former).unwrap();
            link(&path, &former).unwrap();
            write(&path, b"new", Readable::Owner).unwrap();
            assert_eq!(fs::read(&former).unwrap(), text);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn failure_keeps_the_old_file_and_cleans_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"x").unwrap();
        assert!(write(&path, b"new", Readable::All).is_err());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"x");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_left_behind_is_no_hindrance() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mark");
        fs::write(temporary_beside(&path).unwrap(), b"half").unwrap();
        write(&path, b"whole", Readable::Owner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(write(Path::new("/"), b"", Readable::All).is_err());
    }

    #[test]
    fn directories_are_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        create_directories(&deep).unwrap();
        create_directories(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(directory.path().join("file"), b"").unwrap();
        assert!(create_directories(&directory.path().join("file")).is_err());
    }

    #[test]
    fn removing_twice_is_fine() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone");
        write(&path, b"", Readable::Group).unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
