//! `header` (RFC 5228 §5.7), with `:index` (RFC 5260).

use super::index::{self, INDEX};
use crate::compiler::Compiler;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "header",
    tags: &[MATCH, INDEX],
    arguments: &[Positional::new("header names", Kind::Strings), Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(header),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    index::check(compiler, node);
    matching::check(compiler, node);
}

fn header(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let is_found = look(run, node, &mut matching)?;
    Ok(matching.finish(run, is_found))
}

fn look(run: &Run<'_>, node: &Node, matching: &mut Matching<'_>) -> Result<bool, Stop> {
    for name in node.arg(0).texts() {
        let name = run.expand(name);
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        for field in run.message.header().chosen(name, index::occurrence(node)) {
            if matching.feed(run, Value::with_casemap(field.text().as_bytes(), field.casemap()))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
