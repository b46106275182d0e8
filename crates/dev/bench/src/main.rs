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

use clap::{Parser, Subcommand};

use crate::report::Report;

/// Load and comparisons.
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
    /// Print the figures as JSON too.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Work {
    /// Mail in over SMTP: messages a second and CPU time a message.
    Smtp {
        #[arg(long, default_value_t = 5_000)]
        messages: u32,
        #[arg(long, value_delimiter = ',', default_values_t = [16_u32, 64])]
        connections: Vec<u32>,
    },
    /// IMAP on a large mailbox: select, flags, envelopes, download, store, search, append, expunge.
    Imap {
        #[arg(long, default_value_t = 100_000)]
        messages: u32,
    },
    /// Memory: at rest with 10 accounts, and with idle TLS sessions.
    Memory {
        #[arg(long, default_value_t = 5_000)]
        sessions: u32,
    },
    /// What the machine can do: syncs, copies.
    Limits,
    /// All of it.
    All,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    match arguments.work {
        Work::Smtp { messages, connections } => smtp::run(&mut report, messages, &connections)?,
        Work::Imap { messages } => imap::run(&mut report, messages)?,
        Work::Memory { sessions } => idle::run(&mut report, sessions)?,
        Work::Limits => limits::run(&mut report)?,
        Work::All => {
            limits::run(&mut report)?;
            smtp::run(&mut report, 5_000, &[16, 64])?;
            imap::run(&mut report, 100_000)?;
            idle::run(&mut report, 5_000)?;
        }
    }
    print!("{}", report.to_text());
    if arguments.json {
        println!("{:#}", report.to_json());
    }
    Ok(())
}
