//! `duplicate` (RFC 7352), and Pigeonhole's form that came before it.

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::outcome::Mark;
use crate::run::{QUESTION_COST, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

const TAGS: &[Tag] = &[
    Tag::valued("header", Kind::String).of("identifier"),
    Tag::valued("uniqueid", Kind::String).of("identifier"),
    Tag::valued("handle", Kind::String),
    Tag::valued("seconds", Kind::Number),
    Tag::plain("last"),
];
const OLD_TAGS: &[Tag] = &[
    Tag::valued("header", Kind::String).of("identifier"),
    Tag::valued("value", Kind::String).of("identifier"),
    Tag::valued("handle", Kind::String),
    Tag::valued("seconds", Kind::Number),
];
const NOTHING: &[Positional] = &[];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "duplicate",
        need: Some(E::Duplicate),
        tags: &[TAGS],
        arguments: NOTHING,
        check,
        action: Does::Test(duplicate),
        ..COMMAND
    },
    Spec {
        name: "duplicate",
        need: Some(E::DovecotDuplicate),
        tags: &[OLD_TAGS],
        arguments: NOTHING,
        check,
        action: Does::Test(duplicate),
        ..COMMAND
    },
];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    let seconds = node.tag("seconds").and_then(Arg::number);
    let max = compiler.dialect.bounds.duplicate_seconds_max;
    if seconds.is_some_and(|seconds| seconds > max) {
        compiler.warnings.add(node.place, format!("duplicates are remembered for at most {max} seconds"));
    }
}

fn duplicate(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let Some(unique) = unique(run, node) else { return Ok(false) };
    let handle = run.tag_string(node, "handle").unwrap_or_default();
    // Which header field it is from makes no difference (RFC 7352 §3.1), which handle does.
    let identifier = [handle.as_bytes(), b"\0", unique.as_bytes()].concat();
    run.charge(identifier.len() as u64 + QUESTION_COST)?;
    let was_seen = run.world.was_seen(&identifier);
    let is_last = node.has("last");
    let is_marked = run.outcome.marks.iter().any(|mark| mark.identifier == identifier);
    if (!was_seen || is_last) && !is_marked {
        let seconds =
            node.tag("seconds").and_then(Arg::number).unwrap_or(run.bounds.duplicate_seconds_default);
        if run.outcome.marks.len() >= run.bounds.actions_max {
            return Err(Stop::fault("too many duplicate tests"));
        }
        run.mark(Mark { identifier, seconds: seconds.min(run.bounds.duplicate_seconds_max), is_last });
    }
    Ok(was_seen)
}

/// What tells the message from others; `None` if it has nothing of the kind.
fn unique(run: &Run<'_>, node: &Node) -> Option<String> {
    if let Some(unique) = run.tag_string(node, "uniqueid").or_else(|| run.tag_string(node, "value")) {
        return Some(unique).filter(|unique| !unique.is_empty());
    }
    let header = run.tag_string(node, "header");
    let field = run.message.named(header.as_deref().unwrap_or("message-id")).next()?;
    Some(field.text().to_owned()).filter(|text| !text.is_empty())
}
