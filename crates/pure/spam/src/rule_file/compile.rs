//! Makes the rules of files ready to run: patterns compiled within a budget, expressions over each other, scores and words.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

use super::draft::{Draft, HeaderKind, HeaderTest, Test};
use super::expression::{Expression, parse};
use super::pattern::{Field, Source};
use super::read::{RuleReader, Skipped};
use super::sources::{FieldSource, Form};
use crate::catalogue::rule;
use crate::hit::bounded;

/// Memory that all patterns may take once compiled. Each is counted with the least of a few sizes that it fits into.
pub const COMPILED_OCTETS_MAX: usize = 96 * 1024 * 1024;

/// These sizes; a pattern that fits into none is refused.
const SIZES: [usize; 4] = [8 * 1024, 32 * 1024, 256 * 1024, 2 * 1024 * 1024];

/// Hits of one rule that are counted.
const COUNT_MAX: u32 = 100;

/// What a rule without a score weighs, and what one weighs that is only tried out.
const SCORE_DEFAULT: f32 = 1.0;
const SCORE_TRIAL: f32 = 0.01;

/// Rules of files, ready to run.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    pub(super) rules: Vec<FileRule>,
    scores: BTreeMap<String, f32>,
    skipped: Vec<Skipped>,
    uncertain: Vec<Skipped>,
    settings: Vec<(String, usize)>,
}

/// A rule of a file.
#[derive(Clone, Debug)]
pub(super) struct FileRule {
    pub(super) name: String,
    pub(super) test: Ready,
    /// What it weighs; nothing for what only others build on.
    pub(super) points: Option<f32>,
    pub(super) words: String,
    /// Hits that are counted.
    pub(super) count_max: u32,
}

/// A test that can be run.
#[derive(Clone, Debug)]
pub(super) enum Ready {
    Exists(FieldSource),
    Field { source: FieldSource, regex: Regex, is_negated: bool, if_unset: Option<Vec<u8>> },
    PartField { source: FieldSource, regex: Option<Regex>, is_negated: bool },
    Body(Regex),
    RawBody(Regex),
    Full(Regex),
    Uri(Regex),
    Meta(Expression<Term>),
}

/// A rule that an expression names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// Of these files, by its place.
    Own(usize),
    /// Of others: built in, raised, or not known.
    Other(String),
}

impl RuleFiles {
    /// Rules that can be run.
    pub fn count(&self) -> usize {
        self.rules.len()
    }

    /// Rules and lines that cannot be used, each with its place and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Rules that name others which are not there: they fire only where these would not matter.
    pub fn uncertain(&self) -> &[Skipped] {
        &self.uncertain
    }

    /// Settings of SpamAssassin's program that mean nothing here, and how many lines of each there were.
    pub fn settings(&self) -> &[(String, usize)] {
        &self.settings
    }

    /// Points that the files give to rules that are not their own.
    pub(crate) fn foreign_scores(&self) -> impl Iterator<Item = (&str, f32)> {
        let is_own = |name: &str| self.rules.binary_search_by(|rule| rule.name.as_str().cmp(name)).is_ok();
        self.scores.iter().map(|(name, score)| (name.as_str(), *score)).filter(move |(name, _)| !is_own(name))
    }
}

impl RuleReader {
    /// All that was read, ready to run.
    pub fn finish(mut self) -> RuleFiles {
        let mut room = COMPILED_OCTETS_MAX;
        let mut ready = Vec::new();
        let mut metas = Vec::new();
        for (name, mut draft) in std::mem::take(&mut self.drafts) {
            if let Some(reason) = self.replace_tags(&name, &mut draft) {
                self.skip(&draft.place, &name, &reason);
                continue;
            }
            match compile(&draft.test, &mut room) {
                Ok(Compiled::Test(test)) => ready.push((name, test)),
                Ok(Compiled::Meta(expression)) => metas.push((name, draft, expression)),
                Err(reason) => self.skip(&draft.place, &name, &reason),
            }
        }
        self.assemble(ready, metas)
    }

    fn replace_tags(&self, name: &str, draft: &mut Draft) -> Option<String> {
        if !self.replaced.contains(name) {
            return None;
        }
        let source = draft.test.source_mut()?;
        match self.tags.replace(&source.pattern) {
            Some(pattern) => source.pattern = pattern,
            None => return Some("its pattern is too long once its tags are replaced".to_owned()),
        }
        None
    }

    fn assemble(
        mut self,
        ready: Vec<(String, Ready)>,
        metas: Vec<(String, Draft, Expression<String>)>,
    ) -> RuleFiles {
        let mut names: Vec<String> = ready.iter().map(|(name, _)| name.clone()).collect();
        names.extend(metas.iter().map(|(name, ..)| name.clone()));
        names.sort_unstable();
        let mut uncertain = Vec::new();
        let mut all = ready;
        for (name, draft, expression) in metas {
            let mut missing = Vec::new();
            let expression = expression.map(&mut |other: String| match names.binary_search(&other) {
                Ok(place) => Term::Own(place),
                Err(_) => {
                    if rule(&other).is_none() && !is_answered(&other) && !missing.contains(&other) {
                        missing.push(other.clone());
                    }
                    Term::Other(other)
                }
            });
            if !missing.is_empty() {
                let reason = format!("it builds on what is not there: {}", missing.join(", "));
                uncertain.push(Skipped {
                    file: draft.place.file,
                    line: draft.place.line,
                    rule: name.clone(),
                    reason,
                });
            }
            all.push((name, Ready::Meta(expression)));
        }
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let rules = all.into_iter().map(|(name, test)| self.rule_of(name, test)).collect();
        self.skipped.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        uncertain.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let settings = self.settings.into_iter().collect();
        RuleFiles { rules, scores: self.scores, skipped: self.skipped, uncertain, settings }
    }

    fn rule_of(&self, name: String, test: Ready) -> FileRule {
        let flags = self.flags.get(&name).map(Vec::as_slice).unwrap_or_default();
        let has = |flag: &str| flags.iter().any(|own| own == flag);
        let by_default = if name.starts_with("T_") { SCORE_TRIAL } else { SCORE_DEFAULT };
        let by_default = if has("nice") { -by_default } else { by_default };
        let score = self.scores.get(&name).copied().unwrap_or(by_default);
        let points = (!name.starts_with("__") && score != 0.0).then(|| bounded(score));
        let counted =
            flags.iter().find_map(|flag| flag.strip_prefix("maxhits=")).and_then(|count| count.parse().ok());
        let count_max = if has("multiple") { counted.unwrap_or(COUNT_MAX).clamp(1, COUNT_MAX) } else { 1 };
        let words = self.words.get(&name).cloned().unwrap_or_default();
        FileRule { name, test, points, words, count_max }
    }
}

/// Names that are answered from the models' judgement.
fn is_answered(name: &str) -> bool {
    name.starts_with("BAYES_")
}

enum Compiled {
    Test(Ready),
    Meta(Expression<String>),
}

fn compile(test: &Test, room: &mut usize) -> Result<Compiled, String> {
    Ok(Compiled::Test(match test {
        Test::Header(test) => header(test, room)?,
        Test::PartHeader(test) => {
            let source = FieldSource::part(test)?;
            let (regex, is_negated) = match &test.kind {
                HeaderKind::Exists => (None, false),
                HeaderKind::Matches { source, is_negated, .. } => {
                    (Some(regex(source, Field::Whole, room)?), *is_negated)
                }
            };
            Ready::PartField { source, regex, is_negated }
        }
        Test::Body(source) => Ready::Body(regex(source, Field::Lines, room)?),
        Test::RawBody(source) => Ready::RawBody(regex(source, Field::Whole, room)?),
        Test::Full(source) => Ready::Full(regex(source, Field::Whole, room)?),
        Test::Uri(source) => Ready::Uri(regex(source, Field::Lines, room)?),
        Test::Meta(text) => return parse(text).map(Compiled::Meta),
        Test::Function(name) => return Err(format!("it calls a function of SpamAssassin's program, {name}")),
    }))
}

fn header(test: &HeaderTest, room: &mut usize) -> Result<Ready, String> {
    let field = FieldSource::new(test)?;
    match &test.kind {
        HeaderKind::Exists if field.form == Form::Text => Ok(Ready::Exists(field)),
        HeaderKind::Exists => Err("it asks whether a form of a field exists".to_owned()),
        HeaderKind::Matches { source, is_negated, if_unset } => Ok(Ready::Field {
            regex: regex(source, Field::Whole, room)?,
            source: field,
            is_negated: *is_negated,
            if_unset: if_unset.clone(),
        }),
    }
}

/// Compiles a pattern within what is left of the budget.
fn regex(source: &Source, field: Field, room: &mut usize) -> Result<Regex, String> {
    let translated = source.translate(field)?;
    let mut last = "there is no memory left for its pattern".to_owned();
    for size in SIZES.into_iter().filter(|size| size <= room) {
        let built = RegexBuilder::new(&translated.pattern)
            .unicode(false)
            .case_insensitive(translated.ignores_case)
            .dot_matches_new_line(translated.dot_is_all)
            .multi_line(translated.is_multi_line)
            .size_limit(size)
            .dfa_size_limit(2 * size.max(32 * 1024))
            .build();
        match built {
            Ok(regex) => {
                *room -= size;
                return Ok(regex);
            }
            Err(regex::Error::CompiledTooBig(_)) => last = "its pattern takes too much memory".to_owned(),
            Err(_) => return Err("its pattern cannot be read".to_owned()),
        }
    }
    Err(last)
}
