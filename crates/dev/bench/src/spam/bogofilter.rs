//! Debian's bogofilter.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::corpus::Letter;
use super::scores::{Run, Scores};
use super::{cpu_seconds, write_list};

/// Its `spam_cutoff` as shipped.
const SPAM_FROM: f64 = 0.99;

/// Learns and judges lists of files, each list in one process.
pub(super) fn batch(train: &[&Letter], test: &[&Letter]) -> anyhow::Result<Run> {
    let directory = tempfile::tempdir()?;
    learn(directory.path(), train)?;
    let list = directory.path().join("list");
    write_list(&list, test.iter().copied())?;
    let (_, before) = cpu_seconds();
    let output = run(directory.path(), &["-b", "-TT"], &list)?;
    let cpu = cpu_seconds().1 - before;
    let scores: Vec<f64> = output.lines().map(score).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(scores.len() == test.len(), "{} scores for {} messages", scores.len(), test.len());
    Ok(Run {
        filter: "bogofilter",
        way: "batch",
        spam_from: SPAM_FROM,
        scores: scores.into_iter().zip(test).map(|(score, letter)| (score, letter.is_spam)).collect(),
        cpu_seconds: cpu * 1_000.0 / test.len().max(1) as f64,
        peak_mib: None,
    })
}

fn learn(directory: &Path, letters: &[&Letter]) -> anyhow::Result<()> {
    let list = directory.join("list");
    for (is_spam, option) in [(true, "-s"), (false, "-n")] {
        write_list(&list, letters.iter().copied().filter(|letter| letter.is_spam == is_spam))?;
        run(directory, &["-b", option], &list)?;
    }
    Ok(())
}

/// Learns some letters in one go; then judges and learns others message by message, as mail programs call it.
pub(super) fn online(way: &'static str, known: &[&Letter], letters: &[Letter]) -> anyhow::Result<Run> {
    let directory = tempfile::tempdir()?;
    // Judging needs a word list to be there.
    run(directory.path(), &["-s"], Path::new("/dev/null"))?;
    learn(directory.path(), known)?;
    let (_, before) = cpu_seconds();
    let mut scores = Scores::new();
    for letter in letters {
        let said = run(directory.path(), &["-TT"], &letter.path)?;
        scores.push((score(said.trim())?, letter.is_spam));
        run(directory.path(), &[if letter.is_spam { "-s" } else { "-n" }], &letter.path)?;
    }
    let cpu_seconds = (cpu_seconds().1 - before) * 1_000.0 / letters.len().max(1) as f64;
    Ok(Run { filter: "bogofilter", way, spam_from: SPAM_FROM, scores, cpu_seconds, peak_mib: None })
}

fn run(directory: &Path, options: &[&str], input: &Path) -> anyhow::Result<String> {
    let output = Command::new("bogofilter")
        .args(["-C", "-d"])
        .arg(directory)
        .args(options)
        .stdin(File::open(input)?)
        .output()
        .context("starting bogofilter")?;
    // 0 is spam, 1 ham, 2 unsure.
    anyhow::ensure!(
        output.status.code().is_some_and(|code| code <= 2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last word of a line is the score.
fn score(line: &str) -> anyhow::Result<f64> {
    line.split_whitespace()
        .last()
        .context("no score")?
        .parse()
        .with_context(|| format!("bogofilter said {line}"))
}
