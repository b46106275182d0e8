//! One binary for every whole-program scenario: the real server, real clients, real sockets, loopback alone.

mod clients;
mod commands;
mod crash;
mod delivery;
mod faults;
mod internet;
mod names;
mod operation;
mod postfix;
mod reported;
mod sending;
mod threats;
