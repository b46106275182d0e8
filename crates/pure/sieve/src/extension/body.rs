//! `body` (RFC 5173).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::message::{BodyTransform, Message};
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "body",
    need: Some(E::Body),
    tags: &[
        MATCH,
        &[
            Tag::plain("raw").of("body transform"),
            Tag::valued("content", Kind::Strings).of("body transform"),
            Tag::plain("text").of("body transform"),
        ],
    ],
    arguments: &[Positional::new("key list", Kind::Strings)],
    check,
    action: Does::Test(body),
    ..COMMAND
}];

/// What looking at one part costs, beside its text.
const PART_COST: u64 = 200;

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    matching::check(compiler, node);
}

fn body(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let types = node.tag("content").map(|types| run.strings(types)).transpose()?;
    let transform = match &types {
        Some(types) => BodyTransform::Content(types),
        None if node.has("raw") => BodyTransform::Raw,
        None => BodyTransform::Text,
    };
    if transform != BodyTransform::Raw {
        let parts = run.look(Message::part_count)?;
        run.charge(parts as u64 * PART_COST)?;
    }
    let texts = run.look(|message| message.body_texts(transform))?;
    // RFC 5173 §6: what wildcards match here is nobody's variable.
    let mut matching = Matching::new(run, node)?.without_captures();
    let mut is_found = false;
    for text in &texts {
        if matching.feed(run, Value::new(text.as_bytes()))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}
