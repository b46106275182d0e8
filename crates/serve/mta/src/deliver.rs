//! Delivering: where a recipient's mail goes, and filing it there.

pub(crate) mod local;
pub(crate) mod route;
