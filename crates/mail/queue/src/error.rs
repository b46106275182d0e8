//! Why the queue did not do what it was asked, by what the caller can do about it.

use mail_types::QueueId;
use mailstore::StoreError;
use storage::StorageError;

/// An answer other than done. `Display` is for the log; doors choose their own public words.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The disk is short of room: refuse for now (452).
    #[error("the disk is short of room")]
    Full,
    /// A bounded queue is full or the program is closing: try again in a moment (451).
    #[error("the queue is busy")]
    Busy,
    /// The message breaks a bound of the queue; the text says which one. A fault of the caller.
    #[error("not for the queue: {0}")]
    Invalid(&'static str),
    /// No such message, or no longer.
    #[error("no message {} in the queue", .0.to_text())]
    NoSuchMessage(QueueId),
    /// The machine failed us, or stored data is damaged: tell the operator.
    #[error("the queue's storage failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Busy => Self::Busy,
            StoreError::Limit(what) => Self::Invalid(what),
            error => Self::Store(error),
        }
    }
}

impl From<StorageError> for QueueError {
    fn from(error: StorageError) -> Self {
        StoreError::from(error).into()
    }
}
