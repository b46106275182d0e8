//! `foreverypart` and `break` (RFC 5703 §3).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::message::Message;
use crate::node::{Arg, Node};
use crate::run::{Flow, PartLoop, Run, Stop};
use crate::spec::{Block, COMMAND, Does, Kind, Spec, Tag};
use crate::text::Text;

/// Loops inside loops. Parts are seldom deeper, and each level may multiply what a script costs.
const LOOPS_MAX: usize = 4;

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "foreverypart",
        need: Some(E::ForEveryPart),
        tags: &[&[Tag::valued("name", Kind::String)]],
        block: Block::Needed,
        check: check_loop,
        action: Does::Command(for_every_part),
        ..COMMAND
    },
    Spec {
        name: "break",
        need: Some(E::ForEveryPart),
        tags: &[&[Tag::valued("name", Kind::String)]],
        check: check_break,
        action: Does::Command(|_, node| Ok(Flow::Break(name(node).map(Into::into)))),
        ..COMMAND
    },
];

fn name(node: &Node) -> Option<&[u8]> {
    node.tag("name").and_then(Arg::text).and_then(Text::constant)
}

fn check_loop(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_name(compiler, node);
    if compiler.loops.len() >= LOOPS_MAX {
        let words = format!("foreverypart commands are at most {LOOPS_MAX} deep in each other");
        compiler.fault(node.place, words);
    }
}

fn check_name(compiler: &mut Compiler<'_>, node: &Node) -> bool {
    let is_constant = node.has("name") == name(node).is_some();
    if !is_constant {
        let words = format!("the :name of the {} command must be a constant string", node.spec.name);
        compiler.fault(node.place, words);
    }
    is_constant
}

fn check_break(compiler: &mut Compiler<'_>, node: &mut Node) {
    if !check_name(compiler, node) {
        return;
    }
    let name = name(node);
    if compiler.loops.is_empty() {
        compiler.fault(node.place, "the break command stands in no foreverypart");
    } else if name.is_some() && !compiler.loops.iter().any(|known| known.as_deref() == name) {
        let shown = String::from_utf8_lossy(name.unwrap_or_default()).escape_debug().to_string();
        compiler.fault(
            node.place,
            format!("the break command stands in no foreverypart with the name '{shown}'"),
        );
    }
}

fn for_every_part(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    if run.loops.len() >= LOOPS_MAX {
        return Err(Stop::fault(format!(
            "foreverypart commands are more than {LOOPS_MAX} deep in each other"
        )));
    }
    let inside = run.loops.last().map(|outer| outer.at);
    run.loops.push(PartLoop { at: inside.map_or(0, |part| part + 1), inside, is_replaced: false });
    let flow = walk(run, node);
    run.loops.pop();
    flow
}

fn walk(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    while let Some(&PartLoop { at, inside, .. }) = run.loops.last() {
        let end = match inside {
            Some(part) => run.look(|message| message.inside_end(part))?,
            None => run.look(Message::part_count)?,
        };
        if at >= end {
            break;
        }
        match run.block(node.block.as_deref().unwrap_or_default())? {
            Flow::On => {}
            Flow::Break(None) => break,
            Flow::Break(wanted) if wanted.as_deref() == name(node) => break,
            other => return Ok(other),
        }
        let Some(this) = run.loops.last().copied() else { break };
        let next =
            if this.is_replaced { run.look(|message| message.inside_end(this.at))? } else { this.at + 1 };
        if let Some(this) = run.loops.last_mut() {
            *this = PartLoop { at: next.max(this.at + 1), is_replaced: false, ..*this };
        }
    }
    Ok(Flow::On)
}
