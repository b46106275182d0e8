//! Compares mailstead with Debian's Postfix and Dovecot on the same work, in one run, and prints ratios.
//!
//! `scripts/bench` builds everything in release mode and runs this. Ratios hold on a noisy machine; single figures do not.

mod cgroup;
mod cycles;
mod dns;
mod dns_tree;
mod dovecot;
mod filters;
mod hosts;
mod idle;
mod imap;
mod limits;
mod mail;
mod mailstead;
mod out;
mod out_mixed;
mod peak;
mod peer;
mod postfix;
mod report;
mod senders;
mod sinks;
mod smtp;
mod spam;
mod submit;
mod waiting;

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
    /// Mail out over SMTP to sinks, through mailstead and Postfix: messages a second and CPU time a message.
    Out {
        #[arg(long, default_value_t = OUT_MESSAGES)]
        messages: u32,
        #[arg(long, default_value_t = OUT_DESTINATIONS)]
        destinations: u32,
        /// Over which the mail comes in.
        #[arg(long, default_value_t = OUT_CONNECTIONS)]
        connections: u32,
    },
    /// Mail out through mailstead where some destinations are dead and some slow: how long healthy mail takes, with and
    /// without them.
    OutMixed {
        #[arg(long, default_value_t = MIXED_MESSAGES)]
        messages: u32,
        #[arg(long, default_value_t = MIXED_DESTINATIONS)]
        destinations: u32,
        #[arg(long, default_value_t = MIXED_DEAD)]
        dead: u32,
        #[arg(long, default_value_t = MIXED_SLOW)]
        slow: u32,
        /// Messages a second that come in.
        #[arg(long, default_value_t = MIXED_RATE)]
        rate: u32,
    },
    /// The outbound queue: by itself, and start and memory of mailstead where very much waits in it.
    Queue {
        #[arg(long, default_value_t = WAITING_MESSAGES)]
        messages: u32,
    },
    /// Names out of a signed tree, asked of mailstead's resolver and of unbound: equal verdicts, names a second, memory.
    Dns {
        #[arg(long, default_value_t = DNS_NAMES)]
        names: u32,
    },
    /// Mail in over SMTP through each server with all checks of its senders, and without: Postfix has filters for them.
    Senders {
        #[arg(long, default_value_t = SENDERS_MESSAGES)]
        messages: u32,
        #[arg(long, default_value_t = SENDERS_CONNECTIONS)]
        connections: u32,
    },
    /// Unwanted mail told from wanted, beside SpamAssassin, bogofilter and rspamd: 1-ROCA, what is caught, CPU time, memory.
    Spam(spam::Plan),
    /// What `spam` starts to measure memory.
    #[command(hide = true)]
    SpamMemory { directory: std::path::PathBuf },
    /// What the machine can do: syncs, copies.
    Limits,
    /// All of it.
    All,
}

const DNS_NAMES: u32 = 100_000;
const SMTP_MESSAGES: u32 = 5_000;
const SMTP_CONNECTIONS: [u32; 2] = [16, 64];
const IMAP_MESSAGES: u32 = 100_000;
const MEMORY_SESSIONS: u32 = 5_000;
const OUT_MESSAGES: u32 = 10_000;
const OUT_DESTINATIONS: u32 = 20;
const OUT_CONNECTIONS: u32 = 32;
const MIXED_MESSAGES: u32 = 100_000;
const MIXED_DESTINATIONS: u32 = 1_000;
const MIXED_DEAD: u32 = 100;
const MIXED_SLOW: u32 = 100;
const MIXED_RATE: u32 = 500;
const WAITING_MESSAGES: u32 = 1_000_000;
const CYCLES: u32 = 50_000;
const SENDERS_MESSAGES: u32 = 5_000;
const SENDERS_CONNECTIONS: u32 = 16;

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
                Self::Out {
                    messages: OUT_MESSAGES,
                    destinations: OUT_DESTINATIONS,
                    connections: OUT_CONNECTIONS,
                },
                Self::OutMixed {
                    messages: MIXED_MESSAGES,
                    destinations: MIXED_DESTINATIONS,
                    dead: MIXED_DEAD,
                    slow: MIXED_SLOW,
                    rate: MIXED_RATE,
                },
                Self::Queue { messages: WAITING_MESSAGES },
                Self::Dns { names: DNS_NAMES },
                Self::Senders { messages: SENDERS_MESSAGES, connections: SENDERS_CONNECTIONS },
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
            Self::Limits
            | Self::Out { .. }
            | Self::OutMixed { .. }
            | Self::Queue { .. }
            | Self::Dns { .. }
            | Self::Senders { .. }
            | Self::Spam(_)
            | Self::SpamMemory { .. }
            | Self::All => Ok(()),
        }
    }

    /// Runs what is not one piece of work for each of the servers that read mail. `false`: it is.
    fn run_alone(&self, report: &mut Report, servers: &[Server]) -> anyhow::Result<bool> {
        let has_ours = servers.contains(&Server::Mailstead);
        match *self {
            Self::Limits => limits::run(report)?,
            Self::Spam(ref plan) => spam::run(plan)?,
            Self::SpamMemory { ref directory } => spam::memory(directory)?,
            Self::Dns { names } => dns::run(report, names)?,
            Self::Out { messages, destinations, connections } => {
                let plan = out::Plan { messages, destinations: destinations.max(1), connections };
                if has_ours {
                    out::run_mailstead(report, plan)?;
                }
                if servers.iter().any(|&server| server != Server::Mailstead) {
                    out::run_postfix(report, plan)?;
                }
            }
            Self::OutMixed { messages, destinations, dead, slow, rate } if has_ours => {
                let connections = OUT_CONNECTIONS;
                let destinations = destinations.max(1);
                let plan = out_mixed::Plan { messages, destinations, dead, slow, rate, connections };
                out_mixed::run(report, plan)?;
            }
            Self::Queue { messages } if has_ours => {
                cycles::run(report, CYCLES)?;
                waiting::run(report, messages)?;
            }
            Self::Senders { messages, connections } => {
                senders::run(report, senders::Plan { messages, connections }, servers)?;
            }
            Self::OutMixed { .. } | Self::Queue { .. } => {}
            Self::Smtp { .. } | Self::Imap { .. } | Self::Memory { .. } | Self::All => return Ok(false),
        }
        Ok(true)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    for piece in arguments.work.pieces() {
        if piece.run_alone(&mut report, &arguments.servers)? {
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
