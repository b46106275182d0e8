//! Reading what is stored about messages, and their octets (RFC 9051 §6.4.5).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mail_types::{EmailId, MailboxId, ThreadId, Uid, UidSet};
use platform::clock::Timestamp;
use platform::workers::Workers;
use storage::{BlobReader, StorageError};

use crate::account::Account;
use crate::error::StoreError;
use crate::index::AccountIndex;
use crate::open_account::OpenAccount;

/// Most octets that one read returns, so that no message sits in memory whole.
pub const READ_OCTETS_MAX: usize = 64 * 1024;

/// Messages up to this length are in memory whole once opened (storage keeps them in one piece): reading them needs no
/// thread.
const WHOLE_OCTETS_MAX: u64 = 256 * 1024;

/// Messages from which on opening them is shared between two threads.
const SHARED_MIN: usize = 8;

/// How often a message is looked up whose octets a purge is moving.
const LOOK_UPS_MAX: usize = 3;

/// How much of each message [`Account::rows`] brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Dates, octets, ids.
    Facts,
    /// These and the summary (`message::Summary`, encoded).
    Summaries,
}

/// One message of a mailbox. Flags are in the `View`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its identifier in the mailbox.
    pub uid: Uid,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// SAVEDATE (RFC 8514).
    pub save_date: Timestamp,
    /// RFC822.SIZE.
    pub octets: u64,
    /// EMAILID (RFC 8474).
    pub email: EmailId,
    /// THREADID (RFC 8474).
    pub thread: ThreadId,
    /// The summary as `message::Summary::decode` reads it, if wanted.
    pub summary: Option<Box<[u8]>>,
}

/// Reads one message's octets in pieces. Goes on reading undisturbed when the message is expunged.
#[derive(Clone)]
pub struct MessageReader {
    blob: Arc<BlobReader>,
    readers: Workers,
}

impl MessageReader {
    pub(crate) fn new(blob: BlobReader, readers: Workers) -> Self {
        Self { blob: Arc::new(blob), readers }
    }

    /// The message's length.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.blob.len()
    }

    /// The octets of `range` that exist, at most [`READ_OCTETS_MAX`] of them from its start.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`] when they cannot be read; [`StoreError::Busy`].
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let range = range.start..range.end.min(range.start.saturating_add(READ_OCTETS_MAX as u64));
        if self.blob.len() <= WHOLE_OCTETS_MAX {
            return Ok(self.blob.read_at(range)?);
        }
        let blob = Arc::clone(&self.blob);
        Ok(self.readers.run(move || blob.read_at(range)).await??)
    }

    /// Its first octets, at most so many.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn beginning(&self, octets_max: usize) -> Result<Vec<u8>, StoreError> {
        let mut octets = Vec::new();
        while octets.len() < octets_max {
            let piece = self.read(octets.len() as u64..octets_max as u64).await?;
            if piece.is_empty() {
                break;
            }
            octets.extend(piece);
        }
        Ok(octets)
    }

    /// [`Self::read`], on the thread that asks: for those that may block.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`] when they cannot be read.
    pub fn read_here(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let range = range.start..range.end.min(range.start.saturating_add(READ_OCTETS_MAX as u64));
        Ok(self.blob.read_at(range)?)
    }
}

impl fmt::Debug for MessageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageReader({} octets)", self.octets())
    }
}

impl Account {
    /// What is stored about those of `uids` that exist, ascending. Ask in batches (some hundreds with summaries).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::Busy`], or what the disk says.
    pub async fn rows(&self, mailbox: MailboxId, uids: &UidSet, want: Want) -> Result<Vec<Row>, StoreError> {
        self.core().state().mailbox(mailbox)?;
        let uids = uids.clone();
        self.core().read(move |index| index.rows(mailbox, &uids, want)).await
    }

    /// Opens a message's octets.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMessage`] when its last place is gone; [`StoreError::Busy`], or what the disk says.
    pub async fn reader(&self, email: EmailId) -> Result<MessageReader, StoreError> {
        let core = Arc::clone(self.core());
        core.check()?;
        let readers = core.engine.readers.clone();
        let blob = readers.run(move || open_blob(&core, email)).await??;
        Ok(MessageReader::new(blob, readers))
    }

    /// Opens several messages' octets with few hand-overs to the store's threads, as a session does that downloads
    /// thousands: one answer for each, in their order. What is opened is in memory, so ask for few at a time.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says; of each message as [`Self::reader`] says.
    pub async fn readers(
        &self,
        emails: Vec<EmailId>,
    ) -> Result<Vec<Result<MessageReader, StoreError>>, StoreError> {
        let core = self.core();
        core.check()?;
        let readers = core.engine.readers.clone();
        let open = |emails: &[EmailId]| {
            let (core, emails) = (Arc::clone(core), emails.to_vec());
            readers.run(move || open_blobs(&core, &emails))
        };
        // Unpacking is work: where there is much of it, two threads share it.
        let (first, second) = match emails.len() {
            count if count >= SHARED_MIN => emails.split_at(count / 2),
            _ => (emails.as_slice(), &[][..]),
        };
        let (mut blobs, more) = match second {
            [] => (open(first).await?, Vec::new()),
            second => tokio::try_join!(open(first), open(second))?,
        };
        blobs.extend(more);
        let opened = |blob| MessageReader::new(blob, readers.clone());
        Ok(blobs.into_iter().map(|blob| blob.map(opened)).collect())
    }
}

/// Opens blobs that are looked up together: one transaction of the index instead of one for each.
fn open_blobs(core: &OpenAccount, emails: &[EmailId]) -> Vec<Result<BlobReader, StoreError>> {
    let places = core.read_here(|index| index.emails(emails)).unwrap_or_default();
    let open = |(number, email): (usize, &EmailId)| match places.get(number).copied().flatten() {
        Some(place) => match core.engine.packs.read(place.blob) {
            Err(StorageError::Gone(_)) => open_blob(core, *email),
            blob => Ok(blob?),
        },
        // Gone, or the index could not be asked: it is asked again, for the reason.
        None => open_blob(core, *email),
    };
    emails.iter().enumerate().map(open).collect()
}

fn open_blob(core: &OpenAccount, email: EmailId) -> Result<BlobReader, StoreError> {
    for _ in 0..LOOK_UPS_MAX {
        let place = core.read_here(|index| index.email(email))?.ok_or(StoreError::NoSuchMessage)?;
        match core.engine.packs.read(place.blob) {
            // A purge moved the octets between the two questions.
            Err(StorageError::Gone(_)) => {}
            blob => return Ok(blob?),
        }
    }
    Err(StoreError::Corrupt(format!("the octets of email {email} of account {} are missing", core.id)))
}
