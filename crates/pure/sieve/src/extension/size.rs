//! `size` (RFC 5228 §5.9).

use crate::compiler::Compiler;
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "size",
    tags: &[&[Tag::plain("over").of("relation"), Tag::plain("under").of("relation")]],
    arguments: &[Positional::new("limit", Kind::Number)],
    check,
    action: Does::Test(size),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if node.tags.is_empty() {
        compiler.fault(node.place, "the size test requires :over or :under");
    } else if node.has("under") && node.arg(0).number() == Some(0) {
        compiler.warnings.add(node.place, "no message is smaller than nothing: this test is always false");
    }
}

fn size(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let limit = node.arg(0).number().unwrap_or(0);
    let octets = run.message.octets();
    Ok(if node.has("over") { octets > limit } else { octets < limit })
}
