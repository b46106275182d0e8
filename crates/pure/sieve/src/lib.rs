//! The Sieve language (RFC 5228 and its extensions): scripts are compiled once and run against a message at delivery.
//!
//! Script, message and environment in, actions out. Nothing here carries an action out, asks a clock or reads a file.

pub mod message;
