//! Internet messages: read leniently, write strictly (RFC 5322, 2045-2049, 2047, 2231, 6532).
//!
//! A message is digested by the [`Scanner`] while it arrives; what IMAP later asks for is answered from the [`Summary`]
//! it leaves, and from ranges of the stored octets. No whole message is ever held in memory.

mod date;
mod envelope;
mod field_cache;
mod limits;
mod scanner;
mod structure;
mod summary;

pub use date::Date;
pub use envelope::{Addressee, Envelope};
pub use field_cache::CachedFields;
pub use limits::{BOUNDARY_OCTETS_MAX, Limits};
pub use scanner::Scanner;
pub use structure::{Content, Disposition, EmbeddedMessage, Parameter, Part, SectionText, Span};
pub use summary::{Summary, SummaryError, Traits};
