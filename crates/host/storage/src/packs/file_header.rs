//! The first octets of every pack file: which store, which pack, and where the log's previous pack ended.
//!
//! Every header carries the store's key, so a pack with a damaged header can still be read with the key of
//! another one. Layout: `docs/internals/store-format.md`.

use super::PackKind;
use super::record::StoreKey;
use crate::position::PackId;

/// Length of a pack file's header; the first record follows.
pub(crate) const FILE_HEADER_OCTETS: usize = 96;

const MAGIC: [u8; 8] = [0x89, b'M', b'S', b'P', b'A', b'C', b'K', b'\n'];
const FORMAT_VERSION: u8 = 1;
const CHECK_OCTETS: usize = 16;

/// A pack file's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: PackKind,
    pub(crate) pack: PackId,
    /// The log pack before this one (0: none), and how many of its octets count. What lies behind them was
    /// never acknowledged: a failed write that could not be cut off.
    pub(crate) previous: PackId,
    pub(crate) previous_octets: u64,
    pub(crate) key: StoreKey,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    Newer(u8),
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER_OCTETS] {
        let kind = match self.kind {
            PackKind::Log => 1,
            PackKind::Blob => 2,
        };
        let mut header = Vec::with_capacity(FILE_HEADER_OCTETS);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&[FORMAT_VERSION, kind, 0, 0]);
        header.extend_from_slice(&self.pack.0.to_le_bytes());
        header.extend_from_slice(&self.previous.0.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&self.previous_octets.to_le_bytes());
        header.extend_from_slice(&self.key.0);
        header.extend_from_slice(&[0; 16]);
        header.extend_from_slice(&check(&header));
        let mut octets = [0; FILE_HEADER_OCTETS];
        octets.copy_from_slice(&header);
        octets
    }

    pub(crate) fn decode(octets: &[u8; FILE_HEADER_OCTETS]) -> Result<FileHeader, HeaderFault> {
        let damaged = HeaderFault::Damaged;
        let (header, stored_check) = octets.split_last_chunk::<CHECK_OCTETS>().ok_or(damaged)?;
        if !header.starts_with(&MAGIC) || check(header) != *stored_check {
            return Err(damaged);
        }
        if header.get(8) != Some(&FORMAT_VERSION) {
            return Err(HeaderFault::Newer(header.get(8).copied().unwrap_or(0)));
        }
        let kind = match header.get(9) {
            Some(1) => PackKind::Log,
            Some(2) => PackKind::Blob,
            _ => return Err(damaged),
        };
        let field = |at: usize| header.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(damaged);
        let octets = header.get(24..).and_then(|rest| rest.first_chunk::<8>()).ok_or(damaged)?;
        let key = header.get(32..).and_then(|rest| rest.first_chunk::<32>()).ok_or(damaged)?;
        Ok(FileHeader {
            kind,
            pack: PackId(u32::from_le_bytes(*field(12)?)),
            previous: PackId(u32::from_le_bytes(*field(16)?)),
            previous_octets: u64::from_le_bytes(*octets),
            key: StoreKey(*key),
        })
    }
}

fn check(header: &[u8]) -> [u8; CHECK_OCTETS] {
    super::record::finish(blake3::Hasher::new().update(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_as_written_and_any_change_is_noticed() {
        let header = FileHeader {
            kind: PackKind::Log,
            pack: PackId(7),
            previous: PackId(5),
            previous_octets: 1 << 40,
            key: StoreKey([9; 32]),
        };
        let octets = header.encode();
        assert_eq!(FileHeader::decode(&octets), Ok(header.clone()));
        for at in 0..FILE_HEADER_OCTETS {
            let mut changed = octets;
            changed[at] ^= 0x10;
            assert_eq!(FileHeader::decode(&changed), Err(HeaderFault::Damaged), "octet {at}");
        }
    }
}
