//! `environment` (RFC 5183), with the items of imapsieve (RFC 6785) and of vnd.dovecot.environment; `debug_log`
//! (vnd.dovecot.debug).

use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::Node;
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

/// Most lines that one run may write for who looks for faults.
const DEBUG_LINES_MAX: usize = 100;
/// Octets of one such line.
const DEBUG_LINE_OCTETS_MAX: usize = 1_024;

const ENVIRONMENT: Spec = Spec {
    name: "environment",
    tags: &[MATCH],
    arguments: &[Positional::new("name", Kind::String), Positional::new("key list", Kind::Strings)],
    check: matching::check,
    action: Does::Test(environment),
    ..COMMAND
};

pub(super) static SPECS: &[Spec] = &[
    Spec { need: Some(E::Environment), ..ENVIRONMENT },
    // What needs items of the environment brings the test along.
    Spec { need: Some(E::DovecotEnvironment), ..ENVIRONMENT },
    Spec { need: Some(E::ImapSieve), ..ENVIRONMENT },
    Spec {
        name: "debug_log",
        need: Some(E::DovecotDebug),
        arguments: &[Positional::new("message", Kind::String)],
        action: Does::Command(debug_log),
        ..COMMAND
    },
];

/// An item of the environment: the world's, or what every run knows.
pub(super) fn item(run: &Run<'_>, name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    // In variables, where a name has no hyphens, they are written as underscores.
    let known = run.world.environment(&name).or_else(|| run.world.environment(&name.replace('_', "-")));
    known.or_else(|| match name.as_str() {
        "name" => Some("mailstead".to_owned()),
        "version" => Some(env!("CARGO_PKG_VERSION").to_owned()),
        _ => None,
    })
}

fn environment(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    // RFC 5183 §4: what is not known matches nothing, however it is asked for.
    let Some(value) = item(run, &run.arg_string(node.arg(0))) else { return Ok(false) };
    // RFC 5231 §4.2: what is empty does not count.
    let is_found =
        !(matching.counts() && value.is_empty()) && matching.feed(run, Value::new(value.as_bytes()))?;
    Ok(matching.finish(run, is_found))
}

fn debug_log(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let mut line: String =
        run.arg_string(node.arg(0)).chars().filter(|character| !character.is_control()).collect();
    line.truncate(line.floor_char_boundary(DEBUG_LINE_OCTETS_MAX));
    if run.outcome.debug.len() < DEBUG_LINES_MAX {
        run.outcome.debug.push(line);
    }
    Ok(Flow::On)
}
