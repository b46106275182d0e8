//! A message on its way in: octets are packed and scanned while they arrive, then filed by `deliver` or `append`.
//!
//! Most mail is small and its work a matter of microseconds, done where the octets come. Larger mail goes piece by
//! piece to a writing thread; what is in memory of it is one piece here and one frame in the blob writer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use message::{Limits, Scanner, Summary};
use platform::workers::Workers;
use storage::{BlobWriter, PreparedBlob, StorageError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::digest::Digest;
use crate::error::StoreError;

/// Octets gathered before they are worked on, and the largest message whose work is done in place: well below a
/// millisecond of scanning and packing.
pub(crate) const PIECE_OCTETS: usize = 64 * 1024;

/// Larger messages that may be coming at a time. Each may need half a MiB on its way to the disk, its connection's
/// input included, so that senders who begin thousands of messages and never end them take 128 MiB at most.
pub(crate) const LARGE_MAX: usize = 256;

/// How long a larger message waits for its place; its sender meanwhile finds that we read no more.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// Takes a message's octets as they come.
pub struct Intake {
    octets: u64,
    piece: Vec<u8>,
    /// Away while a writing thread has it; missing for ever after that failed.
    work: Option<Work>,
    writers: Workers,
    /// The places of larger messages.
    places: Arc<Semaphore>,
    /// This one's place, once it has become larger.
    place: Option<OwnedSemaphorePermit>,
}

/// A place among the larger messages, waited for; `None` when none came free.
pub(crate) async fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PLACE_WAIT, Arc::clone(places).acquire_owned()).await.ok().and_then(Result::ok)
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
        Self { octets: 0, piece: Vec::new(), work: Some(Work::new(blob)), writers, places, place: None }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says; the message is lost then.
    pub async fn write(&mut self, mut octets: &[u8]) -> Result<(), StoreError> {
        self.octets += octets.len() as u64;
        while self.piece.len() + octets.len() > PIECE_OCTETS {
            let (head, tail) = octets.split_at(PIECE_OCTETS - self.piece.len());
            self.piece.extend_from_slice(head);
            octets = tail;
            self.work_off().await?;
        }
        self.piece.extend_from_slice(octets);
        Ok(())
    }

    /// Gives a full piece to a writing thread.
    async fn work_off(&mut self) -> Result<(), StoreError> {
        let mut work = self.work.take().ok_or(StoreError::Busy)?;
        if self.place.is_none() {
            self.place = place(&self.places).await;
            if self.place.is_none() {
                // What has come is given back at once: the message is lost.
                self.piece = Vec::new();
                return Err(StoreError::Busy);
            }
        }
        let mut piece = std::mem::take(&mut self.piece);
        let done = self.writers.run(move || {
            let result = work.take(&piece);
            piece.clear();
            result.map(|()| (work, piece))
        });
        let (work, piece) = done.await??;
        self.work = Some(work);
        self.piece = piece;
        Ok(())
    }

    /// How many octets came so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The message is whole.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn finish(self) -> Result<Arriving, StoreError> {
        let work = self.work.ok_or(StoreError::Busy)?;
        let piece = self.piece;
        if self.octets <= PIECE_OCTETS as u64 {
            return Ok(work.finish(&piece)?);
        }
        Ok(self.writers.run(move || work.finish(&piece)).await??)
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
        write!(f, "Intake({} octets)", self.octets)
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arriving({} octets)", self.octets())
    }
}
