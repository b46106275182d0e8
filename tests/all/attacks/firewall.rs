//! The kernel keeps banned peers out: in a network of its own, where this program may have its way.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Server, ServerOptions};

use super::wait_until;

/// A network without anybody in it, in which we have root's rights, as long as this lives.
struct OwnNetwork(Child);

impl OwnNetwork {
    fn new() -> Result<Self> {
        let script = "ip link set lo up && echo up && exec cat";
        let mut child = Command::new("unshare")
            .args(["-U", "-r", "-n", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut said = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().context("no output")?, &mut said)?;
        ensure!(&said == b"up\n");
        Ok(Self(child))
    }

    /// The words that let a command run in it.
    fn enter(&self) -> Vec<String> {
        let id = self.0.id().to_string();
        ["nsenter", "-t", &id, "-U", "-n", "--preserve-credentials"].map(str::to_owned).to_vec()
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        let enter = self.enter();
        let output = Command::new(&enter[0]).args(&enter[1..]).args(words).output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for OwnNetwork {
    fn drop(&mut self) {
        // It reads its input to the end.
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("a network of a test stays: {error}");
        }
    }
}

#[test]
fn banned_addresses_are_dropped_by_the_kernel_until_the_server_ends() -> Result<()> {
    let network = OwnNetwork::new()?;
    let options = ServerOptions {
        settings: "[bans]\nnftables = \"set\"\n".to_owned(),
        started_by: network.enter(),
        ..ServerOptions::default()
    };
    let mut server = Server::start(options)?;
    let ruleset = || network.run(&["nft", "list", "ruleset"]);
    let port = server.address(25).port().to_string();
    ensure!(ruleset()?.contains(&port), "{}", ruleset()?);
    for (ban, set) in [
        ("127.9.9.9", "127.9.9.9 timeout 2h"),
        ("192.0.2.0/24", "192.0.2.0/24 timeout 2h"),
        ("2001:db8:0:1::/64", "2001:db8:0:1:: timeout 2h"),
        ("2001:db8:1::/48", "2001:db8:1::/48 timeout 2h"),
    ] {
        server.command(&["ban", "add", ban, "--for", "2h"])?;
        wait_until(ban, &server, || Ok(ruleset()?.contains(set)))?;
    }
    // A first octet from a banned address goes nowhere, and the rule has counted it.
    let knock = format!(
        "import socket; s = socket.socket(); s.bind(('127.9.9.9', 0)); s.setblocking(False); s.connect_ex(('127.0.0.1', {port}))"
    );
    network.run(&["python3", "-c", &knock])?;
    wait_until("it is dropped", &server, || Ok(ruleset()?.contains("@hosts4 counter packets 1 ")))?;
    server.command(&["ban", "remove", "127.9.9.9"])?;
    wait_until("it is let in", &server, || Ok(!ruleset()?.contains("127.9.9.9")))?;
    // A server that is killed leaves nothing behind either.
    server.kill()?;
    wait_until("the table is gone", &server, || Ok(ruleset()?.trim().is_empty()))?;
    server.up()?;
    wait_until("bans that were kept", &server, || Ok(ruleset()?.contains("192.0.2.0/24")))?;
    server.stop()?;
    ensure!(ruleset()?.trim().is_empty());
    Ok(())
}
