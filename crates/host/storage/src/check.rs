//! Reads everything back and compares: each record's checksums and each blob's hash.

use crate::packs::PackStore;
use crate::position::PackId;

/// What a check of the packs found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Packs read.
    pub packs: u64,
    /// Entries read.
    pub entries: u64,
    /// Blobs unpacked and compared with their hash.
    pub blobs: u64,
    /// Octets of originals compared.
    pub octets: u64,
    /// What is wrong, in the order found; at most 10,000 findings are kept.
    pub findings: Vec<Finding>,
    /// All findings, the ones not kept included.
    pub findings_total: u64,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which pack.
    pub pack: PackId,
    /// At which offset.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

/// Verifies every record of every pack. Blocking and long; safe while the store is in use.
pub fn check(store: &PackStore) -> CheckReport {
    let _ = store;
    todo!()
}
