//! Whose mail an address's is: asked for each RCPT TO, answered from memory (RFC 5321 §3.6, §4.5.1).

use mail_types::{AccountId, Address};

/// What becomes of mail for a forward-path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Ours: take it for all of these.
    Deliver(Recipients),
    /// Ours: take it and throw it away.
    Discard,
    /// The domain is ours, the address is nobody's: 550 5.1.1.
    Unknown,
    /// Not our domain: relay for those who may, refuse others.
    NotLocal,
    /// Only disabled accounts: 550 5.2.1.
    Disabled,
    /// Aliases that lead back to themselves or to too many targets: 550 5.4.6.
    Loop,
}

/// Whom a forward-path's mail goes to: one target at least, none twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipients {
    /// Accounts here.
    pub local: Vec<LocalTarget>,
    /// Addresses elsewhere that aliases lead to.
    pub remote: Vec<Address>,
}

/// One account that mail goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalTarget {
    /// Whose mailboxes.
    pub account: AccountId,
    /// The address the mail reached the account by, after aliases: for `Delivered-To`.
    pub address: Address,
    /// The sub-address detail (`news` of `ann+news@…`, RFC 5233), in the case it came in.
    pub detail: Option<Box<str>>,
}
