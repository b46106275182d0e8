//! Why the store did not do what it was asked, by what the caller can do about it.

use std::sync::Arc;

use platform::workers::WorkError;
use storage::StorageError;

use crate::index::is_damage;

/// An answer other than done. `Display` is for the log; doors choose their own public words.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is short of room: refuse for now (452, `NO [UNAVAILABLE]`).
    #[error("the disk is short of room")]
    Full,
    /// A bounded queue is full or the store is closing: try again in a moment.
    #[error("the store is busy")]
    Busy,
    /// The account's quota does not allow it.
    #[error("over quota")]
    OverQuota,
    /// The mailbox does not exist, or no longer.
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// A mailbox of that name exists.
    #[error("mailbox exists")]
    MailboxExists,
    /// The message does not exist, or no longer.
    #[error("no such message")]
    NoSuchMessage,
    /// The account has no script of that name.
    #[error("no such script")]
    NoSuchScript,
    /// A script of that name exists.
    #[error("script exists")]
    ScriptExists,
    /// The script runs when mail comes: it has to be deactivated first.
    #[error("the script is active")]
    ScriptIsActive,
    /// The script is longer than scripts may be.
    #[error("the script is too large")]
    ScriptTooLarge,
    /// The account has as many scripts as it may have.
    #[error("too many scripts")]
    TooManyScripts,
    /// The annotation is longer than annotations may be.
    #[error("the annotation is too large")]
    AnnotationTooLarge,
    /// The mailbox has as many annotations as it may have.
    #[error("too many annotations")]
    TooManyAnnotations,
    /// The account was removed.
    #[error("no such account")]
    NoSuchAccount,
    /// The rules of mailboxes forbid it; the text says which one.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// A bound of the store is reached; the text says which one.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// Stored data is not what it should be: tell the operator.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The machine failed us: tell the operator.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Keeps a cause for the log.
    pub(crate) fn io(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Io { doing, source: Arc::new(source) }
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::Busy | StorageError::Closed => Self::Busy,
            StorageError::TooLarge { what, .. } => Self::Limit(what),
            StorageError::Gone(_) => Self::NoSuchMessage,
            error if is_damage(&error) => Self::Corrupt(error.to_string()),
            error => Self::io("storage failed", error),
        }
    }
}

impl From<WorkError> for StoreError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Busy | WorkError::Stopped => Self::Busy,
            WorkError::Panicked => Self::io("a job of the store failed", error),
        }
    }
}
