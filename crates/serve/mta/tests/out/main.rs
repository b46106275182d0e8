//! Mail going out, from the submission to other people's hosts: real store, real queue, real sockets on loopback, hosts
//! that behave as they are told, and a clock that is set.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod carried;
mod dane;
mod first;
mod host;
mod later;
mod logins;
mod peer;
mod reports;
mod routes;
mod safety;
mod sts;
mod world;
