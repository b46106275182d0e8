//! `sieve …`: the scripts that sort people's mail.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::{sieve_testsuite, sieve_trial};
use crate::admin::{self, FaultLine, ListChange, Request};
use crate::scripts;
use crate::settings::Settings;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Keep a script, instead of one of that name if there is one.
    #[command(
        after_help = "Examples:\n  mailstead sieve put ann@example.org main rules.sieve --activate\n  mailstead sieve put ann@example.org main - < rules.sieve\n\nExit status 1 where the script has faults; it is not kept then."
    )]
    Put {
        address: String,
        name: String,
        /// Where the script is; `-` for standard input.
        file: PathBuf,
        /// Let it run from now on when mail comes.
        #[arg(long)]
        activate: bool,
    },
    /// Print a script, octet for octet.
    #[command(after_help = "Example: mailstead sieve get ann@example.org main > rules.sieve")]
    Get { address: String, name: String },
    /// List an account's scripts.
    #[command(after_help = "Example: mailstead sieve list ann@example.org --json")]
    List { address: String },
    /// Let a script run when mail comes, instead of the one that does.
    #[command(after_help = "Example: mailstead sieve activate ann@example.org main")]
    Activate { address: String, name: String },
    /// Let no script of an account run when mail comes.
    #[command(after_help = "Example: mailstead sieve deactivate ann@example.org")]
    Deactivate { address: String },
    /// Give a script another name; an active one stays active.
    #[command(after_help = "Example: mailstead sieve rename ann@example.org main old")]
    Rename { address: String, from: String, to: String },
    /// Remove a script that is not active.
    #[command(after_help = "Example: mailstead sieve delete ann@example.org old")]
    Delete { address: String, name: String },
    /// Show and change the lists of addresses that an account's scripts look into (extlists).
    #[command(
        after_help = "Examples:\n  mailstead sieve lists ann@example.org\n  mailstead sieve lists ann@example.org :addrbook:default --put friends.txt\n  mailstead sieve lists ann@example.org :addrbook:default\n\nA script asks: if address :list \"from\" \":addrbook:default\" { keep; stop; }\nClients that know METADATA find a list under /private/vendor/mailstead/lists/NAME."
    )]
    Lists {
        address: String,
        /// The list to show or change; without it, all are named.
        name: Option<String>,
        /// Let it have these entries, one a line; `-` for standard input.
        #[arg(long, requires = "name", conflicts_with = "delete")]
        put: Option<PathBuf>,
        /// Remove it.
        #[arg(long, requires = "name")]
        delete: bool,
    },
    /// Say whether files are scripts that would be taken, or everything that is wrong with them, with its place.
    #[command(
        after_help = "Example: mailstead sieve check rules.sieve\n\nNeeds neither a server nor an account. Exit status 1 where a script has faults."
    )]
    Check {
        /// The scripts; `-` for standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say what an account's scripts would do with a message, and which line decides it, without doing it.
    #[command(
        after_help = "Examples:\n  mailstead sieve test ann@example.org message.eml\n  mailstead sieve test ann@example.org - --script new.sieve --json < message.eml"
    )]
    Test(sieve_trial::Test),
    /// Say what a script would have done with mail that is there: counts, and what would have gone another way.
    #[command(
        after_help = "Examples:\n  mailstead sieve replay ann@example.org --last 90d\n  mailstead sieve replay ann@example.org --last 90d --script new.sieve\n\nWith a script, it is held against the account's own; without one, the account's own against where mail lies."
    )]
    Replay(sieve_trial::Replay),
    /// Run files of tests for Sieve engines, written in vnd.dovecot.testsuite. For developers: needs no server and no data.
    #[command(
        after_help = "Example: mailstead sieve testsuite tests/control-if.svtest\n\nExit status 1 where a test fails. Tests may run the programs that stand beside them."
    )]
    Testsuite(sieve_testsuite::Arguments),
}

pub(super) fn run(verb: Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let request = match verb {
        Verb::Check { files } => return check(&files, &Settings::load(config)?, json),
        Verb::Testsuite(arguments) => return sieve_testsuite::run(&arguments, json),
        Verb::Put { address, name, file, activate } => {
            Request::SievePut { address, name, script: admin::script_for(&read(&file)?), activate }
        }
        Verb::Test(arguments) => arguments.into_request()?,
        Verb::Replay(arguments) => arguments.into_request()?,
        Verb::Get { address, name } => Request::SieveGet { address, name },
        Verb::List { address } => Request::SieveList { address },
        Verb::Activate { address, name } => Request::SieveActivate { address, name: Some(name) },
        Verb::Deactivate { address } => Request::SieveActivate { address, name: None },
        Verb::Rename { address, from, to } => Request::SieveRename { address, from, to },
        Verb::Delete { address, name } => Request::SieveDelete { address, name },
        Verb::Lists { address, name, put, delete } => {
            let change = match put {
                Some(file) => Some(ListChange::Put { text: entries(&file)? }),
                None => delete.then_some(ListChange::Delete),
            };
            Request::SieveLists { address, name, change }
        }
    };
    super::print::answer(&admin::ask(config, request)?, json)
}

/// Longest file that is read: longer ones are no scripts that anybody would take.
const FILE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut script = Vec::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_OCTETS_MAX + 1).read_to_end(&mut script)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut script))
    };
    outcome.with_context(|| format!("cannot read {}", file.display()))?;
    anyhow::ensure!(script.len() as u64 <= FILE_OCTETS_MAX, "{} is too large for a script", file.display());
    Ok(script)
}

/// The text of a list.
fn entries(file: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(file)?).with_context(|| format!("{} is not UTF-8", file.display()))
}

fn check(files: &[PathBuf], settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let dialect = scripts::dialect(settings);
    let mut found = Vec::new();
    for file in files {
        let (faults, warnings) = admin::judge(&read(file)?, &dialect);
        found.push((file.display().to_string(), faults, warnings));
    }
    let is_ok = found.iter().all(|(_, faults, _)| faults.is_empty());
    if json {
        let files = found.iter().map(|(file, faults, warnings)| {
            json!({ "file": file, "ok": faults.is_empty(), "faults": faults, "warnings": warnings })
        });
        println!("{:#}", json!({ "ok": is_ok, "files": files.collect::<Vec<_>>() }));
    } else {
        for (file, faults, warnings) in &found {
            for (kind, lines) in [("", faults), ("warning: ", warnings)] {
                for FaultLine { line, column, words } in lines {
                    println!("{file}:{line}:{column}: {kind}{words}");
                }
            }
            if faults.is_empty() {
                println!("{file}: all right");
            }
        }
    }
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}
