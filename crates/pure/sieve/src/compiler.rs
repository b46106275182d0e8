//! Items of a script to nodes: what each of them is, whether its arguments fit, what its strings mean.

use std::collections::{BTreeSet, HashMap};

use crate::dialect::{Dialect, Extension};
use crate::extension;
use crate::fault::{Fault, Faults, Place};
use crate::node::{Arg, Node};
use crate::parser::{self, Item};
use crate::part::AddressPart;
use crate::script::{Scope, Script, Variable};
use crate::spec::{Block, Does, Spec, Tests};
use crate::text::{self, MATCH_VARIABLES_MAX, Part, Reference, Text};

/// Compiles a script.
///
/// # Errors
/// All that is wrong with it, in the order of the script.
pub fn compile(text: &[u8], dialect: &Dialect) -> Result<Script, Vec<Fault>> {
    let (script, faults) = compile_all(text, dialect);
    match script {
        Some(script) if faults.is_empty() => Ok(script),
        _ => Err(faults),
    }
}

/// Compiles as much of a script as can be, and tells all that is wrong with it.
pub(crate) fn compile_all(text: &[u8], dialect: &Dialect) -> (Option<Script>, Vec<Fault>) {
    let mut faults = Faults::default();
    if text.len() > dialect.bounds.script_octets_max {
        faults.add(
            Place { line: 1, column: 1 },
            format!("the script has more than {} octets", dialect.bounds.script_octets_max),
        );
        return (None, faults.into_vec());
    }
    let items = parser::parse(text, dialect.bounds.nodes_max, &mut faults);
    if !faults.is_empty() {
        return (None, faults.into_vec());
    }
    let mut compiler = Compiler::new(dialect, faults);
    let nodes = compiler.commands(items, 0);
    compiler.check_companions();
    let script = Script {
        nodes,
        required: compiler.required,
        variables: compiler.variables.into(),
        octets: text.len(),
        warnings: compiler.warnings.into_vec(),
    };
    (Some(script), compiler.faults.into_vec())
}

/// What is known of the script so far.
pub(crate) struct Compiler<'d> {
    pub(crate) dialect: &'d Dialect,
    pub(crate) faults: Faults,
    pub(crate) warnings: Faults,
    pub(crate) required: BTreeSet<Extension>,
    variables: Vec<Variable>,
    numbers: HashMap<Box<str>, u16>,
    strings: usize,
    /// Names of commands, tests and tags that were told to be unknown.
    pub(crate) unknown: BTreeSet<String>,
    /// Whether something else than `require` has been seen.
    has_begun: bool,
    /// Regular expressions made ready so far.
    pub(crate) regexes: usize,
    /// What all of them together may have to follow.
    pub(crate) regex_states: u64,
    /// The name of the command before, at the same depth.
    pub(crate) before: &'static str,
    /// The names of loops around what is compiled.
    pub(crate) loops: Vec<Option<Box<[u8]>>>,
}

impl<'d> Compiler<'d> {
    fn new(dialect: &'d Dialect, faults: Faults) -> Compiler<'d> {
        Compiler {
            dialect,
            faults,
            warnings: Faults::default(),
            required: BTreeSet::new(),
            variables: Vec::new(),
            numbers: HashMap::new(),
            strings: 0,
            unknown: BTreeSet::new(),
            has_begun: false,
            regexes: 0,
            regex_states: 0,
            before: "",
            loops: Vec::new(),
        }
    }

    /// What some extensions do not work without (RFC 5703 §7).
    fn check_companions(&mut self) {
        if !self.has(Extension::ExtractText) {
            return;
        }
        for companion in [Extension::Variables, Extension::ForEveryPart] {
            if !self.has(companion) {
                let words = format!("require \"extracttext\" needs require \"{}\" too", companion.name());
                self.fault(Place { line: 1, column: 1 }, words);
            }
        }
    }

    pub(crate) fn fault(&mut self, place: Place, words: impl Into<String>) {
        self.faults.add(place, words);
    }

    /// Whether the script may use what the extension brings.
    pub(crate) fn has(&self, extension: Extension) -> bool {
        self.required.contains(&extension)
    }

    fn commands(&mut self, items: Vec<Item<'_>>, depth: usize) -> Box<[Node]> {
        let mut nodes: Vec<Node> = Vec::with_capacity(items.len());
        // An if whose own fault is told excuses what follows it.
        let mut chain = Chain::None;
        let mut before = "";
        for item in items {
            self.before = before;
            if self.faults.is_full() {
                break;
            }
            // What stands in an unknown command is looked at by nobody: one fault is enough.
            let Some(spec) = self.command_spec(&item) else {
                chain = Chain::None;
                continue;
            };
            before = spec.name;
            if !spec.name.eq("require") {
                self.has_begun = true;
            } else if self.has_begun || depth > 0 {
                self.fault(item.place, "require commands stand before all others");
                continue;
            }
            match (spec.action, chain) {
                (Does::Elsif | Does::Else, Chain::None) => {
                    self.fault(item.place, format!("the {} command follows no if or elsif", spec.name));
                    chain = if matches!(spec.action, Does::Else) { Chain::None } else { Chain::Open };
                    continue;
                }
                (Does::If | Does::Elsif, _) => chain = Chain::Open,
                _ => chain = Chain::None,
            }
            nodes.extend(self.node(spec, item, depth));
        }
        nodes.into()
    }

    fn command_spec(&mut self, item: &Item<'_>) -> Option<&'static Spec> {
        let spec = self.spec(item, "command")?;
        if matches!(spec.action, Does::Test(_)) {
            self.fault(item.place, format!("attempted to use test '{}' as a command", spec.name));
            return None;
        }
        Some(spec)
    }

    /// The row of an item: of several, one that is of the kind wanted.
    fn spec(&mut self, item: &Item<'_>, kind: &str) -> Option<&'static Spec> {
        let mut lacking = None;
        let mut other = None;
        for spec in extension::specs().filter(|spec| spec.name.eq_ignore_ascii_case(item.name)) {
            match spec.need {
                Some(extension) if !self.has(extension) => {
                    lacking = lacking.or(Some(extension).filter(|&extension| self.dialect.allows(extension)));
                }
                _ if spec.kind() == kind => return Some(spec),
                _ => other = Some(spec),
            }
        }
        if other.is_some() {
            return other;
        }
        // Told where it stands first: what a script lacks, it often lacks at many places.
        if !self.unknown.insert(item.name.to_ascii_lowercase()) {
            return None;
        }
        let words = match lacking {
            Some(extension) => {
                format!("unknown {kind} '{}' (it needs require \"{}\")", item.name, extension.name())
            }
            None => format!("unknown {kind} '{}'", item.name),
        };
        self.fault(item.place, words);
        None
    }

    fn node(&mut self, spec: &'static Spec, item: Item<'_>, depth: usize) -> Option<Node> {
        let place = item.place;
        let mut node = Node {
            spec,
            place,
            tags: Box::default(),
            args: Box::default(),
            tests: Box::default(),
            block: None,
            matcher: None,
            part: AddressPart::All,
            is_never: false,
        };
        let fits = self.arguments(&mut node, item.arguments);
        let is_alone = spec.tests != Tests::None || matches!(item.tests, parser::Tests::None);
        if fits && is_alone && spec.block == Block::None {
            (spec.check)(self, &mut node);
        }
        let suits = self.check_tests(spec, place, &item.tests);
        node.tests = if suits { self.tests(item.tests) } else { Box::default() };
        if fits && spec.block == Block::Needed {
            (spec.check)(self, &mut node);
        }
        match (spec.block, item.block) {
            (Block::None, None) => {}
            // One fault of a command is enough where more follow from it.
            (Block::None, Some(_)) | (Block::Needed, None) if !fits || !suits => {}
            (Block::None, Some(_)) => {
                self.fault(
                    place,
                    format!("the {} {} accepts no block, but one is specified", spec.name, spec.kind()),
                );
            }
            (Block::Needed, None) => {
                self.fault(
                    place,
                    format!("the {} {} requires a block, but none is specified", spec.name, spec.kind()),
                );
            }
            (Block::Needed, Some(block)) => node.block = Some(self.block(spec, &node, block, depth)),
        }
        Some(node)
    }

    fn block(&mut self, spec: &'static Spec, node: &Node, items: Vec<Item<'_>>, depth: usize) -> Box<[Node]> {
        if extension::never_runs(node) {
            // What an extension that is not there would bring cannot be understood (RFC 5463 §4).
            return Box::default();
        }
        let is_loop = spec.name == "foreverypart";
        if is_loop {
            let name = node.tag("name").and_then(Arg::text).and_then(Text::constant).map(Into::into);
            self.loops.push(name);
        }
        let block = self.commands(items, depth + 1);
        if is_loop {
            self.loops.pop();
        }
        block
    }

    /// Whether tests of this kind may follow.
    fn check_tests(&mut self, spec: &'static Spec, place: Place, tests: &parser::Tests<'_>) -> bool {
        let words = match (spec.tests, tests) {
            (Tests::None, parser::Tests::None)
            | (Tests::One, parser::Tests::One(_))
            | (Tests::List, parser::Tests::List(_)) => return true,
            (Tests::None, parser::Tests::One(item)) => {
                self.unwanted_test(spec, item);
                return false;
            }
            (Tests::None, parser::Tests::List(_)) => "accepts no sub-tests, but tests are specified",
            (Tests::One, parser::Tests::List(_)) => "requires one sub-test, but a list of tests is specified",
            (Tests::One, parser::Tests::None) => "requires one sub-test, but none is specified",
            (Tests::List, parser::Tests::One(_) | parser::Tests::None) => {
                "requires a list of sub-tests in parentheses"
            }
        };
        self.fault(place, format!("{spec} {words}"));
        false
    }

    fn tests(&mut self, tests: parser::Tests<'_>) -> Box<[Node]> {
        let items = match tests {
            parser::Tests::None => return Box::default(),
            parser::Tests::One(item) => vec![*item],
            parser::Tests::List(items) => items,
        };
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            nodes.extend(self.test(item));
        }
        nodes.into()
    }

    /// A test where none may stand: often a semicolon or a colon was forgotten.
    fn unwanted_test(&mut self, spec: &'static Spec, item: &Item<'_>) {
        let known = extension::specs().find(|known| known.name.eq_ignore_ascii_case(item.name));
        let words = spec;
        if spec.tags.iter().flat_map(|tags| tags.iter()).any(|tag| tag.name.eq_ignore_ascii_case(item.name)) {
            self.fault(item.place, format!("missing colon before the '{}' tag of {words}", item.name));
        } else if !known.is_some_and(|known| matches!(known.action, Does::Test(_))) {
            if spec.kind() == "command" {
                self.fault(item.place, format!("missing semicolon after {words} (before '{}')", item.name));
            } else {
                self.fault(item.place, format!("unknown test '{}' behind {words}", item.name));
            }
        } else {
            self.fault(item.place, format!("{words} accepts no sub-tests, but tests are specified"));
        }
    }

    fn test(&mut self, item: Item<'_>) -> Option<Node> {
        let spec = self.spec(&item, "test")?;
        if !matches!(spec.action, Does::Test(_)) {
            self.fault(item.place, format!("attempted to use command '{}' as a test", spec.name));
            return None;
        }
        self.node(spec, item, 0)
    }

    /// What a string of the script means.
    pub(crate) fn text(&mut self, string: Vec<u8>, place: Place) -> Text {
        self.strings += 1;
        let max = self.dialect.bounds.strings_max;
        if self.strings > max {
            if self.strings == max + 1 {
                self.fault(place, format!("the script has more than {max} strings"));
            }
            return Text::Constant(Box::default());
        }
        let string = if self.has(Extension::EncodedCharacter) {
            match text::decode_characters(&string) {
                Ok(decoded) => decoded.into_owned(),
                Err(words) => {
                    self.fault(place, words);
                    string
                }
            }
        } else {
            string
        };
        if !self.has(Extension::Variables) || memchr::memmem::find(&string, b"${").is_none() {
            return Text::Constant(string.into());
        }
        self.parts(&string, place)
    }

    fn parts(&mut self, string: &[u8], place: Place) -> Text {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = string;
        while let Some((&octet, behind)) = rest.split_first() {
            let Some((reference, octets)) = text::reference(rest) else {
                literal.push(octet);
                rest = behind;
                continue;
            };
            let part = match reference {
                Reference::Match(number) => {
                    if number > MATCH_VARIABLES_MAX {
                        self.fault(
                            place,
                            format!("match variables are numbered up to {MATCH_VARIABLES_MAX}"),
                        );
                    }
                    Some(Part::Match(u8::try_from(number).unwrap_or(u8::MAX)))
                }
                Reference::Name(name) => self.variable(name, place).map(Part::Variable),
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.extend(part);
            rest = rest.get(octets..).unwrap_or_default();
        }
        if parts.is_empty() {
            return Text::Constant(literal.into());
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Text::Parts(parts.into())
    }

    /// The number of a variable; a fault if its namespace is unknown (RFC 5229 §3) or it is one too many.
    pub(crate) fn variable(&mut self, name: &str, place: Place) -> Option<u16> {
        let name = name.to_ascii_lowercase();
        if let Some(&number) = self.numbers.get(name.as_str()) {
            return Some(number);
        }
        let (scope, local) = match name.split_once('.') {
            None => (Scope::Local, name.as_str()),
            Some(("global", local)) if self.has(Extension::Include) && !local.contains('.') => {
                (Scope::Global, local)
            }
            Some(("env", item)) if self.has(Extension::DovecotEnvironment) => (Scope::Environment, item),
            Some(("tst", item)) if self.has(Extension::DovecotTestSuite) => (Scope::Suite, item),
            Some((namespace, _)) => {
                self.fault(place, format!("unknown namespace '{namespace}' of the variable '{name}'"));
                return None;
            }
        };
        if local.len() > self.dialect.bounds.variable_name_octets_max {
            let max = self.dialect.bounds.variable_name_octets_max;
            self.fault(place, format!("the name of a variable has at most {max} characters"));
            return None;
        }
        let variable = Variable { scope, name: local.into(), written: name.as_str().into() };
        self.add_variable(&name, variable, place)
    }

    fn add_variable(&mut self, name: &str, variable: Variable, place: Place) -> Option<u16> {
        let max = self.dialect.bounds.variables_max;
        if self.variables.len() >= max {
            if self.numbers.insert("".into(), 0).is_none() {
                self.fault(place, format!("a script has at most {max} variables"));
            }
            return None;
        }
        let number = u16::try_from(self.variables.len()).ok()?;
        self.variables.push(variable);
        self.numbers.insert(name.into(), number);
        Some(number)
    }

    /// Makes a name stand for the global variable of that name from here on (RFC 6609 §3.4.1).
    pub(crate) fn make_global(&mut self, name: &str, place: Place) {
        let lower = name.to_ascii_lowercase();
        let known =
            self.numbers.get(lower.as_str()).and_then(|&number| self.variables.get(usize::from(number)));
        match known.map(|variable| variable.scope) {
            Some(Scope::Global) => {}
            Some(_) => {
                self.fault(
                    place,
                    format!("the variable '{name}' is already in use and cannot be made global"),
                );
            }
            None => {
                let name = lower.as_str();
                let variable = Variable { scope: Scope::Global, name: name.into(), written: name.into() };
                self.add_variable(name, variable, place);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Chain {
    /// No elsif or else may follow.
    None,
    Open,
}
