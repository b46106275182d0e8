//! Match types: how the values that a test finds are held against its keys (RFC 5228 §2.7, RFC 5231, regex, RFC 6134).

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::comparator::Comparator;
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::glob::{Captures, Glob};
use crate::node::{Arg, Node};
use crate::pattern;
use crate::run::{QUESTION_COST, Run, Stop};
use crate::spec::{Kind, Tag};
use crate::text::{MATCH_VARIABLES_MAX, Text};
use crate::values::list_too_long;

/// The tags of every test that compares strings.
pub(crate) const MATCH: &[Tag] = &[
    Tag::plain("is").of("match type"),
    Tag::plain("contains").of("match type"),
    Tag::plain("matches").of("match type"),
    Tag::plain("regex").of("match type").needs(E::Regex),
    Tag::plain("list").of("match type").needs(E::ExtLists),
    Tag::valued("value", Kind::String).of("match type").needs(E::Relational),
    Tag::valued("count", Kind::String).of("match type").needs(E::Relational),
    Tag::valued("comparator", Kind::String),
];

/// What a run pays for making an expression ready whose text was not known before: for any, and for each unit of
/// [`pattern::cost`]. It takes about a millisecond, however short the expression is.
const REGEX_COST: u64 = 500_000;
const REGEX_STATE_COST: u64 = 1_000;
/// Units of [`pattern::cost`] of all constant expressions of a script: some thirty of the largest that are allowed.
pub(crate) const REGEX_STATES_MAX: u64 = 2_000_000;
/// What each comparison costs beside the octets compared.
const COMPARISON_COST: u64 = 20;
/// Words of a test's keys that are keys of their own.
const WORDS_MAX: usize = 4_096;
/// What each key of a test costs, whether or not there is something to compare it with.
const KEY_COST: u64 = 6;

/// How a test compares, its constant keys made ready.
#[derive(Debug)]
pub(crate) struct Matcher {
    comparator: Comparator,
    kind: MatchKind,
    /// One for each key of the script; `None` where a variable has a say.
    keys: Box<[Option<Key>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchKind {
    Is,
    Contains,
    Matches,
    Regex,
    List,
    Value(Relation),
    Count(Relation),
}

/// RFC 5231 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

impl Relation {
    fn parse(name: &[u8]) -> Option<Relation> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"gt" => Relation::Greater,
            b"ge" => Relation::GreaterOrEqual,
            b"lt" => Relation::Less,
            b"le" => Relation::LessOrEqual,
            b"eq" => Relation::Equal,
            b"ne" => Relation::NotEqual,
            _ => return None,
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::Greater => order.is_gt(),
            Relation::GreaterOrEqual => order.is_ge(),
            Relation::Less => order.is_lt(),
            Relation::LessOrEqual => order.is_le(),
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
        }
    }
}

/// A key made ready.
#[derive(Clone, Debug)]
enum Key {
    /// Folded.
    Is(Box<[u8]>),
    Contains(Box<Finder<'static>>),
    Glob(Box<Glob>),
    Regex(Box<Regex>, u64),
    /// As it is: relations and names of lists.
    Plain(Box<[u8]>),
}

impl Key {
    /// What it costs to hold a value of so many octets against it.
    fn cost(&self, octets: usize, comparator: Comparator) -> u64 {
        let an_octet = match self {
            Self::Glob(glob) => glob.cost(),
            Self::Regex(_, cost) => *cost,
            _ => 1,
        };
        let folding = match self {
            Self::Plain(key) => comparator.cost(octets + key.len()),
            _ => 0,
        };
        folding + (octets as u64).saturating_mul(an_octet) / 8
    }
}

/// Makes a test's tags and its key list (its last argument) ready.
pub(crate) fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    let words = node.spec;
    let comparator = match node.tag("comparator").and_then(Arg::text) {
        None => Comparator::default(),
        Some(text) => match text.constant().map(Comparator::parse) {
            Some(Some((comparator, need))) if need.is_none_or(|need| compiler.has(need)) => comparator,
            Some(Some((comparator, _))) => {
                let name = comparator.name();
                compiler.fault(
                    node.place,
                    format!("{words} uses \"{name}\" without require \"comparator-{name}\""),
                );
                return;
            }
            Some(None) => {
                compiler.fault(node.place, format!("{words} has an unknown :comparator"));
                return;
            }
            None => {
                compiler.fault(node.place, format!("the :comparator of {words} must be a constant string"));
                return;
            }
        },
    };
    let Some(kind) = kind(compiler, node) else { return };
    if !comparator.has_substrings()
        && matches!(kind, MatchKind::Contains | MatchKind::Matches | MatchKind::Regex)
    {
        let name = comparator.name();
        compiler.fault(node.place, format!("{words}: \"{name}\" cannot look for texts inside others"));
        return;
    }
    let mut keys = Vec::new();
    for text in node.args.last().map(Arg::texts).unwrap_or_default() {
        // Those that variables have a say in are made ready, and paid for, when they are reached.
        if kind == MatchKind::Regex
            && let Some(pattern) = text.constant()
        {
            compiler.regexes += 1;
            let states = pattern::cost(pattern, compiler.dialect.bounds.regex_octets_max);
            compiler.regex_states = compiler.regex_states.saturating_add(states);
            if compiler.regex_states > REGEX_STATES_MAX {
                compiler.fault(node.place, "the regular expressions of the script are too large together");
                return;
            }
            let max = compiler.dialect.bounds.regexes_max;
            if compiler.regexes > max {
                if compiler.regexes == max + 1 {
                    compiler.fault(node.place, format!("a script has at most {max} regular expressions"));
                }
                return;
            }
        }
        let key =
            text.constant().map(|key| ready(kind, comparator, key, compiler.dialect.bounds.regex_octets_max));
        match key.transpose() {
            Ok(key) => keys.push(key),
            Err(error) => {
                compiler.fault(node.place, format!("{words} has an invalid regular expression: {error}"))
            }
        }
    }
    node.matcher = Some(Box::new(Matcher { comparator, kind, keys: keys.into() }));
}

fn kind(compiler: &mut Compiler<'_>, node: &Node) -> Option<MatchKind> {
    let words = node.spec;
    for (tag, kind) in [
        ("contains", MatchKind::Contains),
        ("matches", MatchKind::Matches),
        ("regex", MatchKind::Regex),
        ("list", MatchKind::List),
    ] {
        if node.has(tag) {
            return Some(kind);
        }
    }
    for (tag, make) in [
        ("value", MatchKind::Value as fn(Relation) -> MatchKind),
        ("count", MatchKind::Count as fn(Relation) -> MatchKind),
    ] {
        let Some(text) = node.tag(tag).and_then(Arg::text) else { continue };
        let relation = text.constant().and_then(Relation::parse);
        if relation.is_none() {
            compiler.fault(
                node.place,
                format!("the relation behind :{tag} of {words} must be \"gt\", \"ge\", \"lt\", \"le\", \"eq\" or \"ne\""),
            );
        }
        return relation.map(make);
    }
    Some(MatchKind::Is)
}

fn ready(
    kind: MatchKind,
    comparator: Comparator,
    key: &[u8],
    regex_octets_max: usize,
) -> Result<Key, String> {
    Ok(match kind {
        MatchKind::Is => Key::Is(comparator.fold(key).into_owned().into()),
        MatchKind::Contains => {
            Key::Contains(Box::new(Finder::new(comparator.fold(key).as_ref()).into_owned()))
        }
        MatchKind::Matches => {
            Key::Glob(Box::new(Glob::new(key, |literal| comparator.fold(literal).into_owned())))
        }
        MatchKind::Regex => {
            let regex = pattern::compile(key, comparator != Comparator::Octet, regex_octets_max)?;
            Key::Regex(Box::new(regex), pattern::cost(key, regex_octets_max))
        }
        MatchKind::List | MatchKind::Value(_) | MatchKind::Count(_) => Key::Plain(key.into()),
    })
}

/// A value that a test has found.
#[derive(Clone, Copy)]
pub(crate) struct Value<'v> {
    text: &'v [u8],
    casemap: Option<&'v [u8]>,
}

impl<'v> Value<'v> {
    pub(crate) fn new(text: &'v [u8]) -> Value<'v> {
        Value { text, casemap: None }
    }

    /// With the form that i;ascii-casemap compares, where it is at hand.
    pub(crate) fn with_casemap(text: &'v [u8], casemap: &'v [u8]) -> Value<'v> {
        Value { text, casemap: Some(casemap) }
    }
}

/// One test under way: values go in one by one until one matches.
pub(crate) struct Matching<'n> {
    kind: MatchKind,
    comparator: Comparator,
    keys: Vec<Cow<'n, Key>>,
    count: u64,
    matches: Option<Vec<Box<[u8]>>>,
    wants_captures: bool,
}

impl<'n> Matching<'n> {
    /// The test of a node that went through [`check`].
    pub(crate) fn new(run: &Run<'_>, node: &'n Node) -> Result<Matching<'n>, Stop> {
        Self::of(run, node, node.args.last().map(Arg::texts).unwrap_or_default())
    }

    /// The test of a node whose keys are no argument of it.
    pub(crate) fn of(run: &Run<'_>, node: &'n Node, texts: &'n [Text]) -> Result<Matching<'n>, Stop> {
        let matcher = node.matcher.as_deref().ok_or_else(|| Stop::fault("a test without a matcher"))?;
        let is_count = matches!(matcher.kind, MatchKind::Count(_));
        let key_cost = KEY_COST + if is_count { COMPARISON_COST } else { 0 };
        run.charge(texts.len() as u64 * key_cost)?;
        let mut keys = Vec::with_capacity(texts.len());
        let mut room = run.list_octets_max();
        for (text, key) in texts.iter().zip(&matcher.keys) {
            let Some(key) = key else {
                let key = run.expand(text);
                room = room.checked_sub(key.len()).ok_or_else(list_too_long)?;
                keys.extend(ready_now(run, node, matcher, &key)?.map(Cow::Owned));
                continue;
            };
            if let (MatchKind::Count(_), Key::Plain(key)) = (matcher.kind, key) {
                run.charge(matcher.comparator.cost(key.len()))?;
            }
            keys.push(Cow::Borrowed(key));
        }
        Ok(Matching {
            kind: matcher.kind,
            comparator: matcher.comparator,
            keys,
            count: 0,
            matches: None,
            wants_captures: run.has(E::Variables),
        })
    }

    /// The same, with each word of each key a key of its own.
    pub(crate) fn new_by_word(run: &Run<'_>, node: &'n Node) -> Result<Matching<'n>, Stop> {
        let mut matching = Matching::new(run, node)?;
        let Some(matcher) = node.matcher.as_deref() else { return Ok(matching) };
        if matches!(matcher.kind, MatchKind::Count(_)) {
            return Ok(matching);
        }
        matching.keys.clear();
        for text in node.args.last().map(Arg::texts).unwrap_or_default() {
            for word in run.expand(text).split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                if matching.keys.len() >= WORDS_MAX {
                    return Err(list_too_long());
                }
                matching.keys.extend(ready_now(run, node, matcher, word)?.map(Cow::Owned));
            }
        }
        Ok(matching)
    }

    /// The same test, but what its wildcards stand for is forgotten.
    pub(crate) fn without_captures(self) -> Matching<'n> {
        Matching { wants_captures: false, ..self }
    }

    /// Whether values are counted, not compared.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.kind, MatchKind::Count(_))
    }

    /// Looks at one value; whether it matches a key.
    pub(crate) fn feed(&mut self, run: &Run<'_>, value: Value<'_>) -> Result<bool, Stop> {
        if self.counts() {
            self.count += 1;
            return Ok(false);
        }
        let fold_cost = if value.casemap.is_some() && self.comparator == Comparator::AsciiCasemap {
            value.text.len() as u64 / 8
        } else {
            self.comparator.cost(value.text.len())
        };
        run.charge(COMPARISON_COST + fold_cost)?;
        let folded = match (self.kind, self.comparator, value.casemap) {
            (
                MatchKind::Is | MatchKind::Contains | MatchKind::Matches,
                Comparator::AsciiCasemap,
                Some(casemap),
            ) => Cow::Borrowed(casemap),
            (MatchKind::Is | MatchKind::Contains | MatchKind::Matches, comparator, _) => {
                comparator.fold(value.text)
            }
            _ => Cow::Borrowed(value.text),
        };
        for key in &self.keys {
            run.charge(COMPARISON_COST + key.cost(folded.len(), self.comparator))?;
            let found = match key.as_ref() {
                Key::Is(key) => **key == *folded,
                Key::Contains(finder) => finder.find(&folded).is_some(),
                Key::Glob(glob) => match glob.captures(&folded) {
                    Some(captures) => {
                        if self.wants_captures {
                            self.matches = Some(captured(value.text, &folded, &captures));
                        }
                        true
                    }
                    None => false,
                },
                Key::Regex(regex, _) if self.wants_captures => match regex.captures(value.text) {
                    Some(captures) => {
                        let groups = captures.iter().take(MATCH_VARIABLES_MAX + 1);
                        let octets =
                            groups.map(|group| group.map_or(&[][..], |group| group.as_bytes()).into());
                        self.matches = Some(octets.collect());
                        true
                    }
                    None => false,
                },
                Key::Regex(regex, _) => regex.is_match(value.text),
                Key::Plain(key) => match self.kind {
                    MatchKind::Value(relation) => relation.holds(self.comparator.order(value.text, key)),
                    _ => {
                        run.charge(QUESTION_COST)?;
                        let list = String::from_utf8_lossy(key);
                        let found = run.world.is_listed(&list, &String::from_utf8_lossy(value.text));
                        if found && self.wants_captures {
                            self.matches = Some(vec![value.text.into()]);
                        }
                        found
                    }
                },
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the test says after all values; `is_found` if one of them matched.
    pub(crate) fn finish(self, run: &mut Run<'_>, is_found: bool) -> bool {
        if let MatchKind::Count(relation) = self.kind {
            let count = self.count.to_string();
            return self.keys.iter().any(|key| match key.as_ref() {
                Key::Plain(key) => relation.holds(self.comparator.order(count.as_bytes(), key)),
                _ => false,
            });
        }
        if let Some(matches) = self.matches {
            run.set_matches(matches);
        }
        is_found
    }
}

/// A key that variables bring. An expression that is none matches nothing, and is told of.
fn ready_now(run: &Run<'_>, node: &Node, matcher: &Matcher, key: &[u8]) -> Result<Option<Key>, Stop> {
    let cost = match matcher.kind {
        MatchKind::Regex => REGEX_COST + REGEX_STATE_COST * pattern::cost(key, run.bounds.regex_octets_max),
        _ => 4 * key.len() as u64 + matcher.comparator.cost(key.len()),
    };
    run.charge(cost)?;
    match ready(matcher.kind, matcher.comparator, key, run.bounds.regex_octets_max) {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            run.note(node, format!("invalid regular expression: {error}"));
            Ok(None)
        }
    }
}

/// The whole value and what each wildcard stands for, as it was before folding where that keeps octets in place.
fn captured(text: &[u8], folded: &[u8], captures: &Captures) -> Vec<Box<[u8]>> {
    let source = if text.len() == folded.len() { text } else { folded };
    let parts = captures.iter().take(MATCH_VARIABLES_MAX);
    let parts = parts.map(|&(start, end)| source.get(start..end).unwrap_or_default().into());
    std::iter::once(text.into()).chain(parts).collect()
}
