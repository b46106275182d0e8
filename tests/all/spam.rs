//! Mail is judged by what it says: where it goes for whom, what people are told of that, and what the filter learns from them.

mod asked_for;
mod attacked;
mod judged;
mod taught;

use std::time::Instant;

use anyhow::{Result, ensure};
use testkit::{Internet, Server, ServerOptions};

use crate::mail;
use crate::mail::{bring_by, field};

const ANN: &str = Server::ANN;
const BOB: &str = Server::BOB;
const EVE: &str = "eve@strangers.example";

/// The line that every filter takes for spam, so that it can be seen at work.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// A server in a small internet that judges whoever comes.
struct House {
    server: Server,
    internet: Internet,
}

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
        Ok(Self { server, internet })
    }

    /// Brings a message; the code and the text of the last reply.
    fn bring(&self, from: &str, to: &[&str], message: &str) -> Result<(String, String)> {
        let mut smtp = self.server.smtp()?;
        bring_by(&mut smtp, from, to, message)
    }

    /// Brings a message that is taken.
    fn take(&self, from: &str, to: &[&str], message: &str) -> Result<()> {
        let (code, text) = self.bring(from, to, message)?;
        ensure!(code == "250", "{code} {text}\n{}", self.server.log());
        Ok(())
    }

    /// What lies in a mailbox: flags and text of each message.
    fn lying(&self, who: &str, mailbox: &str) -> Result<Vec<(String, String)>> {
        mail::lying(&self.server, who, mailbox)
    }

    /// The subjects of what lies in a mailbox.
    fn subjects(&self, who: &str, mailbox: &str) -> Result<Vec<String>> {
        mail::subjects(&self.server, who, mailbox)
    }

    /// What the record of the last message from this sender says of its checks.
    fn record(&self, sender: &str) -> Result<String> {
        mail::in_one_line(&mail::received(&self.server, sender)?["checks"])
    }

    /// Looks again and again until it is so.
    fn wait_for(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !is_so()? {
            ensure!(begun.elapsed() < testkit::WAIT_MAX, "{what}\n{}", self.server.log());
        }
        Ok(())
    }
}

/// A letter from somebody to somebody.
fn letter(from: &str, to: &str, subject: &str, text: &str) -> String {
    let id = subject.replace(' ', "-");
    format!(
        "From: Somebody <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}@strangers.example>\r\n\r\n{text}\r\n"
    )
}
