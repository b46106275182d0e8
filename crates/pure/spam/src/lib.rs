//! Tells unwanted mail from wanted by its content: features of a message, a shared model that learns as it goes, a small model
//! of each account's own taste, and reasons in plain words. No files and no clock: models are octets, days are numbers.

mod body;
mod collector;
mod extract;
mod header;
mod judgement;
mod learn;
mod markup;
mod model;
mod packed;
mod personal;
mod repeat;
mod signs;
mod train;
mod words;

pub use collector::{FEATURES_MAX, Features};
pub use extract::{MESSAGE_OCTETS_MAX, features};
pub use judgement::{Judgement, Signal};
pub use model::{Class, MODEL_OCTETS, Model, ModelError};
pub use packed::{PACKED_OCTETS_MAX, pack, starter, unpack};
pub use personal::{ACCOUNT_DAY_MAX, LESSON_MIN, PERSONAL_OCTETS_MAX, Personal, SHARED_DAY_MAX, Taught};
pub use train::{portable, train};
