//! Other people's hosts: finding them, reaching them, and handing messages over.
//!
//! In a message's path: `outbound/dispatch.rs` gives each lease of the queue to a [`courier::Courier`], which asks `mx.rs`
//! where the destination is, `protection.rs` how the connection must be protected (`dane.rs` what DNS says of it,
//! `tls_policy.rs` who wins, `broken_tls.rs` who cannot), `connect.rs` for the connection (`login.rs` where it is a relay's),
//! `transact.rs` to hand the message over, and `judge.rs` what the answers mean.

pub(crate) mod broken_tls;
pub(crate) mod connect;
pub(crate) mod courier;
pub(crate) mod dane;
pub(crate) mod judge;
pub(crate) mod login;
pub(crate) mod mx;
pub(crate) mod order;
pub(crate) mod protection;
pub(crate) mod tls_policy;
pub(crate) mod transact;
