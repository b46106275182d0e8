//! `ihave` and `error` (RFC 5463).
//!
//! What is there is known when a script is compiled. Where the answer is no, the block is left out; where it is yes, what
//! follows may use the extension.

use super::require;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "ihave",
        need: Some(E::Ihave),
        arguments: &[Positional::new("capabilities", Kind::Strings)],
        check,
        action: Does::Test(|_, node| Ok(!node.is_never)),
        ..COMMAND
    },
    Spec {
        name: "error",
        need: Some(E::Ihave),
        arguments: &[Positional::new("message", Kind::String)],
        action: Does::Command(error),
        ..COMMAND
    },
];

/// RFC 5463 §4: these change how strings are read, and are required or not at all.
const NOT_TO_ASK_FOR: [E; 2] = [E::Variables, E::EncodedCharacter];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    let mut wanted = Vec::new();
    for text in node.args.iter().flat_map(Arg::texts) {
        let Some(name) = text.constant_str() else {
            compiler.fault(node.place, "the capabilities that ihave asks for must be constant strings");
            return;
        };
        match E::parse(name).filter(|extension| compiler.dialect.allows(*extension)) {
            Some(extension) if !NOT_TO_ASK_FOR.contains(&extension) => wanted.push(extension),
            Some(extension) if compiler.has(extension) => {}
            _ => {
                node.is_never = true;
                return;
            }
        }
    }
    for extension in wanted {
        require::bring(compiler, node, extension);
    }
}

/// Whether a test is false whatever the message.
pub(super) fn is_never(node: &Node) -> bool {
    match node.spec.name {
        "ihave" => node.is_never,
        "allof" => node.tests.iter().any(is_never),
        "anyof" => !node.tests.is_empty() && node.tests.iter().all(is_never),
        _ => false,
    }
}

fn error(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let words = node.arg(0).text().map(|text: &Text| run.string(text)).unwrap_or_default();
    Err(Stop::fault(words))
}
