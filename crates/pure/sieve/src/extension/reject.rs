//! `reject` and `ereject` (RFC 5429).

use crate::dialect::Extension as E;
use crate::node::Node;
use crate::outcome::{Action, Reject, RejectKind};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

const REASON: &[Positional] = &[Positional::new("reason", Kind::String)];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "reject",
        need: Some(E::Reject),
        arguments: REASON,
        action: Does::Command(|run, node| reject(run, node, RejectKind::Reject)),
        ..COMMAND
    },
    Spec {
        name: "ereject",
        need: Some(E::Ereject),
        arguments: REASON,
        action: Does::Command(|run, node| reject(run, node, RejectKind::Ereject)),
        ..COMMAND
    },
];

fn reject(run: &mut Run<'_>, node: &Node, kind: RejectKind) -> Result<Flow, Stop> {
    let reason = run.arg_string(node.arg(0));
    run.decide(node, Action::Reject(Reject { kind, reason }))?;
    run.cancel_implicit_keep();
    Ok(Flow::On)
}
