//! The Sieve language (RFC 5228 and its extensions): scripts are compiled once and run against a message at delivery.
//!
//! Script, message and environment in, actions out. Nothing here carries an action out, asks a clock or reads a file:
//! [`compile`] makes a [`Script`] of text, [`run`] runs [`Stage`]s against a [`Message`](message::Message) in a [`World`]
//! and gives an [`Outcome`].

mod arguments;
mod comparator;
mod compiler;
mod decide;
mod dialect;
mod extension;
mod fault;
mod glob;
mod letter;
mod lexer;
mod library;
mod mailto;
mod matching;
pub mod message;
mod node;
mod outcome;
mod parser;
mod part;
mod path;
mod pattern;
mod printer;
mod run;
mod script;
mod spec;
pub mod testsuite;
mod text;
mod values;
mod verdict;
mod world;

pub use compiler::compile;
pub use dialect::{Bounds, Dialect, Extension, Occasion};
pub use fault::{FAULTS_MAX, Fault, Place, WORDS_OCTETS_MAX};
pub use letter::{
    Letter, Office, REDIRECTED_FIELD, Silence, VacationRules, notification_letter, redirect_letter,
    rejection_letter, report_letter, vacation_letter,
};
pub use library::check_includes;
pub use mailto::{MAILTO_RECIPIENTS_MAX, Mailto, MailtoRecipient};
pub use outcome::{
    Action, Decided, FileInto, Mark, Notify, Origin, Outcome, Pipe, Redirect, RedirectTo, Reject, RejectKind,
    Report, RunFault, Step, StepResult, Vacation,
};
pub use run::{Detail, STEPS_MAX, Stage, run};
pub use script::Script;
pub use values::VALUES_OCTETS_MAX;
pub use verdict::{FieldPart, StatusKind, StatusMax, StatusRule};
pub use world::{
    EmptyWorld, Envelope, Finished, Now, Program, ProgramInput, ProgramPurpose, Score, ScriptPlace, World,
};
