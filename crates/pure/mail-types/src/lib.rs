//! The words of mail as types that cannot be wrong: parsed once at the edge, trusted inside.
//!
//! Stands on no other room of the house; every other room speaks these words (RFC 5598, 5321, 9051).

mod address;
mod annotation_name;
mod deliver_by;
mod domain;
mod dsn;
mod flags;
mod ids;
mod mailbox_name;
mod priority;
mod script_name;
mod secret;
mod situation;
mod status;
mod uid_set;
mod xtext;

pub use address::{
    ADDRESS_OCTETS_MAX, Address, AddressDomain, AddressError, ForwardPath, LOCAL_PART_OCTETS_MAX, ReversePath,
};
pub use annotation_name::{ANNOTATION_NAME_OCTETS_MAX, AnnotationName, AnnotationNameError};
pub use deliver_by::{DELIVER_BY_SECONDS_MAX, DeadlineMode, DeliverBy};
pub use domain::{AddressLiteral, DOMAIN_OCTETS_MAX, DomainError, DomainName};
pub use dsn::{
    ADDRESS_TYPE_OCTETS_MAX, ENVELOPE_ID_OCTETS_MAX, EnvelopeId, Notify, NotifyEvent,
    ORIGINAL_RECIPIENT_OCTETS_MAX, OriginalRecipient, ReturnedContent,
};
pub use flags::{Flags, KEYWORDS_MAX, Keyword, KeywordError, KeywordSet, SystemFlag};
pub use ids::{
    AccountId, ConnectionId, EmailId, MailboxId, MailboxUid, ModSeq, QueueId, ThreadId, TransactionId, Uid,
    UidValidity,
};
pub use mailbox_name::{MAILBOX_NAME_OCTETS_MAX, MailboxName, MailboxNameError, SpecialUse};
pub use priority::Priority;
pub use script_name::{SCRIPT_NAME_OCTETS_MAX, ScriptName, ScriptNameError};
pub use secret::Secret;
pub use situation::Situation;
pub use status::{EnhancedCode, ReplyCode, Severity, Verdict};
pub use uid_set::UidSet;
pub use xtext::UnicodeForm;
