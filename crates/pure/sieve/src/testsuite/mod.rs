//! Files of tests in the language vnd.dovecot.testsuite, in which suites for Sieve engines are written: scripts whose
//! `test` blocks set messages, compile and run scripts, look at what came of it, and carry it out in a world in memory.
//!
//! The files beside the one that is run, and programs, are the caller's: nothing here reads or runs anything itself.

mod commands;
mod execute;
mod mailboxes;
mod settings;
mod suite;
mod world;

use std::sync::Arc;

use crate::message::{Message, MessageLimits};
use crate::run::{Detail, Run, Stage};
use crate::world::{Finished, Now};

pub(crate) use commands::SPECS;
pub(crate) use suite::Suite;

/// What a file of tests needs from outside.
pub trait SuiteHost {
    /// The octets of a file, its path relative to where the file of tests' path is relative to; `None` if there is none.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// Runs a program.
    ///
    /// # Errors
    /// It was not run to its end; the words say why.
    fn run(&self, program: &SuiteProgram<'_>) -> Result<Finished, String>;

    /// The present time.
    fn now(&self) -> Now;
}

/// A program that a test runs.
#[derive(Clone, Debug)]
pub struct SuiteProgram<'p> {
    /// The directory it is in.
    pub directory: &'p str,
    /// Its name there.
    pub name: &'p str,
    /// Its arguments.
    pub arguments: &'p [String],
    /// The environment it has.
    pub environment: &'p [(&'p str, String)],
    /// What it reads.
    pub input: &'p [u8],
    /// Seconds it may take; without end if there are none.
    pub seconds_max: Option<u64>,
}

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// The line it begins at.
    pub line: u32,
    /// Why it failed; `None` if it did not.
    pub failure: Option<String>,
}

/// What came of a file of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuiteOutcome {
    /// Its tests in order.
    pub tests: Vec<TestOutcome>,
    /// Why it was not run to its end.
    pub faults: Vec<String>,
    /// What tests printed.
    pub printed: Vec<String>,
}

impl SuiteOutcome {
    /// Whether all of it was run and nothing failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.faults.is_empty() && self.tests.iter().all(|test| test.failure.is_none())
    }
}

/// Runs a file of tests. Paths in it are relative to its directory.
pub fn run_suite(path: &str, text: &[u8], host: &dyn SuiteHost) -> SuiteOutcome {
    let directory = path.rsplit_once('/').map_or(".", |(directory, _)| directory);
    let suite = Suite::new(host, directory);
    let mut dialect = suite.dialect();
    // The tests are bounded one by one; the file that holds them is as long as it is.
    dialect.bounds.cost_max = u64::MAX;
    dialect.bounds.nodes_max = usize::MAX;
    let script = match crate::compile(text, &dialect) {
        Ok(script) => script,
        Err(faults) => {
            let faults = faults.iter().map(|fault| format!("{path}: {fault}")).collect();
            return SuiteOutcome { faults, ..SuiteOutcome::default() };
        }
    };
    let Ok(mut message) = Message::from_octets(b"", MessageLimits::default()) else {
        return SuiteOutcome::default();
    };
    let stage = Stage { name: path.to_owned(), script: Arc::new(script) };
    let mut run = Run::new(&mut message, &suite, &dialect, Detail::Actions);
    run.suite = Some(&suite);
    suite.set_message(&mut run, b"\r\n".to_vec());
    run.begin_stage();
    run.stage(&stage);
    let outcome = run.finish();
    let mut told = suite.into_outcome();
    told.faults.extend(outcome.faults.iter().map(|f| format!("{}: line {}: {}", f.script, f.line, f.words)));
    told
}
