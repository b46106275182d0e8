//! `notify` and its tests (RFC 5435), with the `mailto` method (RFC 5436) and `:fcc` (RFC 8580).

use super::fileinto::{self, FCC};
use super::mime::LOOKUP_COST;
use super::redirect::check_address;
use crate::compiler::Compiler;
use crate::decide::prohibition;
use crate::dialect::Extension as E;
use crate::mailto::Mailto;
use crate::matching::{self, MATCH, Matching, Value};
use crate::message::AddressForm;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Notify};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

const TAGS: &[Tag] = &[
    Tag::valued("from", Kind::String),
    Tag::valued("importance", Kind::String),
    Tag::valued("options", Kind::Strings),
    Tag::valued("message", Kind::String),
];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "notify",
        need: Some(E::Enotify),
        tags: &[TAGS, FCC[0], FCC[1], FCC[2]],
        arguments: &[Positional::new("method", Kind::String)],
        check,
        action: Does::Command(notify),
        ..COMMAND
    },
    Spec {
        name: "valid_notify_method",
        need: Some(E::Enotify),
        arguments: &[Positional::new("notification URIs", Kind::Strings)],
        action: Does::Test(valid_notify_method),
        ..COMMAND
    },
    Spec {
        name: "notify_method_capability",
        need: Some(E::Enotify),
        tags: &[MATCH],
        arguments: &[
            Positional::new("notification URI", Kind::String),
            Positional::new("notification capability", Kind::String),
            Positional::new("key list", Kind::Strings),
        ],
        check: matching::check,
        action: Does::Test(notify_method_capability),
        ..COMMAND
    },
];

/// What each octet of a URI costs that is read.
const SYNTAX_COST: u64 = 10;

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if compiler.dialect.bounds.notifications_max == 0 {
        compiler.fault(node.place, prohibition("notify"));
    }
    if let Some(importance) = node.tag("importance").and_then(Arg::text).and_then(Text::constant)
        && self::importance(importance).is_none()
    {
        compiler.fault(node.place, "the :importance of a notification is \"1\", \"2\" or \"3\"");
    }
    let options = node.tag("options").map(Arg::texts).unwrap_or_default();
    if options.iter().filter_map(Text::constant_str).any(|option| self::option(option).is_none()) {
        compiler.fault(node.place, "the :options of a notification have the form \"name=value\"");
    }
    if let Some(method) = node.arg(0).text().and_then(Text::constant_str) {
        if let Err(words) =
            check_method(method, &compiler.dialect.notify_methods, compiler.dialect.address_form)
        {
            compiler.fault(node.place, words);
        } else if is_mailto(method)
            && let Some(from) = node.tag("from")
        {
            check_address(compiler, node, from);
        }
    }
    fileinto::check_fcc(compiler, node);
}

fn importance(importance: &[u8]) -> Option<u8> {
    match importance {
        b"1" => Some(1),
        b"2" => Some(2),
        b"3" => Some(3),
        _ => None,
    }
}

/// `name=value` (RFC 5435 §3.5).
fn option(option: &str) -> Option<(String, String)> {
    let (name, value) = option.split_once('=')?;
    let is_name = name.bytes().next().is_some_and(|octet| octet.is_ascii_alphanumeric())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet));
    (is_name && !value.contains(['\r', '\n'])).then(|| (name.to_owned(), value.to_owned()))
}

fn is_mailto(method: &str) -> bool {
    method.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("mailto"))
}

/// Whether notifications can be sent that way.
fn check_method(method: &str, known: &[String], form: AddressForm) -> Result<(), String> {
    let Some((scheme, _)) = method.split_once(':') else {
        return Err(format!("the notification method '{}' is no URI", method.escape_debug()));
    };
    if !known.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(format!("unknown notification method '{}'", scheme.escape_debug()));
    }
    if is_mailto(method) {
        Mailto::parse(method, form)?;
    }
    Ok(())
}

fn notify(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let method = run.arg_string(node.arg(0));
    check_method(&method, &run.notify_methods, run.address_form).map_err(Stop::fault)?;
    let from = match node.tag("from").and_then(Arg::text) {
        Some(from) if is_mailto(&method) => {
            super::redirect::address(run, from)?;
            Some(run.string(from))
        }
        Some(from) => Some(run.string(from)),
        None => None,
    };
    let importance = match run.tag_string(node, "importance") {
        None => 2,
        Some(importance) => self::importance(importance.as_bytes())
            .ok_or_else(|| Stop::fault("the :importance of a notification is \"1\", \"2\" or \"3\""))?,
    };
    let options = node.tag("options").map(|options| run.strings(options)).transpose()?.unwrap_or_default();
    // RFC 5435 §3.5: what a method does not know is left out.
    let options = options.iter().filter_map(|option| self::option(option)).collect();
    let message = run.tag_string(node, "message");
    let fcc = fileinto::fcc(run, node)?;
    let notify = Notify { method, id: None, is_old: false, from, importance, options, message, fcc };
    run.decide(node, Action::Notify(Box::new(notify)))?;
    Ok(Flow::On)
}

fn valid_notify_method(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let methods = run.strings(node.arg(0))?;
    let octets: u64 = methods.iter().map(|method| method.len() as u64).sum();
    run.charge(octets * SYNTAX_COST + methods.len() as u64 * LOOKUP_COST)?;
    Ok(methods.iter().all(|method| check_method(method, &run.notify_methods, run.address_form).is_ok()))
}

/// RFC 5435 §5: what is not known of a method matches nothing.
fn notify_method_capability(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let method = run.arg_string(node.arg(0));
    let capability = run.arg_string(node.arg(1));
    let is_known = check_method(&method, &run.notify_methods, run.address_form).is_ok();
    if !is_known || !capability.eq_ignore_ascii_case("online") {
        return Ok(false);
    }
    let mut matching = Matching::new(run, node)?;
    // Nobody knows whether somebody reads mail now (RFC 5436 §2.1).
    let is_found = matching.feed(run, Value::new(b"maybe"))?;
    Ok(matching.finish(run, is_found))
}
