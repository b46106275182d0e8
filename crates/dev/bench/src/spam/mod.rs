//! How well and how fast unwanted mail is told from wanted: ours beside Debian's SpamAssassin, bogofilter and rspamd, on the
//! same real mail, learned and judged apart.

mod bogofilter;
mod corpus;
mod curve;
mod ours;
mod rspamd;
mod scores;
mod spamassassin;

use std::path::{Path, PathBuf};

use anyhow::Context;

use self::corpus::{Corpus, Letter, Split, in_order};
pub(crate) use self::ours::memory;
use self::scores::{Run, Scores};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Plan {
    /// Sorted mail: directories of ham and spam, or a TREC corpus with its `full/index`.
    #[arg(long, env = "MAILSTEAD_CORPUS", value_name = "DIR")]
    corpus: PathBuf,
    /// How what is learned is told from what is judged.
    #[arg(long, value_enum, default_value_t = Split::Hash)]
    split: Split,
    /// Which third is judged, where hashes tell them apart.
    #[arg(long, value_name = "0-2", conflicts_with = "split", value_parser = clap::value_parser!(u64).range(..3))]
    third: Option<u64>,
    /// Which filters, of those that are installed.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Filter::ALL)]
    filters: Vec<Filter>,
    /// Measure the starter model too: tells something only of mail that it was not made from.
    #[arg(long)]
    starter: bool,
    /// Where the ROC curves are drawn, as SVG.
    #[arg(long, value_name = "FILE")]
    curves: Option<PathBuf>,
}

/// A filter to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Filter {
    Mailstead,
    Spamassassin,
    Bogofilter,
    Rspamd,
}

impl Filter {
    const ALL: [Filter; 4] = [Filter::Mailstead, Filter::Spamassassin, Filter::Bogofilter, Filter::Rspamd];
}

/// Measures and prints the table.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    let corpus = Corpus::read(&plan.corpus).with_context(|| format!("reading {}", plan.corpus.display()))?;
    let (train, test) = corpus.split(plan.split, plan.third.unwrap_or_default());
    eprintln!("{} messages: {} to learn, {} to judge", corpus.letters.len(), train.len(), test.len());
    let mut runs = Vec::new();
    for filter in &plan.filters {
        match measure(*filter, &corpus, &train, &test) {
            Ok(found) => {
                found.iter().for_each(|run| eprintln!("{}", run.line()));
                runs.extend(found);
            }
            Err(error) => eprintln!("{filter:?}: not measured: {error:#}"),
        }
    }
    if plan.starter {
        runs.extend(ours::measure_starter(&corpus, &test)?);
    }
    print!("{}", scores::table(&runs));
    if let Some(path) = &plan.curves {
        std::fs::write(path, curve::svg(&runs)).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn measure(filter: Filter, corpus: &Corpus, train: &[&Letter], test: &[&Letter]) -> anyhow::Result<Vec<Run>> {
    match filter {
        Filter::Mailstead => ours::measure(corpus, train, test),
        Filter::Spamassassin => Ok(vec![spamassassin::batch(train, test)?]),
        Filter::Bogofilter => Ok(vec![
            bogofilter::batch(train, test)?,
            bogofilter::online("online", &[], &corpus.letters)?,
            bogofilter::online("batch, then online", train, &in_order(test))?,
        ]),
        Filter::Rspamd => Ok(vec![rspamd::batch(train, test)?]),
    }
}

/// CPU seconds of this process, and of its children that have ended.
fn cpu_seconds() -> (f64, f64) {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    let sum = |user: usize| (fields.get(user).unwrap_or(&0.0) + fields.get(user + 1).unwrap_or(&0.0)) / TICKS;
    (sum(11), sum(13))
}

/// Peak memory of a process in MiB.
fn peak_mib(status: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}

/// Writes the paths of letters to a file, one a line.
fn write_list<'a>(path: &Path, letters: impl IntoIterator<Item = &'a Letter>) -> anyhow::Result<()> {
    let lines: Vec<String> = letters.into_iter().map(|letter| letter.path.display().to_string()).collect();
    Ok(std::fs::write(path, lines.join("\n") + "\n")?)
}

/// Pairs what a filter said, one number a line, with what is true.
fn paired(output: &str, letters: &[&Letter]) -> anyhow::Result<Scores> {
    let said: Vec<f64> = output.lines().map(|line| line.trim().parse()).collect::<Result<_, _>>()?;
    anyhow::ensure!(said.len() == letters.len(), "{} scores for {} messages", said.len(), letters.len());
    Ok(said.into_iter().zip(letters).map(|(score, letter)| (score, letter.is_spam)).collect())
}
