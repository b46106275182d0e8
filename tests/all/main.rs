//! One binary for every whole-program scenario: the real server, real clients, real sockets, loopback alone.

mod clients;
mod clock;
mod commands;
mod crash;
mod debian;
mod delivery;
mod dns_records;
mod engines;
mod faults;
mod filtered;
mod internet;
mod managesieve;
mod names;
mod operation;
mod reported;
mod senders;
mod sending;
mod spam;
mod threats;
