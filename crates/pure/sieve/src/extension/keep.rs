//! `keep` and `discard` (RFC 5228 §4.3, §4.4), `:flags` of keep (RFC 5232 §5).

use super::imap4flags::{self, FLAGS};
use crate::node::Node;
use crate::outcome::Action;
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Spec};

pub(super) static SPECS: &[Spec] = &[
    Spec { name: "keep", tags: &[FLAGS], action: Does::Command(keep), ..COMMAND },
    Spec { name: "discard", action: Does::Command(discard), ..COMMAND },
];

fn keep(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let flags = imap4flags::of_action(run, node)?;
    run.decide(node, Action::Keep { flags })?;
    run.cancel_implicit_keep();
    Ok(Flow::On)
}

fn discard(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    run.decide(node, Action::Discard)?;
    run.cancel_implicit_keep();
    Ok(Flow::On)
}
