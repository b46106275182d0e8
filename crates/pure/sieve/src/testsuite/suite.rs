//! A file of tests under way: its settings, its world, the script at hand and what went wrong.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use mail_types::Address;
use message::Span;

use super::mailboxes::Mailboxes;
use super::settings::Settings;
use super::{SuiteHost, SuiteOutcome, SuiteProgram, TestOutcome};
use crate::compiler::compile_all;
use crate::dialect::Dialect;
use crate::fault::Place;
use crate::library::check_includes;
use crate::message::{Edition, LineEnd, Message};
use crate::run::Run;
use crate::script::Script;
use crate::world::{Envelope, Finished, World};

/// Addresses of a message that names none.
const DEFAULT_SENDER: &str = "sender@example.com";
const DEFAULT_RECIPIENT: &str = "recipient@example.com";

/// The state of a file of tests; commands reach it by [`Run::suite`].
pub(crate) struct Suite<'h> {
    pub(super) host: &'h dyn SuiteHost,
    pub(super) directory: String,
    pub(super) settings: RefCell<Settings>,
    pub(super) envelope: RefCell<Envelope>,
    pub(super) mailboxes: RefCell<Mailboxes>,
    /// The octets of the message under test, before a script changed them.
    pub(super) original: RefCell<Vec<u8>>,
    /// The script compiled last, and its name.
    pub(super) script: RefCell<Option<(String, Arc<Script>)>>,
    pub(super) binaries: RefCell<HashMap<String, (String, Arc<Script>)>>,
    /// What went wrong last.
    pub(super) errors: RefCell<Vec<String>>,
    /// How many of the result's actions have been carried out.
    pub(super) executed: Cell<usize>,
    /// Mailboxes this result's message has been filed into.
    pub(super) stored: RefCell<Vec<String>>,
    /// Why something of this result cannot be filed.
    pub(super) unfilable: RefCell<Vec<String>>,
    /// Who has been notified of this result's message.
    pub(super) told: RefCell<Vec<Address>>,
    /// Messages made so far; makes their identifiers.
    pub(super) made: Cell<u64>,
    tests: RefCell<Vec<TestOutcome>>,
    pub(super) printed: RefCell<Vec<String>>,
}

impl<'h> Suite<'h> {
    pub(super) fn new(host: &'h dyn SuiteHost, directory: &str) -> Suite<'h> {
        Suite {
            host,
            directory: directory.to_owned(),
            settings: RefCell::default(),
            envelope: RefCell::default(),
            mailboxes: RefCell::new(Mailboxes::new()),
            original: RefCell::default(),
            script: RefCell::default(),
            binaries: RefCell::default(),
            errors: RefCell::default(),
            executed: Cell::new(0),
            stored: RefCell::default(),
            unfilable: RefCell::default(),
            told: RefCell::default(),
            made: Cell::new(0),
            tests: RefCell::default(),
            printed: RefCell::default(),
        }
    }

    pub(super) fn into_outcome(self) -> SuiteOutcome {
        SuiteOutcome {
            tests: self.tests.into_inner(),
            faults: Vec::new(),
            printed: self.printed.into_inner(),
        }
    }

    /// The language as the settings have it now.
    pub(super) fn dialect(&self) -> Dialect {
        self.settings.borrow().dialect()
    }

    pub(super) fn note_test(&self, outcome: TestOutcome) {
        self.tests.borrow_mut().push(outcome);
    }

    /// The directory of the file of tests: `${tst.path}`.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (name == "path").then(|| self.directory.clone())
    }

    /// A path beside the file of tests.
    pub(super) fn path(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", self.directory) }
    }

    /// Makes octets the message under test, with the envelope that its header suggests.
    pub(super) fn set_message(&self, run: &mut Run<'_>, octets: Vec<u8>) {
        *self.original.borrow_mut() = octets;
        self.reset_message(run);
        let first = |name: &str| {
            let mut addresses = run.message.header().named(name).flat_map(|field| field.addresses());
            let found = addresses.find(|address| address.domain().is_some());
            found.map(|address| address.all().to_owned())
        };
        let envelope = Envelope {
            from: Some(first("From").unwrap_or_else(|| DEFAULT_SENDER.to_owned())),
            to: Some(first("To").unwrap_or_else(|| DEFAULT_RECIPIENT.to_owned())),
            ..Envelope::default()
        };
        self.set_envelope(run, envelope);
    }

    pub(super) fn set_envelope(&self, run: &mut Run<'_>, envelope: Envelope) {
        *self.envelope.borrow_mut() = envelope;
        run.forget_envelope();
    }

    /// The message under test, as it was set.
    pub(super) fn reset_message(&self, run: &mut Run<'_>) {
        if let Ok(message) = self.open(&self.original.borrow()) {
            *run.message = message;
        }
    }

    fn open(&self, octets: &[u8]) -> Result<Message, crate::message::Unreadable> {
        Message::from_octets(octets, self.dialect().message_limits())
    }

    /// The octets of an edition of the message under test.
    pub(super) fn octets(run: &Run<'_>, edition: &Edition) -> Vec<u8> {
        // A source in memory is always readable.
        edition.read(run.message.source(), Span::new(0, edition.octets())).unwrap_or_default()
    }

    /// Compiles a script that stands beside the file of tests; whether it could be.
    pub(super) fn compile(&self, name: &str) -> Option<Arc<Script>> {
        let Some(text) = self.host.read(&self.path(name)) else {
            *self.errors.borrow_mut() = vec![format!("the script '{name}' cannot be read")];
            return None;
        };
        let dialect = self.dialect();
        let (script, mut faults) = compile_all(&text, &dialect);
        if let Some(script) = &script {
            // One fault for one command is enough.
            let includes = check_includes(script, self, &dialect.bounds);
            let places: Vec<Place> = faults.iter().map(|fault| fault.place).collect();
            faults.extend(includes.into_iter().filter(|fault| !places.contains(&fault.place)));
        }
        let is_valid = faults.is_empty();
        let mut words: Vec<String> = faults.into_iter().map(|fault| fault.words).collect();
        if !is_valid {
            // The suites count what the compiler says at the end, too.
            words.push("the script is not valid".to_owned());
        }
        *self.errors.borrow_mut() = words;
        script.filter(|_| is_valid).map(Arc::new)
    }

    /// Runs a program from the directory that the settings give for its kind.
    pub(super) fn run_named(
        &self,
        kind: &str,
        name: &str,
        arguments: &[String],
        input: &[u8],
    ) -> Result<Finished, String> {
        let settings = self.settings.borrow();
        let Some(directory) = settings.text(&format!("sieve_{kind}_bin_dir")) else {
            return Err(format!("there is no program '{name}'"));
        };
        let envelope = self.envelope.borrow();
        let path = |path: &Option<String>| without_brackets(path.as_deref().unwrap_or_default()).to_owned();
        let environment = [
            ("SENDER", path(&envelope.from)),
            ("RECIPIENT", path(&envelope.to)),
            ("ORIG_RECIPIENT", path(&envelope.original_to)),
            ("HOST", self.environment("host").unwrap_or_default()),
            ("HOME", self.directory.clone()),
            ("USER", self.environment("vnd.dovecot.username").unwrap_or_default()),
        ];
        let line_end = match settings.text(&format!("sieve_{kind}_input_eol")) {
            Some("lf") => LineEnd::Lf,
            _ => LineEnd::CrLf,
        };
        let seconds_max = settings.seconds(&format!("sieve_{kind}_exec_timeout"));
        self.host.run(&SuiteProgram {
            directory,
            name,
            arguments,
            environment: &environment,
            input: &line_end.apply(input),
            seconds_max: seconds_max.filter(|&seconds| seconds > 0),
        })
    }

    pub(super) fn user_email(&self) -> Option<String> {
        self.settings.borrow().text("sieve_user_email").map(|email| without_brackets(email).to_owned())
    }
}

/// A path without its angle brackets.
pub(super) fn without_brackets(path: &str) -> &str {
    let path = path.trim();
    path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path).trim()
}
