//! A message on its way in: octets are packed and scanned while they arrive, then filed by `deliver` or `append`.
//!
//! Most mail is small and its work a matter of microseconds, done where the octets come. Larger mail goes piece by
//! piece to a writing thread (`pieces.rs`); what is in memory of it is one piece there and one frame in the blob writer.

use std::fmt;
use std::sync::Arc;

use message::{Limits, Scanner, Summary};
use platform::workers::Workers;
use storage::{BlobWriter, PreparedBlob, StorageError};
use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::pieces::Pieces;

/// Takes a message's octets as they come.
pub struct Intake {
    pieces: Pieces,
    /// Away while a writing thread has it; missing for ever after that failed.
    work: Option<Work>,
}

/// Where the octets go.
pub(crate) struct Work {
    blob: BlobWriter,
    scanner: Scanner,
}

/// A message whose octets have all come, filed nowhere yet; forgotten when dropped.
pub struct Arriving {
    pub(crate) blob: PreparedBlob,
    pub(crate) digest: Arc<Digest>,
    summary: Summary,
}

impl Intake {
    pub(crate) fn new(blob: BlobWriter, writers: Workers, places: Arc<Semaphore>) -> Self {
        Self { pieces: Pieces::new(writers, places), work: Some(Work::new(blob)) }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says; the message is lost then.
    pub async fn write(&mut self, mut octets: &[u8]) -> Result<(), StoreError> {
        while self.pieces.fill(&mut octets) {
            let mut work = self.work.take().ok_or(StoreError::Busy)?;
            let worked = self.pieces.hand_over(move |piece| work.take(piece).map(|()| work));
            self.work = Some(worked.await?);
        }
        Ok(())
    }

    /// How many octets came so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.pieces.octets()
    }

    /// The message is whole.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn finish(self) -> Result<Arriving, StoreError> {
        let work = self.work.ok_or(StoreError::Busy)?;
        self.pieces.finish(move |piece| work.finish(piece)).await
    }
}

impl Work {
    pub(crate) fn new(blob: BlobWriter) -> Self {
        Self { blob, scanner: Scanner::new(Limits::default()) }
    }

    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        self.scanner.feed(piece);
        self.blob.write(piece)
    }

    pub(crate) fn finish(mut self, piece: &[u8]) -> Result<Arriving, StorageError> {
        self.take(piece)?;
        let summary = self.scanner.finish();
        let digest = Arc::new(Digest::of(&summary));
        Ok(Arriving { blob: self.blob.finish()?, digest, summary })
    }
}

impl Arriving {
    /// The message's length.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.blob.octets()
    }

    /// What the scan of the message found.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intake({} octets)", self.octets())
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arriving({} octets)", self.octets())
    }
}
