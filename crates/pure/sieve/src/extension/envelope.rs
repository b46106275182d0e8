//! `envelope` (RFC 5228 §5.4), with what servers ask of each other about delivery (RFC 6009).

use super::date::{self, ZONE};
use super::mime::LOOKUP_COST;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::Node;
use crate::part::{ADDRESS_PART, AddressPart};
use crate::path::{self, Path};
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};
use crate::world::Envelope;

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "envelope",
    need: Some(E::Envelope),
    tags: &[MATCH, ADDRESS_PART, ZONE],
    arguments: &[Positional::new("envelope part", Kind::Strings), Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(envelope),
    ..COMMAND
}];

/// Parts of the envelope, and what they need beside `envelope`.
const PARTS: [(&str, Option<E>); 12] = [
    ("from", None),
    ("to", None),
    // Pigeonhole has these two.
    ("auth", None),
    ("orig_to", None),
    // RFC 6009 §4.
    ("notify", Some(E::EnvelopeDsn)),
    ("orcpt", Some(E::EnvelopeDsn)),
    ("ret", Some(E::EnvelopeDsn)),
    ("envid", Some(E::EnvelopeDsn)),
    // RFC 6009 §5.
    ("bytimeabsolute", Some(E::EnvelopeDeliverBy)),
    ("bytimerelative", Some(E::EnvelopeDeliverBy)),
    ("bymode", Some(E::EnvelopeDeliverBy)),
    ("bytrace", Some(E::EnvelopeDeliverBy)),
];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    for text in node.arg(0).texts() {
        let Some(name) = text.constant_str() else { continue };
        let known = PARTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if !known.is_some_and(|(_, need)| need.is_none_or(|need| compiler.has(need))) {
            compiler.fault(node.place, format!("unknown envelope part \"{}\"", name.escape_debug()));
            return;
        }
    }
    // RFC 6009 §5: the zone is that extension's.
    if node.has("zone") && !compiler.has(E::EnvelopeDeliverBy) {
        compiler.fault(node.place, "unknown tagged argument ':zone' for the envelope test".to_owned());
        return;
    }
    node.part = AddressPart::of(node);
    if date::check_zone(compiler, node) {
        matching::check(compiler, node);
    }
}

fn envelope(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let mut is_found = false;
    let names = run.strings(node.arg(0))?;
    let envelope = run.envelope().clone();
    let zone_minutes = date::zone(run, node)?.unwrap_or_default();
    'names: for name in names {
        run.charge(LOOKUP_COST)?;
        for value in values(run, node, &envelope, zone_minutes, &name.to_ascii_lowercase()) {
            // RFC 5231 §4.2: what is empty does not count.
            if matching.counts() && value.is_empty() {
                continue;
            }
            if matching.feed(run, Value::new(value.as_bytes()))? {
                is_found = true;
                break 'names;
            }
        }
    }
    Ok(matching.finish(run, is_found))
}

/// What a part of the envelope says, as the test's address part has it.
fn values(run: &Run<'_>, node: &Node, envelope: &Envelope, zone_minutes: i16, name: &str) -> Vec<String> {
    let need = PARTS.iter().find(|(known, _)| *known == name).and_then(|(_, need)| *need);
    if need.is_some_and(|need| !run.has(need)) {
        return Vec::new();
    }
    let path = |written: &Option<String>| {
        let path = written.as_deref().map(|written| path::parse(written, run.address_form));
        path.and_then(|path| part_of(run, node, &path)).into_iter().collect()
    };
    let whole = |value: Option<String>| value.into_iter().collect();
    let now = run.world.now().unix_seconds;
    match name {
        "from" => path(&envelope.from),
        "to" => path(&envelope.to),
        "orig_to" => path(&envelope.original_to),
        "auth" => whole(envelope.auth.clone().filter(|_| node.part == AddressPart::All)),
        // RFC 6009 §4.1: each of several is a value.
        "notify" => envelope.notify.iter().flat_map(|notify| notify.split(',')).map(str::to_owned).collect(),
        "ret" => whole(envelope.ret.clone()),
        "envid" => whole(envelope.envid.clone()),
        // RFC 6009 §4.2: the address type is no part of the address.
        "orcpt" => match (&envelope.orcpt, node.part) {
            (Some(orcpt), AddressPart::All) => vec![orcpt.clone()],
            (Some(orcpt), _) => path(&orcpt.split_once(';').map(|(_, address)| address.to_owned())),
            (None, _) => Vec::new(),
        },
        // RFC 6009 §5: written as `date` writes it, so that both can be held against each other.
        "bytimeabsolute" => {
            whole(envelope.by_unix_seconds.and_then(|unix_seconds| {
                date::part_of(message::Date { unix_seconds, zone_minutes }, "iso8601")
            }))
        }
        "bytimerelative" => whole(envelope.by_unix_seconds.map(|by| by.saturating_sub(now).to_string())),
        "bymode" => whole(envelope.by_mode.map(String::from)),
        "bytrace" => whole(envelope.by_trace.then(|| "T".to_owned())),
        _ => Vec::new(),
    }
}

fn part_of(run: &Run<'_>, node: &Node, path: &Path) -> Option<String> {
    match path {
        Path::Null => Some(String::new()),
        Path::User(user) => (node.part == AddressPart::All).then(|| user.clone()),
        Path::Mailbox(local, domain) => {
            let all = crate::message::joined(local, domain);
            node.part.of_address(&all, Some((local, domain)), &run.detail_delimiters).map(str::to_owned)
        }
        Path::Invalid => None,
    }
}
