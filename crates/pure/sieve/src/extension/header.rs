//! `header` (RFC 5228 §5.7), with `:index` (RFC 5260).

use super::index::{self, INDEX};
use super::mime::{self, LOOKUP_COST, MIME, MIME_OPTIONS};
use crate::compiler::Compiler;
use crate::matching::{self, MATCH, Matching, Value};
use crate::message::MimeOption;
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "header",
    tags: &[MATCH, INDEX, MIME, MIME_OPTIONS],
    arguments: &[Positional::new("header names", Kind::Strings), Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(header),
    ..COMMAND
}];

/// What each octet of a field costs whose MIME syntax is read.
const SYNTAX_COST: u64 = 3;

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    index::check(compiler, node);
    mime::check(compiler, node);
    matching::check(compiler, node);
}

fn header(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let is_found = look(run, node, &mut matching)?;
    Ok(matching.finish(run, is_found))
}

fn look(run: &Run<'_>, node: &Node, matching: &mut Matching<'_>) -> Result<bool, Stop> {
    let parameters = node.tag("param").map(|names| run.strings(names)).transpose()?.unwrap_or_default();
    let option = mime::option(node, &parameters);
    for header in mime::headers(run, node)? {
        for name in node.arg(0).texts() {
            run.charge(LOOKUP_COST)?;
            let name = run.expand(name);
            let Ok(name) = std::str::from_utf8(&name) else { continue };
            for field in header.chosen(name, index::occurrence(node)) {
                let is_found = match option {
                    MimeOption::Whole => {
                        matching.feed(run, Value::with_casemap(field.text().as_bytes(), field.casemap()))?
                    }
                    option => {
                        let octets = field.raw().len() as u64;
                        run.charge(octets * SYNTAX_COST + parameters.len() as u64 * LOOKUP_COST)?;
                        feed_all(run, matching, &option.values(field))?
                    }
                };
                if is_found {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

fn feed_all(run: &Run<'_>, matching: &mut Matching<'_>, values: &[String]) -> Result<bool, Stop> {
    for value in values {
        if matching.feed(run, Value::new(value.as_bytes()))? {
            return Ok(true);
        }
    }
    Ok(false)
}
