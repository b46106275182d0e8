//! Flags to file messages with (RFC 5232), and the commands of the extension before it.

use mail_types::{Keyword, SystemFlag};

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};

/// Most flags of one list.
const FLAGS_MAX: usize = 128;

/// `:flags` of `keep` and `fileinto` (RFC 5232 §5).
pub(super) const FLAGS: &[Tag] = &[Tag::valued("flags", Kind::Strings).needs(E::Imap4Flags)];

const CHANGED: &[Positional] =
    &[Positional::optional("variable", Kind::String), Positional::new("list of flags", Kind::Strings)];
const CHANGED_ONLY: &[Positional] = &[Positional::new("list of flags", Kind::Strings)];

const CHANGE: Spec = Spec { need: Some(E::Imap4Flags), arguments: CHANGED, check, ..COMMAND };
const OLD_CHANGE: Spec = Spec { need: Some(E::ImapFlags), arguments: CHANGED_ONLY, ..COMMAND };

pub(super) static SPECS: &[Spec] = &[
    Spec { name: "setflag", action: Does::Command(set_flag), ..CHANGE },
    Spec { name: "addflag", action: Does::Command(add_flag), ..CHANGE },
    Spec { name: "removeflag", action: Does::Command(remove_flag), ..CHANGE },
    Spec {
        name: "hasflag",
        need: Some(E::Imap4Flags),
        tags: &[MATCH],
        arguments: &[
            Positional::optional("variable list", Kind::Strings),
            Positional::new("list of flags", Kind::Strings),
        ],
        check: check_has_flag,
        action: Does::Test(has_flag),
        ..COMMAND
    },
    Spec { name: "setflag", action: Does::Command(set_flag), ..OLD_CHANGE },
    Spec { name: "addflag", action: Does::Command(add_flag), ..OLD_CHANGE },
    Spec { name: "removeflag", action: Does::Command(remove_flag), ..OLD_CHANGE },
    Spec {
        name: "mark",
        need: Some(E::ImapFlags),
        action: Does::Command(|run, _| {
            add(&mut run.flags, &["\\Flagged".to_owned()]);
            Ok(Flow::On)
        }),
        ..COMMAND
    },
    Spec {
        name: "unmark",
        need: Some(E::ImapFlags),
        action: Does::Command(|run, _| {
            remove(&mut run.flags, &["\\Flagged".to_owned()]);
            Ok(Flow::On)
        }),
        ..COMMAND
    },
];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_variables(compiler, node);
}

fn check_variables(compiler: &mut Compiler<'_>, node: &Node) {
    if *node.arg(0) == Arg::None {
        return;
    }
    if !compiler.has(E::Variables) {
        let words = format!(
            "the {} {} names a variable without require \"variables\"",
            node.spec.name,
            node.spec.kind()
        );
        compiler.fault(node.place, words);
        return;
    }
    for name in node.arg(0).texts() {
        super::variables::check_name(compiler, node, Some(name));
    }
}

fn check_has_flag(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_variables(compiler, node);
    matching::check(compiler, node);
}

/// The flags of strings: parted by blanks, none twice, what is no flag left out.
pub(super) fn flags<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut flags = Vec::new();
    for string in strings {
        let words: Vec<String> = string.as_ref().split_ascii_whitespace().map(str::to_owned).collect();
        add(&mut flags, &words);
    }
    flags
}

fn add(flags: &mut Vec<String>, new: &[String]) {
    for flag in new {
        let is_flag = SystemFlag::parse(flag).is_some() || Keyword::parse(flag).is_ok();
        if is_flag && flags.len() < FLAGS_MAX && !flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
            flags.push(flag.clone());
        }
    }
}

fn remove(flags: &mut Vec<String>, gone: &[String]) {
    flags.retain(|flag| !gone.iter().any(|gone| gone.eq_ignore_ascii_case(flag)));
}

/// What `:flags` says, or else the internal variable.
pub(super) fn of_action(run: &Run<'_>, node: &Node) -> Result<Vec<String>, Stop> {
    match node.tag("flags") {
        Some(given) => Ok(flags(run.strings(given)?)),
        None => Ok(run.flags.clone()),
    }
}

fn set_flag(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    change(run, node, |flags, new| {
        flags.clear();
        add(flags, new);
    })
}

fn add_flag(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    change(run, node, add)
}

fn remove_flag(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    change(run, node, remove)
}

fn change(run: &mut Run<'_>, node: &Node, change: fn(&mut Vec<String>, &[String])) -> Result<Flow, Stop> {
    let given = node.args.last().map(|arg| run.strings(arg)).transpose()?.map(flags).unwrap_or_default();
    run.charge(given.len() as u64 * FLAGS_MAX as u64)?;
    let variable = if node.args.len() > 1 { node.arg(0) } else { &Arg::None };
    if *variable == Arg::None {
        change(&mut run.flags, &given);
        return Ok(Flow::On);
    }
    let mut kept = flags([variable_text(run, variable)]);
    change(&mut kept, &given);
    run.set_named(variable, kept.join(" ").into_bytes())?;
    Ok(Flow::On)
}

fn variable_text(run: &Run<'_>, name: &Arg) -> String {
    let number = run.variable_number(&run.arg_string(name));
    number.map(|number| String::from_utf8_lossy(&run.variable(number)).into_owned()).unwrap_or_default()
}

/// RFC 5232 §4: each flag of each variable is a value, each flag of the list a key.
fn has_flag(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new_by_word(run, node)?;
    let held = match node.arg(0) {
        Arg::None => run.flags.clone(),
        names => {
            let mut held = Vec::new();
            for name in names.texts() {
                held.extend(flags([variable_text(run, &Arg::Text(name.clone()))]));
            }
            held
        }
    };
    let mut is_found = false;
    for flag in &held {
        if matching.feed(run, Value::new(flag.as_bytes()))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}
