//! The commands and tests of the language and its extensions, a file each.

mod address;
mod body;
mod control;
mod date;
mod duplicate;
mod editheader;
mod enotify;
mod envelope;
mod environment;
mod exists;
mod extlists;
mod extracttext;
mod fileinto;
mod foreverypart;
mod header;
mod ihave;
mod imap4flags;
pub(crate) mod include;
pub(crate) mod index;
mod keep;
mod mailbox;
mod mime;
mod notify;
mod programs;
mod redirect;
mod reject;
mod replace;
mod report;
mod require;
mod size;
mod spamtest;
mod vacation;
mod variables;

use crate::node::Node;
use crate::run::Run;
use crate::spec::Spec;

/// All rows, by file.
static ALL: &[&[Spec]] = &[
    address::SPECS,
    body::SPECS,
    control::SPECS,
    date::SPECS,
    duplicate::SPECS,
    editheader::SPECS,
    enotify::SPECS,
    envelope::SPECS,
    environment::SPECS,
    exists::SPECS,
    extlists::SPECS,
    extracttext::SPECS,
    fileinto::SPECS,
    foreverypart::SPECS,
    header::SPECS,
    ihave::SPECS,
    imap4flags::SPECS,
    include::SPECS,
    keep::SPECS,
    mailbox::SPECS,
    notify::SPECS,
    programs::SPECS,
    redirect::SPECS,
    reject::SPECS,
    replace::SPECS,
    report::SPECS,
    require::SPECS,
    size::SPECS,
    crate::testsuite::SPECS,
    spamtest::SPECS,
    vacation::SPECS,
    variables::SPECS,
];

/// All commands and tests. Some names have several rows, for several extensions.
pub(crate) fn specs() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().flat_map(|specs| specs.iter())
}

/// Whether a command's tests are false whatever the message, because an extension is not there (RFC 5463).
pub(crate) fn never_runs(node: &Node) -> bool {
    node.tests.first().is_some_and(ihave::is_never)
}

/// An item of the environment (RFC 5183).
pub(crate) fn environment_item(run: &Run<'_>, item: &str) -> Option<String> {
    environment::item(run, item)
}
