//! `spam check` and `spam explain`: what is thought of a message, and why.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use spam::{
    Catalogue, Facts, Judgement, MESSAGE_OCTETS_MAX, Signal, Thresholds, ToldVerdict, Verdict, starter, weigh,
};

use crate::admin::{self, Answer, Request, SpamChecked, SpamHit, SpamRequest, SpamTold};

/// Signals of the model shown for each message.
const SIGNALS_SHOWN: usize = 12;
/// Messages of one request: a few, so that it stays within its bound.
const MESSAGES_AT_ONCE: usize = 8;
/// Steps of a message's way that are looked through.
const STEPS_MAX: usize = 20;

#[derive(clap::Args, Debug)]
pub(super) struct Check {
    /// Files with one message each; `-` for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Judge as for this account.
    #[arg(long = "for", value_name = "ADDR")]
    address: Option<String>,
    /// Judge by the model for the first day alone; needs neither configuration nor data.
    #[arg(long, conflicts_with = "address")]
    model_only: bool,
}

pub(super) fn check(asked: &Check, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    if asked.model_only {
        return check_by_model(&asked.files, json);
    }
    let checked = judged(&asked.files, asked.address.as_deref(), config)?;
    if json {
        println!("{:#}", serde_json::to_value(&checked)?);
    } else {
        checked.iter().for_each(print);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the server, with what it has learned; where nothing is set up, judges as it would on its first day.
fn judged(files: &[PathBuf], address: Option<&str>, config: &Path) -> anyhow::Result<Vec<SpamChecked>> {
    let mut checked = Vec::new();
    for some in files.chunks(MESSAGES_AT_ONCE) {
        let octets: Vec<(String, Vec<u8>)> = some
            .iter()
            .map(|file| Ok((file.display().to_string(), read(file)?)))
            .collect::<anyhow::Result<_>>()?;
        if !config.exists() && address.is_none() {
            checked.extend(octets.into_iter().map(|(file, octets)| on_the_first_day(file, &octets)));
            continue;
        }
        let messages = octets.into_iter().map(|(file, octets)| (file, admin::script_for(&octets))).collect();
        let asked = SpamRequest::Check { address: address.map(str::to_owned), messages };
        match admin::ask(config, Request::Spam { asked })? {
            Answer::SpamChecked { checked: some } => checked.extend(some),
            Answer::Failed { why } => anyhow::bail!("{why}"),
            _ => anyhow::bail!("the server answers something else than was asked"),
        }
    }
    Ok(checked)
}

fn on_the_first_day(file: String, octets: &[u8]) -> SpamChecked {
    let (judgement, signals) = starter().explain(octets, None);
    let verdict: Verdict =
        weigh(octets, Some((judgement, &signals)), &Facts::default(), &Catalogue::default());
    let thresholds = Thresholds::default();
    SpamChecked {
        file,
        score: verdict.score(),
        required: thresholds.tag2,
        action: if verdict.score() >= thresholds.tag2 { "junk" } else { "pass" }.to_owned(),
        probability: Some(judgement.probability()),
        hits: hits(verdict.hits()),
        told: ToldVerdict::read(octets).map(|told| SpamTold {
            is_unwanted: told.is_unwanted,
            score: told.score,
            required: told.required,
            hits: hits(&told.hits),
        }),
    }
}

fn hits(hits: &[spam::Hit]) -> Vec<SpamHit> {
    let hit = |hit: &spam::Hit| SpamHit {
        rule: hit.name().to_owned(),
        points: hit.points(),
        words: hit.words().to_owned(),
    };
    hits.iter().map(hit).collect()
}

pub(super) fn print(checked: &SpamChecked) {
    println!(
        "{}: {}, score {:.2} (spam from {:.2})",
        checked.file, checked.action, checked.score, checked.required
    );
    print_hits(&checked.hits);
}

fn print_hits(hits: &[SpamHit]) {
    for SpamHit { rule, points, words } in hits {
        println!("  {points:+7.2}  {:<26} {}", shown(rule), shown(words));
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct Explain {
    /// A file with the message; else its Message-ID, the id of its way, or an address, which are looked up in the record.
    what: String,
}

pub(super) fn explain(asked: &Explain, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let file = PathBuf::from(&asked.what);
    if asked.what == "-" || file.is_file() {
        return explain_file(file, config, json);
    }
    let answer = admin::ask(config, Request::Trace { what: asked.what.clone(), most: STEPS_MAX })?;
    let Answer::Trace { steps } = answer else { return super::print::answer(&answer, json) };
    let told: Vec<_> = steps.iter().filter(|step| step["step"] == "received").map(of_step).collect();
    if told.is_empty() {
        anyhow::bail!("nothing is recorded of {}", asked.what);
    }
    if json {
        println!("{:#}", serde_json::Value::Array(told));
        return Ok(ExitCode::SUCCESS);
    }
    for step in &told {
        println!("{} from {}", text(&step["time"]), text(&step["sender"]));
        for line in step["content"]
            .as_array()
            .into_iter()
            .flatten()
            .chain(step["filter"].as_array().into_iter().flatten())
        {
            println!("  {}", shown(&text(line)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the record of a message says of its content, and of where it went.
fn of_step(step: &serde_json::Value) -> serde_json::Value {
    let lines = step["checks"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    let content: Vec<_> = lines.filter(|line| line.starts_with("content")).collect();
    let recipients = step["recipients"].as_array().into_iter().flatten();
    let filter: Vec<_> = recipients
        .flat_map(|recipient| {
            let lines = recipient["filter"].as_array().into_iter().flatten();
            lines.map(|line| format!("{}: {}", text(&recipient["address"]), text(line)))
        })
        .collect();
    json!({
        "id": step["id"],
        "time": step["time"],
        "sender": step["sender"],
        "message_id": step["message_id"],
        "content": if content.is_empty() { vec!["content: not judged"] } else { content },
        "filter": filter,
    })
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What its header tells of when it came, and what is thought of it today.
fn explain_file(file: PathBuf, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let checked = judged(&[file], None, config)?;
    if json {
        println!("{:#}", serde_json::to_value(&checked)?);
        return Ok(ExitCode::SUCCESS);
    }
    for one in &checked {
        if let Some(told) = &one.told {
            let what = if told.is_unwanted { "spam" } else { "no spam" };
            println!(
                "{}: was {what} when it came, score {:.2} (spam from {:.2})",
                one.file, told.score, told.required
            );
            print_hits(&told.hits);
            println!("today:");
        }
        print(one);
    }
    Ok(ExitCode::SUCCESS)
}

fn check_by_model(files: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
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
pub(super) fn shown(signal: &str) -> String {
    signal.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A directory's entries by name, so that a model depends on nothing else.
pub(super) fn sorted(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// As much of a message as is looked at.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut octets = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MESSAGE_OCTETS_MAX as u64).read_to_end(&mut octets)?;
        return Ok(octets);
    }
    let opened = fs::File::open(file).with_context(|| format!("reading {}", file.display()))?;
    opened.take(MESSAGE_OCTETS_MAX as u64).read_to_end(&mut octets)?;
    Ok(octets)
}
