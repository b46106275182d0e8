//! Reading a message that has come and is not filed yet: what is judged by its content is judged while it waits.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use platform::workers::Workers;
use storage::ScratchReader;

use crate::error::StoreError;
use crate::fetch::READ_OCTETS_MAX;

/// Reads a held message's octets in pieces; clones share them. What it reads stays, whatever becomes of the message.
#[derive(Clone)]
pub struct HeldReader {
    /// What came before the piece in memory.
    scratch: Option<ScratchReader>,
    last: Arc<[u8]>,
    workers: Workers,
}

impl HeldReader {
    pub(crate) fn new(scratch: Option<ScratchReader>, last: Arc<[u8]>, workers: Workers) -> Self {
        Self { scratch, last, workers }
    }

    /// The message's length.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets_on_disk() + self.last.len() as u64
    }

    /// The octets of `range` that exist, at most [`READ_OCTETS_MAX`] of them from its start. Empty only where there are none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be read; [`StoreError::Busy`].
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        if range.start >= self.octets_on_disk() {
            return self.read_here(range);
        }
        let this = self.clone();
        self.workers.run(move || this.read_here(range)).await?
    }

    /// [`Self::read`], on the thread that asks: for those that may block.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be read.
    pub fn read_here(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let on_disk = self.octets_on_disk();
        let end = range.end.min(range.start.saturating_add(READ_OCTETS_MAX as u64));
        let mut octets = match &self.scratch {
            Some(scratch) if range.start < on_disk => scratch.read_at(range.start..end)?,
            _ => Vec::new(),
        };
        // Within memory, so within what memory can address.
        let within = |at: u64| usize::try_from(at.saturating_sub(on_disk)).unwrap_or(usize::MAX);
        let last = within(range.start)..within(end).min(self.last.len());
        octets.extend_from_slice(self.last.get(last).unwrap_or_default());
        Ok(octets)
    }

    /// Reads it all, piece by piece, until `visit` has enough. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read.
    pub fn visit_here(&self, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        let mut at = 0;
        loop {
            let piece = self.read_here(at..u64::MAX)?;
            if piece.is_empty() || !visit(&piece) {
                return Ok(());
            }
            at += piece.len() as u64;
        }
    }

    fn octets_on_disk(&self) -> u64 {
        self.scratch.as_ref().map_or(0, ScratchReader::octets)
    }
}

impl fmt::Debug for HeldReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldReader({} octets)", self.octets())
    }
}
