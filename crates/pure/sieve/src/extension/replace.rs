//! `replace` and `enclose` (RFC 5703 §5 and §6).

use message::Date;

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::message::{Enclosure, Message, Replacement};
use crate::node::{Arg, Node};
use crate::path;
use crate::run::{Flow, PartLoop, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

const TEXT: &[Positional] = &[Positional::new("text", Kind::String)];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "replace",
        need: Some(E::Replace),
        tags: &[&[
            Tag::plain("mime"),
            Tag::valued("subject", Kind::String),
            Tag::valued("from", Kind::String),
        ]],
        arguments: TEXT,
        check: check_replace,
        action: Does::Command(replace),
        ..COMMAND
    },
    Spec {
        name: "enclose",
        need: Some(E::Enclose),
        tags: &[&[Tag::valued("subject", Kind::String), Tag::valued("headers", Kind::Strings)]],
        arguments: TEXT,
        action: Does::Command(enclose),
        ..COMMAND
    },
];

fn check_replace(compiler: &mut Compiler<'_>, node: &mut Node) {
    let from = node.tag("from").and_then(Arg::text).and_then(Text::constant_str);
    if from.is_some_and(|from| path::recipient(from, compiler.dialect.address_form).is_none()) {
        compiler.fault(node.place, "the :from of the replace command is no address");
    }
}

fn replace(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let text = run.arg_string(node.arg(0));
    let subject = run.tag_string(node, "subject");
    // RFC 5703 §5: an address that is none is as if it were not there.
    let from = run.tag_string(node, "from").filter(|from| path::recipient(from, run.address_form).is_some());
    let part = run.loops.last().map_or(0, |part_loop| part_loop.at);
    let is_mime = node.has("mime");
    let replacement =
        Replacement { text: &text, is_mime, subject: subject.as_deref(), from: from.as_deref() };
    if !run.change(|message| message.replace(part, replacement))? {
        return Err(Stop::fault(
            "the part cannot be replaced: too many were, or the new one would break the message",
        ));
    }
    if let Some(part_loop) = run.loops.last_mut() {
        part_loop.is_replaced = true;
    }
    Ok(Flow::On)
}

fn enclose(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let text = run.arg_string(node.arg(0));
    let subject = run.tag_string(node, "subject");
    let headers = node.tag("headers").map(|names| run.strings(names)).transpose()?.unwrap_or_default();
    let own = run.world.own_addresses().into_iter().next();
    let from = own.or_else(|| run.envelope().to.clone()).unwrap_or_default();
    let now = run.world.now();
    let date = Date { unix_seconds: now.unix_seconds, zone_minutes: now.zone_minutes }.format();
    let enclosure =
        Enclosure { text: &text, subject: subject.as_deref(), headers: &headers, from: &from, date: &date };
    if !run.change(|message| message.enclose(&enclosure))? {
        return Err(Stop::fault("the message was replaced or enclosed too often"));
    }
    // Loops go on over the parts of the message that is inside now.
    for part_loop in &mut run.loops {
        *part_loop = PartLoop {
            at: part_loop.at + Message::ENCLOSED_BY,
            inside: Some(
                part_loop.inside.map_or(Message::ENCLOSED_BY - 1, |part| part + Message::ENCLOSED_BY),
            ),
            ..*part_loop
        };
    }
    Ok(Flow::On)
}
