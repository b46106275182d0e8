//! A message's octets through a window of bounded size: several sections of a small message cost one read.

use std::ops::Range;

use mail_types::EmailId;
use mailstore::{Account, MessageReader, READ_OCTETS_MAX, Row, StoreError};
use platform::lines::Wire;

use super::replies::Stop;

/// Messages that are opened together at most.
const TOGETHER_MAX: usize = 32;
/// Octets of messages after which no more are opened with them: what is opened is in memory.
const TOGETHER_OCTETS: u64 = 256 * 1024;

/// A message's octets.
#[derive(Debug)]
pub(crate) struct Octets {
    len: u64,
    source: Source,
    window_start: u64,
    window: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Closed(Account, EmailId),
    Open(MessageReader),
}

impl Octets {
    /// Opens messages together, one answer for each: [`StoreError::NoSuchMessage`] for one that is gone.
    ///
    /// # Errors
    /// What the store says of all of them.
    pub(crate) async fn open_all(
        account: &Account,
        rows: impl Iterator<Item = &Row>,
    ) -> Result<Vec<Result<Self, StoreError>>, StoreError> {
        let readers = account.readers(rows.map(|row| row.email).collect()).await?;
        let open = |reader: MessageReader| {
            let len = reader.octets();
            Self { len, source: Source::Open(reader), window_start: 0, window: Vec::new() }
        };
        Ok(readers.into_iter().map(|reader| reader.map(open)).collect())
    }

    /// How many messages, from the first of these on, may be open together.
    pub(crate) fn together(lengths: impl Iterator<Item = u64>) -> usize {
        let mut octets = 0_u64;
        let fitting = lengths.take(TOGETHER_MAX).take_while(|&length| {
            let had_room = octets < TOGETHER_OCTETS;
            octets = octets.saturating_add(length);
            had_room
        });
        fitting.count()
    }

    /// Octets that may be asked for after all: opened at the first question.
    pub(crate) fn closed(account: &Account, row: &Row) -> Self {
        let source = Source::Closed(account.clone(), row.email);
        Self { len: row.octets, source, window_start: 0, window: Vec::new() }
    }

    /// Makes sure that the message is still there to be read.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMessage`] when it is gone, or what the store says.
    pub(crate) async fn ensure_open(&mut self) -> Result<(), StoreError> {
        self.reader().await.map(|_| ())
    }

    /// How many octets the message has.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Some octets from this offset on: at least one, unless the message ends there.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn at(&mut self, offset: u64) -> Result<&[u8], StoreError> {
        let window_end = self.window_start + self.window.len() as u64;
        if offset >= self.len {
            return Ok(&[]);
        }
        if !(self.window_start..window_end).contains(&offset) {
            let end = self.len.min(offset.saturating_add(READ_OCTETS_MAX as u64));
            self.window = self.reader().await?.read(offset..end).await?;
            self.window_start = offset;
            if self.window.is_empty() {
                return Err(StoreError::Corrupt("a message is shorter than its index says".to_owned()));
            }
        }
        let within = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        Ok(self.window.get(within..).unwrap_or_default())
    }

    /// Some octets of the range, from its start.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn within(&mut self, range: Range<u64>) -> Result<&[u8], StoreError> {
        let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let piece = self.at(range.start).await?;
        Ok(piece.get(..most).unwrap_or(piece))
    }

    /// Exactly the octets of a range no longer than one read; fewer where the message ends.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn run(&mut self, range: Range<u64>) -> Result<&[u8], StoreError> {
        let end = range.end.min(self.len);
        if self.window_start + (self.window.len() as u64) < end {
            // What is asked for would be cut by the window's end: the next window begins with it.
            self.window.clear();
        }
        self.within(range.start..end).await
    }

    /// Writes exactly the octets of a range.
    ///
    /// # Errors
    /// What the store or the connection says.
    pub(crate) async fn copy(&mut self, wire: &mut Wire, mut range: Range<u64>) -> Result<(), Stop> {
        while range.start < range.end {
            let piece = self.within(range.clone()).await?;
            if piece.is_empty() {
                return Err(StoreError::Corrupt("a message is shorter than its index says".to_owned()).into());
            }
            wire.put(piece);
            range.start += piece.len() as u64;
            wire.relieve().await?;
        }
        Ok(())
    }

    async fn reader(&mut self) -> Result<&MessageReader, StoreError> {
        if let Source::Closed(account, email) = &self.source {
            self.source = Source::Open(account.reader(*email).await?);
        }
        match &self.source {
            Source::Open(reader) => Ok(reader),
            Source::Closed(..) => Err(StoreError::NoSuchMessage),
        }
    }
}
