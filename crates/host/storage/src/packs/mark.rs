//! The checkpoint mark: `mark`, a small text file replaced as a whole. It says where replay begins, which
//! pack numbers are spent, and repeats the store's key.

use super::record::StoreKey;
use crate::error::StorageError;
use crate::position::{LogPosition, PackId};
use platform::durable::{self, Readable};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "mailstead-mark 1";

/// Longest mark file we read: ours has some 200 octets.
const MARK_OCTETS_MAX: u64 = 4096;

/// What the mark file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Everything up to here is applied and synced elsewhere.
    pub(super) position: LogPosition,
    /// Numbers below this are spent, even where their packs have been removed.
    pub(super) next_pack: u32,
    pub(super) key: StoreKey,
}

impl Mark {
    /// Reads the mark in a directory. `None` when there is none, or none that can be read: replay then begins
    /// at the first pack, which is slow and right.
    pub(super) fn read(directory: &Path) -> Result<Option<Mark>, StorageError> {
        let path = path_in(directory);
        let io_error = |error| StorageError::io("read", &path, error);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(error)),
            Ok(metadata) if metadata.len() > MARK_OCTETS_MAX => return Ok(unreadable(&path)),
            Ok(_) => {}
        }
        let octets = fs::read(&path).map_err(io_error)?;
        Ok(std::str::from_utf8(&octets).ok().and_then(Mark::parse).or_else(|| unreadable(&path)))
    }

    /// Replaces the mark, durably.
    pub(super) fn write(&self, directory: &Path) -> Result<(), StorageError> {
        let path = path_in(directory);
        durable::write(&path, self.to_text().as_bytes(), Readable::Owner)
            .map_err(|error| StorageError::io("write", &path, error))
    }

    fn to_text(self) -> String {
        let Mark { position, next_pack, key } = self;
        let key = blake3::Hash::from_bytes(key.0);
        let text = format!(
            "{FIRST_LINE}\nposition {} {}\nnext-pack {next_pack}\nkey {key}\n",
            position.pack.0, position.offset
        );
        let check = blake3::hash(text.as_bytes());
        format!("{text}check {check}\n")
    }

    fn parse(text: &str) -> Option<Mark> {
        let (body, check) = text.split_at(text.find("check ")?);
        let stated = blake3::Hash::from_hex(check.strip_prefix("check ")?.trim_end()).ok()?;
        if blake3::hash(body.as_bytes()) != stated {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let (pack, offset) = lines.next()?.strip_prefix("position ")?.split_once(' ')?;
        Some(Mark {
            position: LogPosition { pack: PackId(pack.parse().ok()?), offset: offset.parse().ok()? },
            next_pack: lines.next()?.strip_prefix("next-pack ")?.parse().ok()?,
            key: StoreKey(*blake3::Hash::from_hex(lines.next()?.strip_prefix("key ")?).ok()?.as_bytes()),
        })
    }
}

fn path_in(directory: &Path) -> PathBuf {
    directory.join("mark")
}

fn unreadable(path: &Path) -> Option<Mark> {
    tracing::error!(path = %path.display(), "the checkpoint mark cannot be read: the whole log is replayed");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written_and_any_change_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(directory.path()).unwrap(), None);
        let mark = Mark {
            position: LogPosition { pack: PackId(3), offset: 1 << 33 },
            next_pack: 9,
            key: StoreKey([0xAB; 32]),
        };
        mark.write(directory.path()).unwrap();
        assert_eq!(Mark::read(directory.path()).unwrap(), Some(mark));

        let path = path_in(directory.path());
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() - 1 {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(Mark::read(directory.path()).unwrap(), None, "octet {at}");
        }
        fs::write(&path, vec![b'x'; MARK_OCTETS_MAX as usize + 1]).unwrap();
        assert_eq!(Mark::read(directory.path()).unwrap(), None);
    }
}
