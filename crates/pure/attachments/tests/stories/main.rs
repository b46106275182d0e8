//! Stories of what people are sent, and what is told of it.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

mod archives;
mod bounds;
mod cab;
mod documents;
mod made;
mod made_cab;
mod made_rar;
mod messages;
mod packed;
mod rar;
mod rare;
