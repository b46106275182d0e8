//! What the directory promises to the rest of the house, tried through its front.
#![allow(missing_docs, clippy::unwrap_used)]

mod accounts;
mod dkim_keys;
mod fixture;
mod logins;
mod properties;
mod resolution;
mod scram;
