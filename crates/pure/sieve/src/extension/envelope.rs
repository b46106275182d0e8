//! `envelope` (RFC 5228 §5.4).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::Node;
use crate::part::{ADDRESS_PART, AddressPart};
use crate::path::{self, Path};
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "envelope",
    need: Some(E::Envelope),
    tags: &[MATCH, ADDRESS_PART],
    arguments: &[Positional::new("envelope part", Kind::Strings), Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(envelope),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    for text in node.arg(0).texts() {
        let Some(name) = text.constant_str() else { continue };
        if !["from", "to", "auth", "orig_to"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let words = format!("unknown envelope part \"{}\"", name.escape_debug());
            compiler.fault(node.place, words);
            return;
        }
    }
    node.part = AddressPart::of(node);
    matching::check(compiler, node);
}

fn envelope(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let mut is_found = false;
    for name in node.arg(0).texts() {
        let name = run.string(name).to_ascii_lowercase();
        let envelope = run.envelope();
        let written = match name.as_str() {
            "from" => envelope.from.clone(),
            "to" => envelope.to.clone(),
            "orig_to" => envelope.original_to.clone(),
            "auth" => envelope.auth.clone(),
            _ => None,
        };
        let Some(written) = written else { continue };
        let path = if name == "auth" { Path::User(written) } else { path::parse(&written, run.address_form) };
        let all;
        let value = match &path {
            Path::Null => Some(""),
            Path::User(user) => (node.part == AddressPart::All).then_some(user.as_str()),
            Path::Mailbox(local, domain) => {
                all = format!("{local}@{domain}");
                node.part.of_address(&all, Some((local, domain)), &run.detail_delimiters)
            }
            Path::Invalid => None,
        };
        let Some(value) = value else { continue };
        // RFC 5231 §4.2: what is empty does not count.
        if matching.counts() && value.is_empty() {
            continue;
        }
        if matching.feed(run, Value::new(value.as_bytes()))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}
