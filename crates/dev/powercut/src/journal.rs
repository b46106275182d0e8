//! The undo journal: one record for each change to a file or directory that is not yet synced, with what was
//! there before. Written by the shim, read by `powercut apply`.

// The shim and the program each use one half of this file.
#![allow(dead_code)]

/// First octets of every record.
const MAGIC: u32 = 0x7063_6a31;

/// Length of a record's fixed part.
const FIXED_OCTETS: usize = 4 + 4 + 7 * 8 + 2 * 4;

/// Longest path we believe in a journal (Linux: PATH_MAX).
const PATH_OCTETS_MAX: usize = 4096;

/// What is about to happen, or has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file's octets from `offset` are about to change; `before` holds the old ones as far as they existed.
    /// A change of length alone has no octets.
    Data,
    /// A name is about to appear (file, directory or further link).
    Create,
    /// A name is about to go; the inode is kept under the name `saved-<number>` unless it is a directory.
    Remove,
    /// A name is about to move, perhaps over another one, which is then kept as `saved-<number>`.
    Rename,
    /// Everything before record `upto` of this inode's data is durable (or belongs to an earlier file that had
    /// the same number).
    SyncFile,
    /// Everything before record `upto` that happened in this directory is durable.
    SyncDirectory,
    /// Everything before record `upto` is durable.
    SyncAll,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Records are numbered from 1 in the order of events.
    pub(crate) number: u64,
    /// The file changed or synced.
    pub(crate) inode: u64,
    pub(crate) offset: u64,
    /// The file's length before.
    pub(crate) octets_before: u64,
    /// For syncs: the last record that is covered.
    pub(crate) upto: u64,
    /// The directory of `path`, and of `other`.
    pub(crate) directory: u64,
    pub(crate) other_directory: u64,
    pub(crate) path: Vec<u8>,
    /// A rename's new name.
    pub(crate) other: Vec<u8>,
    pub(crate) before: Vec<u8>,
}

impl Record {
    pub(crate) fn new(kind: Kind) -> Record {
        Record {
            kind,
            number: 0,
            inode: 0,
            offset: 0,
            octets_before: 0,
            upto: 0,
            directory: 0,
            other_directory: 0,
            path: Vec::new(),
            other: Vec::new(),
            before: Vec::new(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind: u32 = match self.kind {
            Kind::Data => 1,
            Kind::Create => 2,
            Kind::Remove => 3,
            Kind::Rename => 4,
            Kind::SyncFile => 5,
            Kind::SyncDirectory => 6,
            Kind::SyncAll => 7,
        };
        let variable = self.path.len() + self.other.len() + self.before.len();
        let mut octets = Vec::with_capacity(FIXED_OCTETS + 8 + variable);
        octets.extend_from_slice(&MAGIC.to_le_bytes());
        octets.extend_from_slice(&kind.to_le_bytes());
        for number in [
            self.number,
            self.inode,
            self.offset,
            self.octets_before,
            self.upto,
            self.directory,
            self.other_directory,
        ] {
            octets.extend_from_slice(&number.to_le_bytes());
        }
        octets.extend_from_slice(&(self.path.len() as u32).to_le_bytes());
        octets.extend_from_slice(&(self.other.len() as u32).to_le_bytes());
        octets.extend_from_slice(&(self.before.len() as u64).to_le_bytes());
        octets.extend_from_slice(&self.path);
        octets.extend_from_slice(&self.other);
        octets.extend_from_slice(&self.before);
        octets
    }

    /// Reads one record off the front. `None` at the end, and at a record that the kill has cut short: its
    /// change did not happen.
    pub(crate) fn decode(octets: &mut &[u8]) -> Option<Record> {
        let mut fields = *octets;
        if u32::from_le_bytes(take(&mut fields)?) != MAGIC {
            return None;
        }
        let kind = match u32::from_le_bytes(take(&mut fields)?) {
            1 => Kind::Data,
            2 => Kind::Create,
            3 => Kind::Remove,
            4 => Kind::Rename,
            5 => Kind::SyncFile,
            6 => Kind::SyncDirectory,
            7 => Kind::SyncAll,
            _ => return None,
        };
        let mut record = Record::new(kind);
        record.number = u64::from_le_bytes(take(&mut fields)?);
        record.inode = u64::from_le_bytes(take(&mut fields)?);
        record.offset = u64::from_le_bytes(take(&mut fields)?);
        record.octets_before = u64::from_le_bytes(take(&mut fields)?);
        record.upto = u64::from_le_bytes(take(&mut fields)?);
        record.directory = u64::from_le_bytes(take(&mut fields)?);
        record.other_directory = u64::from_le_bytes(take(&mut fields)?);
        let path = u32::from_le_bytes(take(&mut fields)?) as usize;
        let other = u32::from_le_bytes(take(&mut fields)?) as usize;
        let before = usize::try_from(u64::from_le_bytes(take(&mut fields)?)).ok()?;
        if path > PATH_OCTETS_MAX || other > PATH_OCTETS_MAX {
            return None;
        }
        record.path = take_octets(&mut fields, path)?;
        record.other = take_octets(&mut fields, other)?;
        record.before = take_octets(&mut fields, before)?;
        *octets = fields;
        Some(record)
    }
}

fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = octets.split_first_chunk::<N>()?;
    *octets = rest;
    Some(*field)
}

fn take_octets(octets: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (field, rest) = octets.split_at_checked(length)?;
    *octets = rest;
    Some(field.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_until_the_one_that_was_cut() {
        let first = Record {
            number: 1,
            inode: 2,
            offset: 3,
            octets_before: 4,
            path: b"/data/a".to_vec(),
            before: b"old".to_vec(),
            ..Record::new(Kind::Data)
        };
        let second = Record { number: 2, upto: 1, ..Record::new(Kind::SyncAll) };
        let octets = [first.encode(), second.encode()].concat();
        for end in 0..=octets.len() {
            let mut rest = &octets[..end];
            let read: Vec<_> = std::iter::from_fn(|| Record::decode(&mut rest)).collect();
            let whole = usize::from(end >= first.encode().len()) + usize::from(end == octets.len());
            assert_eq!(read, [first.clone(), second.clone()][..whole]);
        }
    }
}
