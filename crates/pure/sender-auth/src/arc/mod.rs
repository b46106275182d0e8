//! ARC: what each handler on a message's way saw of its authentication, sealed (RFC 8617).

mod found;
mod seal;
mod validate;

pub(crate) use found::Found;
pub(crate) use validate::Chain;

pub use found::ChainFault;
pub use seal::{SealError, Sealer};
pub use validate::{ChainResult, ChainVerdict, Hop};
