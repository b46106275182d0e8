//! The commands and tests of vnd.dovecot.testsuite.

use std::sync::Arc;

use super::TestOutcome;
use super::execute;
use super::mailboxes::Stored;
use super::suite::Suite;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::outcome::{Action, RejectKind};
use crate::run::{Detail, Flow, Run, Stage, Stop};
use crate::script::Script;
use crate::spec::{Block, COMMAND, Does, Kind, Positional, Spec, Tag};

const NEED: Option<E> = Some(E::DovecotTestSuite);

/// What both kinds of rows begin with.
const ROW: Spec = Spec { need: NEED, ..COMMAND };

const NAME: &[Positional] = &[Positional::new("name", Kind::String)];
const FILE: &[Positional] = &[Positional::new("script", Kind::String)];
const KEYS: &[Positional] = &[Positional::new("key list", Kind::Strings)];
const INDEXED: &[&[Tag]] = &[&[Tag::valued("index", Kind::Number)], MATCH];
const PLACES: &[&[Tag]] =
    &[&[Tag::plain("smtp").of("source"), Tag::valued("folder", Kind::String).of("source")]];
const NUMBER: &[Positional] = &[Positional::new("index", Kind::Number)];

pub(crate) static SPECS: &[Spec] = &[
    Spec { name: "test", arguments: NAME, block: Block::Needed, action: Does::Command(test), ..ROW },
    Spec {
        name: "test_fail",
        arguments: &[Positional::new("reason", Kind::String)],
        action: Does::Command(test_fail),
        ..ROW
    },
    Spec {
        name: "test_set",
        arguments: &[Positional::new("item", Kind::String), Positional::new("value", Kind::String)],
        action: Does::Command(test_set),
        ..ROW
    },
    Spec {
        name: "test_config_set",
        arguments: &[Positional::new("setting", Kind::String), Positional::new("value", Kind::String)],
        action: Does::Command(test_config_set),
        ..ROW
    },
    Spec { name: "test_config_unset", arguments: NAME, action: Does::Command(test_config_unset), ..ROW },
    Spec {
        name: "test_config_reload",
        tags: &[&[Tag::valued("extension", Kind::String)]],
        // Settings hold from when they are set.
        action: Does::Command(|_, _| Ok(Flow::On)),
        ..ROW
    },
    Spec { name: "test_script_compile", arguments: FILE, action: Does::Test(test_script_compile), ..ROW },
    Spec {
        name: "test_script_run",
        tags: &[&[Tag::plain("append_result")]],
        action: Does::Test(test_script_run),
        ..ROW
    },
    Spec {
        name: "test_multiscript",
        arguments: &[Positional::new("scripts", Kind::Strings)],
        action: Does::Test(test_multiscript),
        ..ROW
    },
    Spec {
        name: "test_error",
        tags: INDEXED,
        arguments: KEYS,
        check: matching::check,
        action: Does::Test(test_error),
        ..ROW
    },
    Spec {
        name: "test_result_action",
        tags: INDEXED,
        arguments: KEYS,
        check: matching::check,
        action: Does::Test(test_result_action),
        ..ROW
    },
    Spec { name: "test_result_execute", action: Does::Test(test_result_execute), ..ROW },
    Spec { name: "test_result_reset", action: Does::Command(test_result_reset), ..ROW },
    Spec { name: "test_result_print", action: Does::Command(test_result_print), ..ROW },
    Spec { name: "test_message", tags: PLACES, arguments: NUMBER, action: Does::Test(test_message), ..ROW },
    Spec {
        name: "test_message",
        tags: PLACES,
        arguments: NUMBER,
        action: Does::Command(|run, node| {
            if test_message(run, node)? { Ok(Flow::On) } else { fail(run, "no such message") }
        }),
        ..ROW
    },
    Spec { name: "test_mailbox_create", arguments: NAME, action: Does::Command(test_mailbox_create), ..ROW },
    Spec { name: "test_mailbox_delete", arguments: NAME, action: Does::Command(test_mailbox_delete), ..ROW },
    Spec {
        name: "test_imap_metadata_set",
        tags: &[&[Tag::valued("mailbox", Kind::String)]],
        arguments: &[Positional::new("annotation", Kind::String), Positional::new("value", Kind::String)],
        action: Does::Command(test_imap_metadata_set),
        ..ROW
    },
    Spec { name: "test_binary_save", arguments: NAME, action: Does::Command(test_binary_save), ..ROW },
    Spec { name: "test_binary_load", arguments: NAME, action: Does::Command(test_binary_load), ..ROW },
];

fn suite<'r>(run: &Run<'r>) -> Result<&'r Suite<'r>, Stop> {
    run.suite.ok_or_else(|| Stop::fault("tests of the engine are only run by the command for them"))
}

fn test(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    let name = run.arg_string(node.arg(0));
    let frames = run.frames.len();
    run.failure = None;
    let flow = run.block(node.block.as_deref().unwrap_or_default());
    run.frames.truncate(frames);
    let failure = match flow {
        Ok(_) => run.failure.take().map(|failure| with_errors(failure, suite)),
        Err(stop) => Some(format!("line {}: {}", stop.line, stop.words)),
    };
    suite.note_test(TestOutcome { name, line: node.place.line, failure });
    // A test is over wherever it stopped; the next one begins afresh.
    run.loops.clear();
    Ok(Flow::On)
}

/// What went wrong last is what people look for when a test fails.
fn with_errors(mut failure: String, suite: &Suite<'_>) -> String {
    for error in suite.errors.borrow().iter() {
        failure.push_str("\n          error: ");
        failure.push_str(error);
    }
    failure
}

fn fail(run: &mut Run<'_>, why: &str) -> Result<Flow, Stop> {
    run.failure = Some(why.to_owned());
    Ok(Flow::Failed)
}

fn test_fail(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let why = run.arg_string(node.arg(0));
    fail(run, &format!("{why} (line {})", node.place.line))
}

fn test_set(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    let item = run.arg_string(node.arg(0)).to_ascii_lowercase();
    let value = node.arg(1).text().map(|text| run.expand(text).into_owned()).unwrap_or_default();
    if item == "message" {
        suite.set_message(run, value);
        return Ok(Flow::On);
    }
    let value = String::from_utf8_lossy(&value).into_owned();
    let mut envelope = suite.envelope.borrow().clone();
    let place = match item.as_str() {
        "envelope.from" => &mut envelope.from,
        "envelope.to" => &mut envelope.to,
        "envelope.orig_to" => &mut envelope.original_to,
        "envelope.auth" => &mut envelope.auth,
        _ => return Err(Stop::fault(format!("there is no item '{item}' to be set"))),
    };
    *place = Some(value);
    suite.set_envelope(run, envelope);
    Ok(Flow::On)
}

fn test_config_set(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    suite.settings.borrow_mut().set(&run.arg_string(node.arg(0)), &run.arg_string(node.arg(1)));
    take_settings(run, suite);
    Ok(Flow::On)
}

fn test_config_unset(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    suite.settings.borrow_mut().unset(&run.arg_string(node.arg(0)));
    take_settings(run, suite);
    Ok(Flow::On)
}

/// The file of tests itself runs as the settings say, but for what it may cost.
fn take_settings(run: &mut Run<'_>, suite: &Suite<'_>) {
    let cost_max = run.bounds.cost_max;
    run.take_dialect(&suite.dialect());
    run.bounds.cost_max = cost_max;
}

fn test_script_compile(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let suite = suite(run)?;
    let name = run.arg_string(node.arg(0));
    let script = suite.compile(&name);
    let is_valid = script.is_some();
    *suite.script.borrow_mut() = script.map(|script| (name, script));
    Ok(is_valid)
}

/// Runs a script against the message under test; its result is the file's own from then on.
fn run_script<'r>(
    run: &mut Run<'r>,
    suite: &'r Suite<'r>,
    name: &str,
    script: Arc<Script>,
    appends: bool,
) -> bool {
    if !appends {
        reset_result(run, suite);
    }
    let dialect = suite.dialect();
    let actions = std::mem::take(&mut run.outcome.actions);
    let kept_flags = run.flags.clone();
    let mut inner = Run::new(run.message, run.world, &dialect, Detail::Actions);
    inner.outcome.actions = actions;
    inner.flags = kept_flags;
    inner.suite = Some(suite);
    if appends {
        inner.begin_stage();
    }
    inner.stage(&Stage { name: name.to_owned(), script });
    let faults = std::mem::take(&mut inner.outcome.faults);
    let implicit_keep = inner.implicit_keep;
    let failure = inner.failure.take();
    let flags = std::mem::take(&mut inner.flags);
    let actions = std::mem::take(&mut inner.outcome.actions);
    run.outcome.actions = actions;
    run.implicit_keep = implicit_keep;
    run.flags = flags;
    run.failure = run.failure.take().or(failure);
    // Names that no mailbox can have are heard of when the mail is filed.
    let unfilable =
        faults.iter().filter(|fault| fault.words.starts_with("failed to store")).map(|f| f.words.clone());
    suite.unfilable.borrow_mut().extend(unfilable);
    let is_success = !faults.iter().any(|fault| fault.ends_script);
    *suite.errors.borrow_mut() = faults.into_iter().map(|fault| fault.words).collect();
    is_success
}

fn test_script_run(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let suite = suite(run)?;
    let script = suite.script.borrow().clone();
    let Some((name, script)) = script else { return Err(Stop::fault("no script has been compiled")) };
    Ok(run_script(run, suite, &name, script, node.has("append_result")))
}

fn test_multiscript(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let suite = suite(run)?;
    reset_result(run, suite);
    for name in run.strings(node.arg(0))? {
        let Some(script) = suite.compile(&name) else { return Ok(false) };
        if !run_script(run, suite, &name, script, true) {
            return Ok(false);
        }
        if !run.is_kept() {
            break;
        }
    }
    Ok(execute::all(run, suite))
}

fn test_error(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let errors = suite(run)?.errors.borrow().clone();
    compare(run, node, &errors)
}

fn test_result_action(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let actions: Vec<String> =
        run.outcome.actions.iter().map(|decided| action_name(&decided.action).to_owned()).collect();
    compare(run, node, &actions)
}

fn compare(run: &mut Run<'_>, node: &Node, values: &[String]) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let index = node.tag("index").and_then(Arg::number);
    let mut is_found = false;
    for (number, value) in (1..).zip(values) {
        if index.is_none_or(|index| index == number) && matching.feed(run, Value::new(value.as_bytes()))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Keep { .. } => "keep",
        Action::FileInto(_) => "store",
        Action::Redirect(_) => "redirect",
        Action::Discard => "discard",
        Action::Reject(reject) => match reject.kind {
            RejectKind::Reject => "reject",
            RejectKind::Ereject => "ereject",
        },
        Action::Vacation(_) => "vacation",
        Action::Notify(_) => "notify",
        Action::Pipe(_) => "pipe",
        Action::Report(_) => "report",
    }
}

fn test_result_execute(run: &mut Run<'_>, _: &Node) -> Result<bool, Stop> {
    let suite = suite(run)?;
    Ok(execute::all(run, suite))
}

fn reset_result(run: &mut Run<'_>, suite: &Suite<'_>) {
    run.outcome.actions.clear();
    run.implicit_keep = true;
    run.flags.clear();
    run.stage_start = 0;
    suite.executed.set(0);
    suite.stored.borrow_mut().clear();
    suite.told.borrow_mut().clear();
    suite.unfilable.borrow_mut().clear();
}

fn test_result_reset(run: &mut Run<'_>, _: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    reset_result(run, suite);
    suite.mailboxes.borrow_mut().sent.clear();
    suite.reset_message(run);
    Ok(Flow::On)
}

fn test_result_print(run: &mut Run<'_>, _: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    let lines = run.outcome.actions.iter().map(|decided| format!("{:?}", decided.action));
    suite.printed.borrow_mut().extend(lines);
    Ok(Flow::On)
}

fn test_message(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let suite = suite(run)?;
    let index = node.arg(0).number().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
    if let Some(mailbox) = run.tag_string(node, "folder") {
        let stored = suite.mailboxes.borrow().message(&mailbox, index).cloned();
        let Some(Stored { octets, flags }) = stored else { return Ok(false) };
        suite.set_message(run, octets);
        run.flags = flags;
        return Ok(true);
    }
    let sent = suite.mailboxes.borrow().sent.get(index).cloned();
    let Some(sent) = sent else { return Ok(false) };
    suite.set_message(run, sent.octets);
    let mut envelope = suite.envelope.borrow().clone();
    envelope.from = Some(sent.reverse_path);
    envelope.to = Some(sent.recipient);
    suite.set_envelope(run, envelope);
    Ok(true)
}

fn test_mailbox_create(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    suite(run)?.mailboxes.borrow_mut().create(&run.arg_string(node.arg(0)));
    Ok(Flow::On)
}

fn test_mailbox_delete(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    suite(run)?.mailboxes.borrow_mut().delete(&run.arg_string(node.arg(0)));
    Ok(Flow::On)
}

fn test_imap_metadata_set(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let mailbox = run.tag_string(node, "mailbox").unwrap_or_default();
    let (annotation, value) = (run.arg_string(node.arg(0)), run.arg_string(node.arg(1)));
    suite(run)?.mailboxes.borrow_mut().annotate(&mailbox, &annotation, &value);
    Ok(Flow::On)
}

fn test_binary_save(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    let script = suite.script.borrow().clone();
    let Some((name, script)) = script else { return Err(Stop::fault("no script has been compiled")) };
    suite.binaries.borrow_mut().insert(run.arg_string(node.arg(0)), (name, script));
    Ok(Flow::On)
}

/// What was saved is the printed form, compiled again: it has to be the same program.
fn test_binary_load(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let suite = suite(run)?;
    let wanted = run.arg_string(node.arg(0));
    let saved = suite.binaries.borrow().get(&wanted).cloned();
    let Some((name, script)) = saved else { return Err(Stop::fault(format!("'{wanted}' was never saved"))) };
    let printed = script.print();
    match crate::compile(printed.as_bytes(), &suite.dialect()) {
        Ok(script) => *suite.script.borrow_mut() = Some((name, Arc::new(script))),
        Err(faults) => {
            let words = faults.first().map(ToString::to_string).unwrap_or_default();
            return Err(Stop::fault(format!("the printed form of '{name}' is not valid: {words}")));
        }
    }
    Ok(Flow::On)
}
