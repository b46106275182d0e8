//! `address` (RFC 5228 §5.1), with `:index` (RFC 5260).

use super::index::{self, INDEX};
use super::mime::{self, LOOKUP_COST, MIME};
use crate::compiler::Compiler;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::part::{ADDRESS_PART, AddressPart};
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "address",
    tags: &[MATCH, ADDRESS_PART, INDEX, MIME],
    arguments: &[Positional::new("header list", Kind::Strings), Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(address),
    ..COMMAND
}];

/// Fields that hold addresses: the only ones the test may look at.
const ADDRESS_FIELDS: [&str; 40] = [
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-sender",
    "resent-reply-to",
    "return-path",
    "delivered-to",
    "envelope-to",
    "x-original-to",
    "errors-to",
    "apparently-to",
    // A part's author (RFC 5703 §4.2, whose example asks for it).
    "content-from",
    "mail-followup-to",
    "mail-reply-to",
    "disposition-notification-to",
    "return-receipt-to",
    "x-envelope-to",
    "x-envelope-from",
    "original-recipient",
    "abuse-reports-to",
    "envelope-from",
    "for-approval",
    "for-comment",
    "for-handling",
    "read-receipt-to",
    "registered-mail-reply-requested-by",
    "return-receipt-requested",
    "x-admin",
    "x-beenthere",
    "x-complaints-to",
    "x-confirm-reading-to",
    "x-original-from",
    "x-report-abuse-to",
];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    let unwanted = node.arg(0).texts().iter().filter_map(|text| text.constant_str());
    let unwanted =
        unwanted.filter(|name| !ADDRESS_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)));
    if let Some(name) = unwanted.into_iter().next() {
        let words = format!("header '{}' is not allowed for the address test", name.escape_debug());
        compiler.fault(node.place, words);
        return;
    }
    index::check(compiler, node);
    mime::check(compiler, node);
    node.part = AddressPart::of(node);
    matching::check(compiler, node);
}

fn address(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let is_found = look(run, node, node.arg(0), &mut matching)?;
    Ok(matching.finish(run, is_found))
}

fn look(run: &Run<'_>, node: &Node, names: &Arg, matching: &mut Matching<'_>) -> Result<bool, Stop> {
    let headers = mime::headers(run, node)?;
    for name in names.texts() {
        run.charge(headers.len() as u64 * LOOKUP_COST)?;
        let name = run.expand(name);
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        let fields = headers.iter().flat_map(|header| header.chosen(name, index::occurrence(node)));
        for address in fields.flat_map(|field| field.addresses()) {
            let parts = address.local_part().zip(address.domain());
            let part = node.part.of_address(address.all(), parts, &run.detail_delimiters);
            let Some(part) = part else { continue };
            if matching.feed(run, Value::new(part.as_bytes()))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
