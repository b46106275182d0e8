//! The words of mail as types that cannot be wrong: parsed once at the edge, trusted inside.
//!
//! Stands on no other room of the house; every other room speaks these words (RFC 5598, 5321, 9051).

mod address;
mod domain;
mod flags;
mod ids;
mod mailbox_name;
mod secret;
mod status;
mod uid_set;

pub use address::{Address, AddressDomain, AddressError, ForwardPath, LOCAL_PART_OCTETS_MAX, ReversePath};
pub use domain::{AddressLiteral, DOMAIN_OCTETS_MAX, DomainError, DomainName};
pub use flags::{Flags, KEYWORDS_MAX, Keyword, KeywordError, KeywordSet, SystemFlag};
pub use ids::{
    AccountId, ConnectionId, EmailId, MailboxId, MailboxUid, ModSeq, QueueId, ThreadId, TransactionId, Uid,
    UidValidity,
};
pub use mailbox_name::{MAILBOX_NAME_OCTETS_MAX, MailboxName, MailboxNameError, SpecialUse};
pub use secret::Secret;
pub use status::{EnhancedCode, ReplyCode, Severity};
pub use uid_set::UidSet;
