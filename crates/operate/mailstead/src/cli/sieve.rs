//! `sieve`: scripts that sort mail.

use std::process::ExitCode;

use super::sieve_testsuite;

#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    /// Run files of tests for Sieve engines, written in vnd.dovecot.testsuite. For developers: needs no server and no data.
    #[command(
        after_help = "Example: mailstead sieve testsuite tests/control-if.svtest\n\nExit status 1 where a test fails. Tests may run the programs that stand beside them."
    )]
    Testsuite(sieve_testsuite::Arguments),
}

pub(super) fn run(verb: &Verb, json: bool) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Testsuite(arguments) => sieve_testsuite::run(arguments, json),
    }
}
