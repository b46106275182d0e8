//! `report` (vnd.dovecot.report): reports on abuse (RFC 5965).

use super::redirect::{self, check_address};
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::Node;
use crate::outcome::{Action, Report};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "report",
    need: Some(E::DovecotReport),
    tags: &[&[Tag::plain("headers_only")]],
    arguments: &[
        Positional::new("feedback type", Kind::String),
        Positional::new("message", Kind::String),
        Positional::new("address", Kind::String),
    ],
    check,
    action: Does::Command(report),
    ..COMMAND
}];

/// An atom (RFC 5965 §3.1).
fn is_feedback_type(feedback_type: &str) -> bool {
    !feedback_type.is_empty()
        && feedback_type.len() <= 64
        && feedback_type
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-_.+!#$%&'*/=^`{|}~".contains(&octet))
}

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if let Some(kind) = node.arg(0).text().and_then(Text::constant_str)
        && !is_feedback_type(kind)
    {
        compiler.fault(node.place, format!("invalid feedback type '{}'", kind.escape_debug()));
        return;
    }
    check_address(compiler, node, node.arg(2));
}

fn report(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let Some(address) = node.arg(2).text() else { return Ok(Flow::On) };
    let feedback_type = run.arg_string(node.arg(0));
    if !is_feedback_type(&feedback_type) {
        return Err(Stop::fault("invalid feedback type"));
    }
    let to = redirect::address(run, address)?.address;
    let message = run.arg_string(node.arg(1));
    let headers_only = node.has("headers_only");
    run.decide(node, Action::Report(Report { feedback_type, message, to, headers_only }))?;
    Ok(Flow::On)
}
