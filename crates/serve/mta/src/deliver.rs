//! Delivering: where a recipient's mail goes, filing it here, and giving it to the queue.

pub(crate) mod limits;
pub(crate) mod local;
pub(crate) mod queued;
pub(crate) mod route;
pub(crate) mod routing;
