//! `sieve test` and `sieve replay`: what scripts would do, or would have done.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use super::print::columns;
use super::sieve::read;
use crate::admin::{self, Request, SieveAction, SieveReplayed, SieveTested};
use crate::settings::read_seconds;

/// Longest message that is tried out: it goes to the server in one request.
const MESSAGE_OCTETS_MAX: usize = 2 * 1024 * 1024;
/// Longest script beside it.
const SCRIPT_OCTETS_MAX: usize = 512 * 1024;

#[derive(clap::Args, Debug)]
pub(super) struct Test {
    address: String,
    /// The message; `-` for standard input.
    message: PathBuf,
    /// The sender on the envelope; without it, that of the Return-Path field. `<>` is that of reports.
    #[arg(long)]
    from: Option<String>,
    /// What stood behind the `+` of the address that the message was sent to.
    #[arg(long)]
    detail: Option<String>,
    /// As if the message had been taken for junk.
    #[arg(long)]
    junk: bool,
    /// Try this script in place of the account's own.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

impl Test {
    pub(super) fn into_request(self) -> anyhow::Result<Request> {
        let message = read(&self.message)?;
        ensure!(message.len() <= MESSAGE_OCTETS_MAX, "messages of more than 2 MiB are not tried out");
        Ok(Request::SieveTest(admin::SieveTest {
            address: self.address,
            message: admin::script_for(&message),
            from: self.from,
            detail: self.detail,
            is_junk: self.junk,
            script: script(self.script)?,
        }))
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct Replay {
    address: String,
    /// How far back: `90d`, `12h`.
    #[arg(long, default_value = "30d")]
    last: String,
    /// Try this script in place of the account's own.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Look at so many messages at most.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    most: u32,
}

impl Replay {
    pub(super) fn into_request(self) -> anyhow::Result<Request> {
        let since_seconds = read_seconds(&self.last).with_context(|| format!("{} is no time", self.last))?;
        Ok(Request::SieveReplay(admin::SieveReplay {
            address: self.address,
            since_seconds,
            most: usize::try_from(self.most).unwrap_or(usize::MAX),
            script: script(self.script)?,
        }))
    }
}

fn script(file: Option<PathBuf>) -> anyhow::Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let script = read(&file)?;
    ensure!(script.len() <= SCRIPT_OCTETS_MAX, "scripts of more than 512 KiB are not tried out");
    Ok(Some(admin::script_for(&script)))
}

pub(super) fn print_test(tested: &SieveTested) {
    for action in &tested.actions {
        println!("{}{}", action.action, by(action));
    }
    for fault in &tested.faults {
        println!("fault: {fault}");
    }
    for line in &tested.debug {
        println!("debug: {line}");
    }
    if !tested.steps.is_empty() {
        println!();
        columns(
            ["SCRIPT", "LINE", "COMMAND", "RESULT"],
            tested.steps.iter().map(|step| {
                [step.script.clone(), step.line.to_string(), step.name.clone(), step.result.clone()]
            }),
        );
    }
}

fn by(action: &SieveAction) -> String {
    match (&action.script, action.line) {
        (Some(script), Some(line)) => format!("  ({script}, line {line})"),
        _ => "  (no line says otherwise)".to_owned(),
    }
}

pub(super) fn print_replay(replayed: &SieveReplayed) {
    println!("{} messages, {} of them the same way", replayed.messages, replayed.same);
    if replayed.is_cut {
        println!("There are more than are shown.");
    }
    if !replayed.counts.is_empty() {
        println!();
        columns(
            ["ACTION", "MESSAGES"],
            replayed.counts.iter().map(|(action, count)| [action.clone(), count.to_string()]),
        );
    }
    for fault in &replayed.faults {
        println!("fault: {fault}");
    }
    if !replayed.differences.is_empty() {
        println!();
        columns(
            ["MAILBOX", "UID", "DATE", "FROM", "SUBJECT", "BEFORE", "AFTER"],
            replayed.differences.iter().map(|difference| {
                [
                    difference.mailbox.clone(),
                    difference.uid.to_string(),
                    difference.date.clone(),
                    difference.from.clone(),
                    difference.subject.clone(),
                    difference.before.join(", "),
                    difference.after.join(", "),
                ]
            }),
        );
    }
}
