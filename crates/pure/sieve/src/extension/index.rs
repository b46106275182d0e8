//! `:index` and `:last` (RFC 5260 §6).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::message::Occurrence;
use crate::node::{Arg, Node};
use crate::spec::{Kind, Tag};

/// The tags of tests that look at header fields.
pub(crate) const INDEX: &[Tag] =
    &[Tag::valued("index", Kind::Number).needs(E::Index), Tag::plain("last").needs(E::Index)];

/// Refuses numbers that no field has.
pub(crate) fn check(compiler: &mut Compiler<'_>, node: &Node) {
    let index = node.tag("index").and_then(Arg::number);
    let words = node.spec;
    if index == Some(0) {
        compiler.fault(node.place, format!("the :index of {words} counts from 1"));
    } else if index.is_none() && node.has("last") {
        compiler.fault(node.place, format!("{words} has :last without :index"));
    }
}

/// Which fields of a name are meant.
pub(crate) fn occurrence(node: &Node) -> Occurrence {
    match (node.tag("index").and_then(Arg::number), node.has("last")) {
        (None, _) => Occurrence::Any,
        (Some(index), false) => Occurrence::FromFirst(index),
        (Some(index), true) => Occurrence::FromLast(index),
    }
}
