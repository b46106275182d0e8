//! The milter protocol (version 6 and, where a filter knows no better, down to 2), the mail server's side.
//!
//! A [`Session`] goes through one connection of a client with one filter: it knows which steps the filter wants to see,
//! which of them it answers, which macros go in front of each, and what its answers mean. It has no standard; what is
//! done here agrees with libmilter, and with what Sendmail and Postfix make of it.

mod answer;
mod macros;
mod negotiation;
mod packet;
mod session;

pub use answer::{ADDRESS_OCTETS_MAX, Modification, Verdict};
pub use macros::{Known, Stage};
pub use negotiation::{Actions, Negotiated, SYMBOLS_MAX, Steps};
pub use packet::{CHUNK_OCTETS_MAX, Packet, PacketReader};
pub use session::{ClientAddress, Heard, Next, Session};
