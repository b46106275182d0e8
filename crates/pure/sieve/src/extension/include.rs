//! `include`, `return` and `global` (RFC 6609), with `import` and `export` of the drafts before it.

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::Node;
use crate::run::{Flow, QUESTION_COST, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;
use crate::world::ScriptPlace;

/// Octets of a script's name (RFC 5804 §1.6 has 128 characters at least).
pub(crate) const SCRIPT_NAME_OCTETS_MAX: usize = 512;

const NAMES: &[Positional] = &[Positional::new("variable names", Kind::Strings)];

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "include",
        need: Some(E::Include),
        tags: &[&[
            Tag::plain("personal").of("place"),
            Tag::plain("global").of("place"),
            Tag::plain("once"),
            Tag::plain("optional"),
        ]],
        arguments: &[Positional::new("script name", Kind::String)],
        check: check_include,
        action: Does::Command(include),
        ..COMMAND
    },
    Spec {
        name: "return",
        need: Some(E::Include),
        action: Does::Command(|_, _| Ok(Flow::Return)),
        ..COMMAND
    },
    Spec { name: "global", need: Some(E::Include), arguments: NAMES, check: check_global, ..COMMAND },
    Spec { name: "import", need: Some(E::Include), arguments: NAMES, check: check_import, ..COMMAND },
    Spec { name: "export", need: Some(E::Include), arguments: NAMES, check: check_import, ..COMMAND },
];

/// RFC 5804 §1.6, and no slash: a name is never a path.
fn is_script_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= SCRIPT_NAME_OCTETS_MAX
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}'))
}

/// What an include command includes.
pub(crate) fn included(node: &Node) -> Option<(ScriptPlace, &str)> {
    if node.spec.name != "include" {
        return None;
    }
    let place = if node.has("global") { ScriptPlace::Global } else { ScriptPlace::Personal };
    Some((place, node.arg(0).text()?.constant_str()?))
}

fn check_include(compiler: &mut Compiler<'_>, node: &mut Node) {
    match node.arg(0).text().map(Text::constant_str) {
        Some(Some(name)) if is_script_name(name) => {}
        Some(Some(name)) => {
            compiler.fault(node.place, format!("invalid script name '{}'", name.escape_debug()));
        }
        _ => compiler.fault(node.place, "the name of a script to include must be a constant string"),
    }
}

fn check_global(compiler: &mut Compiler<'_>, node: &mut Node) {
    if !compiler.has(E::Variables) {
        compiler.fault(node.place, format!("the {} command needs require \"variables\"", node.spec.name));
        return;
    }
    for name in node.arg(0).texts() {
        match name.constant_str() {
            Some(name) if crate::text::is_variable_name(name) && !name.contains('.') => {
                compiler.make_global(name, node.place);
            }
            _ => compiler.fault(node.place, "a global variable has a constant name without dots"),
        }
    }
}

/// The drafts had them before all other commands.
fn check_import(compiler: &mut Compiler<'_>, node: &mut Node) {
    if !matches!(compiler.before, "" | "require" | "import" | "export") {
        let words = format!("the {} command stands before all others but require", node.spec.name);
        compiler.fault(node.place, words);
        return;
    }
    check_global(compiler, node);
}

fn include(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let Some((place, name)) = included(node) else { return Ok(Flow::On) };
    let key = (place, name.to_owned());
    if node.has("once") && run.included.contains(&key) {
        return Ok(Flow::On);
    }
    if run.frames.len() > run.bounds.include_nesting_max {
        return Err(Stop::fault(format!(
            "scripts are included deeper than {}",
            run.bounds.include_nesting_max
        )));
    }
    if run.includes >= run.bounds.includes_max {
        return Err(Stop::fault(format!("more than {} scripts are included", run.bounds.includes_max)));
    }
    if run.frames.iter().any(|frame| frame.included.as_ref() == Some(&key)) {
        return Err(Stop::fault(format!("the script '{}' includes itself", name.escape_debug())));
    }
    run.charge(QUESTION_COST)?;
    match run.world.script(place, name) {
        Ok(Some(script)) => {
            run.includes += 1;
            if !run.included.contains(&key) {
                run.included.push(key.clone());
            }
            run.script(&script, name, Some(key))
        }
        Ok(None) if node.has("optional") => Ok(Flow::On),
        Ok(None) => Err(Stop::fault(format!("there is no script '{}' to include", name.escape_debug()))),
        Err(words) => {
            Err(Stop::fault(format!("the included script '{}' is faulty: {words}", name.escape_debug())))
        }
    }
}
