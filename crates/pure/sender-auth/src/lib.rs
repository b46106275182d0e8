//! Who really sent this: SPF, DKIM, DMARC and ARC, read and written; the reports and policies that go with them.
//!
//! Nothing here asks the network. A check is a plain function over [`Answers`]: where it needs an answer that is not
//! there yet it stops with [`Needs`], its caller asks DNS, adds what came and calls again. So each check reads as its
//! RFC does, can be replayed, and its work is bounded by the number of questions that it may ask.

pub mod dmarc;
mod lookup;
pub mod mta_sts;
pub mod reports;
pub mod results;

pub use lookup::{Answers, Looked, Needs, QueryName, QueryNameError, Question, Reply, ReplyError};
