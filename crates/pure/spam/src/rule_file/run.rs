//! Runs the rules of files on a message: those that weigh something, and of the others only what these ask for.

use std::collections::HashSet;

use super::compile::{FileRule, Ready, RuleFiles, Term};
use super::expression::Span;
use super::matcher::Matcher;
use super::sources::{FieldSource, Sources, Value};
use crate::catalogue::{Catalogue, rule};
use crate::facts::Facts;
use crate::hit::Hit;
use crate::judgement::Judgement;
use crate::letter::Letter;

/// Rules that build on rules; what is deeper counts as not known.
const DEPTH_MAX: usize = 60;

/// Octets that are matched for one message, those of a text once for each rule that looks at it. Rules that come later are not known.
/// The rules of Debian's package match less than half of it on the longest message.
const WORK_OCTETS_MAX: usize = 256 * 1024 * 1024;

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
            room: WORK_OCTETS_MAX,
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
    /// Octets that may still be matched.
    room: usize,
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
            Ready::Field { source, matcher, is_negated, if_unset } => {
                self.field(source, matcher, *is_negated, if_unset.as_deref(), count_max)
            }
            Ready::PartField { source, matcher, is_negated } => {
                let values = self.sources.part_fields(source);
                let matches =
                    |value: &Vec<u8>| matcher.as_ref().is_none_or(|matcher| matcher.is_match(value));
                let matching = values.iter().filter(|value| matches(value)).take(count_max as usize).count();
                if *is_negated { yes_or_no(matching == 0) } else { Span::exactly(matching as f64) }
            }
            Ready::Body(matcher) if self.pays_for(|sources| sources.body().len()) => {
                lines(matcher, self.sources.body(), count_max)
            }
            Ready::Uri(matcher) if self.pays_for(|sources| sources.uris().len()) => {
                lines(matcher, self.sources.uris(), count_max)
            }
            Ready::RawBody(matcher) if self.pays_for(|sources| sources.full().len()) => {
                let count = self
                    .sources
                    .raw_bodies()
                    .fold(0, |count, text| count + matcher.count(text, count_max - count));
                Span::exactly(f64::from(count))
            }
            Ready::Full(matcher) if self.pays_for(|sources| sources.full().len()) => {
                Span::exactly(f64::from(matcher.count(self.sources.full(), count_max)))
            }
            Ready::Body(_) | Ready::Uri(_) | Ready::RawBody(_) | Ready::Full(_) => Span::UNKNOWN,
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

    /// Takes the octets of a text from what may still be matched; texts without their encoding count as the whole message.
    fn pays_for(&mut self, octets: impl Fn(&Sources<'_>) -> usize) -> bool {
        let left = self.room.checked_sub(octets(&self.sources));
        self.room = left.unwrap_or_default();
        left.is_some()
    }

    fn field(
        &self,
        source: &FieldSource,
        matcher: &Matcher,
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
            return yes_or_no(!matcher.is_match(&text));
        }
        Span::exactly(f64::from(matcher.count(&text, count_max)))
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

/// Matches in lines. All are searched at once; where a match crosses an end of a line, each line by itself.
fn lines(matcher: &Matcher, text: &[u8], count_max: u32) -> Span {
    let Some(first) = matcher.find(text) else { return Span::NO };
    if count_max == 1 && !first.as_bytes().contains(&b'\n') {
        return Span::YES;
    }
    let mut found = 0;
    for line in text.split(|octet| *octet == b'\n') {
        found += matcher.count(line, count_max - found);
        if found >= count_max {
            break;
        }
    }
    Span::exactly(f64::from(found))
}

#[cfg(test)]
mod tests {
    use crate::rule_file::RuleReader;

    use super::*;

    #[test]
    fn work_is_bounded() {
        let mut reader = RuleReader::default();
        reader.read("x.cf", b"body A /x/\nbody B /y/\n", &mut |_| None);
        let files = reader.finish();
        let letter = Letter::read(b"Subject: x\n\ny\n");
        let facts = Facts::default();
        for (spare, value) in [(1, Span::YES), (0, Span::YES), (-1, Span::UNKNOWN)] {
            let sources = Sources::new(&letter, &facts);
            let room = (2 * sources.body().len()).saturating_add_signed(spare);
            let (others, values) = (HashSet::new(), vec![State::Unasked; 2]);
            let mut run =
                Run { rules: &files.rules, sources, judgement: None, others, values, depth: 0, room };
            assert_eq!((run.value(0), run.value(1)), (Span::YES, value), "{spare}");
        }
    }

    #[test]
    fn rules_on_rules_are_bounded() {
        for (depth, value) in
            [(DEPTH_MAX - 1, Span::YES), (DEPTH_MAX, Span::YES), (DEPTH_MAX + 1, Span::UNKNOWN)]
        {
            // The names sort so that each builds on the one behind it, and the first is the deepest.
            let rules: String = (1..depth).map(|at| format!("meta R{:03} R{:03}\n", at, at + 1)).collect();
            let mut reader = RuleReader::default();
            reader.read("x.cf", format!("{rules}meta R{depth:03} 1\n").as_bytes(), &mut |_| None);
            let files = reader.finish();
            let letter = Letter::read(b"");
            let facts = Facts::default();
            let (sources, others) = (Sources::new(&letter, &facts), HashSet::new());
            let values = vec![State::Unasked; depth];
            let mut run =
                Run { rules: &files.rules, sources, judgement: None, others, values, depth: 0, room: 0 };
            assert_eq!(run.value(0), value, "{depth}");
        }
    }
}
