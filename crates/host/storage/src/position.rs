//! Where things lie in the packs: the numbers that the rest of the house keeps instead of file names.

use std::fmt;

/// The number of one pack file. Numbers only grow and are never used a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub u32);

/// Where a stored blob begins: the record that holds its octets.
///
/// Stays valid until the pack is removed ([`crate::PackStore::remove`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobRef {
    /// The pack that holds the octets.
    pub pack: PackId,
    /// Offset of the record in the pack file, in octets.
    pub offset: u64,
}

/// A place in the log, just after an entry. Later entries have greater positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The pack that holds the entry.
    pub pack: PackId,
    /// Offset of the octet after the entry in the pack file.
    pub offset: u64,
}

impl LogPosition {
    /// Before every entry there can be.
    pub const START: LogPosition = LogPosition { pack: PackId(0), offset: 0 };
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl fmt::Display for BlobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pack, self.offset)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pack, self.offset)
    }
}
