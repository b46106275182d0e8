//! IMAP4rev1 and IMAP4rev2 without I/O: where commands begin and end, what they ask, how answers are written (RFC 3501, RFC 9051).
//!
//! The IMAP door feeds the octets of a connection to a [`Receiver`], acts on the [`Command`]s that come out,
//! and writes its answers with [`response`]. Mail clients of tests and imports use [`client`].

mod charset;
pub mod client;
pub mod command;
mod date;
mod dialect;
pub mod fetch;
mod framing;
mod limits;
mod list_pattern;
mod mailbox_name;
mod object_id;
mod receive;
pub mod response;
pub mod search;
mod sequence;
pub mod utf7;

pub use command::{BadCommand, Command, Tag, TaggedCommand};
pub use date::{DateTime, Day};
pub use dialect::{Dialect, NameEncoding, Separator};
pub use limits::Limits;
pub use list_pattern::ListPattern;
pub use object_id::{parse_email_id, parse_thread_id};
pub use receive::{Received, Receiver};
pub use sequence::{Numbering, OutOfRange, SequenceNumbers, SequenceSet};
