//! Reads a pack from one record to the next, past damaged places: for replay, rebuild, check and purge.

use super::files::OpenPack;
use super::record::{
    self, Codec, ELSEWHERE_OCTETS, HEAD_OCTETS, MAGIC, Place, RecordFault, RecordHead, Section, decode_notes,
};
use super::{FIRST_RECORD_AT, Shared};
use crate::entry::{LogEntry, Note, StoredBlob};
use crate::error::StorageError;
use crate::position::{BlobRef, LogPosition, PackId};
use std::sync::Arc;

/// Octets read at once while going through a pack.
const WINDOW_OCTETS: usize = 256 << 10;

/// A sliding view of a pack's octets up to a fixed end.
#[derive(Debug)]
pub(super) struct Window {
    pack: Arc<OpenPack>,
    end: u64,
    start: u64,
    octets: Vec<u8>,
}

/// Whether the stored octets are compared with their checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    Compare,
    Pass,
}

/// A sound record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) head: RecordHead,
    pub(super) notes: Vec<Note>,
    /// Where the blob lies, if there is one.
    pub(super) blob: Option<BlobRef>,
}

impl Record {
    /// Offset of the octet after the record.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.head.record_octets()
    }

    /// Offset at which its group began.
    pub(super) fn group_start(&self) -> u64 {
        self.offset.saturating_sub(self.head.group_distance.into())
    }
}

impl Window {
    pub(super) fn new(pack: Arc<OpenPack>, end: u64) -> Window {
        Window { pack, end, start: 0, octets: Vec::new() }
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn pack(&self) -> &OpenPack {
        &self.pack
    }

    /// `octets` octets at `offset`, or `None` where the pack ends before.
    fn slice(&mut self, offset: u64, octets: usize) -> Result<Option<&[u8]>, StorageError> {
        if offset.checked_add(octets as u64).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        if !self.holds(offset, octets) {
            let wanted = (self.end - offset).min(octets.max(WINDOW_OCTETS) as u64);
            self.start = offset;
            self.octets.resize(wanted as usize, 0);
            let filled = self.pack.read_up_to(&mut self.octets, offset)?;
            self.octets.truncate(filled);
        }
        let from = (offset - self.start) as usize;
        Ok(self.octets.get(from..from + octets))
    }

    fn holds(&self, offset: u64, octets: usize) -> bool {
        offset >= self.start && offset + octets as u64 <= self.start + self.octets.len() as u64
    }

    /// The record at `offset`, or what is wrong there. The outer error is the disk's.
    pub(super) fn record(
        &mut self,
        offset: u64,
        bodies: Bodies,
    ) -> Result<Result<Record, RecordFault>, StorageError> {
        let pack = Arc::clone(&self.pack);
        let place = Place { key: &pack.key, pack: pack.pack, offset };
        let Some(octets) = self.slice(offset, HEAD_OCTETS)? else { return Ok(Err(RecordFault::CutOff)) };
        let head = match RecordHead::decode(octets, place) {
            Ok(head) => head,
            Err(fault) => return Ok(Err(fault)),
        };
        let notes_at = offset + HEAD_OCTETS as u64;
        let Some(octets) = self.slice(notes_at, head.notes_octets as usize)? else {
            return Ok(Err(RecordFault::CutOff));
        };
        if place.check(Section::Notes, octets) != head.notes_check {
            return Ok(Err(RecordFault::NotesCheck));
        }
        let notes = match decode_notes(octets) {
            Ok(notes) => notes,
            Err(fault) => return Ok(Err(fault)),
        };
        let body_at = notes_at + u64::from(head.notes_octets);
        self.body(&head, place, body_at, bodies)
            .map(|blob| blob.map(|blob| Record { offset, head, notes, blob }))
    }

    /// Looks at a record's stored octets as far as needed, and says where its blob lies.
    fn body(
        &mut self,
        head: &RecordHead,
        place: Place<'_>,
        body_at: u64,
        bodies: Bodies,
    ) -> Result<Result<Option<BlobRef>, RecordFault>, StorageError> {
        if body_at.checked_add(head.stored_octets).is_none_or(|end| end > self.end) {
            return Ok(Err(RecordFault::CutOff));
        }
        let here = BlobRef { pack: place.pack, offset: place.offset };
        let is_inline = matches!(head.codec, Codec::Raw | Codec::Zstd);
        let is_read = head.codec == Codec::Elsewhere || (is_inline && bodies == Bodies::Compare);
        if !is_read {
            return Ok(Ok((head.codec != Codec::None).then_some(here)));
        }
        let Some(octets) = self.slice(body_at, head.stored_octets as usize)? else {
            return Ok(Err(RecordFault::CutOff));
        };
        if place.check(Section::Body, octets) != head.body_check {
            return Ok(Err(RecordFault::BodyCheck));
        }
        if head.codec == Codec::Elsewhere {
            return Ok(decode_elsewhere(octets).map(Some));
        }
        Ok(Ok(Some(here)))
    }

    /// The first place at or after `offset` where a sound head begins.
    pub(super) fn next_head(&mut self, mut offset: u64) -> Result<Option<(u64, RecordHead)>, StorageError> {
        let pack = Arc::clone(&self.pack);
        while offset < self.end {
            let octets = WINDOW_OCTETS.min((self.end - offset) as usize);
            let Some(window) = self.slice(offset, octets)? else { return Ok(None) };
            let Some(found) = memchr::memmem::find(window, &MAGIC) else {
                if offset + octets as u64 >= self.end {
                    return Ok(None);
                }
                // The magic may lie across the border of two windows.
                offset += (octets - (MAGIC.len() - 1)).max(1) as u64;
                continue;
            };
            let at = offset + found as u64;
            let Some(octets) = self.slice(at, HEAD_OCTETS)? else { return Ok(None) };
            if let Ok(head) =
                RecordHead::decode(octets, Place { key: &pack.key, pack: pack.pack, offset: at })
            {
                return Ok(Some((at, head)));
            }
            offset = at + 1;
        }
        Ok(None)
    }
}

/// Writes the stored octets of a record whose blob lies in a pack of its own.
pub(super) fn encode_elsewhere(blob: BlobRef) -> Vec<u8> {
    let mut octets = Vec::with_capacity(ELSEWHERE_OCTETS as usize);
    octets.extend_from_slice(&blob.pack.0.to_le_bytes());
    octets.extend_from_slice(&blob.offset.to_le_bytes());
    octets
}

fn decode_elsewhere(octets: &[u8]) -> Result<BlobRef, RecordFault> {
    let malformed = RecordFault::Malformed("reference to another pack");
    let (pack, rest) = octets.split_first_chunk::<4>().ok_or(malformed)?;
    let offset = rest.first_chunk::<8>().ok_or(malformed)?;
    Ok(BlobRef { pack: PackId(u32::from_le_bytes(*pack)), offset: u64::from_le_bytes(*offset) })
}

/// The entries of one pack, in order.
///
/// An `Err` that is [`StorageError::Corrupt`] names a damaged place; the iterator goes on behind it. After
/// any other error it ends.
#[derive(Debug)]
pub struct Entries {
    window: Window,
    offset: u64,
}

impl Entries {
    pub(super) fn new(pack: Arc<OpenPack>, from: u64, end: u64) -> Entries {
        Entries { window: Window::new(pack, end), offset: from }
    }

    /// Goes on behind the damaged place at the present offset.
    fn pass_damage(&mut self, fault: RecordFault) -> StorageError {
        let at = self.offset;
        let next = match self.window.next_head(at + 1) {
            Ok(next) => next.map_or(self.window.end(), |(next, _)| next),
            Err(error) => {
                self.offset = self.window.end();
                return error;
            }
        };
        self.offset = next;
        self.window.pack().corrupt(at, format_args!("{fault}; {} octets passed over", next - at))
    }
}

impl Iterator for Entries {
    type Item = Result<LogEntry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.window.end() {
            return None;
        }
        match self.window.record(self.offset, Bodies::Pass) {
            Ok(Ok(record)) => {
                self.offset = record.end();
                Some(Ok(log_entry(self.window.pack().pack, record)))
            }
            Ok(Err(fault)) => Some(Err(self.pass_damage(fault))),
            Err(error) => {
                self.offset = self.window.end();
                Some(Err(error))
            }
        }
    }
}

fn log_entry(pack: PackId, record: Record) -> LogEntry {
    let position = LogPosition { pack, offset: record.end() };
    let blob = record.blob.map(|at| StoredBlob {
        at,
        octets: record.head.original_octets,
        hash: blake3::Hash::from_bytes(record.head.hash),
    });
    let stored_octets = record.head.record_octets();
    LogEntry { position, blob, notes: record.notes, stored_octets }
}

/// The entries of the log after the checkpoint mark, as they were when the store was opened.
///
/// Damaged places are logged and passed over; an `Err` means that the log could not be read on from there.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    /// The log's packs that are still to be read, in order.
    packs: std::vec::IntoIter<PackId>,
    from: LogPosition,
    until: LogPosition,
    current: Option<Entries>,
}

impl Replay {
    pub(super) fn new(shared: Arc<Shared>, from: LogPosition, until: LogPosition) -> Replay {
        let packs: Vec<PackId> = shared.log.lock().packs.range(from.pack..=until.pack).copied().collect();
        Replay { shared, packs: packs.into_iter(), from, until, current: None }
    }

    /// The entries of one pack between the two ends of the replay. `None`: purged in the meantime.
    fn open(&self, pack: PackId) -> Result<Option<Entries>, StorageError> {
        let Some(open) = self.shared.open_pack(pack)? else { return Ok(None) };
        let end = if pack == self.until.pack { self.until.offset } else { self.shared.end_of(&open)? };
        let from =
            if pack == self.from.pack { self.from.offset.max(FIRST_RECORD_AT) } else { FIRST_RECORD_AT };
        Ok(Some(Entries::new(open, from, end)))
    }
}

impl Iterator for Replay {
    type Item = Result<LogEntry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.current.as_mut().and_then(Iterator::next) {
                None => {
                    let pack = self.packs.next()?;
                    match self.open(pack) {
                        Ok(entries) => self.current = entries,
                        Err(error) => return Some(Err(error)),
                    }
                }
                Some(Err(damage @ StorageError::Corrupt { .. })) => {
                    tracing::error!(%damage, "the log is damaged; replay goes on behind the place");
                }
                Some(item) => return Some(item),
            }
        }
    }
}

/// The checksums of a record's notes and body, as its head states them.
pub(super) fn section_checks(place: Place<'_>, notes: &[u8], body: &[u8]) -> (record::Check, record::Check) {
    (place.check(Section::Notes, notes), place.check(Section::Body, body))
}
