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
const BRINGS: [(E, E); 3] =
    [(E::VacationSeconds, E::Vacation), (E::SpamTestPlus, E::SpamTest), (E::DovecotImapSieve, E::ImapSieve)];
/// The new and the old form of one thing: a script has one of them.
const EXCLUDES: [(E, E); 3] =
    [(E::Imap4Flags, E::ImapFlags), (E::Enotify, E::Notify), (E::Duplicate, E::DovecotDuplicate)];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    for text in node.args.iter().flat_map(Arg::texts) {
        let name = text.constant_str().unwrap_or_default();
        match E::parse(name) {
            Some(extension) if compiler.dialect.allows(extension) => bring(compiler, node, extension),
            Some(_) => compiler.fault(node.place, format!("the extension \"{name}\" is not allowed here")),
            None => compiler.fault(node.place, format!("unknown extension \"{}\"", name.escape_debug())),
        }
    }
}

/// What follows may use the extension.
pub(super) fn bring(compiler: &mut Compiler<'_>, node: &Node, extension: E) {
    for (new, old) in EXCLUDES {
        if (extension == new && compiler.has(old)) || (extension == old && compiler.has(new)) {
            let words =
                format!("the extensions \"{}\" and \"{}\" exclude each other", new.name(), old.name());
            compiler.fault(node.place, words);
        }
    }
    compiler.required.insert(extension);
    let brought = BRINGS.iter().filter(|(bringer, _)| *bringer == extension);
    compiler.required.extend(brought.map(|(_, brought)| *brought));
}
