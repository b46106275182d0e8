//! The queue's promise, asked through its public door.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod crash;
mod house;
mod many;
mod model;
mod operator;
mod purge;
mod schedule;
mod sending;
mod sharing;
mod stalling;
