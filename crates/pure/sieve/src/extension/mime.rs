//! `:mime`, `:anychild` and what of a field they look at, for the tests of header fields (RFC 5703 §4).

use std::rc::Rc;

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::message::{Header, MimeOption};
use crate::node::Node;
use crate::run::{Run, Stop};
use crate::spec::{Kind, Tag};

/// The tags of tests that look at header fields.
pub(super) const MIME: &[Tag] = &[Tag::plain("mime").needs(E::Mime), Tag::plain("anychild").needs(E::Mime)];

/// Those of the test that looks at values.
pub(super) const MIME_OPTIONS: &[Tag] = &[
    Tag::plain("type").of("mime option").needs(E::Mime),
    Tag::plain("subtype").of("mime option").needs(E::Mime),
    Tag::plain("contenttype").of("mime option").needs(E::Mime),
    Tag::valued("param", Kind::Strings).of("mime option").needs(E::Mime),
];

/// What looking for fields of one name in one header costs.
pub(super) const LOOKUP_COST: u64 = 100;

/// Refuses tags that mean nothing without `:mime`.
pub(super) fn check(compiler: &mut Compiler<'_>, node: &Node) {
    let tags = ["anychild", "type", "subtype", "contenttype", "param"];
    let lonely = tags.iter().find(|tag| node.has(tag)).filter(|_| !node.has("mime"));
    if let Some(tag) = lonely {
        compiler.fault(node.place, format!("the {} test has :{tag} without :mime", node.spec.name));
    }
}

/// The headers that a test looks at: the message's, the one of the part at hand, or those inside it too.
pub(super) fn headers(run: &Run<'_>, node: &Node) -> Result<Vec<Rc<Header>>, Stop> {
    let header = |part| run.look(|message| message.part_header(part));
    if !node.has("mime") {
        return Ok(vec![header(0)?]);
    }
    let part = run.loops.last().map_or(0, |part_loop| part_loop.at);
    if !node.has("anychild") {
        return Ok(vec![header(part)?]);
    }
    let mut headers = Vec::new();
    for part in part..run.look(|message| message.inside_end(part))?.max(part + 1) {
        run.charge(LOOKUP_COST)?;
        headers.push(header(part)?);
    }
    Ok(headers)
}

/// What of each field is compared; `names` are those of `:param`.
pub(super) fn option<'n>(node: &Node, names: &'n [String]) -> MimeOption<'n> {
    if node.has("type") {
        MimeOption::Type
    } else if node.has("subtype") {
        MimeOption::Subtype
    } else if node.has("contenttype") {
        MimeOption::ContentType
    } else if node.has("param") {
        MimeOption::Parameters(names)
    } else {
        MimeOption::Whole
    }
}
