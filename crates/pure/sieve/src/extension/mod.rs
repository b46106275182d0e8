//! The commands and tests of the language and its extensions, a file each.

mod address;
mod control;
mod envelope;
mod exists;
mod fileinto;
mod header;
mod keep;
mod redirect;
mod require;
mod size;

use crate::node::Node;
use crate::run::Run;
use crate::spec::Spec;

/// All rows, by file.
static ALL: &[&[Spec]] = &[
    address::SPECS,
    control::SPECS,
    envelope::SPECS,
    exists::SPECS,
    fileinto::SPECS,
    header::SPECS,
    keep::SPECS,
    redirect::SPECS,
    require::SPECS,
    size::SPECS,
];

/// All commands and tests. Some names have several rows, for several extensions.
pub(crate) fn specs() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().flat_map(|specs| specs.iter())
}

/// Whether a command's tests are false before anything is known, because an extension is not there (RFC 5463).
pub(crate) fn never_runs(_node: &Node) -> bool {
    false
}

/// An item of the environment (RFC 5183).
pub(crate) fn environment_item(run: &Run<'_>, item: &str) -> Option<String> {
    run.world.environment(item)
}
