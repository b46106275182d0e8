//! `spam check` and `spam explain`: what is thought of a message, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use mta::SpamAction;
use serde_json::json;
use spam::{
    Catalogue, Facts, Judgement, MESSAGE_OCTETS_MAX, Model, Signal, Thresholds, ToldVerdict, Verdict,
    starter, weigh,
};

use super::letters::{self, LETTER_OCTETS_MAX, Letter};
use crate::admin::{
    self, Answer, MessageGiven, Request, SpamChecked, SpamHit, SpamKept, SpamRequest, SpamTold,
};

/// Signals of the model shown for each message.
const SIGNALS_SHOWN: usize = 12;
/// Steps of a message's way that are looked through.
const STEPS_MAX: usize = 20;

#[derive(clap::Args, Debug)]
pub(super) struct Check {
    /// Files with one message each, directories of such, or `-` for one on standard input. Of each two mebioctets are looked at, and what is attached to it if it has no more.
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
    let files = letters::files(files)?;
    let mut checked = Vec::new();
    if !config.exists() && address.is_none() {
        let day = FirstDay::default();
        letters::in_batches(&files, LETTER_OCTETS_MAX, |batch| {
            checked.extend(batch.into_iter().map(|letter| day.judge(letter)));
            Ok(())
        })?;
        return Ok(checked);
    }
    admin::with_holder(config, |holder| {
        letters::in_batches(&files, LETTER_OCTETS_MAX, |batch| {
            let messages = batch.into_iter().map(given).collect();
            let asked = SpamRequest::Check { address: address.map(str::to_owned), messages };
            match holder.ask(&Request::Spam { asked })? {
                Answer::SpamChecked { checked: some } => checked.extend(some),
                Answer::Failed { why } => anyhow::bail!("{why}"),
                _ => anyhow::bail!("the server answers something else than was asked"),
            }
            Ok(())
        })
    })?;
    Ok(checked)
}

fn given(letter: Letter) -> MessageGiven {
    MessageGiven { file: letter.file, octets: admin::script_for(&letter.octets), is_whole: letter.is_whole }
}

/// The filter as it is before it has learned anything, with everybody's settings.
struct FirstDay {
    model: Model<Vec<u8>>,
    catalogue: Catalogue,
    attachments: Arc<attachments::Rules>,
}

impl Default for FirstDay {
    fn default() -> Self {
        Self { model: starter(), catalogue: Catalogue::default(), attachments: Arc::default() }
    }
}

impl FirstDay {
    fn judge(&self, Letter { file, octets, is_whole }: Letter) -> SpamChecked {
        let (raised, attached) = match is_whole {
            true => mta::attached(&self.attachments, &octets, &self.catalogue),
            false => Default::default(),
        };
        let (judgement, signals) = self.model.explain(&octets, None);
        let facts = Facts { raised: &raised, ..Facts::default() };
        let beginning = octets.get(..MESSAGE_OCTETS_MAX).unwrap_or(&octets);
        let verdict: Verdict = weigh(beginning, Some((judgement, &signals)), &facts, &self.catalogue);
        let thresholds = Thresholds::default();
        let by_score = spam::reaches(verdict.score(), thresholds.tag2).then_some(SpamAction::Junk);
        let action = by_score.max(attached);
        SpamChecked { is_whole, ..on_the_first_day(file, &octets, judgement, &verdict, action) }
    }
}

fn on_the_first_day(
    file: String,
    octets: &[u8],
    judgement: Judgement,
    verdict: &Verdict,
    action: Option<SpamAction>,
) -> SpamChecked {
    SpamChecked {
        file,
        is_whole: true,
        score: verdict.score(),
        required: Thresholds::default().tag2,
        action: action.map_or("pass", SpamAction::word).to_owned(),
        probability: Some(judgement.probability()),
        hits: SpamHit::all(verdict.hits()),
        told: ToldVerdict::read(octets).as_ref().map(SpamTold::of),
    }
}

pub(super) fn print(checked: &SpamChecked) {
    println!("{}", in_a_line(checked));
    print_hits(&checked.hits);
}

fn in_a_line(SpamChecked { file, is_whole, score, required, action, .. }: &SpamChecked) -> String {
    let but = if *is_whole { "" } else { "; too long here for a look at what is attached" };
    format!("{file}: {action}, score {score:.2} (spam from {required:.2}){but}")
}

fn print_hits(hits: &[SpamHit]) {
    for SpamHit { rule, points, words } in hits {
        println!("  {points:+7.2}  {:<26} {}", shown(rule), shown(words));
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct Explain {
    /// A file with the message; else its Message-ID, the id of its way, or an address, which are looked up in the record. Of what
    /// is not in there any more the header tells, if the Message-ID is asked for and it lies here still.
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
        return explain_kept(&asked.what, config, json);
    }
    if json {
        println!("{:#}", serde_json::Value::Array(told));
        return Ok(ExitCode::SUCCESS);
    }
    for step in &told {
        println!("{} from {}", text(&step["time"]), shown(&sender(step)));
        for line in ["checks", "content", "filter"].iter().flat_map(|part| step[part].as_array()).flatten() {
            println!("  {}", shown(&text(line)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is told by the headers of messages that the record does not have any more.
fn explain_kept(message_id: &str, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let asked = SpamRequest::Kept { message_id: message_id.to_owned() };
    let answer = admin::ask(config, Request::Spam { asked })?;
    if matches!(&answer, Answer::SpamKept { kept } if kept.is_empty()) {
        anyhow::bail!("nothing is recorded of {message_id}, and no message here has that Message-ID");
    }
    super::print::answer(&answer, json)
}

pub(super) fn print_kept(kept: &SpamKept) {
    let SpamKept { address, mailbox, uid, date, told } = kept;
    let place = match address {
        Some(address) => format!("{address}, {mailbox}, {uid}"),
        None => "kept apart".to_owned(),
    };
    match told {
        Some(told) => {
            println!("{}, of {date}: {}", shown(&place), in_words_then(told));
            print_hits(&told.hits);
        }
        None => println!("{}, of {date}: its header tells of no verdict", shown(&place)),
    }
}

fn in_words_then(told: &SpamTold) -> String {
    let what = if told.is_unwanted { "spam" } else { "no spam" };
    format!("was {what} when it came, score {:.2} (spam from {:.2})", told.score, told.required)
}

/// What the record of a message says of its content, and of where it went.
fn of_step(step: &serde_json::Value) -> serde_json::Value {
    let lines = step["checks"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    let (content, checks): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("content"));
    let recipients = step["recipients"].as_array().into_iter().flatten();
    let filter: Vec<_> = recipients
        .flat_map(|recipient| {
            let lines = recipient["filter"].as_array().into_iter().flatten().map(text);
            let refusal = (recipient["outcome"] == "refused")
                .then(|| format!("refused, {}", text(&recipient["detail"])));
            lines.chain(refusal).map(|line| format!("{}: {line}", text(&recipient["to"])))
        })
        .collect();
    json!({
        "id": step["transaction"],
        "time": step["time"],
        "sender": step["from"],
        "message_id": step["message_id"],
        "checks": checks,
        "content": if content.is_empty() { vec!["content: not judged"] } else { content },
        "filter": filter,
    })
}

/// Whom a message came from, as people read it.
fn sender(step: &serde_json::Value) -> String {
    match step["sender"].as_str() {
        None | Some("") => "<>".to_owned(),
        Some(address) => address.to_owned(),
    }
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
            println!("{}: {}", one.file, in_words_then(told));
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
    letters::in_batches(&letters::files(files)?, MESSAGE_OCTETS_MAX, |batch| {
        for Letter { file, octets, .. } in batch {
            let (judgement, signals) = model.explain(&octets, None);
            if json {
                found.push(in_json(&file, judgement, &signals));
            } else {
                print!("{}", in_words(&file, judgement, &signals));
            }
        }
        Ok(())
    })?;
    if json {
        println!("{:#}", serde_json::Value::Array(found));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(file: &str, judgement: Judgement, signals: &[Signal]) -> String {
    let percent = judgement.probability() * 100.0;
    let mut text = format!("{file}: {percent:.1} % unwanted (score {:+.2})\n", judgement.log_odds);
    for Signal { weight, text: signal } in signals.iter().take(SIGNALS_SHOWN) {
        text.push_str(&format!("  {weight:+.2}  {}\n", shown(signal)));
    }
    text
}

fn in_json(file: &str, judgement: Judgement, signals: &[Signal]) -> serde_json::Value {
    let signals: Vec<_> = signals
        .iter()
        .take(SIGNALS_SHOWN)
        .map(|signal| json!({ "weight": signal.weight, "signal": signal.text }))
        .collect();
    json!({
        "file": file,
        "score": judgement.log_odds,
        "probability": judgement.probability(),
        "signals": signals,
    })
}

/// Words of a stranger's message must not command the terminal.
pub(super) fn shown(signal: &str) -> String {
    signal.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step as `way::step` writes it.
    #[test]
    fn a_step_of_the_record_names_who_sent_it_and_whom_it_went_to() {
        let step = json!({
            "transaction": "1a", "time": "now", "from": "ann@example.com", "checks": ["spf: pass", "content: score 7"],
            "recipients": [
                { "to": "bob@example.org", "outcome": "filed", "filter": ["fileinto Junk (junk, line 6)"] },
                { "to": "eve@example.org", "outcome": "refused", "detail": "550 No", "filter": [] },
            ],
        });
        let told = of_step(&step);
        assert_eq!((text(&told["id"]), sender(&told)), ("1a".to_owned(), "ann@example.com".to_owned()));
        assert_eq!(told["content"], json!(["content: score 7"]));
        assert_eq!(told["checks"], json!(["spf: pass"]));
        let places = ["bob@example.org: fileinto Junk (junk, line 6)", "eve@example.org: refused, 550 No"];
        assert_eq!(told["filter"], json!(places));
        assert_eq!(sender(&json!({ "sender": "" })), "<>");
    }

    #[test]
    fn that_nobody_looked_at_what_is_attached_is_told() {
        let day = FirstDay::default();
        let octets = b"Content-Type: a/b; name=setup.exe\r\nContent-Disposition: attachment\r\n\r\nMZ";
        let line = |is_whole| {
            let letter = Letter { file: "a.eml".to_owned(), octets: octets.to_vec(), is_whole };
            in_a_line(&day.judge(letter))
        };
        assert!(line(true).starts_with("a.eml: reject, ") && line(true).ends_with(')'), "{}", line(true));
        assert!(line(false).starts_with("a.eml: "), "{}", line(false));
        assert!(line(false).ends_with("; too long here for a look at what is attached"), "{}", line(false));
    }
}
