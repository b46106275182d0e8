//! Our own filter.

use std::path::Path;

use anyhow::Context;
use spam::{
    Class, Features, MESSAGE_OCTETS_MAX, Model, Personal, Taught, features, pack, portable, starter, train,
    unpack,
};

use super::corpus::{Corpus, Letter, Stream};
use super::scores::{Run, Scores};
use super::{cpu_seconds, peak_mib, write_list};

/// Accounts with a model of their own, of which one is read for each message where memory is measured.
const ACCOUNTS: usize = 1_000;

/// `batch`: learned in one go. `packed`: the same, packed as small as the starter model. `portable`: learned without what ties mail
/// to its place, and packed, as the starter model is made. Then each stream, judged and learned message by message.
pub(super) fn measure(corpus: &Corpus, learned: &[&Letter], judged: &[&Letter]) -> anyhow::Result<Vec<Run>> {
    let lessons = |reduce: fn(&[u8]) -> Vec<u8>| {
        let lessons = learned.iter().map(|letter| Ok((features(&reduce(&octets(letter)?)), class(letter))));
        lessons.collect::<anyhow::Result<Vec<_>>>()
    };
    let model = train(&lessons(<[u8]>::to_vec)?);
    let mut batch = batch("batch", &model, judged)?;
    batch.peak_mib = Some(memory_of(&model, judged)?);
    let packed = unpack(&pack(&model))?;
    let portable = unpack(&pack(&train(&lessons(portable)?)))?;
    let mut runs =
        vec![batch, self::batch("packed", &packed, judged)?, self::batch("portable", &portable, judged)?];
    for stream in &corpus.streams {
        runs.push(online(stream.way, Model::empty(), stream)?);
    }
    Ok(runs)
}

/// `starter`: what is shipped, as it is. `started`: online, from there. Only on mail that it was not made from.
pub(super) fn measure_starter(corpus: &Corpus, judged: &[&Letter]) -> anyhow::Result<Vec<Run>> {
    let mut runs = vec![batch("starter", &starter(), judged)?];
    for stream in corpus.streams.iter().take(1) {
        runs.push(online("started", starter(), stream)?);
    }
    Ok(runs)
}

fn batch(way: &'static str, model: &Model<Vec<u8>>, judged: &[&Letter]) -> anyhow::Result<Run> {
    let (before, _) = cpu_seconds();
    let mut scores = Scores::new();
    for letter in judged {
        let (features, _) = read(letter)?;
        scores.push((f64::from(model.judge(&features, None).log_odds), letter.is_spam));
    }
    Ok(run(way, scores, before))
}

/// Judges, then learns, message by message in the order in which they came, as the stream says.
fn online(way: &'static str, mut model: Model<Vec<u8>>, stream: &Stream) -> anyhow::Result<Run> {
    let (before, _) = cpu_seconds();
    let mut scores = Scores::new();
    for (letter, turn) in &stream.turns {
        let (features, class) = read(letter)?;
        if turn.is_judged() {
            scores.push((f64::from(model.judge(&features, None).log_odds), letter.is_spam));
        }
        if turn.is_taught() {
            model.learn(&features, class);
        }
    }
    Ok(run(way, scores, before))
}

fn run(way: &'static str, scores: Scores, before: f64) -> Run {
    let cpu_seconds = (cpu_seconds().0 - before) * 1_000.0 / scores.len().max(1) as f64;
    Run { filter: "mailstead", way, spam_from: f64::MIN_POSITIVE, scores, cpu_seconds, peak_mib: None }
}

fn read(letter: &Letter) -> anyhow::Result<(Features, Class)> {
    Ok((features(&octets(letter)?), class(letter)))
}

fn octets(letter: &Letter) -> anyhow::Result<Vec<u8>> {
    let mut octets =
        std::fs::read(&letter.path).with_context(|| format!("reading {}", letter.path.display()))?;
    octets.truncate(MESSAGE_OCTETS_MAX);
    Ok(octets)
}

fn class(letter: &Letter) -> Class {
    if letter.is_spam { Class::Unwanted } else { Class::Wanted }
}

/// Peak memory of a process of its own that judges with models from disk.
fn memory_of(model: &Model<Vec<u8>>, judged: &[&Letter]) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("model"), model.octets())?;
    write_list(&directory.path().join("list"), judged.iter().copied())?;
    let output = std::process::Command::new(std::env::current_exe()?)
        .args([std::ffi::OsStr::new("spam-memory"), directory.path().as_os_str()])
        .output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The other side: judges each message of the list for another account, and has that account teach.
pub(crate) fn memory(directory: &Path) -> anyhow::Result<()> {
    let mut shared = Model::open(std::fs::read(directory.join("model"))?)?;
    let list = std::fs::read_to_string(directory.join("list"))?;
    let place = |account: usize| directory.join(format!("account-{account}"));
    for account in 0..ACCOUNTS {
        std::fs::write(place(account), Personal::default().octets())?;
    }
    let mut both = 0;
    for (number, path) in list.lines().enumerate() {
        let mut octets = std::fs::read(path)?;
        octets.truncate(MESSAGE_OCTETS_MAX);
        let features = features(&octets);
        let account = number % ACCOUNTS;
        let mut personal = Personal::open(&std::fs::read(place(account))?)?;
        let is_unwanted = shared.judge(&features, Some(&personal)).log_odds > 0.0;
        let class = if is_unwanted { Class::Unwanted } else { Class::Wanted };
        both += usize::from(personal.teach(&mut shared, &features, class, 1) == Taught::Both);
        std::fs::write(place(account), personal.octets())?;
    }
    eprintln!("{both} lessons taken by the shared model");
    println!("{}", peak_mib(Path::new("/proc/self/status")).context("no figure of memory")?);
    Ok(())
}
