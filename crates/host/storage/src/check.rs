//! Reads everything back and compares: each record's checksums and each blob's hash.

use crate::entry::LogEntry;
use crate::error::StorageError;
use crate::packs::{PackInfo, PackStore};
use crate::position::PackId;

/// Findings that are kept with their text; beyond that the disk is broken and counting is enough.
const FINDINGS_MAX: usize = 10_000;

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
    /// What is wrong, with file and offset.
    pub what: String,
}

/// Verifies every record of every pack. Blocking and long; safe while the store is in use.
pub fn check(store: &PackStore) -> Result<CheckReport, StorageError> {
    let mut report = CheckReport::default();
    for pack in store.packs()? {
        check_pack(store, &pack, &mut report);
    }
    Ok(report)
}

fn check_pack(store: &PackStore, pack: &PackInfo, report: &mut CheckReport) {
    report.packs += 1;
    let entries = match store.entries(pack.id) {
        Ok(entries) => entries,
        // Purged since the directory was read.
        Err(StorageError::Gone(_)) => return,
        Err(error) => return report.add(pack.id, &error),
    };
    for entry in entries {
        match entry {
            Ok(entry) => check_entry(store, pack.id, &entry, report),
            Err(error) => report.add(pack.id, &error),
        }
    }
}

fn check_entry(store: &PackStore, pack: PackId, entry: &LogEntry, report: &mut CheckReport) {
    report.entries += 1;
    let Some(blob) = entry.blob else { return };
    // A blob in a pack of its own is read when that pack's turn comes; here it must only be there.
    let is_here = blob.at.pack == pack;
    let checked = store.read(blob.at).and_then(|reader| {
        if reader.hash() != blob.hash || reader.len() != blob.octets {
            let what = "the entry names another blob than the one stored".to_owned();
            return Err(StorageError::Corrupt { place: blob.at.to_string(), what });
        }
        if is_here { reader.verify() } else { Ok(()) }
    });
    match checked {
        Ok(()) if is_here => {
            report.blobs += 1;
            report.octets += blob.octets;
        }
        Ok(()) => {}
        // The entry may be dead and its blob purged: whether it is missed, only the indexes know.
        Err(StorageError::Gone(_)) => {}
        Err(error) => report.add(pack, &error),
    }
}

impl CheckReport {
    fn add(&mut self, pack: PackId, error: &StorageError) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { pack, what: error.to_string() });
        }
    }
}
