//! Receiving: one conversation with a client, from the greeting to the reply to each message.

mod changed;
mod greylist;
pub(crate) mod header;
pub(crate) mod intake;
pub(crate) mod judgement;
pub(crate) mod login;
mod milters;
mod opinion;
pub(crate) mod policy;
pub(crate) mod replies;
pub(crate) mod screening;
pub(crate) mod session;
pub(crate) mod trace;
pub(crate) mod transaction;
mod unknown;
