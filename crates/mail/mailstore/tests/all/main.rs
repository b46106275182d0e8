//! The store's promise, asked through its public door.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod annotations;
mod concurrency;
mod crash;
mod filing;
mod handed_over;
mod house;
mod mailboxes;
mod messages;
mod repair;
mod scripts;
mod tenants;
