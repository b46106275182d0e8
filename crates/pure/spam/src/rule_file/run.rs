//! Runs the rules of files on a message: those that weigh something, and of the others only what these ask for.

use std::collections::HashSet;

use regex::bytes::Regex;

use super::compile::{FileRule, Ready, RuleFiles, Term};
use super::expression::Span;
use super::sources::{FieldSource, Sources, Value};
use crate::catalogue::{Catalogue, rule};
use crate::facts::Facts;
use crate::hit::Hit;
use crate::judgement::Judgement;
use crate::letter::Letter;

/// Rules that build on rules; what is deeper counts as not known.
const DEPTH_MAX: usize = 60;

impl RuleFiles {
    /// The hits of a message; `others` are those of rules that are not of these files.
    pub(crate) fn run(
        &self,
        letter: &Letter<'_>,
        facts: &Facts<'_>,
        judgement: Option<Judgement>,
        others: &[Hit],
        catalogue: &Catalogue,
    ) -> Vec<Hit> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let mut run = Run {
            rules: &self.rules,
            sources: Sources::new(letter, facts),
            judgement,
            others: others.iter().map(Hit::name).collect(),
            values: vec![State::Unasked; self.rules.len()],
            depth: 0,
        };
        let mut hits = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let Some(points) = rule.points else { continue };
            let points = catalogue.points_set(&rule.name).unwrap_or(points);
            if points != 0.0 && run.value(place).is_true() {
                hits.push(Hit::new(&rule.name, points, &rule.words));
            }
        }
        hits
    }

    /// Whether a rule is of these files, so that a built-in one of its name gives way.
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.rules
            .binary_search_by(|rule| rule.name.as_str().cmp(name))
            .is_ok_and(|at| self.rules.get(at).is_some_and(|rule| rule.points.is_some()))
    }
}

struct Run<'m> {
    rules: &'m [FileRule],
    sources: Sources<'m>,
    judgement: Option<Judgement>,
    others: HashSet<&'m str>,
    values: Vec<State>,
    depth: usize,
}

/// How far a rule is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Unasked,
    /// It is being asked: who asks it again goes round in a circle.
    Asked,
    Known(Span),
}

impl Run<'_> {
    fn value(&mut self, place: usize) -> Span {
        let (Some(state), Some(rule)) = (self.values.get_mut(place), self.rules.get(place)) else {
            return Span::UNKNOWN;
        };
        match *state {
            State::Known(value) => return value,
            State::Asked => return Span::UNKNOWN,
            State::Unasked => *state = State::Asked,
        }
        let value = self.test(&rule.test, rule.count_max);
        if let Some(state) = self.values.get_mut(place) {
            *state = State::Known(value);
        }
        value
    }

    fn test(&mut self, test: &Ready, count_max: u32) -> Span {
        match test {
            Ready::Exists(source) => yes_or_no(self.sources.has_field(source)),
            Ready::Field { source, regex, is_negated, if_unset } => {
                self.field(source, regex, *is_negated, if_unset.as_deref(), count_max)
            }
            Ready::PartField { source, regex, is_negated } => {
                let values = self.sources.part_fields(source);
                let matches = |value: &Vec<u8>| regex.as_ref().is_none_or(|regex| regex.is_match(value));
                let matching = values.iter().filter(|value| matches(value)).take(count_max as usize).count();
                if *is_negated { yes_or_no(matching == 0) } else { Span::exactly(matching as f64) }
            }
            Ready::Body(regex) => lines(regex, self.sources.body(), count_max),
            Ready::Uri(regex) => lines(regex, self.sources.uris(), count_max),
            Ready::RawBody(regex) => {
                let mut count = 0;
                for text in self.sources.raw_bodies() {
                    count += self::count(regex, text, count_max - count);
                    if count >= count_max {
                        break;
                    }
                }
                Span::exactly(f64::from(count))
            }
            Ready::Full(regex) => Span::exactly(f64::from(count(regex, self.sources.full(), count_max))),
            Ready::Meta(expression) => {
                if self.depth >= DEPTH_MAX {
                    return Span::UNKNOWN;
                }
                self.depth += 1;
                let value = expression.value(&mut |term| self.term(term));
                self.depth -= 1;
                value
            }
        }
    }

    fn field(
        &self,
        source: &FieldSource,
        regex: &Regex,
        is_negated: bool,
        if_unset: Option<&[u8]>,
        count_max: u32,
    ) -> Span {
        let text = match (self.sources.field(source), if_unset) {
            (Value::Text(text), _) => text,
            (Value::Unset, Some(text)) => text.to_vec(),
            (Value::Unset, None) => return yes_or_no(is_negated),
            (Value::Unknown, _) => return Span::UNKNOWN,
        };
        if is_negated {
            return yes_or_no(!regex.is_match(&text));
        }
        Span::exactly(f64::from(count(regex, &text, count_max)))
    }

    fn term(&mut self, term: &Term) -> Span {
        match term {
            Term::Own(place) => self.value(*place),
            Term::Other(name) if self.others.contains(name.as_str()) => Span::YES,
            Term::Other(name) => match self.bayes(name) {
                Some(is_there) => yes_or_no(is_there),
                None if rule(name).is_some() => Span::NO,
                None => Span::UNKNOWN,
            },
        }
    }

    /// SpamAssassin names its statistics by how probable they find that a message is unwanted.
    fn bayes(&self, name: &str) -> Option<bool> {
        let probability = self.judgement?.probability();
        let (low, high) = match name {
            "BAYES_00" => (0.0, 0.01),
            "BAYES_05" => (0.01, 0.05),
            "BAYES_20" => (0.05, 0.2),
            "BAYES_40" => (0.2, 0.4),
            "BAYES_50" => (0.4, 0.6),
            "BAYES_60" => (0.6, 0.8),
            "BAYES_80" => (0.8, 0.95),
            "BAYES_95" => (0.95, 0.99),
            "BAYES_99" => (0.99, 1.1),
            "BAYES_999" => (0.999, 1.1),
            _ => return None,
        };
        Some(probability >= low && probability < high)
    }
}

fn yes_or_no(yes: bool) -> Span {
    if yes { Span::YES } else { Span::NO }
}

fn count(regex: &Regex, text: &[u8], count_max: u32) -> u32 {
    match count_max {
        0 => 0,
        1 => u32::from(regex.is_match(text)),
        _ => u32::try_from(regex.find_iter(text).take(count_max as usize).count()).unwrap_or(count_max),
    }
}

/// Matches in lines. All are searched at once; where a match crosses an end of a line, each line by itself.
fn lines(regex: &Regex, text: &[u8], count_max: u32) -> Span {
    let Some(first) = regex.find(text) else { return Span::NO };
    if count_max == 1 && !first.as_bytes().contains(&b'\n') {
        return Span::YES;
    }
    let mut found = 0;
    for line in text.split(|octet| *octet == b'\n') {
        found += count(regex, line, count_max - found);
        if found >= count_max {
            break;
        }
    }
    Span::exactly(f64::from(found))
}
