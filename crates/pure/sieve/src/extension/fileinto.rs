//! `fileinto` (RFC 5228 §4.1) and its `:copy` (RFC 3894).

use mail_types::MailboxName;

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::outcome::{Action, FileInto};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "fileinto",
    need: Some(E::FileInto),
    tags: &[&[Tag::plain("copy").needs(E::Copy)]],
    arguments: &[Positional::new("mailbox", Kind::String)],
    check,
    action: Does::Command(file_into),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_mailbox(compiler, node, node.arg(0).text());
}

/// A constant name that no mailbox can have is a fault of the script.
pub(super) fn check_mailbox(compiler: &mut Compiler<'_>, node: &Node, name: Option<&Text>) {
    let Some(name) = name.and_then(Text::constant) else { return };
    if std::str::from_utf8(name).is_err() {
        compiler.fault(node.place, "invalid folder name: it is not valid UTF-8");
    }
}

/// The name of a mailbox, as it is now.
pub(super) fn mailbox(run: &Run<'_>, arg: &Arg) -> Result<MailboxName, Stop> {
    let name = arg.text().map(|text| run.expand(text)).unwrap_or_default();
    let name =
        std::str::from_utf8(&name).map_err(|_| Stop::fault("invalid folder name: it is not valid UTF-8"))?;
    MailboxName::parse(name)
        .map_err(|error| Stop::fault(format!("invalid folder name '{}': {error}", name.escape_debug())))
}

fn file_into(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let mailbox = mailbox(run, node.arg(0))?;
    let copy = node.has("copy");
    let store = FileInto {
        mailbox,
        create: false,
        special_use: None,
        mailbox_id: None,
        flags: run.flags.clone(),
        copy,
    };
    run.decide(node, Action::FileInto(store))?;
    if !copy {
        run.cancel_implicit_keep();
    }
    Ok(Flow::On)
}
