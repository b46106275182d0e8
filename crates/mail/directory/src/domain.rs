//! The domains whose mail is ours.

use mail_types::DomainName;
use platform::clock::Timestamp;

/// A domain this server hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Its name in A-labels; show people [`DomainName::to_unicode`].
    pub name: DomainName,
    /// When it was added.
    pub created: Timestamp,
}

/// What removing a domain does to its accounts and aliases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// Refuses while there are any.
    IfUnused,
    /// Removes them too. The mail of the removed accounts is the caller's to remove.
    WithContents,
}
