//! Mail is judged by what it says: where it goes for whom, what people are told of that, and what the filter learns from them.

mod asked_for;
mod attacked;
mod judged;
mod taught;

use anyhow::Result;
use testkit::{Internet, Server, ServerOptions};

use crate::mail;
use crate::mail::{bring_by, field, letter};

const ANN: &str = Server::ANN;
const BOB: &str = Server::BOB;
const EVE: &str = "eve@strangers.example";

/// The line that every filter takes for spam, so that it can be seen at work.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// A server in a small internet that judges whoever comes.
type House = mail::House<Internet>;

impl House {
    /// With these lines in `[spam]`.
    fn new(spam: &str) -> Result<Self> {
        Self::build(spam, "")
    }

    /// With further tables, too.
    fn build(spam: &str, tables: &str) -> Result<Self> {
        let internet = Internet::start()?;
        let world = internet.settings("", "");
        let settings = format!(
            "{world}[senders]\nunchecked_networks = []\n[spam]\ntime_max = \"5m\"\n{spam}\n{tables}\n"
        );
        let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
        Ok(Self { server, world: internet })
    }

    /// What the record of the last message from this sender says of its checks.
    fn record(&self, sender: &str) -> Result<String> {
        mail::in_one_line(&self.received(sender)?["checks"])
    }
}
