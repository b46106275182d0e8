//! ManageSieve without I/O: where commands begin and end, what they ask, how answers are written (RFC 5804).
//!
//! The ManageSieve door feeds the octets of a connection to a [`Receiver`], acts on the [`Command`]s that come out, and
//! writes its answers with [`response`].

mod command;
mod limits;
mod receive;
pub mod response;
mod word;

pub use command::{Command, Place};
pub use limits::Limits;
pub use receive::{BadCommand, Received, Receiver};
