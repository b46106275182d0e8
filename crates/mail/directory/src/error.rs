//! What can go wrong in the directory, by what the caller can do about it.

use mail_types::{Address, DomainName};
use storage::{StorageError, rusqlite};

use crate::alias::AliasError;
use crate::password::HashError;

/// Why a change of the directory did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The domain must be added first.
    #[error("{0} is not a domain of this server; add it first")]
    UnknownDomain(DomainName),
    /// No such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// No such alias, or the alias lacks the target that was to be removed.
    #[error("there is no such alias or target")]
    UnknownAlias,
    /// No such DKIM key.
    #[error("there is no key {0}")]
    UnknownKey(String),
    /// Already there.
    #[error("{0} is already there")]
    Exists(String),
    /// The domain still has accounts or aliases.
    #[error("{domain} still has {accounts} accounts and {aliases} aliases")]
    DomainInUse {
        /// The domain.
        domain: DomainName,
        /// Accounts in it.
        accounts: usize,
        /// Aliases in it.
        aliases: usize,
    },
    /// The address cannot be an account's: no domain name behind the `@`, or a local part of more than 64
    /// octets, in lower case too.
    #[error("{0} cannot be an account's address: that has a domain and at most 64 octets before the @")]
    BadAddress(Address),
    /// The person's name cannot be kept.
    #[error("a name has at most 255 octets and no control characters")]
    BadDisplayName,
    /// The alias cannot be.
    #[error(transparent)]
    Alias(#[from] AliasError),
    /// The password or hash cannot be used.
    #[error(transparent)]
    Password(#[from] HashError),
    /// A named bound is reached.
    #[error("the directory is full: {0}")]
    Full(&'static str),
    /// The database does not hold what this program wrote: for the operator.
    #[error("directory.db is damaged: {0}")]
    Damaged(String),
    /// No threads for verifying passwords: for the operator.
    #[error("cannot start the threads that verify passwords")]
    Threads(#[source] std::io::Error),
    /// Disk or database trouble: for the operator; trying again later may help.
    #[error("cannot read or write directory.db")]
    Storage(#[from] StorageError),
}

impl From<rusqlite::Error> for DirectoryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// Why a log-in did not succeed. Never says which of user, password or state was wrong (RFC 4954 §6, RFC 5530 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// Wrong, unknown or disabled: 535 5.7.8, `NO [AUTHENTICATIONFAILED]`. Counts as a failure for throttling.
    #[error("authentication failed")]
    Refused,
    /// Too many log-ins at this moment, or trouble inside: 454 4.7.0, `NO [UNAVAILABLE]`.
    #[error("no log-in possible at this moment")]
    Busy,
    /// The client's message breaks the mechanism's grammar or bounds: 501 5.5.2, `BAD`.
    #[error("malformed authentication exchange")]
    Malformed,
    /// The client gave up with `*`: 501 5.7.0, `BAD`.
    #[error("authentication cancelled by the client")]
    Cancelled,
}
