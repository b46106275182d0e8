//! `exists` (RFC 5228 §5.5).

use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "exists",
    arguments: &[Positional::new("header names", Kind::Strings)],
    action: Does::Test(exists),
    ..COMMAND
}];

fn exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    for name in node.arg(0).texts() {
        let name = run.string(name);
        if run.message.named(&name).next().is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
