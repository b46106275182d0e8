//! `fileinto` (RFC 5228 §4.1) with `:copy` (RFC 3894), `:create` (RFC 5490), `:flags` (RFC 5232), `:specialuse` (RFC 8579)
//! and `:mailboxid` (RFC 9042); `:fcc` of actions that send something (RFC 8580), which takes the same tags.

use mail_types::MailboxName;

use super::imap4flags::{self, FLAGS};
use super::mailbox;
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
    tags: &[COPY, FLAGS, STORE],
    arguments: &[Positional::new("mailbox", Kind::String)],
    check,
    action: Does::Command(file_into),
    ..COMMAND
}];

/// `:copy` (RFC 3894).
pub(super) const COPY: &[Tag] = &[Tag::plain("copy").needs(E::Copy)];

/// How a mailbox is found or made.
const STORE: &[Tag] = &[
    Tag::plain("create").needs(E::Mailbox),
    Tag::valued("specialuse", Kind::String).needs(E::SpecialUse),
    Tag::valued("mailboxid", Kind::String).needs(E::MailboxId),
];

/// `:fcc` and what goes with it.
pub(super) const FCC: &[&[Tag]] = &[&[Tag::valued("fcc", Kind::String).needs(E::Fcc)], FLAGS, STORE];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_store(compiler, node, node.arg(0).text());
}

/// A constant name that no mailbox can have is a fault of the script.
fn check_store(compiler: &mut Compiler<'_>, node: &Node, name: Option<&Text>) {
    if let Some(name) = name.and_then(Text::constant)
        && std::str::from_utf8(name).is_err()
    {
        compiler.fault(node.place, "invalid folder name: it is not valid UTF-8");
    }
    if let Some(attribute) = node.tag("specialuse").and_then(Arg::text) {
        mailbox::check_attribute(compiler, node, attribute);
    }
}

/// Checks `:fcc` and what goes with it.
pub(super) fn check_fcc(compiler: &mut Compiler<'_>, node: &Node) {
    let fcc = node.tag("fcc").and_then(Arg::text);
    if fcc.is_none()
        && let Some(tag) = ["flags", "create", "specialuse", "mailboxid"].iter().find(|tag| node.has(tag))
    {
        compiler.fault(node.place, format!("the {} command has :{tag} without :fcc", node.spec.name));
        return;
    }
    check_store(compiler, node, fcc);
}

/// The name of a mailbox, as it is now; `None` if no mailbox can have it.
fn mailbox_name(run: &Run<'_>, node: &Node, arg: &Arg) -> Result<Option<MailboxName>, Stop> {
    let name = arg.text().map(|text| run.expand(text)).unwrap_or_default();
    let name =
        std::str::from_utf8(&name).map_err(|_| Stop::fault("invalid folder name: it is not valid UTF-8"))?;
    match MailboxName::parse(name) {
        Ok(mailbox) => Ok(Some(mailbox)),
        Err(error) => {
            run.note(node, format!("failed to store into mailbox '{}': {error}", name.escape_debug()));
            Ok(None)
        }
    }
}

/// Where a message goes, by a name and the tags beside it.
fn store(run: &Run<'_>, node: &Node, name: &Arg, flags: Vec<String>) -> Result<Option<FileInto>, Stop> {
    let special_use = run.tag_string(node, "specialuse");
    if special_use.as_deref().is_some_and(|special_use| !mailbox::is_attribute(special_use)) {
        return Err(Stop::fault("a special use is a backslash and a word, like \\Junk"));
    }
    let Some(mailbox) = mailbox_name(run, node, name)? else { return Ok(None) };
    Ok(Some(FileInto {
        mailbox,
        create: node.has("create"),
        special_use,
        mailbox_id: run.tag_string(node, "mailboxid"),
        flags,
        copy: node.has("copy"),
    }))
}

/// Where a copy of what an action sends goes.
pub(super) fn fcc(run: &Run<'_>, node: &Node) -> Result<Option<FileInto>, Stop> {
    let Some(name) = node.tag("fcc") else { return Ok(None) };
    // RFC 8580 §3.2: the internal variable is the message's, not the copy's.
    let flags = node.tag("flags").map(|flags| run.strings(flags)).transpose()?.unwrap_or_default();
    store(run, node, name, imap4flags::flags(flags))
}

fn file_into(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let flags = imap4flags::of_action(run, node)?;
    let Some(store) = store(run, node, node.arg(0), flags.clone())? else {
        // What cannot be filed there is kept.
        run.decide(node, Action::Keep { flags })?;
        return Ok(Flow::On);
    };
    let copy = store.copy;
    run.decide(node, Action::FileInto(store))?;
    if !copy {
        run.cancel_implicit_keep();
    }
    Ok(Flow::On)
}
