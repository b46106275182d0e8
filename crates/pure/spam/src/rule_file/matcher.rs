//! Compiled patterns: built within a budget of memory, matched in linear time, conditions beside them looked at where they match.

use regex::bytes::{Match, Regex, RegexBuilder};

use super::pattern::{Field, Source, Translated};

/// Memory that all patterns may take once compiled. Each is counted with the least of a few sizes that it fits into.
pub const COMPILED_OCTETS_MAX: usize = 96 * 1024 * 1024;

/// These sizes; a pattern that fits into none is refused.
const SIZES: [usize; 4] = [8 * 1024, 32 * 1024, 256 * 1024, 2 * 1024 * 1024];

/// What a matcher may remember of its states for each octet of its own size, so that it need not work them out again.
const STATES_FACTOR: usize = 2;

/// Matches whose conditions are looked at; a text with more that fail is made to keep us busy.
const TRIES_MAX: usize = 100;

/// A pattern with its conditions.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    regex: Regex,
    conditions: Vec<Condition>,
}

/// What stands, or does not, so many octets behind the beginning of a match.
#[derive(Clone, Debug)]
struct Condition {
    offset: usize,
    regex: Regex,
    is_wanted: bool,
}

impl Matcher {
    /// Compiles a pattern within what is left of the budget.
    pub(super) fn compile(source: &Source, field: Field, room: &mut usize) -> Result<Matcher, String> {
        let translated = source.translate(field)?;
        let regex = regex(&translated.pattern, &translated, room)?;
        let mut conditions = Vec::new();
        for condition in &translated.conditions {
            let regex = self::regex(&condition.pattern, &translated, room)?;
            conditions.push(Condition { offset: condition.offset, regex, is_wanted: condition.is_wanted });
        }
        Ok(Matcher { regex, conditions })
    }

    /// Whether it matches anywhere.
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        if self.conditions.is_empty() { self.regex.is_match(text) } else { self.find_at(text, 0).is_some() }
    }

    /// The first match.
    pub(super) fn find<'t>(&self, text: &'t [u8]) -> Option<Match<'t>> {
        self.find_at(text, 0)
    }

    /// How often it matches, up to a number.
    pub(super) fn count(&self, text: &[u8], count_max: u32) -> u32 {
        if count_max <= 1 {
            return u32::from(count_max == 1 && self.is_match(text));
        }
        let (mut count, mut start) = (0, 0);
        while count < count_max {
            let Some(found) = self.find_at(text, start) else { break };
            count += 1;
            // What matches nothing matches once at a place.
            start = found.end().max(found.start() + 1);
            if start > text.len() {
                break;
            }
        }
        count
    }

    fn find_at<'t>(&self, text: &'t [u8], start: usize) -> Option<Match<'t>> {
        let mut start = start;
        for _ in 0..TRIES_MAX {
            let found = self.regex.find_at(text, start)?;
            let holds = |condition: &Condition| {
                let rest = text.get(found.start() + condition.offset..).unwrap_or_default();
                condition.regex.is_match(rest) == condition.is_wanted
            };
            if self.conditions.iter().all(holds) {
                return Some(found);
            }
            start = found.start() + 1;
            if start > text.len() {
                return None;
            }
        }
        None
    }
}

fn regex(pattern: &str, ways: &Translated, room: &mut usize) -> Result<Regex, String> {
    let mut last = "there is no memory left for its pattern".to_owned();
    for size in SIZES.into_iter().filter(|size| size <= room) {
        let built = RegexBuilder::new(pattern)
            .unicode(false)
            .case_insensitive(ways.ignores_case)
            .dot_matches_new_line(ways.dot_is_all)
            .multi_line(ways.is_multi_line)
            .size_limit(size)
            // Below some tens of thousands a matcher cannot remember anything, and becomes slow.
            .dfa_size_limit(STATES_FACTOR * size.max(32 * 1024))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pattern: &str) -> Source {
        Source { pattern: pattern.as_bytes().to_vec(), flags: Vec::new() }
    }

    #[test]
    fn memory_is_bounded() {
        let first = SIZES[0];
        for (given, is_compiled) in [(first - 1, false), (first, true), (first + 1, true)] {
            let mut room = given;
            assert_eq!(
                Matcher::compile(&source("abc"), Field::Whole, &mut room).is_ok(),
                is_compiled,
                "{given}"
            );
        }
        let mut room = COMPILED_OCTETS_MAX;
        let refused = Matcher::compile(&source("(?:[a-z]{900}){900}"), Field::Whole, &mut room).unwrap_err();
        assert_eq!(refused, "its pattern takes too much memory");
    }

    #[test]
    fn matches_are_counted_up_to_a_number() {
        let matcher =
            Matcher::compile(&source("a*"), Field::Whole, &mut COMPILED_OCTETS_MAX.clone()).unwrap();
        assert_eq!([0, 1, 2, 9].map(|count_max| matcher.count(b"aab", count_max)), [0, 1, 2, 3]);
    }

    #[test]
    fn conditions_are_tried_so_often_and_no_more() {
        let matcher =
            Matcher::compile(&source("(?!ab)[ac][b]"), Field::Whole, &mut COMPILED_OCTETS_MAX.clone())
                .unwrap();
        for (failing, is_found) in [(TRIES_MAX - 2, true), (TRIES_MAX - 1, true), (TRIES_MAX, false)] {
            assert_eq!(
                matcher.is_match(format!("{}cb", "ab".repeat(failing)).as_bytes()),
                is_found,
                "{failing}"
            );
        }
    }
}
