//! The SMTP door from outside: real store, real directory, real TLS; the wire is a pipe in memory, or loopback.

mod chunks;
mod content;
mod engines;
mod house;
mod limits;
mod mail;
mod scram;
mod screen;
mod senders;
mod sockets;
mod stolen;
mod submission;
