//! Programs that the administrator has named: `pipe`, `filter` and `execute` (vnd.dovecot.pipe, .filter, .execute).

use super::fileinto::COPY;
use super::variables;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Pipe};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;
use crate::world::{Finished, Program, ProgramInput, ProgramPurpose};

/// Octets of a program's name.
const NAME_OCTETS_MAX: usize = 128;
/// Most arguments of a program.
const ARGUMENTS_MAX: usize = 16;
/// Octets of one argument.
const ARGUMENT_OCTETS_MAX: usize = 1_024;
/// What running a program costs a script: ten of them are a tenth of what a run may cost by default.
const PROGRAM_COST: u64 = 5_000_000;

const NAME: Positional = Positional::new("program name", Kind::String);
const ARGUMENTS: Positional = Positional::optional("arguments", Kind::Strings);

const FILTER: Spec =
    Spec { name: "filter", need: Some(E::DovecotFilter), arguments: &[NAME, ARGUMENTS], check, ..COMMAND };
const EXECUTE: Spec = Spec {
    name: "execute",
    need: Some(E::DovecotExecute),
    tags: &[&[
        Tag::valued("input", Kind::String).of("input"),
        Tag::plain("pipe").of("input"),
        Tag::valued("output", Kind::String).needs(E::Variables),
    ]],
    arguments: &[NAME, ARGUMENTS],
    check: check_execute,
    ..COMMAND
};

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "pipe",
        need: Some(E::DovecotPipe),
        tags: &[COPY, &[Tag::plain("try")]],
        arguments: &[NAME, ARGUMENTS],
        check,
        action: Does::Command(pipe),
        ..COMMAND
    },
    Spec { action: Does::Command(|run, node| as_command(filter(run, node)?)), ..FILTER },
    Spec { action: Does::Test(|run, node| Ok(filter(run, node)?.is_ok())), ..FILTER },
    Spec { action: Does::Command(|run, node| as_command(execute(run, node)?)), ..EXECUTE },
    Spec { action: Does::Test(|run, node| Ok(execute(run, node)?.is_ok())), ..EXECUTE },
];

/// As a command, what fails ends the script; as a test, it is false.
fn as_command(result: Result<(), String>) -> Result<Flow, Stop> {
    result.map(|()| Flow::On).map_err(Stop::fault)
}

/// No path, and nothing that breaks a line.
fn is_program_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_OCTETS_MAX
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}'))
}

fn is_argument(argument: &str) -> bool {
    argument.len() <= ARGUMENT_OCTETS_MAX && !argument.contains(['\r', '\n', '\0'])
}

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    if let Some(name) = node.arg(0).text().and_then(Text::constant_str)
        && !is_program_name(name)
    {
        compiler.fault(node.place, format!("invalid program name '{}'", name.escape_debug()));
    }
    let arguments = node.arg(1).texts();
    let is_bad = arguments.iter().filter_map(Text::constant_str).any(|argument| !is_argument(argument));
    if is_bad || arguments.len() > ARGUMENTS_MAX {
        let words = format!("a program has at most {ARGUMENTS_MAX} arguments, each of one line");
        compiler.fault(node.place, words);
    }
}

fn check_execute(compiler: &mut Compiler<'_>, node: &mut Node) {
    check(compiler, node);
    if let Some(name) = node.tag("output") {
        variables::check_name(compiler, node, name.text());
    }
}

fn program(run: &Run<'_>, node: &Node) -> Result<(String, Vec<String>), Stop> {
    let name = run.arg_string(node.arg(0));
    let arguments = run.strings(node.arg(1))?;
    if !is_program_name(&name) || !arguments.iter().all(|argument| is_argument(argument)) {
        return Err(Stop::fault("the name or an argument of a program is invalid"));
    }
    Ok((name, arguments))
}

fn pipe(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let (program, arguments) = program(run, node)?;
    let copy = node.has("copy");
    run.decide(node, Action::Pipe(Pipe { program, arguments, is_try: node.has("try"), copy }))?;
    if !copy {
        run.cancel_implicit_keep();
    }
    Ok(Flow::On)
}

/// Puts the program's output in the message's place.
fn filter(run: &mut Run<'_>, node: &Node) -> Result<Result<(), String>, Stop> {
    let (name, arguments) = program(run, node)?;
    run.charge(PROGRAM_COST)?;
    let input = ProgramInput::Message(run.message);
    let purpose = ProgramPurpose::Filter;
    let program = Program { name: &name, arguments: &arguments, input, wants_output: true, purpose };
    match finished(run.world.run_program(&program), &name) {
        // A program that has nothing to change says nothing.
        Ok(finished) if finished.output.is_empty() => Ok(Ok(())),
        Ok(finished) => {
            run.charge(finished.output.len() as u64)?;
            run.message.replace_all(&finished.output);
            Ok(Ok(()))
        }
        Err(words) => Ok(Err(words)),
    }
}

fn execute(run: &mut Run<'_>, node: &Node) -> Result<Result<(), String>, Stop> {
    let (name, arguments) = program(run, node)?;
    run.charge(PROGRAM_COST)?;
    let octets = node.tag("input").and_then(Arg::text).map(|text| run.expand(text));
    let input = match &octets {
        Some(octets) => ProgramInput::Octets(octets),
        None if node.has("pipe") => ProgramInput::Message(run.message),
        None => ProgramInput::Nothing,
    };
    let output = node.tag("output");
    let wants_output = output.is_some();
    let purpose = ProgramPurpose::Execute;
    let program = Program { name: &name, arguments: &arguments, input, wants_output, purpose };
    match finished(run.world.run_program(&program), &name) {
        Ok(finished) => {
            if let Some(variable) = output {
                run.set_named(variable, finished.output)?;
            }
            Ok(Ok(()))
        }
        Err(words) => Ok(Err(words)),
    }
}

fn finished(result: Result<Finished, String>, name: &str) -> Result<Finished, String> {
    match result {
        Ok(finished) if finished.is_success => Ok(finished),
        Ok(_) => Err(format!("the program '{}' failed", name.escape_debug())),
        Err(words) => Err(format!("the program '{}' could not be run: {words}", name.escape_debug())),
    }
}
