//! A message on its way in, in front of which something has to be put that is only known when all of it has come: what
//! its checks found, and signatures of ours.
//!
//! Most mail is small: it waits in memory. Of larger mail one piece is in memory, the rest in a file without a name.

use std::fmt;
use std::sync::Arc;

use platform::workers::Workers;
use storage::{BlobWriter, PackStore, Scratch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::StoreError;
use crate::intake::{Arriving, PIECE_OCTETS, Work, place};

/// Holds a message's octets until it is known what goes in front of them.
pub struct Holding {
    octets: u64,
    piece: Vec<u8>,
    rest: Rest,
    /// Where it all goes in the end; missing for ever after something failed.
    blob: Option<BlobWriter>,
    packs: PackStore,
    writers: Workers,
    places: Arc<Semaphore>,
    /// This one's place, once it has become larger.
    place: Option<OwnedSemaphorePermit>,
}

/// What came before the piece in memory.
enum Rest {
    Nothing,
    Scratch(Scratch),
}

impl Holding {
    pub(crate) fn new(
        packs: PackStore,
        writers: Workers,
        places: Arc<Semaphore>,
    ) -> Result<Self, StoreError> {
        let blob = Some(packs.new_blob()?);
        let (piece, rest) = (Vec::new(), Rest::Nothing);
        Ok(Self { octets: 0, piece, rest, blob, packs, writers, places, place: None })
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
            self.put_aside().await?;
        }
        self.piece.extend_from_slice(octets);
        Ok(())
    }

    async fn claim_place(&mut self) -> Result<(), StoreError> {
        if self.place.is_none() {
            self.place = place(&self.places).await;
        }
        if self.place.is_none() {
            // What has come is given back at once: the message is lost.
            self.piece = Vec::new();
            self.blob = None;
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Gives a full piece to a writing thread.
    async fn put_aside(&mut self) -> Result<(), StoreError> {
        self.claim_place().await?;
        // Away while the thread has it; a failure leaves none.
        let blob = self.blob.take().ok_or(StoreError::Busy)?;
        let rest = std::mem::replace(&mut self.rest, Rest::Nothing);
        let mut piece = std::mem::take(&mut self.piece);
        let packs = self.packs.clone();
        let done = self.writers.run(move || {
            let mut scratch = match rest {
                Rest::Scratch(scratch) => scratch,
                Rest::Nothing => packs.new_scratch()?,
            };
            scratch.write(&piece)?;
            piece.clear();
            Ok::<_, storage::StorageError>((scratch, piece))
        });
        let (scratch, piece) = done.await??;
        self.rest = Rest::Scratch(scratch);
        self.piece = piece;
        self.blob = Some(blob);
        Ok(())
    }

    /// How many octets came so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The message is whole, and this goes in front of it.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn finish(self, front: Vec<u8>) -> Result<Arriving, StoreError> {
        let mut work = Work::new(self.blob.ok_or(StoreError::Busy)?);
        let piece = self.piece;
        match self.rest {
            Rest::Nothing => {
                work.take(&front)?;
                Ok(work.finish(&piece)?)
            }
            Rest::Scratch(scratch) => {
                let whole = self.writers.run(move || {
                    work.take(&front)?;
                    scratch.read_back(|octets| work.take(octets))?;
                    work.finish(&piece)
                });
                Ok(whole.await??)
            }
        }
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holding({} octets)", self.octets)
    }
}
