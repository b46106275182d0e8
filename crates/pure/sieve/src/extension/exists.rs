//! `exists` (RFC 5228 §5.5).

use super::mime::{self, LOOKUP_COST, MIME};
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "exists",
    tags: &[MIME],
    arguments: &[Positional::new("header names", Kind::Strings)],
    check: |compiler, node| mime::check(compiler, node),
    action: Does::Test(exists),
    ..COMMAND
}];

fn exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let headers = mime::headers(run, node)?;
    for name in node.arg(0).texts() {
        run.charge(headers.len() as u64 * LOOKUP_COST)?;
        let name = run.string(name);
        if !headers.iter().any(|header| header.has(&name)) {
            return Ok(false);
        }
    }
    Ok(true)
}
