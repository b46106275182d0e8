//! `spam check`, `spam train-starter`: what the content of a message says, and making the model that says it on the first day.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::json;
use spam::{Class, Judgement, MESSAGE_OCTETS_MAX, Signal, features, pack, portable, starter, train};

/// Signals shown for each message.
const SIGNALS_SHOWN: usize = 12;

#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    /// Judge the content of messages by the model for the first day: probability, and the strongest signals in plain words.
    #[command(
        after_help = "Examples:\n  mailstead spam check message.eml\n  mailstead spam check --json *.eml | jq '.[] | select(.probability > 0.9) | .file'"
    )]
    Check {
        /// Files with one message each.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Make the model for the first day from directories of sorted mail, named after ham or spam.
    #[command(after_help = "Example: mailstead spam train-starter corpus crates/pure/spam/starter.model")]
    TrainStarter {
        /// The directory that holds them.
        directory: PathBuf,
        /// Where the model is written.
        out: PathBuf,
    },
}

pub(super) fn run(verb: &Verb, json: bool) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Check { files } => check(files, json),
        Verb::TrainStarter { directory, out } => train_starter(directory, out),
    }
}

fn check(files: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let model = starter();
    let mut found = Vec::new();
    for file in files {
        let (judgement, signals) = model.explain(&read(file)?, None);
        if json {
            found.push(in_json(file, judgement, &signals));
        } else {
            print!("{}", in_words(file, judgement, &signals));
        }
    }
    if json {
        println!("{:#}", serde_json::Value::Array(found));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(file: &Path, judgement: Judgement, signals: &[Signal]) -> String {
    let percent = judgement.probability() * 100.0;
    let mut text =
        format!("{}: {percent:.1} % unwanted (score {:+.2})\n", file.display(), judgement.log_odds);
    for Signal { weight, text: signal } in signals.iter().take(SIGNALS_SHOWN) {
        text.push_str(&format!("  {weight:+.2}  {}\n", shown(signal)));
    }
    text
}

fn in_json(file: &Path, judgement: Judgement, signals: &[Signal]) -> serde_json::Value {
    let signals: Vec<_> = signals
        .iter()
        .take(SIGNALS_SHOWN)
        .map(|signal| json!({ "weight": signal.weight, "signal": signal.text }))
        .collect();
    json!({
        "file": file.display().to_string(),
        "score": judgement.log_odds,
        "probability": judgement.probability(),
        "signals": signals,
    })
}

/// Words of a stranger's message must not command the terminal.
fn shown(signal: &str) -> String {
    signal.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn train_starter(directory: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let mut messages = Vec::new();
    let (mut wanted, mut unwanted) = (0, 0);
    for kind in sorted(directory)? {
        let name = kind.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let class = match (name.contains("spam"), name.contains("ham")) {
            (true, _) => Class::Unwanted,
            (false, true) => Class::Wanted,
            (false, false) => continue,
        };
        if !kind.is_dir() {
            continue;
        }
        for file in sorted(&kind)? {
            messages.push((features(&portable(&read(&file)?)), class));
            match class {
                Class::Wanted => wanted += 1,
                Class::Unwanted => unwanted += 1,
            }
        }
    }
    ensure!(wanted > 0 && unwanted > 0, "{} holds no directories of both ham and spam", directory.display());
    let packed = pack(&train(&messages));
    fs::write(out, &packed).with_context(|| format!("writing {}", out.display()))?;
    println!("{wanted} wanted and {unwanted} unwanted messages, {} octets", packed.len());
    Ok(ExitCode::SUCCESS)
}

/// A directory's entries by name, so that a model depends on nothing else.
fn sorted(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// As much of a message as is looked at.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let opened = fs::File::open(file).with_context(|| format!("reading {}", file.display()))?;
    opened.take(MESSAGE_OCTETS_MAX as u64).read_to_end(&mut octets)?;
    Ok(octets)
}
