//! The command line: what can be said. What each command does stands in the file of its name.

mod account;
mod alias;
mod ban;
mod config;
mod config_env;
mod demo;
mod dkim;
mod dns;
mod dns_apply;
mod dns_check;
mod dns_records;
mod dns_report;
mod domain;
mod keep_firewall;
mod letters;
mod mailbox;
mod print;
mod quarantine;
mod queue;
mod quickstart;
mod screen;
mod serve;
mod setup;
mod sieve;
mod sieve_testsuite;
mod sieve_trial;
mod spam;
mod spam_check;
mod spam_hashes;
mod spam_train;
mod store;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::{self, Request};

/// One program that gives people back their e-mail: receives, keeps and serves it.
#[derive(Parser, Debug)]
#[command(name = "mailstead", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Example: mailstead quickstart you@example.org && mailstead serve")]
struct Command {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "MAILSTEAD_CONFIG",
        default_value = "/etc/mailstead/mailstead.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Print what a command finds as JSON, for machines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make configuration, data directory, certificate, domain and first account; print the DNS records to add.
    Quickstart(quickstart::Arguments),
    /// Run the server in the foreground; logs go to standard error.
    #[command(
        after_help = "Example: mailstead --config /etc/mailstead/mailstead.toml serve\n\nSIGHUP reloads configuration and certificates, SIGTERM drains and ends."
    )]
    Serve,
    /// Show the whole way of a message on this machine: a server in a temporary directory, two people, real messages.
    Demo(demo::Arguments),
    /// People: add, list, show, password, disable, enable, unlock, remove, quota.
    #[command(subcommand)]
    Account(account::Verb),
    /// Aliases: add, list, remove; `@domain` is the catch-all, `/dev/null` a target that discards.
    #[command(subcommand)]
    Alias(alias::Verb),
    /// Addresses and networks that are kept out: list, add, remove.
    #[command(subcommand)]
    Ban(ban::Verb),
    /// Domains whose mail we take: add, list, remove.
    #[command(subcommand)]
    Domain(domain::Verb),
    /// An account's mailboxes: list, status.
    #[command(subcommand)]
    Mailbox(mailbox::Verb),
    /// The configuration: check, show.
    #[command(subcommand)]
    Config(config::Verb),
    /// The keys with which our domains sign: generate, list, rotate, import, activate, retire, remove.
    #[command(subcommand)]
    Dkim(dkim::Verb),
    /// DNS: the records our domains need (records, zone), whether the world has them (check), writing
    /// them (apply), what is there (resolve), what others report to us (report).
    #[command(subcommand)]
    Dns(dns::Verb),
    /// Mail on its way to other servers: list, show, retry, hold, release, drop, status.
    #[command(subcommand)]
    Queue(queue::Verb),
    /// Strangers before their mail is seen: the lists that are asked and what is remembered (status), traps.
    #[command(subcommand)]
    Screen(screen::Verb),
    /// Read the whole store and prove every index entry and every octet.
    #[command(
        after_help = "Example: mailstead verify\n\nExit status 1 with a list of faults where anything is wrong."
    )]
    Verify,
    /// The message store: purge, rebuild, statistics.
    #[command(subcommand)]
    Store(store::Verb),
    /// Scripts that sort people's mail: put, get, list, activate, deactivate, rename, delete, check,
    /// test, replay, testsuite.
    #[command(subcommand)]
    Sieve(sieve::Verb),
    /// The content filter: check, explain, replay, learn, forget, settings, status, train-starter.
    #[command(subcommand)]
    Spam(spam::Verb),
    /// Mail that is kept apart: list, show, release, drop.
    #[command(subcommand)]
    Quarantine(quarantine::Verb),
    /// What became of a message: search the record by its id, Message-ID or an address.
    Trace(trace::Arguments),
    /// Keep banned peers out by the kernel: started by the server itself.
    #[command(hide = true)]
    KeepFirewall(keep_firewall::Arguments),
    /// docker-mailserver's own words: `setup email add …`, `setup alias …`, `setup quota …`.
    #[command(subcommand)]
    Setup(setup::Verb),
}

/// Exit statuses that scripts rely on.
const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version were asked for: they are no mistake and go to standard output.
            let status = if error.use_stderr() { WRONG_USAGE } else { 0 };
            return if error.print().is_ok() { ExitCode::from(status) } else { ExitCode::from(FAILED) };
        }
    };
    match command.run() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("mailstead: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        let Self { config, json, verb } = self;
        let request = match verb {
            Verb::Quickstart(arguments) => return quickstart::run(arguments, json),
            Verb::Serve => return serve::run(&config),
            Verb::KeepFirewall(arguments) => return keep_firewall::run(&arguments),
            Verb::Demo(arguments) => return demo::run(&arguments),
            Verb::Config(verb) => return config::run(&verb, &config, json),
            Verb::Dns(verb) => return dns::run(&verb, &config, json),
            Verb::Dkim(verb) => return dkim::run(verb, &config, json),
            Verb::Sieve(verb) => return sieve::run(verb, &config, json),
            Verb::Spam(verb) => return spam::run(verb, &config, json),
            Verb::Setup(verb) => return setup::run(verb, &config, json),
            Verb::Account(verb) => verb.into_request()?,
            Verb::Alias(verb) => verb.to_request(),
            Verb::Ban(verb) => verb.into_request(),
            Verb::Domain(verb) => verb.to_request(),
            Verb::Mailbox(verb) => verb.to_request(),
            Verb::Queue(verb) => verb.into_request(),
            Verb::Quarantine(verb) => verb.into_request(),
            Verb::Screen(verb) => verb.into_request(),
            Verb::Verify => Request::Verify,
            Verb::Store(verb) => verb.to_request(),
            Verb::Trace(arguments) => arguments.to_request(),
        };
        print::answer(&admin::ask(&config, request)?, json)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Command;

    /// Every command below this one that does something itself.
    fn leaves(command: &clap::Command) -> Vec<&clap::Command> {
        let below: Vec<_> = command.get_subcommands().flat_map(leaves).collect();
        if below.is_empty() { vec![command] } else { below }
    }

    #[test]
    fn the_command_line_is_sound_and_every_command_shows_an_example() {
        let command = Command::command();
        command.clone().debug_assert();
        for leaf in leaves(&command) {
            let example = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("Example") && example.contains("mailstead "), "{}", leaf.get_name());
        }
    }
}
