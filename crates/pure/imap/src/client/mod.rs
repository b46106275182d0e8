//! The client's side of IMAP: commands written, responses read. For tests, and for fetching mail from other servers (RFC 9051).
//!
//! Responses are read into a general form, a tree of values: a client that wants to look at everything a server says
//! must not stumble over an extension that this crate has never heard of.

mod reader;
mod request;
mod response;

pub use reader::{ClientLimits, ReadError, ResponseReader};
pub use request::{Literals, Request};
pub use response::{Code, Condition, Response, Value};
