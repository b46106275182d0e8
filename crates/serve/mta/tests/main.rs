//! Mail in and mail out from outside: stories at the door (`door`), and from a submission to other people's hosts (`out`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod door;
mod foundation;
mod out;
