//! The kernel's own firewall (nftables) keeps banned peers out before they cost us anything.
//!
//! Only root may change it, and the server gives root's rights up at the start. So a helper is started before that: this
//! program again, which keeps its rights, reads lines from a pipe and hands them to `nft`. All it understands is to put an
//! address into a set of our own table or to take it out ([`keep`]); whoever takes the server over can ban, nothing else.
//! When the pipe ends, however the server ended, the table is removed.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::network::Network;

/// Where distributions have the program, in the order they are tried.
const PROGRAMS: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
/// What the helper says when the table stands.
const READY: &str = "ready";
/// Longest line that the helper reads.
const LINE_OCTETS_MAX: u64 = 128;
/// Lines that are handed to `nft` at a time.
const BATCH_MAX: usize = 1_000;
/// Ports that are closed to banned peers.
pub const PORTS_MAX: usize = 64;

/// A change of the sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Keeps a network out, for so many seconds or for good.
    Put(Network, Option<u64>),
    /// Lets it in again.
    Remove(Network),
}

/// The server's end: dropped, the table is removed.
#[derive(Debug)]
pub struct Firewall {
    child: Child,
    lines: Option<ChildStdin>,
}

impl Firewall {
    /// Starts the helper: `program` with arguments by which it calls [`keep`]. Blocking until its table stands.
    ///
    /// # Errors
    /// Why there is no table.
    pub fn start(program: &Path, arguments: &[String]) -> io::Result<Self> {
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = child.stdin.take();
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout.take(LINE_OCTETS_MAX)).read_line(&mut said)?;
        }
        let firewall = Self { child, lines };
        match said.trim_end() {
            READY => Ok(firewall),
            "" => Err(io::Error::other("the helper does not work")),
            why => Err(io::Error::other(why.to_owned())),
        }
    }

    /// Hands changes over. Blocking while the helper is busy.
    ///
    /// # Errors
    /// When the helper is gone.
    pub fn change(&mut self, changes: &[Change]) -> io::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut text = String::new();
        for change in changes {
            let written = match change {
                Change::Put(network, seconds) => writeln!(text, "+ {network} {}", seconds.unwrap_or(0)),
                Change::Remove(network) => writeln!(text, "- {network}"),
            };
            written.map_err(io::Error::other)?;
        }
        lines.write_all(text.as_bytes())?;
        lines.flush()
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        // The end of the pipe is what the helper waits for.
        self.lines = None;
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "the helper that keeps the firewall did not end in order");
        }
    }
}

/// The helper's life: makes the table, does what it is told, removes the table. Says on `output` when it is ready, or why
/// it is not.
///
/// # Errors
/// When there is no table, or it cannot be removed.
pub fn keep(ports: &[u16], input: impl Read, mut output: impl Write) -> io::Result<()> {
    let ports = ports.get(..PORTS_MAX).unwrap_or(ports);
    let made = program().and_then(|nft| run(nft, &table(ports)).map(|()| nft));
    let nft = match made {
        Ok(nft) => nft,
        Err(error) => {
            let words = error.to_string();
            writeln!(output, "{}", words.lines().next().unwrap_or_default())?;
            return Err(error);
        }
    };
    writeln!(output, "{READY}")?;
    output.flush()?;
    let mut input = BufReader::new(input);
    let mut batch = Vec::new();
    loop {
        let mut line = String::new();
        // What cannot be read ends it as well: the table must not stay.
        let is_end =
            !input.by_ref().take(LINE_OCTETS_MAX).read_line(&mut line).is_ok_and(|octets| octets > 0);
        batch.extend(parse(&line));
        // What has come already goes together.
        if is_end || batch.len() >= BATCH_MAX || !input.buffer().contains(&b'\n') {
            apply(nft, &std::mem::take(&mut batch));
        }
        if is_end {
            return run(nft, REMOVED);
        }
    }
}

/// Makes the table be there, and then not, whether it was there before or not.
const REMOVED: &str = "add table inet mailstead\ndelete table inet mailstead\n";

fn table(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    let rule = |what: &str| format!("    tcp dport {{ {ports} }} {what} counter drop\n");
    // Before other filters: who accepts mail for everybody there would let banned peers in.
    format!(
        "{REMOVED}table inet mailstead {{\n\
         \x20 set hosts4 {{ type ipv4_addr; flags timeout; }}\n\
         \x20 set homes6 {{ type ipv6_addr; flags timeout; }}\n\
         \x20 set networks4 {{ type ipv4_addr; flags interval,timeout; }}\n\
         \x20 set networks6 {{ type ipv6_addr; flags interval,timeout; }}\n\
         \x20 chain input {{\n\
         \x20   type filter hook input priority filter - 10; policy accept;\n{}{}{}{}  }}\n}}\n",
        rule("ip saddr @hosts4"),
        rule("ip6 saddr & ffff:ffff:ffff:ffff:: @homes6"),
        rule("ip saddr @networks4"),
        rule("ip6 saddr @networks6"),
    )
}

/// A line from the pipe; nothing where it is none of ours.
fn parse(line: &str) -> Option<Change> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let (verb, network) = (words.next()?, words.next()?.parse().ok()?);
    match (verb, words.next(), words.next()) {
        ("+", Some(seconds), None) => {
            Some(Change::Put(network, Some(seconds.parse().ok()?).filter(|&seconds| seconds > 0)))
        }
        ("-", None, None) => Some(Change::Remove(network)),
        _ => None,
    }
}

/// Does all at once, or, where something of it does not fit, one by one.
fn apply(nft: &Path, changes: &[Change]) {
    if changes.is_empty() || run(nft, &script(changes)).is_ok() {
        return;
    }
    for change in changes {
        if let Err(error) = run(nft, &script(std::slice::from_ref(change))) {
            // Most likely a network within another that is banned too: the server keeps it out all the same.
            // Where nobody reads that, it is no reason to end.
            drop(writeln!(io::stderr(), "the firewall does not take {change:?}: {error}"));
        }
    }
}

fn script(changes: &[Change]) -> String {
    let mut script = String::new();
    for change in changes {
        let (network, timeout) = match change {
            Change::Put(network, Some(seconds)) => (network, format!(" timeout {seconds}s")),
            Change::Put(network, None) | Change::Remove(network) => (network, String::new()),
        };
        let (set, element) = match (network.address(), network.prefix()) {
            (IpAddr::V4(address), 32) => ("hosts4", address.to_string()),
            (IpAddr::V6(address), 64) => ("homes6", address.to_string()),
            (IpAddr::V4(_), _) => ("networks4", network.to_string()),
            (IpAddr::V6(_), _) => ("networks6", network.to_string()),
        };
        // Adding and deleting makes it be gone whether it was there or not; adding alone keeps an old end.
        let mut line = |verb: &str, timeout: &str| {
            script.push_str(&format!("{verb} element inet mailstead {set} {{ {element}{timeout} }}\n"));
        };
        line("add", "");
        line("delete", "");
        if matches!(change, Change::Put(..)) {
            line("add", &timeout);
        }
    }
    script
}

fn program() -> io::Result<&'static Path> {
    let found = PROGRAMS.iter().map(Path::new).find(|path| path.exists());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no nft; install nftables"))
}

/// Has `nft` do all of a script or nothing.
fn run(nft: &Path, script: &str) -> io::Result<()> {
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let ended = child.wait_with_output()?;
    if ended.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&ended.stderr);
    Err(io::Error::other(words.lines().next().unwrap_or("nft failed").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn lines_are_read_as_they_are_written_and_nothing_else_is() {
        assert_eq!(parse("+ 192.0.2.1/32 60\n"), Some(Change::Put(network("192.0.2.1"), Some(60))));
        assert_eq!(parse("+ 2001:db8::/64 0\n"), Some(Change::Put(network("2001:db8::/64"), None)));
        assert_eq!(parse("- 192.0.2.0/24\n"), Some(Change::Remove(network("192.0.2.0/24"))));
        for line in [
            "",
            "\n",
            "+ 192.0.2.1/32 60",
            "+ 192.0.2.1/32\n",
            "+ 192.0.2.1/32 60 x\n",
            "- 192.0.2.1/32 60\n",
            "+ 192.0.2.1;x 60\n",
            "flush ruleset\n",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn each_kind_of_network_has_its_set() {
        let put = |text, seconds| script(&[Change::Put(network(text), seconds)]);
        assert_eq!(
            put("192.0.2.1", Some(60)),
            "add element inet mailstead hosts4 { 192.0.2.1 }\n\
             delete element inet mailstead hosts4 { 192.0.2.1 }\n\
             add element inet mailstead hosts4 { 192.0.2.1 timeout 60s }\n"
        );
        assert!(
            put("192.0.2.0/24", None).ends_with("add element inet mailstead networks4 { 192.0.2.0/24 }\n")
        );
        assert!(put("2001:db8::/64", None).contains(" homes6 { 2001:db8:: }"));
        assert!(put("2001:db8::1", None).contains(" networks6 { 2001:db8::1/128 }"));
        assert_eq!(
            script(&[Change::Remove(network("192.0.2.1"))]),
            "add element inet mailstead hosts4 { 192.0.2.1 }\n\
             delete element inet mailstead hosts4 { 192.0.2.1 }\n"
        );
    }

    #[test]
    fn who_may_not_is_told_why() {
        let mut said = Vec::new();
        // As an ordinary user, or where there is no nft, there is no table; as root there is one, and it goes.
        let kept = keep(&[25], io::empty(), &mut said);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(kept.is_ok(), said == "ready\n", "{said}");
        assert!(said.ends_with('\n') && said.lines().count() == 1, "{said}");
    }
}
