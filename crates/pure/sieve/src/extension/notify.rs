//! `notify` and `denotify` as they were before RFC 5435 (draft-martin-sieve-notify-01): old scripts still have them.

use super::redirect::check_address;
use crate::compiler::Compiler;
use crate::decide::prohibition;
use crate::dialect::Extension as E;
use crate::matching::{self, Matching, Value};
use crate::message::Message;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Notify};
use crate::path;
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Spec, Tag};
use crate::text::Text;

const IMPORTANCE: &[Tag] = &[
    Tag::plain("low").of("importance"),
    Tag::plain("normal").of("importance"),
    Tag::plain("high").of("importance"),
];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "notify",
        need: Some(E::Notify),
        tags: &[
            IMPORTANCE,
            &[
                Tag::valued("method", Kind::String),
                Tag::valued("id", Kind::String),
                Tag::valued("options", Kind::Strings),
                Tag::valued("message", Kind::String),
            ],
        ],
        check: check_notify,
        action: Does::Command(notify),
        ..COMMAND
    },
    Spec {
        name: "denotify",
        need: Some(E::Notify),
        tags: &[
            IMPORTANCE,
            &[
                Tag::valued("is", Kind::String).of("match type"),
                Tag::valued("contains", Kind::String).of("match type"),
                Tag::valued("matches", Kind::String).of("match type"),
            ],
        ],
        check: check_denotify,
        action: Does::Command(denotify),
        ..COMMAND
    },
];

/// Characters of the message's text that `$text$` stands for at most.
const TEXT_CHARACTERS_MAX: u64 = 4_096;

fn check_notify(compiler: &mut Compiler<'_>, node: &mut Node) {
    if compiler.dialect.bounds.notifications_max == 0 {
        compiler.fault(node.place, prohibition("notify"));
    }
    let method = node.tag("method").and_then(Arg::text).and_then(Text::constant);
    if method.is_some_and(|method| !method.eq_ignore_ascii_case(b"mailto")) {
        compiler.fault(node.place, "unknown notification method; \"mailto\" is known");
    }
    for address in node.tag("options").map(Arg::texts).unwrap_or_default() {
        check_address(compiler, node, &Arg::Text(address.clone()));
    }
}

fn check_denotify(compiler: &mut Compiler<'_>, node: &mut Node) {
    // The identifier is the key of the comparison.
    if let Some(key) = key(node).cloned() {
        node.args = [key].into();
        matching::check(compiler, node);
        node.args = [].into();
    }
}

fn importance(node: &Node) -> Option<u8> {
    [("high", 1), ("normal", 2), ("low", 3)].iter().find(|(tag, _)| node.has(tag)).map(|(_, number)| *number)
}

fn notify(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let mut addresses: Vec<String> = Vec::new();
    for option in node.tag("options").map(Arg::texts).unwrap_or_default() {
        let address = super::redirect::address(run, option)?.address.to_string();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Ok(Flow::On);
    }
    let method =
        format!("mailto:{}", addresses.iter().map(|address| percent(address)).collect::<Vec<_>>().join(","));
    let template = run.tag_string(node, "message").unwrap_or_else(|| "$from$: $subject$".to_owned());
    let message = Some(substitute(run, &template)?);
    let notify = Notify {
        method,
        id: run.tag_string(node, "id"),
        is_old: true,
        from: None,
        importance: importance(node).unwrap_or(2),
        options: Vec::new(),
        message,
        fcc: None,
    };
    run.decide(node, Action::Notify(Box::new(notify)))?;
    Ok(Flow::On)
}

fn percent(address: &str) -> String {
    address.bytes().fold(String::new(), |mut encoded, octet| {
        match octet {
            octet if octet.is_ascii_alphanumeric() || b"-_.~@".contains(&octet) => {
                encoded.push(char::from(octet))
            }
            octet => encoded.push_str(&format!("%{octet:02X}")),
        }
        encoded
    })
}

/// Puts the message's own words where the template names them.
fn substitute(run: &Run<'_>, template: &str) -> Result<String, Stop> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        text.push_str(before);
        let Some((name, after)) = behind.split_once('$') else {
            text.push('$');
            rest = behind;
            break;
        };
        match substitution(run, name)? {
            Some(words) => {
                text.push_str(&words);
                rest = after;
            }
            None => {
                text.push('$');
                rest = behind;
            }
        }
        run.charge(text.len() as u64)?;
        if text.len() > run.bounds.variable_octets_max {
            break;
        }
    }
    text.push_str(rest);
    text.truncate(text.floor_char_boundary(run.bounds.variable_octets_max));
    Ok(text)
}

fn substitution(run: &Run<'_>, name: &str) -> Result<Option<String>, Stop> {
    let field =
        |name: &str| run.message.named(name).next().map(|field| field.text().to_owned()).unwrap_or_default();
    Ok(Some(match name.to_ascii_lowercase().as_str() {
        "from" => field("from"),
        "subject" => field("subject"),
        "env-from" => {
            let envelope = run.world.envelope();
            envelope.from.filter(|from| path::recipient(from, run.address_form).is_some()).unwrap_or_default()
        }
        name => {
            let size = match name.strip_prefix("text") {
                Some("") => Some(TEXT_CHARACTERS_MAX),
                Some(size) => {
                    size.strip_prefix('[').and_then(|s| s.strip_suffix(']')).and_then(|s| s.parse().ok())
                }
                None => None,
            };
            let Some(size) = size else { return Ok(None) };
            first_text(run, size.min(TEXT_CHARACTERS_MAX))?
        }
    }))
}

/// The first part of the message that people read.
fn first_text(run: &Run<'_>, characters_max: u64) -> Result<String, Stop> {
    for part in 0..run.look(Message::part_count)? {
        run.charge(1_000)?;
        let text = run.look(|message| message.part_text(part, Some(characters_max)))?;
        if !text.is_empty() {
            return Ok(text);
        }
    }
    Ok(String::new())
}

fn denotify(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let wanted = importance(node);
    let key = key(node).and_then(Arg::text);
    let mut gone = Vec::new();
    for (index, decided) in run.outcome.actions.iter().enumerate().skip(run.stage_start) {
        let Action::Notify(notify) = &decided.action else { continue };
        if !notify.is_old || wanted.is_some_and(|wanted| wanted != notify.importance) {
            continue;
        }
        let is_meant = match key {
            None => true,
            Some(key) => {
                let id = notify.id.as_deref().unwrap_or_default();
                Matching::of(run, node, std::slice::from_ref(key))?.feed(run, Value::new(id.as_bytes()))?
            }
        };
        if is_meant {
            gone.push(index);
        }
    }
    let mut index = 0;
    run.outcome.actions.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    Ok(Flow::On)
}

/// The identifier of the notifications that `denotify` means, behind its match type.
fn key(node: &Node) -> Option<&Arg> {
    ["is", "contains", "matches"].iter().find_map(|tag| node.tag(tag))
}
