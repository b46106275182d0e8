//! A message on its way in, in front of which something has to be put that is only known when all of it has come: what
//! its checks found, and signatures of ours.
//!
//! Most mail is small: it waits in memory. Of larger mail one piece is in memory, the rest in a file without a name.

use std::fmt;
use std::sync::Arc;

use platform::workers::Workers;
use storage::{BlobWriter, PackStore, Scratch};
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::held::HeldReader;
use crate::intake::{Arriving, Work};
use crate::pieces::Pieces;

/// Holds a message's octets until it is known what goes in front of them.
pub struct Holding {
    pieces: Pieces,
    /// What came before the piece in memory.
    scratch: Option<Scratch>,
    /// Where it all goes in the end; missing for ever after something failed.
    blob: Option<BlobWriter>,
    packs: PackStore,
}

impl Holding {
    pub(crate) fn new(
        packs: PackStore,
        writers: Workers,
        places: Arc<Semaphore>,
    ) -> Result<Self, StoreError> {
        let blob = Some(packs.new_blob()?);
        Ok(Self { pieces: Pieces::new(writers, places), scratch: None, blob, packs })
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says; the message is lost then.
    pub async fn write(&mut self, mut octets: &[u8]) -> Result<(), StoreError> {
        while self.pieces.fill(&mut octets) {
            // Away while a piece is written; a failure leaves none.
            let blob = self.blob.take().ok_or(StoreError::Busy)?;
            let (scratch, packs) = (self.scratch.take(), self.packs.clone());
            let written = self.pieces.hand_over(move |piece| {
                let mut scratch = scratch.map_or_else(|| packs.new_scratch(), Ok)?;
                scratch.write(piece)?;
                Ok(scratch)
            });
            self.scratch = Some(written.await?);
            self.blob = Some(blob);
        }
        Ok(())
    }

    /// How many octets came so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.pieces.octets()
    }

    /// Reads what came so far.
    #[must_use]
    pub fn reader(&self) -> HeldReader {
        let (last, workers) = self.pieces.waiting();
        HeldReader::new(self.scratch.as_ref().map(Scratch::reader), last.into(), workers.clone())
    }

    /// The message is whole, and this goes in front of it.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn finish(self, front: Vec<u8>) -> Result<Arriving, StoreError> {
        let mut work = Work::new(self.blob.ok_or(StoreError::Busy)?);
        let scratch = self.scratch;
        let whole = self.pieces.finish(move |piece| {
            work.take(&front)?;
            if let Some(scratch) = scratch {
                scratch.read_back(|octets| work.take(octets))?;
            }
            work.finish(piece)
        });
        whole.await
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holding({} octets)", self.octets())
    }
}
