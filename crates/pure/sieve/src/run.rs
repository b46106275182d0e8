//! Running scripts: one after the other against one message, each bounded by what it may cost.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::dialect::{Bounds, Dialect, Extension, Occasion};
use crate::fault::cut_words;
use crate::message::{AddressForm, Edition, Message, Snapshot, Unreadable};
use crate::node::Node;
use crate::outcome::{Action, Decided, Mark, Origin, Outcome, RunFault, Step, StepResult};
use crate::script::Script;
use crate::spec::Does;
use crate::testsuite::Suite;
use crate::verdict::StatusRule;
use crate::world::{Envelope, ScriptPlace, World};

/// Most steps that are told of one run.
pub const STEPS_MAX: usize = 10_000;
/// Most things left out that are told of one stage.
pub(crate) const NOTES_MAX: usize = 32;
/// What each command and each test costs beside what it does.
const NODE_COST: u64 = 10;

/// A script and the name that people know it by.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The name, for faults and explanations.
    pub name: String,
    /// The script.
    pub script: Arc<Script>,
}

/// Whether a run tells which line decided what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Actions only.
    Actions,
    /// Every step.
    Steps,
}

/// Runs scripts against a message: those before the user's, the user's, those after it.
///
/// The next one runs as long as the message is to be kept, by a keep or by no word about it; what the last one leaves of
/// that is an action of the outcome. A script that fails has decided nothing: the message is kept, the next one runs.
pub fn run(
    stages: &[Stage],
    message: &mut Message,
    world: &dyn World,
    dialect: &Dialect,
    detail: Detail,
) -> Outcome {
    let mut run = Run::new(message, world, dialect, detail);
    for stage in stages {
        run.begin_stage();
        run.stage(stage);
        if !run.is_kept() {
            break;
        }
    }
    run.finish()
}

/// What a question to the world costs: it may have to read from a disk.
pub(crate) const QUESTION_COST: u64 = 10_000;

/// What follows a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next command.
    On,
    /// The end of all scripts of this stage.
    Stop,
    /// The end of this script, back to the one that included it.
    Return,
    /// The end of the loop of this name, or of the innermost one.
    Break(Option<Box<[u8]>>),
    /// The end of a test of the engine itself, which has failed.
    Failed,
}

/// Why a script cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) words: String,
    pub(crate) line: u32,
}

impl Stop {
    pub(crate) fn fault(words: impl Into<String>) -> Stop {
        Stop { words: cut_words(words.into()), line: 0 }
    }

    fn at(mut self, node: &Node) -> Stop {
        if self.line == 0 {
            self.line = node.place.line;
        }
        self
    }
}

impl From<Unreadable> for Stop {
    fn from(error: Unreadable) -> Stop {
        Stop::fault(error.to_string())
    }
}

/// A script that is being run.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) script: Arc<Script>,
    pub(crate) name: String,
    /// How it was included, if it was.
    pub(crate) included: Option<(ScriptPlace, String)>,
    pub(crate) locals: Vec<Option<Box<[u8]>>>,
    pub(crate) matches: Vec<Box<[u8]>>,
}

/// A run under way.
pub(crate) struct Run<'r> {
    pub(crate) world: &'r dyn World,
    pub(crate) message: &'r mut Message,
    pub(crate) bounds: Bounds,
    pub(crate) address_form: AddressForm,
    pub(crate) detail_delimiters: String,
    /// Names of fields that may not be added and not be deleted.
    pub(crate) unaddable_fields: Vec<String>,
    pub(crate) undeletable_fields: Vec<String>,
    pub(crate) notify_methods: Vec<String>,
    pub(crate) occasion: Occasion,
    pub(crate) spam_status: Option<StatusRule>,
    pub(crate) virus_status: Option<StatusRule>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) globals: HashMap<Box<str>, Box<[u8]>>,
    /// The internal variable of imap4flags (RFC 5232 §2).
    pub(crate) flags: Vec<String>,
    /// Scripts included so far, by where and name.
    pub(crate) included: Vec<(ScriptPlace, String)>,
    /// How many scripts were included.
    pub(crate) includes: usize,
    pub(crate) outcome: Outcome,
    /// The envelope, asked for once.
    envelope: Option<Envelope>,
    pub(crate) cost: Cell<u64>,
    /// What this stage had to leave out.
    pub(crate) notes: RefCell<Vec<RunFault>>,
    detail: Detail,
    /// Where the actions of this stage begin.
    pub(crate) stage_start: usize,
    /// Where what it wants to be remembered begins.
    stage_marks: usize,
    /// The message and the flags that it began with.
    stage_before: Option<(Snapshot, Vec<String>)>,
    pub(crate) implicit_keep: bool,
    kept_flags: Option<Vec<String>>,
    /// The loops over the message's parts that are under way, the innermost last (RFC 5703 §3).
    pub(crate) loops: Vec<PartLoop>,
    /// The file of tests that is run, if it is one.
    pub(crate) suite: Option<&'r Suite<'r>>,
    /// Why its present test failed.
    pub(crate) failure: Option<String>,
}

/// A loop over parts of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartLoop {
    /// The part at hand.
    pub(crate) at: usize,
    /// The part whose inside is walked through; the whole message without one.
    pub(crate) inside: Option<usize>,
    /// Whether what is inside the part at hand has nothing to do with it any more.
    pub(crate) is_replaced: bool,
}

impl<'r> Run<'r> {
    pub(crate) fn new(
        message: &'r mut Message,
        world: &'r dyn World,
        dialect: &Dialect,
        detail: Detail,
    ) -> Run<'r> {
        Run {
            world,
            message,
            bounds: dialect.bounds.clone(),
            address_form: dialect.address_form,
            detail_delimiters: dialect.detail_delimiters.clone(),
            unaddable_fields: dialect.unaddable_fields.clone(),
            undeletable_fields: dialect.undeletable_fields.clone(),
            notify_methods: dialect.notify_methods.clone(),
            occasion: dialect.occasion,
            spam_status: dialect.spam_status.clone(),
            virus_status: dialect.virus_status.clone(),
            frames: Vec::new(),
            globals: HashMap::new(),
            flags: world.flags(),
            included: Vec::new(),
            includes: 0,
            outcome: Outcome::default(),
            envelope: None,
            cost: Cell::new(0),
            notes: RefCell::default(),
            detail,
            stage_start: 0,
            stage_marks: 0,
            stage_before: None,
            implicit_keep: true,
            kept_flags: None,
            loops: Vec::new(),
            suite: None,
            failure: None,
        }
    }

    /// Goes on as another dialect has it.
    pub(crate) fn take_dialect(&mut self, dialect: &Dialect) {
        self.bounds = dialect.bounds.clone();
        self.address_form = dialect.address_form;
        self.detail_delimiters.clone_from(&dialect.detail_delimiters);
        self.unaddable_fields.clone_from(&dialect.unaddable_fields);
        self.undeletable_fields.clone_from(&dialect.undeletable_fields);
        self.notify_methods.clone_from(&dialect.notify_methods);
        self.spam_status.clone_from(&dialect.spam_status);
        self.virus_status.clone_from(&dialect.virus_status);
    }

    /// Makes ready for the next script: it decides anew what becomes of the message.
    pub(crate) fn begin_stage(&mut self) {
        self.outcome.actions.retain(|decided| match &decided.action {
            Action::Keep { flags } => {
                self.kept_flags = Some(flags.clone());
                false
            }
            _ => true,
        });
        self.stage_start = self.outcome.actions.len();
        self.stage_marks = self.outcome.marks.len();
        self.stage_before = Some((self.message.snapshot(), self.flags.clone()));
        self.implicit_keep = true;
        self.outcome.cost += self.cost.take();
        self.included.clear();
        self.includes = 0;
    }

    /// Runs one script to its end.
    pub(crate) fn stage(&mut self, stage: &Stage) {
        let result = self.script(&stage.script, &stage.name, None);
        if let Err(stop) = result {
            let script = self.frames.last().map_or_else(|| stage.name.clone(), |frame| frame.name.clone());
            self.fail(RunFault { script, line: stop.line, words: stop.words, ends_script: true });
        }
        self.outcome.faults.append(&mut self.notes.borrow_mut());
        self.frames.clear();
        self.loops.clear();
    }

    /// What this stage has decided is undone, and the message kept as it came to it, with the flags it had. What it would
    /// have remembered is forgotten: a message that is brought again is no duplicate of one that was not sorted (RFC 7352
    /// §3).
    pub(crate) fn fail(&mut self, fault: RunFault) {
        self.outcome.actions.truncate(self.stage_start);
        self.outcome.marks.truncate(self.stage_marks);
        if let Some((message, flags)) = &self.stage_before {
            self.message.restore(message);
            self.flags.clone_from(flags);
        }
        self.implicit_keep = true;
        self.outcome.faults.push(fault);
    }

    /// Whether the message is to be filed into the inbox as things stand.
    pub(crate) fn is_kept(&self) -> bool {
        self.implicit_keep || self.outcome.actions.iter().any(|d| matches!(d.action, Action::Keep { .. }))
    }

    /// The implicit keep becomes an action, if it has not been cancelled.
    pub(crate) fn finish(mut self) -> Outcome {
        let is_kept = self.outcome.actions.iter().any(|d| matches!(d.action, Action::Keep { .. }));
        if self.implicit_keep && !is_kept {
            let flags = if self.flags.is_empty() { self.kept_flags.take() } else { None };
            let flags = flags.unwrap_or_else(|| self.flags.clone());
            let edition = self.edition();
            self.outcome.actions.push(Decided {
                action: Action::Keep { flags },
                origin: Origin::Implicit,
                edition,
            });
        }
        self.outcome.cost += self.cost.take();
        self.outcome.is_edited = self.message.is_edited();
        self.outcome
    }

    /// Runs a script in a frame of its own. After a fault the frame stays, so that it can be told whose it was.
    pub(crate) fn script(
        &mut self,
        script: &Arc<Script>,
        name: &str,
        included: Option<(ScriptPlace, String)>,
    ) -> Result<Flow, Stop> {
        let script = Arc::clone(script);
        self.frames.push(Frame {
            script: Arc::clone(&script),
            name: name.to_owned(),
            included,
            locals: vec![None; script.variables.len()],
            matches: Vec::new(),
        });
        let flow = self.block(&script.nodes)?;
        self.frames.pop();
        Ok(if flow == Flow::Return { Flow::On } else { flow })
    }

    /// Runs commands one by one.
    pub(crate) fn block(&mut self, nodes: &[Node]) -> Result<Flow, Stop> {
        // Whether an if or elsif of the chain at hand was true.
        let mut is_taken = false;
        for node in nodes {
            self.charge(NODE_COST).map_err(|stop| stop.at(node))?;
            let flow = match node.spec.action {
                Does::If => self.branch(node, false, &mut is_taken)?,
                Does::Elsif => self.branch(node, is_taken, &mut is_taken)?,
                Does::Else if is_taken => Flow::On,
                Does::Else => self.block(node.block.as_deref().unwrap_or_default())?,
                Does::Command(command) => {
                    let flow = command(self, node).map_err(|stop| stop.at(node))?;
                    self.step(node, StepResult::Done);
                    flow
                }
                Does::Test(_) => Flow::On,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, node: &Node, was_taken: bool, is_taken: &mut bool) -> Result<Flow, Stop> {
        if was_taken {
            return Ok(Flow::On);
        }
        *is_taken = match node.tests.first() {
            Some(test) => self.test(test)?,
            None => false,
        };
        if *is_taken { self.block(node.block.as_deref().unwrap_or_default()) } else { Ok(Flow::On) }
    }

    /// The answer of a test.
    pub(crate) fn test(&mut self, node: &Node) -> Result<bool, Stop> {
        self.charge(NODE_COST).map_err(|stop| stop.at(node))?;
        let Does::Test(test) = node.spec.action else { return Ok(false) };
        let is_true = test(self, node).map_err(|stop| stop.at(node))?;
        self.step(node, if is_true { StepResult::True } else { StepResult::False });
        Ok(is_true)
    }

    fn step(&mut self, node: &Node, result: StepResult) {
        if self.detail == Detail::Steps && self.outcome.steps.len() < STEPS_MAX {
            let script = self.frames.last().map(|frame| frame.name.clone()).unwrap_or_default();
            let step = Step { script, line: node.place.line, name: node.spec.name, result };
            self.outcome.steps.push(step);
        }
    }

    /// Pays for something; a fault once the script has spent all that it may.
    pub(crate) fn charge(&self, cost: u64) -> Result<(), Stop> {
        let spent = self.cost.get().saturating_add(cost);
        self.cost.set(spent);
        if spent > self.bounds.cost_max {
            return Err(Stop::fault("the script takes too long: it may not cost more than its limit"));
        }
        Ok(())
    }

    /// Pays for something where no fault can be told; the next charge tells it.
    pub(crate) fn owe(&self, cost: u64) {
        self.cost.set(self.cost.get().saturating_add(cost));
    }

    /// Looks at the message, and pays for what had to be read of it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Message) -> Result<T, Unreadable>) -> Result<T, Stop> {
        let before = self.message.octets_read();
        let seen = look(self.message)?;
        self.charge(self.message.octets_read().saturating_sub(before))?;
        Ok(seen)
    }

    /// Changes the message, and pays for what had to be read of it.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Message) -> Result<T, Unreadable>,
    ) -> Result<T, Stop> {
        let before = self.message.octets_read();
        let changed = change(self.message)?;
        self.charge(self.message.octets_read().saturating_sub(before))?;
        Ok(changed)
    }

    /// Tells of something that had to be left out; the script goes on.
    pub(crate) fn note(&self, node: &Node, words: String) {
        let script = self.frames.last().map(|frame| frame.name.clone()).unwrap_or_default();
        let mut notes = self.notes.borrow_mut();
        if notes.len() < NOTES_MAX {
            let words = cut_words(words);
            notes.push(RunFault { script, line: node.place.line, words, ends_script: false });
        }
    }

    /// Whether the script being run has required the extension.
    pub(crate) fn has(&self, extension: Extension) -> bool {
        self.frames.last().is_some_and(|frame| frame.script.required.contains(&extension))
    }

    /// The envelope has changed.
    pub(crate) fn forget_envelope(&mut self) {
        self.envelope = None;
    }

    /// The envelope.
    pub(crate) fn envelope(&mut self) -> &Envelope {
        self.envelope.get_or_insert_with(|| self.world.envelope())
    }

    /// Remembers an identifier, once all is done.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.outcome.marks.push(mark);
    }

    /// The message as it is now, if it has been changed.
    pub(crate) fn edition(&self) -> Option<Edition> {
        self.message.is_edited().then(|| self.message.edition().clone())
    }

    /// Where a node of the script being run is.
    pub(crate) fn origin(&self, node: &Node) -> Origin {
        let script = self.frames.last().map(|frame| frame.name.clone()).unwrap_or_default();
        Origin::Line { script, line: node.place.line }
    }
}
