//! Reads rule files line by line into drafts of rules. What is no rule, or none that can be judged here, is written down with its place.

use std::collections::{BTreeMap, BTreeSet};

use super::condition;
use super::draft::{Draft, HeaderTest, Test};
use super::pattern::Source;
use super::tags::Tags;

/// Octets of one line.
pub const RULE_LINE_OCTETS_MAX: usize = 64 * 1024;

/// Rules of all files together.
pub const FILE_RULES_MAX: usize = 20_000;

/// What is written down of lines that could not be used.
pub const SKIPPED_MAX: usize = 20_000;

/// Files in files.
pub const INCLUDE_DEPTH_MAX: usize = 8;

/// Conditions in conditions.
const CONDITION_DEPTH_MAX: usize = 32;

/// Names of settings that are counted.
const SETTINGS_MAX: usize = 500;

/// A line, or a rule, that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
    /// The rule's name; empty for lines that are no rule.
    pub rule: String,
    /// Why, as the end of a sentence about it.
    pub reason: String,
}

/// Reads rule files in the form of SpamAssassin's.
#[derive(Debug, Default)]
pub struct RuleReader {
    pub(super) drafts: BTreeMap<String, Draft>,
    pub(super) scores: BTreeMap<String, f32>,
    pub(super) words: BTreeMap<String, String>,
    pub(super) flags: BTreeMap<String, Vec<String>>,
    pub(super) tags: Tags,
    pub(super) replaced: BTreeSet<String>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) settings: BTreeMap<String, usize>,
    depth: usize,
}

/// A line's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

impl RuleReader {
    /// Reads a file. `include` gives the octets of the files that it names, as they are named; nothing for those that are not to be
    /// read.
    pub fn read(&mut self, file: &str, text: &[u8], include: &mut dyn FnMut(&str) -> Option<Vec<u8>>) {
        let mut conditions: Vec<bool> = Vec::new();
        let mut place = Place { file: file.to_owned(), line: 0 };
        for line in text.split(|octet| *octet == b'\n') {
            place.line += 1;
            if line.len() > RULE_LINE_OCTETS_MAX {
                self.skip(&place, "", "it is too long");
                continue;
            }
            let line = without_comment(line);
            let (word, rest) = split_word(&line);
            let word = String::from_utf8_lossy(word).to_lowercase();
            match word.as_str() {
                "" => {}
                "ifplugin" => conditions.push(!is_out(&conditions)),
                "if" => {
                    let holds = condition::holds(&String::from_utf8_lossy(rest));
                    if let Err(reason) = &holds {
                        self.skip(&place, "", reason);
                    }
                    conditions.push(!is_out(&conditions) && holds.unwrap_or_default());
                }
                "else" => {
                    let is_outside =
                        is_out(conditions.get(..conditions.len().saturating_sub(1)).unwrap_or_default());
                    match conditions.last_mut() {
                        Some(last) => *last = !*last && !is_outside,
                        None => self.skip(&place, "", "it belongs to no condition"),
                    }
                }
                "endif" => {
                    if conditions.pop().is_none() {
                        self.skip(&place, "", "it belongs to no condition");
                    }
                }
                "include" if !is_out(&conditions) => self.include(&place, rest, include),
                word if is_out(&conditions) => self.set_aside(word),
                word => self.line(&place, word, rest),
            }
            if conditions.len() > CONDITION_DEPTH_MAX {
                self.skip(
                    &place,
                    "",
                    "it is a condition in too many conditions, the rest of the file is not read",
                );
                return;
            }
        }
        if !conditions.is_empty() {
            self.skip(&place, "", "the file leaves a condition open");
        }
    }

    fn include(&mut self, place: &Place, name: &[u8], include: &mut dyn FnMut(&str) -> Option<Vec<u8>>) {
        let name = String::from_utf8_lossy(name).into_owned();
        if self.depth >= INCLUDE_DEPTH_MAX {
            self.skip(place, "", "it includes files in too many files");
            return;
        }
        match include(&name) {
            Some(text) => {
                self.depth += 1;
                self.read(&name, &text, include);
                self.depth -= 1;
            }
            None => self.skip(place, "", "the file that it includes is not to be had"),
        }
    }

    /// A line that a condition leaves out, if it is a rule.
    fn set_aside(&mut self, word: &str) {
        if matches!(word, "header" | "body" | "rawbody" | "uri" | "full" | "meta" | "mimeheader") {
            self.count("rules behind a condition that does not hold");
        }
    }

    fn count(&mut self, setting: &str) {
        if let Some(count) = self.settings.get_mut(setting) {
            *count += 1;
        } else if self.settings.len() < SETTINGS_MAX {
            self.settings.insert(setting.to_owned(), 1);
        }
    }

    fn line(&mut self, place: &Place, word: &str, rest: &[u8]) {
        let (name, value) = split_word(rest);
        let name = String::from_utf8_lossy(name).into_owned();
        let text = || String::from_utf8_lossy(value).into_owned();
        let test = match word {
            "header" => header(value),
            "body" | "rawbody" | "full" | "uri" => match eval(value) {
                Some(function) => Ok(Test::Function(function)),
                None => Source::read(value).map(|source| match word {
                    "body" => Test::Body(source),
                    "rawbody" => Test::RawBody(source),
                    "full" => Test::Full(source),
                    _ => Test::Uri(source),
                }),
            },
            "mimeheader" => header(value).and_then(|test| match test {
                Test::Header(test) => Ok(Test::PartHeader(test)),
                _ => Err("it is no test of a part's field".to_owned()),
            }),
            "meta" => Ok(Test::Meta(text())),
            "score" => return self.score(place, &name, &text()),
            "describe" => return self.note(|reader| reader.words.insert(name, text()).is_none()),
            "tflags" => {
                let flags = text().split_whitespace().map(str::to_owned).collect();
                return self.note(|reader| reader.flags.insert(name, flags).is_none());
            }
            "replace_rules" => {
                let names = String::from_utf8_lossy(rest).into_owned();
                self.replaced.extend(names.split_whitespace().take(FILE_RULES_MAX).map(str::to_owned));
                return;
            }
            word if self.tags.take(word, &name, value) => return,
            word => return self.count(word),
        };
        match test {
            Ok(test) => self.rule(place, &name, test),
            Err(reason) => self.skip(place, &name, &reason),
        }
    }

    fn rule(&mut self, place: &Place, name: &str, test: Test) {
        let is_name =
            !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
        if !is_name {
            self.skip(place, name, "its name is none");
        } else if self.drafts.len() >= FILE_RULES_MAX && !self.drafts.contains_key(name) {
            self.skip(place, name, "there are too many rules");
        } else {
            self.drafts.insert(name.to_owned(), Draft { test, place: place.clone() });
        }
    }

    /// What only belongs to rules is bounded as rules are, each of a few kinds of lines for each rule.
    fn note(&mut self, take: impl FnOnce(&mut RuleReader) -> bool) {
        const NOTES_MAX: usize = 4 * FILE_RULES_MAX;
        if self.words.len() + self.flags.len() + self.scores.len() < NOTES_MAX {
            take(self);
        }
    }

    /// One score, or four of which the last is for those who ask the network and learn. In parentheses it is added to what was there.
    fn score(&mut self, place: &Place, name: &str, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (Some(last), 1 | 4) = (words.last(), words.len()) else {
            self.skip(place, name, "its score is neither one number nor four");
            return;
        };
        let inner = last.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let Ok(number) = inner.unwrap_or(last).parse::<f32>() else {
            self.skip(place, name, "its score is no number");
            return;
        };
        self.note(|reader| {
            let before = reader.scores.get(name).copied().unwrap_or_default();
            let score = if inner.is_some() { before + number } else { number };
            reader.scores.insert(name.to_owned(), score).is_none()
        });
    }

    pub(super) fn skip(&mut self, place: &Place, rule: &str, reason: &str) {
        if self.skipped.len() < SKIPPED_MAX {
            let (file, rule, reason) = (place.file.clone(), rule.to_owned(), reason.to_owned());
            self.skipped.push(Skipped { file, line: place.line, rule, reason });
        }
    }
}

fn is_out(conditions: &[bool]) -> bool {
    conditions.contains(&false)
}

/// A line up to its comment. A `#` that is meant is written `\#`.
fn without_comment(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut octets = line.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match (octet, octets.peek()) {
            (b'#', _) => break,
            (b'\\', Some(b'#')) => {
                plain.push(b'#');
                octets.next();
            }
            // The next one is escaped, and says nothing of the one behind it.
            (b'\\', Some(&next)) => {
                plain.extend_from_slice(&[b'\\', next]);
                octets.next();
            }
            _ => plain.push(octet),
        }
    }
    plain.trim_ascii().to_vec()
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_ascii())
}

/// The function that a rule calls.
fn eval(value: &[u8]) -> Option<String> {
    let function = value.strip_prefix(b"eval:")?;
    let end = function.iter().position(|octet| *octet == b'(').unwrap_or(function.len());
    Some(String::from_utf8_lossy(function.get(..end).unwrap_or_default()).trim().to_owned())
}

/// `Field =~ /pattern/ [if-unset: text]`, `exists:Field` or a function.
fn header(value: &[u8]) -> Result<Test, String> {
    if let Some(function) = eval(value) {
        return Ok(Test::Function(function));
    }
    if let Some(field) = value.strip_prefix(b"exists:") {
        return Ok(Test::Header(HeaderTest::exists(&String::from_utf8_lossy(field))));
    }
    let (field, rest) = split_word(value);
    let (is_negated, rest) = match (rest.strip_prefix(b"=~"), rest.strip_prefix(b"!~")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("it has neither =~ nor !~".to_owned()),
    };
    const UNSET: &[u8] = b"[if-unset:";
    let unset =
        rest.windows(UNSET.len()).rposition(|window| window == UNSET).filter(|_| rest.ends_with(b"]"));
    let (pattern, if_unset) = match unset {
        Some(at) => {
            let (pattern, text) = rest.split_at(at);
            let text = text.get(UNSET.len()..text.len() - 1).unwrap_or_default();
            (pattern, Some(text.trim_ascii().to_vec()))
        }
        None => (rest, None),
    };
    let source = Source::read(pattern)?;
    Ok(Test::Header(HeaderTest::matches(&String::from_utf8_lossy(field), source, is_negated, if_unset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RuleReader {
        let mut reader = RuleReader::default();
        reader.read("x.cf", text.as_bytes(), &mut |_| None);
        reader
    }

    #[test]
    fn comments_end_a_line_and_escaped_marks_do_not() {
        assert_eq!(without_comment(b"  body A /a\\#b/ # c "), b"body A /a#b/");
        assert_eq!(without_comment(b"body A /a\\\\# c"), b"body A /a\\\\");
    }

    #[test]
    fn what_is_written_down_is_bounded() {
        for (given, kept) in
            [(SKIPPED_MAX - 1, SKIPPED_MAX - 1), (SKIPPED_MAX, SKIPPED_MAX), (SKIPPED_MAX + 1, SKIPPED_MAX)]
        {
            assert_eq!(read(&"body A x\n".repeat(given)).skipped.len(), kept);
        }
        for (given, kept) in [
            (SETTINGS_MAX - 1, SETTINGS_MAX - 1),
            (SETTINGS_MAX, SETTINGS_MAX),
            (SETTINGS_MAX + 1, SETTINGS_MAX),
        ] {
            let settings: String = (0..given).map(|at| format!("setting{at} x\n")).collect();
            assert_eq!(read(&settings).settings.len(), kept);
        }
    }

    #[test]
    fn conditions_in_conditions_are_bounded() {
        let depth =
            |depth: usize| format!("{}body A /x/\n{}", "if 1\n".repeat(depth), "endif\n".repeat(depth));
        for (given, is_read) in
            [(CONDITION_DEPTH_MAX - 1, true), (CONDITION_DEPTH_MAX, true), (CONDITION_DEPTH_MAX + 1, false)]
        {
            assert_eq!(read(&depth(given)).drafts.len(), usize::from(is_read), "{given}");
        }
    }
}
