//! A script and a message in, a line of text out: what the tests of the crate are written in.
#![allow(dead_code, reason = "not every file of tests uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

pub(crate) mod town;

use std::fmt::Write as _;
use std::sync::Arc;

use sieve::message::{Message, MessageLimits};
use sieve::{
    Action, Detail, Dialect, EmptyWorld, Extension, FileInto, Outcome, RedirectTo, Script, Stage, World,
    compile, run,
};

/// A dialect with everything.
pub(crate) fn everything() -> Dialect {
    Dialect::default()
        .with(Extension::DovecotExecute)
        .with(Extension::DovecotFilter)
        .with(Extension::DovecotPipe)
}

/// The compiled script; what it prints must compile to the same.
pub(crate) fn compiled(script: &str) -> Arc<Script> {
    let compiled = compile(script.as_bytes(), &everything()).unwrap_or_else(|faults| {
        panic!("{script}\n{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())
    });
    let printed = compiled.print();
    let again =
        compile(printed.as_bytes(), &everything()).unwrap_or_else(|faults| panic!("{printed}\n{faults:?}"));
    assert_eq!(again.print(), printed);
    Arc::new(compiled)
}

/// Runs a script in a world.
pub(crate) fn run_in(world: &dyn World, script: &str, message: &str) -> Outcome {
    let stage = Stage { name: "user".to_owned(), script: compiled(script) };
    run_stages(world, &[stage], message)
}

/// Runs scripts one after the other.
pub(crate) fn run_stages(world: &dyn World, stages: &[Stage], message: &str) -> Outcome {
    run_bounded(world, stages, message, &everything())
}

/// The same in another dialect.
pub(crate) fn run_bounded(world: &dyn World, stages: &[Stage], message: &str, dialect: &Dialect) -> Outcome {
    let mut message = Message::from_octets(message.as_bytes(), MessageLimits::default()).unwrap();
    run(stages, &mut message, world, dialect, Detail::Actions)
}

/// A dialect with everything, in which scripts may cost this much.
pub(crate) fn everything_for(cost_max: u64) -> Dialect {
    let mut dialect = everything();
    dialect.bounds.cost_max = cost_max;
    dialect
}

/// What comes of a script in an empty world, in words.
pub(crate) fn outcome(script: &str, message: &str) -> String {
    words(&run_in(&EmptyWorld, script, message))
}

/// Checks it.
#[track_caller]
pub(crate) fn story(script: &str, message: &str, expected: &str) {
    assert_eq!(outcome(script, message), expected, "{script}");
}

/// Checks it in a world.
#[track_caller]
pub(crate) fn story_in(world: &dyn World, script: &str, message: &str, expected: &str) {
    assert_eq!(words(&run_in(world, script, message)), expected, "{script}");
}

/// Checks the faults of a script: `line:column: words`.
#[track_caller]
pub(crate) fn faults(script: &str, expected: &[&str]) {
    let faults = compile(script.as_bytes(), &everything()).err().unwrap_or_default();
    let found: Vec<String> =
        faults.iter().map(|f| format!("{}:{}: {}", f.place.line, f.place.column, f.words)).collect();
    assert_eq!(found, expected, "{script}");
}

/// An outcome in words.
pub(crate) fn words(outcome: &Outcome) -> String {
    let mut words: Vec<String> = outcome.actions.iter().map(|decided| action(&decided.action)).collect();
    words.extend(outcome.faults.iter().map(|fault| format!("| line {}: {}", fault.line, fault.words)));
    words.join(" ")
}

fn flags(flags: &[String]) -> String {
    if flags.is_empty() { String::new() } else { format!(" [{}]", flags.join(" ")) }
}

fn store(store: &FileInto) -> String {
    let mut words = format!("{}", store.mailbox);
    if store.create {
        words.push_str(" :create");
    }
    if let Some(special_use) = &store.special_use {
        let _ = write!(words, " :specialuse {special_use}");
    }
    if let Some(id) = &store.mailbox_id {
        let _ = write!(words, " :mailboxid {id}");
    }
    if store.copy {
        words.push_str(" :copy");
    }
    words + &flags(&store.flags)
}

fn action(action: &Action) -> String {
    match action {
        Action::Keep { flags: kept } => format!("keep{}", flags(kept)),
        Action::FileInto(into) => format!("fileinto {}", store(into)),
        Action::Redirect(redirect) => match &redirect.to {
            RedirectTo::Address(address) => format!("redirect {address}"),
            RedirectTo::List(list) => format!("redirect :list {list}"),
        },
        Action::Discard => "discard".to_owned(),
        Action::Reject(reject) => {
            format!("{} {}", format!("{:?}", reject.kind).to_lowercase(), reject.reason)
        }
        Action::Vacation(vacation) => format!("vacation {}", vacation.reason),
        Action::Notify(notify) => format!("notify {}", notify.method),
        Action::Pipe(pipe) => format!("pipe {} {}", pipe.program, pipe.arguments.join(" ")),
        Action::Report(report) => format!("report {} {}", report.feedback_type, report.to),
    }
}
