//! Mail going out, from the submission to other people's hosts: real store, real queue, real sockets on loopback, hosts
//! that behave as they are told, and a clock that is set.

mod broken;
mod carried;
mod dane;
mod first;
mod host;
mod later;
mod logins;
mod reports;
mod routes;
mod safety;
mod sts;
mod world;
