//! Judges strangers' connections and envelopes on port 25 before any content is seen.
//!
//! `senders.rs` remembers who sent what; what is found is [`Evidence`], which the content filter adds up.

#[expect(dead_code, reason = "found by nobody yet")]
mod evidence;
#[expect(dead_code, reason = "asked by nobody at the door yet")]
mod senders;

pub use evidence::Evidence;
pub use senders::{
    HALF_LIFE, NAMES_MAX, Reputation, Sender, Senders, SendersError, Standing, TRAPS_MAX, Worth,
};
