//! `valid_ext_list` (RFC 6134 §2.7). The match type `:list` stands with the others, `redirect :list` with redirect.

use crate::dialect::Extension as E;
use crate::node::Node;
use crate::run::{QUESTION_COST, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "valid_ext_list",
    need: Some(E::ExtLists),
    arguments: &[Positional::new("list names", Kind::Strings)],
    action: Does::Test(valid_ext_list),
    ..COMMAND
}];

fn valid_ext_list(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    run.charge(node.arg(0).texts().len() as u64 * QUESTION_COST)?;
    Ok(run.strings(node.arg(0))?.iter().all(|list| run.world.has_list(list)))
}
