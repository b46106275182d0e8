//! `require` (RFC 5228 §3.2).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::spec::{COMMAND, Kind, Positional, Spec};

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "require",
    arguments: &[Positional::new("capabilities", Kind::Strings)],
    check,
    ..COMMAND
}];

/// What an extension brings with it without being asked.
const BRINGS: [(E, E); 2] = [(E::VacationSeconds, E::Vacation), (E::SpamTestPlus, E::SpamTest)];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    for text in node.args.iter().flat_map(Arg::texts) {
        let name = text.constant_str().unwrap_or_default();
        require(compiler, node, name);
    }
}

fn require(compiler: &mut Compiler<'_>, node: &Node, name: &str) {
    match E::parse(name).filter(|&extension| compiler.dialect.allows(extension)) {
        Some(extension) => {
            compiler.required.insert(extension);
            let brought = BRINGS.iter().filter(|(bringer, _)| *bringer == extension);
            compiler.required.extend(brought.map(|(_, brought)| *brought));
        }
        None if E::parse(name).is_some() => {
            compiler.fault(node.place, format!("the extension \"{name}\" is not allowed here"));
        }
        None => compiler.fault(node.place, format!("unknown extension \"{}\"", name.escape_debug())),
    }
}
