//! Our own filter.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use attachments::{Inspector, Rules};
use spam::{
    Catalogue, Class, Facts, MESSAGE_OCTETS_MAX, Model, Personal, Taught, Thresholds, features, pack,
    portable, starter, train, unpack, weigh,
};

use super::corpus::{Corpus, Letter, Stream};
use super::scores::{Run, Scores};
use super::{cpu_seconds, peak_mib, write_list};

/// Accounts with a model of their own, of which one is read for each message where memory is measured.
const ACCOUNTS: usize = 1_000;

/// All that the server asks of a message by itself; the lists and the proofs that a connection brings are not here.
struct Whole {
    catalogue: Catalogue,
    attachments: Arc<Rules>,
}

impl Whole {
    fn new() -> Whole {
        Whole { catalogue: Catalogue::default(), attachments: Arc::default() }
    }

    /// The score of the models and the rules. What is attached is looked at, as the server does, and not counted: what is done
    /// for that does not depend on the score.
    fn score(&self, model: &Model<Vec<u8>>, personal: Option<&Personal>, octets: &[u8]) -> f64 {
        let mut inspector = Inspector::new(Arc::clone(&self.attachments));
        inspector.feed(octets);
        std::hint::black_box(inspector.finish());
        let features = features(octets);
        let judgement = model.judge(&features, personal);
        let signals = match judgement.log_odds > 0.0 {
            true => model.reasons(octets, &features, personal),
            false => Vec::new(),
        };
        f64::from(weigh(octets, Some((judgement, &signals)), &Facts::default(), &self.catalogue).score())
    }
}

/// By what a message is judged.
#[derive(Clone, Copy)]
enum By<'a> {
    /// What the shared model says.
    Model,
    Whole(&'a Whole),
}

impl By<'_> {
    fn score(self, model: &Model<Vec<u8>>, octets: &[u8]) -> f64 {
        match self {
            By::Model => f64::from(model.judge(&features(octets), None).log_odds),
            By::Whole(whole) => whole.score(model, None, octets),
        }
    }

    fn spam_from(self) -> f64 {
        match self {
            By::Model => f64::MIN_POSITIVE,
            By::Whole(_) => f64::from(Thresholds::default().tag2),
        }
    }
}

/// `whole`: models, rules and the look at attachments, as the server judges; with learned in one go as `batch`, which is the
/// model by itself. `packed`: the same, packed as small as the starter model. `portable`: learned without what ties mail
/// to its place, and packed, as the starter model is made. Then each stream, judged and learned message by message, from a model
/// that knows nothing; and the judged in their order, from what was learned in one go and, as a server begins, from `portable`.
pub(super) fn measure(corpus: &Corpus, learned: &[&Letter], judged: &[&Letter]) -> anyhow::Result<Vec<Run>> {
    let lessons = |reduce: fn(&[u8]) -> Vec<u8>| {
        let lessons = learned.iter().map(|letter| Ok((features(&reduce(&octets(letter)?)), class(letter))));
        lessons.collect::<anyhow::Result<Vec<_>>>()
    };
    let model = train(&lessons(<[u8]>::to_vec)?);
    let whole = Whole::new();
    let mut all = batch("whole", By::Whole(&whole), &model, judged)?;
    all.peak_mib = Some(memory_of(&model, judged)?);
    let packed = unpack(&pack(&model))?;
    let portable = unpack(&pack(&train(&lessons(portable)?)))?;
    let mut runs = vec![
        all,
        batch("batch", By::Model, &model, judged)?,
        batch("packed", By::Model, &packed, judged)?,
        batch("portable", By::Model, &portable, judged)?,
    ];
    for stream in &corpus.streams {
        runs.push(online(stream.way, By::Model, Model::empty(), stream)?);
    }
    for stream in corpus.streams.iter().take(1) {
        runs.push(online("whole, online", By::Whole(&whole), Model::empty(), stream)?);
    }
    let stream = Stream::of(judged);
    runs.push(online("batch, then online", By::Whole(&whole), model, &stream)?);
    runs.push(online("portable, then online", By::Whole(&whole), portable, &stream)?);
    Ok(runs)
}

/// `starter`: what is shipped, as it is. `started`: online, from there. Only on mail that it was not made from.
pub(super) fn measure_starter(corpus: &Corpus, judged: &[&Letter]) -> anyhow::Result<Vec<Run>> {
    let whole = Whole::new();
    let mut runs = vec![
        batch("starter", By::Model, &starter(), judged)?,
        batch("starter, whole", By::Whole(&whole), &starter(), judged)?,
    ];
    for stream in corpus.streams.iter().take(1) {
        runs.push(online("started", By::Model, starter(), stream)?);
        runs.push(online("started, whole", By::Whole(&whole), starter(), stream)?);
    }
    Ok(runs)
}

fn batch(way: &'static str, by: By<'_>, model: &Model<Vec<u8>>, judged: &[&Letter]) -> anyhow::Result<Run> {
    let (before, _) = cpu_seconds();
    let mut scores = Scores::new();
    for letter in judged {
        scores.push((by.score(model, &octets(letter)?), letter.is_spam));
    }
    Ok(run(way, by, scores, before))
}

/// Judges, then learns, message by message in the order in which they came, as the stream says.
fn online(way: &'static str, by: By<'_>, mut model: Model<Vec<u8>>, stream: &Stream) -> anyhow::Result<Run> {
    let (before, _) = cpu_seconds();
    let mut scores = Scores::new();
    for (letter, turn) in &stream.turns {
        let octets = octets(letter)?;
        if turn.is_judged() {
            scores.push((by.score(&model, &octets), letter.is_spam));
        }
        if turn.is_taught() {
            model.learn(&features(&octets), class(letter));
        }
    }
    Ok(run(way, by, scores, before))
}

fn run(way: &'static str, by: By<'_>, scores: Scores, before: f64) -> Run {
    let cpu_seconds = (cpu_seconds().0 - before) * 1_000.0 / scores.len().max(1) as f64;
    Run { filter: "mailstead", way, spam_from: by.spam_from(), scores, cpu_seconds, peak_mib: None }
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

/// The other side: judges each message of the list for another account with all that the server asks of a message, and has that
/// account teach; at the end the model is written, as the server does each minute. All of the model is in memory, as it is in
/// the server while nobody else needs the room.
pub(crate) fn memory(directory: &Path) -> anyhow::Result<()> {
    let mut shared = Model::open(std::fs::read(directory.join("model"))?)?;
    let list = std::fs::read_to_string(directory.join("list"))?;
    let place = |account: usize| directory.join(format!("account-{account}"));
    for account in 0..ACCOUNTS {
        std::fs::write(place(account), Personal::default().octets())?;
    }
    let whole = Whole::new();
    let mut both = 0;
    for (number, path) in list.lines().enumerate() {
        let mut octets = std::fs::read(path)?;
        octets.truncate(MESSAGE_OCTETS_MAX);
        let account = number % ACCOUNTS;
        let mut personal = Personal::open(&std::fs::read(place(account))?)?;
        let is_unwanted = whole.score(&shared, Some(&personal), &octets) >= By::Whole(&whole).spam_from();
        let features = features(&octets);
        let class = if is_unwanted { Class::Unwanted } else { Class::Wanted };
        both += usize::from(personal.teach(&mut shared, &features, class, 1) == Taught::Both);
        std::fs::write(place(account), personal.octets())?;
    }
    let mut copy = shared.copy();
    copy.seal();
    std::fs::write(directory.join("model"), copy.octets())?;
    eprintln!("{both} lessons taken by the shared model");
    println!("{}", peak_mib(Path::new("/proc/self/status")).context("no figure of memory")?);
    Ok(())
}
