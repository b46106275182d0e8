//! A message's octets gathered into pieces, each of which a writing thread works on. Small mail is one piece that stays in
//! memory; larger mail needs a place.

use std::sync::Arc;
use std::time::Duration;

use platform::workers::Workers;
use storage::StorageError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::StoreError;

/// Octets gathered before they are worked on, and the largest message whose work is done in place: well below a
/// millisecond of scanning and packing.
pub(crate) const PIECE_OCTETS: usize = 64 * 1024;

/// Larger messages that may be coming at a time. Each may need half a MiB on its way to the disk, its connection's
/// input included, so that senders who begin thousands of messages and never end them take 128 MiB at most.
pub(crate) const LARGE_MAX: usize = 256;

/// How long a larger message waits for its place; its sender meanwhile finds that we read no more.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// The octets that came last, and what it takes to work on them.
pub(crate) struct Pieces {
    octets: u64,
    piece: Vec<u8>,
    writers: Workers,
    /// The places of larger messages.
    places: Arc<Semaphore>,
    /// This one's place, once it has become larger.
    place: Option<OwnedSemaphorePermit>,
}

impl Pieces {
    pub(crate) fn new(writers: Workers, places: Arc<Semaphore>) -> Self {
        Self { octets: 0, piece: Vec::new(), writers, places, place: None }
    }

    /// How many octets came so far.
    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// The octets that wait to be worked on, and the threads that work on them.
    pub(crate) fn waiting(&self) -> (&[u8], &Workers) {
        (&self.piece, &self.writers)
    }

    /// Takes what fits; whether there is more, so that the piece has to be worked on first.
    pub(crate) fn fill(&mut self, octets: &mut &[u8]) -> bool {
        let room = PIECE_OCTETS - self.piece.len();
        let (head, tail) = octets.split_at(room.min(octets.len()));
        self.octets += head.len() as u64;
        self.piece.extend_from_slice(head);
        *octets = tail;
        !tail.is_empty()
    }

    /// Gives a full piece to a writing thread. After a failure the message is lost: its octets are given back at once.
    pub(crate) async fn hand_over<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&[u8]) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut piece = std::mem::take(&mut self.piece);
        if self.place.is_none() {
            self.place = Some(place(&self.places).await.ok_or(StoreError::Busy)?);
        }
        let done = self.writers.run(move || {
            let result = work(&piece)?;
            piece.clear();
            Ok::<_, StorageError>((result, piece))
        });
        let (result, piece) = done.await??;
        self.piece = piece;
        Ok(result)
    }

    /// Works on the last piece: in place where it is the only one, else on a writing thread, the message's place kept
    /// until that is done.
    pub(crate) async fn finish<T: Send + 'static>(
        self,
        work: impl FnOnce(&[u8]) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Self { octets, piece, writers, place: _place, .. } = self;
        if octets <= PIECE_OCTETS as u64 {
            return Ok(work(&piece)?);
        }
        Ok(writers.run(move || work(&piece)).await??)
    }
}

/// A place among the larger messages, waited for; `None` when none came free.
async fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PLACE_WAIT, Arc::clone(places).acquire_owned()).await.ok().and_then(Result::ok)
}
