//! The store's promise, asked through its public door.

mod concurrency;
mod crash;
mod filing;
mod house;
mod mailboxes;
mod messages;
mod repair;
