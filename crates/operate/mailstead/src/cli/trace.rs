//! `trace`: what became of a message.

use crate::admin::Request;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead trace 00000a1b2c3d4e5f\n  mailstead trace ann@example.org --most 20"
)]
pub(super) struct Arguments {
    /// The id from a reply, a Received field or a log line; a Message-ID; or an address.
    what: String,
    /// Show at most this many steps, the latest ones.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    most: u32,
}

impl Arguments {
    pub(super) fn to_request(&self) -> Request {
        Request::Trace { what: self.what.clone(), most: usize::try_from(self.most).unwrap_or(usize::MAX) }
    }
}
