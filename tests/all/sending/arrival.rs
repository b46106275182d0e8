//! Whether what a real server keeps is what was sent, octet for octet but for the trace fields on top.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use testkit::Server;

use super::wait_until_queue_is_empty;
use crate::debian::TakesMail;

/// What has got lost on ways between servers: octets above 127, long lines, lines that begin with dots, blanks at the end.
pub(super) const HARD: &str = "From: ann@example.test\r\nTo: eve@real.example\r\nDate: Mon, 2 Feb 2026 10:00:00 +0000\r\n\
    Subject: hard\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

/// A message that nobody else sends; CRLF line ends.
pub(super) fn hard(id: &str, more_octets: usize) -> Vec<u8> {
    let mut text = format!(
        "{HARD}Message-ID: <{id}@example.test>\r\n\r\nGr\u{fc}\u{df}e, \u{65e5}\u{672c}\u{8a9e}\r\n.\r\n..\r\n.a\r\n...b.\r\n\
         From the beginning\r\n>From\r\nblanks \t \r\n\t\r\n\r\n\r\n{}\r\n{}\r\n%s %FROM_ADDRESS\r\n",
        "l".repeat(998),
        "\u{f6}".repeat(2_500),
    );
    let mut state = 7_u32;
    while text.len() < more_octets {
        for _ in 0..9 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(&format!("{state:08x}"));
        }
        text.push_str("\r\n");
    }
    text.push_str("The end\r\n.\r\n");
    text.into_bytes()
}

/// The messages of one server that were looked at already.
#[derive(Default)]
pub(super) struct Looked {
    known: BTreeSet<PathBuf>,
}

impl Looked {
    /// Waits until the server has one more message, which must be this one; gives the fields on top of it.
    pub(super) fn arrives(
        &mut self,
        at: &dyn TakesMail,
        server: &Server,
        sent: &[u8],
        what: &str,
    ) -> Result<String> {
        let begun = Instant::now();
        let file = loop {
            if let Some(file) = at.kept()?.into_iter().find(|file| !self.known.contains(file)) {
                break file;
            }
            if begun.elapsed() > testkit::WAIT_MAX {
                bail!("{what} does not arrive:\n{}\n{}", server.log(), at.log());
            }
        };
        let trace =
            trace_above(&std::fs::read(&file)?, sent).map_err(|error| error.context(what.to_owned()))?;
        self.known.insert(file);
        wait_until_queue_is_empty(server)?;
        Ok(trace)
    }
}

/// What stands above what was sent. Servers keep LF line ends.
pub(super) fn trace_above(kept: &[u8], sent: &[u8]) -> Result<String> {
    let sent = String::from_utf8_lossy(sent).replace("\r\n", "\n");
    let kept = String::from_utf8_lossy(kept);
    match kept.strip_suffix(sent.as_str()) {
        Some(trace) => Ok(trace.to_owned()),
        None => {
            let differs = kept.lines().rev().zip(sent.lines().rev()).find(|(kept, sent)| kept != sent);
            bail!("from the end on, the first lines that differ: {differs:?}");
        }
    }
}

/// Demands that a trace has these fields, the two signatures of our people's domain below them, and no others.
pub(super) fn ensure_fields(trace: &str, names: &[&str]) -> Result<()> {
    let found = trace.lines().filter(|line| !line.starts_with([' ', '\t']));
    let found: Vec<&str> = found.map(|line| line.split(':').next().unwrap_or_default()).collect();
    let expected = [names, &["DKIM-Signature"; 2]].concat();
    ensure!(found == expected, "{found:?} in {trace}");
    Ok(())
}
