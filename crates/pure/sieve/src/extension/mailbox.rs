//! Questions about mailboxes: `mailboxexists` and metadata (RFC 5490), `specialuse_exists` (RFC 8579), `mailboxidexists`
//! (RFC 9042).

use mail_types::MailboxName;

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::run::{QUESTION_COST, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "mailboxexists",
        need: Some(E::Mailbox),
        arguments: &[Positional::new("mailbox names", Kind::Strings)],
        check: |compiler, node| warn_of_mailboxes(compiler, node, node.arg(0)),
        action: Does::Test(mailbox_exists),
        ..COMMAND
    },
    Spec {
        name: "mailboxidexists",
        need: Some(E::MailboxId),
        arguments: &[Positional::new("mailbox identifiers", Kind::Strings)],
        action: Does::Test(mailbox_id_exists),
        ..COMMAND
    },
    Spec {
        name: "specialuse_exists",
        need: Some(E::SpecialUse),
        arguments: &[
            Positional::optional("mailbox", Kind::String),
            Positional::new("special-use attributes", Kind::Strings),
        ],
        check: check_special_use,
        action: Does::Test(special_use_exists),
        ..COMMAND
    },
    Spec {
        name: "metadata",
        need: Some(E::MboxMetadata),
        tags: &[MATCH],
        arguments: &[
            Positional::new("mailbox", Kind::String),
            Positional::new("annotation name", Kind::String),
            Positional::new("key list", Kind::Strings),
        ],
        check: |compiler, node| {
            warn_of_mailboxes(compiler, node, node.arg(0));
            warn_of_annotations(compiler, node, node.arg(1));
            matching::check(compiler, node);
        },
        action: Does::Test(metadata),
        ..COMMAND
    },
    Spec {
        name: "servermetadata",
        need: Some(E::ServerMetadata),
        tags: &[MATCH],
        arguments: &[
            Positional::new("annotation name", Kind::String),
            Positional::new("key list", Kind::Strings),
        ],
        check: |compiler, node| {
            warn_of_annotations(compiler, node, node.arg(0));
            matching::check(compiler, node);
        },
        action: Does::Test(server_metadata),
        ..COMMAND
    },
    Spec {
        name: "metadataexists",
        need: Some(E::MboxMetadata),
        arguments: &[
            Positional::new("mailbox", Kind::String),
            Positional::new("annotation names", Kind::Strings),
        ],
        check: |compiler, node| {
            warn_of_mailboxes(compiler, node, node.arg(0));
            warn_of_annotations(compiler, node, node.arg(1));
        },
        action: Does::Test(metadata_exists),
        ..COMMAND
    },
    Spec {
        name: "servermetadataexists",
        need: Some(E::ServerMetadata),
        arguments: &[Positional::new("annotation names", Kind::Strings)],
        check: |compiler, node| warn_of_annotations(compiler, node, node.arg(0)),
        action: Does::Test(server_metadata_exists),
        ..COMMAND
    },
];

fn warn_of_mailboxes(compiler: &mut Compiler<'_>, node: &Node, names: &Arg) {
    for name in names.texts().iter().filter_map(Text::constant) {
        if read_mailbox(name).is_none() {
            compiler.warnings.add(node.place, format!("no mailbox has the name '{}'", name.escape_ascii()));
        }
    }
}

fn warn_of_annotations(compiler: &mut Compiler<'_>, node: &Node, names: &Arg) {
    for name in names.texts().iter().filter_map(Text::constant_str) {
        if !is_annotation(name) {
            compiler
                .warnings
                .add(node.place, format!("no annotation has the name '{}'", name.escape_debug()));
        }
    }
}

fn check_special_use(compiler: &mut Compiler<'_>, node: &mut Node) {
    warn_of_mailboxes(compiler, node, node.arg(0));
    for attribute in node.arg(1).texts() {
        check_attribute(compiler, node, attribute);
    }
}

/// A backslash and an atom (RFC 6154 §6).
pub(super) fn check_attribute(compiler: &mut Compiler<'_>, node: &Node, attribute: &Text) {
    if let Some(attribute) = attribute.constant_str()
        && !is_attribute(attribute)
    {
        let words = format!("'{}' is no special use like '\\\\Junk'", attribute.escape_debug());
        compiler.fault(node.place, words);
    }
}

pub(super) fn is_attribute(attribute: &str) -> bool {
    attribute.strip_prefix('\\').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    })
}

fn read_mailbox(name: &[u8]) -> Option<MailboxName> {
    MailboxName::parse(std::str::from_utf8(name).ok()?).ok()
}

/// `/private/…` or `/shared/…` (RFC 5464 §3).
fn is_annotation(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let rest = lower.strip_prefix("/private/").or_else(|| lower.strip_prefix("/shared/"));
    rest.is_some_and(|rest| {
        rest.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_graphic() && !b"*%".contains(&octet))
        })
    })
}

fn mailbox(run: &Run<'_>, arg: &Arg) -> Option<MailboxName> {
    arg.text().and_then(|text| read_mailbox(&run.expand(text)))
}

/// Pays for a question about each of these.
fn ask(run: &Run<'_>, about: &Arg) -> Result<(), Stop> {
    run.charge(about.texts().len() as u64 * QUESTION_COST)
}

/// RFC 5490 §3.1: all of them, and mail can be filed there.
fn mailbox_exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    ask(run, node.arg(0))?;
    Ok(node
        .arg(0)
        .texts()
        .iter()
        .all(|text| read_mailbox(&run.expand(text)).is_some_and(|mailbox| run.world.has_mailbox(&mailbox))))
}

fn mailbox_id_exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    ask(run, node.arg(0))?;
    Ok(run.strings(node.arg(0))?.iter().all(|id| run.world.mailbox_with_id(id).is_some()))
}

/// RFC 8579 §4.1: there is a mailbox with each use; or this one has them all.
fn special_use_exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let wanted = match node.arg(0) {
        Arg::None => None,
        arg => match mailbox(run, arg) {
            Some(mailbox) => Some(mailbox),
            None => return Ok(false),
        },
    };
    ask(run, node.arg(1))?;
    Ok(run.strings(node.arg(1))?.iter().all(|special_use| {
        let found = run.world.mailboxes_with_use(special_use);
        match &wanted {
            None => !found.is_empty(),
            Some(mailbox) => found.contains(mailbox),
        }
    }))
}

fn metadata(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let Some(mailbox) = mailbox(run, node.arg(0)) else { return Ok(false) };
    let name = run.arg_string(node.arg(1));
    annotation(run, node, Some(&mailbox), &name)
}

fn server_metadata(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let name = run.arg_string(node.arg(0));
    annotation(run, node, None, &name)
}

fn annotation(
    run: &mut Run<'_>,
    node: &Node,
    mailbox: Option<&MailboxName>,
    name: &str,
) -> Result<bool, Stop> {
    run.charge(QUESTION_COST)?;
    let mut matching = Matching::new(run, node)?;
    let value = if is_annotation(name) { run.world.metadata(mailbox, name) } else { None };
    let is_found = match value {
        Some(value) => matching.feed(run, Value::new(value.as_bytes()))?,
        None => false,
    };
    Ok(matching.finish(run, is_found))
}

fn metadata_exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let Some(mailbox) = mailbox(run, node.arg(0)) else { return Ok(false) };
    ask(run, node.arg(1))?;
    all_exist(run, Some(&mailbox), node.arg(1))
}

fn server_metadata_exists(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    ask(run, node.arg(0))?;
    all_exist(run, None, node.arg(0))
}

fn all_exist(run: &Run<'_>, mailbox: Option<&MailboxName>, names: &Arg) -> Result<bool, Stop> {
    let names = run.strings(names)?;
    Ok(names.iter().all(|name| is_annotation(name) && run.world.metadata(mailbox, name).is_some()))
}
