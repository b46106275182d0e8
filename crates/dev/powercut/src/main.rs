//! `powercut apply`: turns the files of a killed process into what a power cut would have left of them.

mod apply;
mod journal;
mod random;

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: powercut apply --seed N --dir DIRECTORY --journal DIRECTORY

Run the victim with LD_PRELOAD=libpowercut_shim.so, POWERCUT_DIR and POWERCUT_JOURNAL set to the same
directories, kill it with SIGKILL, then apply. Both directories must be on one file system, the journal outside
the other. README.md says what is modelled.";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("powercut: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    if arguments.next().is_none_or(|command| command != "apply") {
        bail!(USAGE);
    }
    let (mut seed, mut directory, mut journal) = (None, None, None);
    while let Some(option) = arguments.next() {
        let value = arguments.next().context(USAGE)?;
        match option.to_str() {
            Some("--seed") => {
                seed =
                    Some(value.to_str().and_then(|seed| seed.parse().ok()).context("the seed is a number")?)
            }
            Some("--dir") => directory = Some(PathBuf::from(value)),
            Some("--journal") => journal = Some(PathBuf::from(value)),
            _ => bail!(USAGE),
        }
    }
    let (Some(seed), Some(directory), Some(journal)) = (seed, directory, journal) else { bail!(USAGE) };
    let summary = apply::apply(&directory, &journal, seed)?;
    println!(
        "seed {seed}: {} files cut; pages: {} kept, {} lost, {} torn; names: {} kept, {} lost",
        summary.files,
        summary.pages_kept,
        summary.pages_lost,
        summary.pages_torn,
        summary.names_kept,
        summary.names_lost
    );
    Ok(())
}
