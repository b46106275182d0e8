//! `addheader` and `deleteheader` (RFC 5293).

use super::index;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::message::{HEADER_OCTETS_MAX, Side};
use crate::node::{Arg, Node};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

const NAME: Positional = Positional::new("field name", Kind::String);

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "addheader",
        need: Some(E::EditHeader),
        tags: &[&[Tag::plain("last")]],
        arguments: &[NAME, Positional::new("value", Kind::String)],
        check: check_add,
        action: Does::Command(add),
        ..COMMAND
    },
    Spec {
        name: "deleteheader",
        need: Some(E::EditHeader),
        tags: &[MATCH, &[Tag::valued("index", Kind::Number), Tag::plain("last")]],
        arguments: &[NAME, Positional::optional("value patterns", Kind::Strings)],
        check: check_delete,
        action: Does::Command(delete),
        ..COMMAND
    },
];

/// Fields that tell where a message comes from and whether a program wrote it: without them mail goes in circles (RFC 5293 §6).
const NEVER_DELETED: [&str; 2] = ["received", "auto-submitted"];

/// What an edit costs for each field of the header.
const FIELD_COST: u64 = 80;

fn check_add(compiler: &mut Compiler<'_>, node: &mut Node) {
    if !check_name(compiler, node) {
        return;
    }
    let Some(value) = node.arg(1).text().and_then(Text::constant) else { return };
    if let Err(words) = check_value(value, compiler.dialect.bounds.added_field_octets_max) {
        compiler.fault(node.place, words);
    }
}

fn check_delete(compiler: &mut Compiler<'_>, node: &mut Node) {
    if check_name(compiler, node) {
        index::check(compiler, node);
        matching::check(compiler, node);
    }
}

fn check_name(compiler: &mut Compiler<'_>, node: &Node) -> bool {
    let name = node.arg(0).text().and_then(Text::constant_str);
    let words = name.and_then(|name| invalid_name(node, name));
    let is_valid = words.is_none();
    if let Some(words) = words {
        compiler.fault(node.place, words);
    }
    is_valid
}

/// RFC 5322 §3.6.8.
fn invalid_name(node: &Node, name: &str) -> Option<String> {
    let is_valid =
        !name.is_empty() && name.bytes().all(|octet| matches!(octet, b'!'..=b'~') && octet != b':');
    (!is_valid).then(|| {
        let name = name.escape_debug();
        format!("the field name '{name}' of the {} command is invalid", node.spec.name)
    })
}

fn check_value(value: &[u8], octets_max: usize) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(value.get(..80).unwrap_or(value)).escape_debug().to_string();
    if value.contains(&0) {
        return Err(format!("the value '{}' of the addheader command is invalid", shown()));
    }
    if value.len() > octets_max {
        return Err(format!(
            "the value '{}…' of the addheader command has more than {octets_max} octets",
            shown()
        ));
    }
    Ok(())
}

fn field_name(run: &Run<'_>, node: &Node) -> Result<String, Stop> {
    let name = run.arg_string(node.arg(0));
    run.charge(run.message.fields().count() as u64 * FIELD_COST)?;
    match invalid_name(node, &name) {
        Some(words) => Err(Stop::fault(words)),
        None => Ok(name),
    }
}

fn is_protected(name: &str, protected: &[String]) -> bool {
    // RFC 5293 §6: the subject may always be changed.
    !name.eq_ignore_ascii_case("subject") && protected.iter().any(|field| field.eq_ignore_ascii_case(name))
}

fn add(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let name = field_name(run, node)?;
    let value = node.arg(1).text().map(|value| run.expand(value)).unwrap_or_default();
    check_value(&value, run.bounds.added_field_octets_max).map_err(Stop::fault)?;
    if !is_protected(&name, &run.unaddable_fields) {
        let octets = run.message.header().octets() + (name.len() + value.len()) as u64;
        if octets > HEADER_OCTETS_MAX as u64 {
            return Err(Stop::fault(format!(
                "the message's header would have more than {HEADER_OCTETS_MAX} octets"
            )));
        }
        let side = if node.has("last") { Side::Bottom } else { Side::Top };
        run.message.add_field(side, &name, &String::from_utf8_lossy(&value));
    }
    Ok(Flow::On)
}

fn delete(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let name = field_name(run, node)?;
    let is_undeletable = NEVER_DELETED.iter().any(|field| field.eq_ignore_ascii_case(&name));
    if is_undeletable || is_protected(&name, &run.undeletable_fields) {
        return Ok(Flow::On);
    }
    let occurrence = index::occurrence(node);
    if matches!(node.arg(1), Arg::None) {
        run.message.delete_fields(&name, occurrence, |_| true);
        return Ok(Flow::On);
    }
    // Each field is compared first; then those that match go.
    let fields: Vec<String> =
        run.message.header().chosen(&name, occurrence).map(|field| field.text().to_owned()).collect();
    let mut verdicts = Vec::with_capacity(fields.len());
    for text in &fields {
        let mut matching = Matching::new(run, node)?.without_captures();
        let is_found = matching.feed(run, Value::new(text.as_bytes()))?;
        verdicts.push(matching.finish(run, is_found));
    }
    let mut verdicts = verdicts.into_iter();
    run.message.delete_fields(&name, occurrence, |_| verdicts.next().unwrap_or_default());
    Ok(Flow::On)
}
