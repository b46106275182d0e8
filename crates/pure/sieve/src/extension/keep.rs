//! `keep` and `discard` (RFC 5228 §4.3, §4.4).

use crate::node::Node;
use crate::outcome::Action;
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Spec};

pub(super) static SPECS: &[Spec] = &[
    Spec { name: "keep", action: Does::Command(keep), ..COMMAND },
    Spec { name: "discard", action: Does::Command(discard), ..COMMAND },
];

fn keep(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let flags = run.flags.clone();
    run.decide(node, Action::Keep { flags })?;
    run.cancel_implicit_keep();
    Ok(Flow::On)
}

fn discard(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    run.decide(node, Action::Discard)?;
    run.cancel_implicit_keep();
    Ok(Flow::On)
}
