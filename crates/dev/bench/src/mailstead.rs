//! mailstead as a peer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{NameWorld, Server, ServerOptions};

use crate::cgroup::Group;
use crate::out::Sender;
use crate::peer::{ACCOUNTS, PASSWORD, Peer, account};
use crate::report::OURS;

pub(crate) struct Mailstead {
    server: Server,
    group: Group,
}

impl Mailstead {
    pub(crate) fn start() -> Result<Self> {
        let settings = "[smtp]\nmessages_max = 1000000\nidle_commands_max = 100000\n\
                        [imap]\nsessions_per_account_max = 20000"
            .to_owned();
        // The table [listen] was opened by quickstart.
        let environment =
            vec![("MAILSTEAD_LISTEN_CONNECTIONS_PER_ADDRESS_MAX".to_owned(), "20000".to_owned())];
        let server = Server::make(ServerOptions {
            settings,
            place: place()?,
            environment,
            ..ServerOptions::default()
        })?;
        for number in 0..ACCOUNTS {
            server.command(&["account", "add", &account(number), "--password", PASSWORD])?;
        }
        Self::up(server)
    }

    /// One that takes mail for anybody from this machine and sends it on, to hosts of this world at this port.
    pub(crate) fn sending(world: &NameWorld, port: u16, more: &str) -> Result<Self> {
        Self::up(Server::make(sending_options(&world.settings(), port, more)?)?)
    }

    /// One that checks whoever brings it mail, or nobody, and finds them in this world.
    pub(crate) fn receiving(world: &NameWorld, checks: bool) -> Result<Self> {
        let settings = format!(
            "[smtp]\nmessages_max = 1000000\nidle_commands_max = 100000\n\
             [senders]\ncheck = {checks}\nunchecked_networks = []\n{}",
            world.settings()
        );
        let environment = Vec::new();
        Self::up(Server::make(ServerOptions {
            settings,
            place: place()?,
            environment,
            ..ServerOptions::default()
        })?)
    }

    fn up(mut server: Server) -> Result<Self> {
        server.up()?;
        let group = Group::make(OURS)?;
        group.take(server.process_id().context("no process")?)?;
        Ok(Self { server, group })
    }
}

/// How a server is made that sends. `dns` is the world's part of the configuration.
pub(crate) fn sending_options(dns: &str, port: u16, more: &str) -> Result<ServerOptions> {
    let settings = format!(
        "[smtp]\nmessages_max = 1000000\nidle_commands_max = 100000\n\
         [outbound]\nport = {port}\nto_loopback = true\nrelay_networks = [\"127.0.0.0/8\"]\n{more}\n{dns}"
    );
    let environment = vec![("MAILSTEAD_LISTEN_CONNECTIONS_PER_ADDRESS_MAX".to_owned(), "20000".to_owned())];
    Ok(ServerOptions { settings, place: place()?, environment, ..ServerOptions::default() })
}

/// Where data lies: on the disk that everybody gets.
fn place() -> Result<Option<PathBuf>> {
    Ok(Some(std::env::current_dir()?.join("target")))
}

impl Sender for Mailstead {
    fn name(&self) -> String {
        OURS.to_owned()
    }
    fn submission(&self) -> SocketAddr {
        self.server.address(25)
    }
    fn group(&self) -> &Group {
        &self.group
    }
}

impl Peer for Mailstead {
    fn name(&self) -> String {
        OURS.to_owned()
    }
    fn smtp(&self) -> SocketAddr {
        self.server.address(25)
    }
    fn imap(&self) -> SocketAddr {
        self.server.address(143)
    }
    fn imaps(&self) -> SocketAddr {
        self.server.address(993)
    }
    fn sessions_max(&self) -> u32 {
        u32::MAX
    }
    fn wait_until_filed(&self) -> Result<()> {
        // What it accepts it has filed.
        Ok(())
    }
    fn cpu_time(&self) -> Result<Duration> {
        self.group.cpu_time()
    }
    fn resident_octets(&self) -> Result<u64> {
        self.group.resident_octets()
    }
    fn fill(&self, _: u32) -> Result<bool> {
        Ok(false)
    }
}
