//! `vacation` (RFC 5230) with `:seconds` (RFC 6131) and `:fcc` (RFC 8580). Whether an answer is due, and what it says, is
//! in [`reply`](crate::reply).

use super::fileinto::{self, FCC};
use super::redirect::check_address;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Vacation};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

/// Seconds of a day.
const DAY: u64 = 86_400;

const TAGS: &[Tag] = &[
    Tag::valued("days", Kind::Number).of("time"),
    Tag::valued("seconds", Kind::Number).of("time").needs(E::VacationSeconds),
    Tag::valued("subject", Kind::String),
    Tag::valued("from", Kind::String),
    Tag::valued("addresses", Kind::Strings),
    Tag::plain("mime"),
    Tag::valued("handle", Kind::String),
];

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "vacation",
    need: Some(E::Vacation),
    tags: &[TAGS, FCC[0], FCC[1], FCC[2]],
    arguments: &[Positional::new("reason", Kind::String)],
    check,
    action: Does::Command(vacation),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if let Some(from) = node.tag("from") {
        check_address(compiler, node, from);
    }
    fileinto::check_fcc(compiler, node);
    let bounds = &compiler.dialect.bounds;
    let (min, max) = (bounds.vacation_seconds_min, bounds.vacation_seconds_max);
    if let Some(seconds) = seconds(node)
        && !(min..=max).contains(&seconds)
    {
        let words = format!(
            "answers are given between {min} and {max} seconds apart: the time is taken into these bounds"
        );
        compiler.warnings.add(node.place, words);
    }
}

fn seconds(node: &Node) -> Option<u64> {
    let days = node.tag("days").and_then(Arg::number);
    days.map(|days| days.saturating_mul(DAY)).or_else(|| node.tag("seconds").and_then(Arg::number))
}

fn vacation(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let reason = run.arg_string(node.arg(0));
    let subject = run.tag_string(node, "subject");
    let from = run.tag_string(node, "from");
    let addresses =
        node.tag("addresses").map(|addresses| run.strings(addresses)).transpose()?.unwrap_or_default();
    let is_mime = node.has("mime");
    // RFC 5230 §4.2: without a handle, answers that say the same are the same.
    let handle = run.tag_string(node, "handle").unwrap_or_else(|| {
        let subject = subject.as_deref().unwrap_or_default();
        let from = from.as_deref().unwrap_or_default();
        format!("{subject}\0{from}\0{}\0{reason}", u8::from(is_mime))
    });
    let bounds = &run.bounds;
    let seconds = seconds(node)
        .unwrap_or(bounds.vacation_seconds_default)
        .min(bounds.vacation_seconds_max)
        .max(bounds.vacation_seconds_min);
    let fcc = fileinto::fcc(run, node)?;
    let vacation = Vacation { reason, is_mime, subject, from, handle, seconds, addresses, fcc };
    run.decide(node, Action::Vacation(Box::new(vacation)))?;
    Ok(Flow::On)
}
