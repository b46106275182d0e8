//! `spamtest` and `virustest` (RFC 5235).

use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::world::Score;

const KEY: &[Positional] = &[Positional::new("value", Kind::String)];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "spamtest",
        need: Some(E::SpamTest),
        tags: &[MATCH, &[Tag::plain("percent").needs(E::SpamTestPlus)]],
        arguments: KEY,
        check: matching::check,
        action: Does::Test(spam_test),
        ..COMMAND
    },
    Spec {
        name: "virustest",
        need: Some(E::VirusTest),
        tags: &[MATCH],
        arguments: KEY,
        check: matching::check,
        action: Does::Test(virus_test),
        ..COMMAND
    },
];

/// RFC 5235 §3.2: 0 if it was not tested, 1 for no spam at all up to 10 for certain spam; §3.3: 0 to 100 percent.
fn spam_test(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let score = match &run.spam_status {
        Some(rule) => rule.score(run.message),
        None => run.world.spam(),
    };
    let value = match (score, node.has("percent")) {
        (Score::Untested, _) => "0".to_owned(),
        (Score::Part(part), true) => (part.clamp(0.0, 1.0) * 100.0).round().to_string(),
        (Score::Part(part), false) => (1.0 + part.clamp(0.0, 1.0) * 9.0).floor().to_string(),
    };
    if matching_counts_untested(node, score) {
        // RFC 5235 §3.3: with :percent, :count tells a message that was not tested (0) from one that was (1).
        let matching = Matching::new(run, node)?;
        return Ok(matching.finish(run, false));
    }
    look(run, node, &value)
}

fn matching_counts_untested(node: &Node, score: Score) -> bool {
    node.has("percent") && node.has("count") && score == Score::Untested
}

fn virus_test(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let verdict = match &run.virus_status {
        Some(rule) => rule.verdict(run.message),
        None => run.world.virus(),
    };
    look(run, node, &verdict.unwrap_or(0).min(5).to_string())
}

fn look(run: &mut Run<'_>, node: &Node, value: &str) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let is_found = matching.feed(run, Value::new(value.as_bytes()))?;
    Ok(matching.finish(run, is_found))
}
