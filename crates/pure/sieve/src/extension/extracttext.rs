//! `extracttext` (RFC 5703 §7).

use super::variables::{self, MODIFIERS};
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "extracttext",
    need: Some(E::ExtractText),
    tags: &[MODIFIERS, &[Tag::valued("first", Kind::Number)]],
    arguments: &[Positional::new("variable name", Kind::String)],
    check,
    action: Does::Command(extract_text),
    ..COMMAND
}];

/// What looking at one part costs, beside its text.
const PART_COST: u64 = 200;

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if compiler.loops.is_empty() {
        compiler.fault(node.place, "the extracttext command stands in no foreverypart");
        return;
    }
    variables::check_name(compiler, node, node.arg(0).text());
}

fn extract_text(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let part = run.loops.last().map_or(0, |part_loop| part_loop.at);
    let first = node.tag("first").and_then(Arg::number);
    run.charge(PART_COST)?;
    let text = run.look(|message| message.part_text(part, first))?;
    let text = variables::modify(run, node, text.into_bytes())?;
    run.set_named(node.arg(0), text)?;
    Ok(Flow::On)
}
