//! The doors through which people read their mail, IMAP, and say how it is sorted, ManageSieve.
//!
//! In a message's path the last stop: what `mailstore` keeps, this room shows, streams and changes at its owner's
//! word. Grammar and borders of commands are `imap`'s and `managesieve`'s, who somebody is `directory`'s.

mod first_words;
mod imap;
mod login;
mod managesieve;
mod security;
mod sessions;
mod settings;

pub use crate::imap::{EventSink, ImapDoor, Rooms};
pub use crate::login::NewPlaceSink;
pub use crate::managesieve::{ManageSieveDoor, ScriptRooms, ScriptSettings};
pub use security::Security;
pub use settings::Settings;
