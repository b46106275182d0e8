//! Compares mailstead with Debian's Postfix and Dovecot on the same work, in one run, and prints ratios.
//!
//! `scripts/bench` builds everything in release mode and runs this. Ratios hold on a noisy machine; single figures do not.

mod cgroup;
mod dovecot;
mod idle;
mod imap;
mod limits;
mod mail;
mod mailstead;
mod peer;
mod postfix;
mod report;
mod smtp;

use clap::{Parser, Subcommand, ValueEnum};

use crate::dovecot::Format;
use crate::mailstead::Mailstead;
use crate::peer::Peer;
use crate::postfix::PostfixDovecot;
use crate::report::Report;

/// Load and comparisons.
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
    /// Print the figures as JSON too.
    #[arg(long, global = true)]
    json: bool,
    /// Which servers to measure.
    #[arg(long, global = true, value_enum, value_delimiter = ',', default_values_t = Server::ALL)]
    servers: Vec<Server>,
}

#[derive(Subcommand, Clone, Debug)]
enum Work {
    /// Mail in over SMTP: messages a second and CPU time a message.
    Smtp {
        #[arg(long, default_value_t = SMTP_MESSAGES)]
        messages: u32,
        #[arg(long, value_delimiter = ',', default_values_t = SMTP_CONNECTIONS)]
        connections: Vec<u32>,
    },
    /// IMAP on a large mailbox: select, flags, envelopes, download, store, search, append, expunge.
    Imap {
        #[arg(long, default_value_t = IMAP_MESSAGES)]
        messages: u32,
    },
    /// Memory: at rest with 10 accounts, and with idle TLS sessions.
    Memory {
        #[arg(long, default_value_t = MEMORY_SESSIONS)]
        sessions: u32,
    },
    /// What the machine can do: syncs, copies.
    Limits,
    /// All of it.
    All,
}

const SMTP_MESSAGES: u32 = 5_000;
const SMTP_CONNECTIONS: [u32; 2] = [16, 64];
const IMAP_MESSAGES: u32 = 100_000;
const MEMORY_SESSIONS: u32 = 5_000;

/// A server to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Server {
    Mailstead,
    /// Postfix, and Dovecot with Maildir.
    Maildir,
    /// Postfix, and Dovecot with mdbox.
    Mdbox,
}

impl Server {
    const ALL: [Self; 3] = [Self::Mailstead, Self::Maildir, Self::Mdbox];

    fn start(self) -> anyhow::Result<Box<dyn Peer>> {
        Ok(match self {
            Self::Mailstead => Box::new(Mailstead::start()?),
            Self::Maildir => Box::new(PostfixDovecot::start(Format::Maildir)?),
            Self::Mdbox => Box::new(PostfixDovecot::start(Format::Mdbox)?),
        })
    }
}

impl Work {
    /// The pieces of a whole run.
    fn pieces(self) -> Vec<Self> {
        match self {
            Self::All => vec![
                Self::Limits,
                Self::Smtp { messages: SMTP_MESSAGES, connections: SMTP_CONNECTIONS.to_vec() },
                Self::Imap { messages: IMAP_MESSAGES },
                Self::Memory { sessions: MEMORY_SESSIONS },
            ],
            piece => vec![piece],
        }
    }

    fn run_on(&self, report: &mut Report, peer: &dyn Peer) -> anyhow::Result<()> {
        match self {
            Self::Smtp { messages, connections } => {
                connections.iter().try_for_each(|&count| smtp::run(report, peer, *messages, count))
            }
            Self::Imap { messages } => imap::run(report, peer, *messages),
            Self::Memory { sessions } => idle::run(report, peer, *sessions),
            Self::Limits | Self::All => Ok(()),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    for piece in arguments.work.pieces() {
        if matches!(piece, Work::Limits) {
            limits::run(&mut report)?;
            continue;
        }
        for server in &arguments.servers {
            piece.run_on(&mut report, &*server.start()?)?;
        }
    }
    print!("{}", report.to_text());
    if arguments.json {
        println!("{:#}", report.to_json());
    }
    Ok(())
}
