//! One binary for every whole-program scenario: the real server, real clients, real sockets, loopback alone.

mod attacks;
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
mod mail;
mod managesieve;
mod names;
mod operation;
mod reported;
mod screened;
mod senders;
mod sending;
mod spam;
mod threats;
