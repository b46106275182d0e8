//! SMTP and LMTP without sockets: grammar, framing and the two state machines (RFC 5321, RFC 2033).
//!
//! Step 3 of a message's way in: the door (`serve/mta/receive/session.rs`) hands lines to [`server::Session`] and
//! carries out the [`server::Step`] it answers with; [`framing`] finds where commands and messages end. On the way
//! out, and in tests, [`client::Client`] speaks the other side. Octets in, values out: no I/O, no clock.

pub mod client;
pub mod command;
pub mod extension;
pub mod framing;
mod future_release;
pub mod reply;
pub mod server;

pub use command::{BodyType, MailParameters, RcptParameters};
pub use future_release::{HOLD_SECONDS_MAX, Hold};
pub use reply::Reply;
