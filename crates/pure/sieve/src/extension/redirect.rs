//! `redirect` (RFC 5228 §4.2) with `:copy` (RFC 3894), `:list` (RFC 6134), and what RFC 6009 lets it ask of the next server.

use super::fileinto::COPY;
use crate::compiler::Compiler;
use crate::decide::prohibition;
use crate::dialect::Extension as E;
use crate::message::AddressForm;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Redirect, RedirectTo};
use crate::path::{self, Recipient};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "redirect",
    tags: &[COPY, &[Tag::plain("list").needs(E::ExtLists)], DSN, DELIVER_BY],
    arguments: &[Positional::new("address", Kind::String)],
    check,
    action: Does::Command(redirect),
    ..COMMAND
}];

/// RFC 6009 §6.
const DSN: &[Tag] = &[
    Tag::valued("notify", Kind::String).needs(E::RedirectDsn),
    Tag::valued("ret", Kind::String).needs(E::RedirectDsn),
];

/// RFC 6009 §7.
const DELIVER_BY: &[Tag] = &[
    Tag::valued("bytimerelative", Kind::Number).needs(E::RedirectDeliverBy).of("time"),
    Tag::valued("bytimeabsolute", Kind::String).needs(E::RedirectDeliverBy).of("time"),
    Tag::valued("bymode", Kind::String).needs(E::RedirectDeliverBy),
    Tag::plain("bytrace").needs(E::RedirectDeliverBy),
];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if compiler.dialect.bounds.redirects_max == 0 {
        compiler.fault(node.place, prohibition("redirect"));
    }
    if !node.has("list") {
        check_address(compiler, node, node.arg(0));
    }
    let lacks_time = !node.has("bytimerelative") && !node.has("bytimeabsolute");
    if lacks_time && (node.has("bymode") || node.has("bytrace")) {
        compiler.fault(node.place, "the redirect command has :bymode or :bytrace without a time");
    }
    for (tag, is_valid) in [
        ("notify", is_notify as fn(&str) -> bool),
        ("ret", |ret| ret.eq_ignore_ascii_case("full") || ret.eq_ignore_ascii_case("hdrs")),
        ("bymode", |mode| by_mode(mode).is_some()),
        ("bytimeabsolute", |time| by_time(time).is_some()),
    ] {
        let value = node.tag(tag).and_then(Arg::text).and_then(Text::constant_str);
        if let Some(value) = value.filter(|value| !is_valid(value)) {
            let words = format!("the redirect command has an invalid :{tag} \"{}\"", value.escape_debug());
            compiler.fault(node.place, words);
        }
    }
}

/// RFC 3461 §4.1: `NEVER`, or others by commas.
fn is_notify(value: &str) -> bool {
    let value = value.to_ascii_uppercase();
    value == "NEVER" || value.split(',').all(|event| ["SUCCESS", "FAILURE", "DELAY"].contains(&event))
}

fn by_mode(mode: &str) -> Option<char> {
    match mode.to_ascii_lowercase().as_str() {
        "notify" => Some('N'),
        "return" => Some('R'),
        _ => None,
    }
}

/// RFC 3339 date and time.
fn by_time(time: &str) -> Option<i64> {
    let is_plausible =
        time.len() >= "0000-00-00T00:00:00Z".len() && time.as_bytes().get(10)?.eq_ignore_ascii_case(&b'T');
    let spaced = time.replace(['T', 't'], " ").replace(['Z', 'z'], " +0000");
    let date = message::Date::parse(spaced.as_bytes())?;
    is_plausible.then_some(date.unix_seconds)
}

/// A constant that is no address is a fault of the script.
pub(super) fn check_address(compiler: &mut Compiler<'_>, node: &Node, arg: &Arg) {
    let Some(text) = arg.text().and_then(Text::constant) else { return };
    if read(text, compiler.dialect.address_form).is_none() {
        let text = String::from_utf8_lossy(text).into_owned();
        let words = format!(
            "the {} {} has an invalid address '{}'",
            node.spec.name,
            node.spec.kind(),
            text.escape_debug()
        );
        compiler.fault(node.place, words);
    }
}

fn read(text: &[u8], form: AddressForm) -> Option<Recipient> {
    path::recipient(std::str::from_utf8(text).ok()?, form)
}

/// An address of a script, as it is now.
pub(super) fn address(run: &Run<'_>, text: &Text) -> Result<Recipient, Stop> {
    let text = run.expand(text);
    read(&text, run.address_form).ok_or_else(|| {
        Stop::fault(format!("invalid address '{}'", String::from_utf8_lossy(&text).escape_debug()))
    })
}

fn redirect(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let Some(text) = node.arg(0).text() else { return Ok(Flow::On) };
    let to = if node.has("list") {
        let list = run.string(text);
        if !run.world.has_list(&list) {
            return Err(Stop::fault(format!("there is no list '{}' to redirect to", list.escape_debug())));
        }
        RedirectTo::List(list)
    } else {
        RedirectTo::Address(address(run, text)?.address)
    };
    let copy = node.has("copy");
    let notify = run.tag_string(node, "notify").map(|notify| notify.to_ascii_uppercase());
    let ret = run.tag_string(node, "ret").map(|ret| ret.to_ascii_uppercase());
    if notify.as_deref().is_some_and(|notify| !is_notify(notify))
        || ret.as_deref().is_some_and(|ret| ret != "FULL" && ret != "HDRS")
    {
        return Err(Stop::fault("the redirect command has an invalid :notify or :ret"));
    }
    let deliver_by = deliver_by(run, node)?;
    run.decide(node, Action::Redirect(Redirect { to, copy, notify, ret, deliver_by }))?;
    if !copy {
        run.cancel_implicit_keep();
    }
    Ok(Flow::On)
}

fn deliver_by(run: &Run<'_>, node: &Node) -> Result<Option<(i64, char, bool)>, Stop> {
    let time =
        match (node.tag("bytimerelative").and_then(Arg::number), run.tag_string(node, "bytimeabsolute")) {
            (Some(seconds), _) => {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                run.world.now().unix_seconds.saturating_add(seconds)
            }
            (None, Some(time)) => by_time(&time).ok_or_else(|| Stop::fault("invalid :bytimeabsolute"))?,
            (None, None) => return Ok(None),
        };
    let mode = match run.tag_string(node, "bymode") {
        Some(mode) => by_mode(&mode).ok_or_else(|| Stop::fault("invalid :bymode"))?,
        // RFC 6009 §7: what is not said is to be told, not sent back.
        None => 'N',
    };
    Ok(Some((time, mode, node.has("bytrace"))))
}
