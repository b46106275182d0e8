//! What a filter before us wrote into the header about spam and viruses, read as RFC 5235 wants it.

use regex::bytes::Regex;

use crate::message::Message;
use crate::pattern;
use crate::world::Score;

/// Octets of memory that an expression of the administrator's may take.
const REGEX_OCTETS_MAX: usize = 1 << 20;

/// How a header field tells a verdict.
#[derive(Clone, Debug)]
pub struct StatusRule {
    source: FieldPart,
    kind: StatusKind,
}

/// What the text of a verdict means.
#[derive(Clone, Debug)]
pub enum StatusKind {
    /// A number, up to a maximum.
    Score(StatusMax),
    /// As many characters as points, up to a maximum.
    Length(StatusMax),
    /// One of these texts, each with its value: 0 to 10 for spam, 0 to 5 for viruses.
    Texts(Vec<(u8, String)>),
}

/// The number that means the worst.
#[derive(Clone, Debug)]
pub enum StatusMax {
    /// This one.
    Value(f64),
    /// What stands in a header field.
    Field(FieldPart),
}

/// A header field, or the part of it that an expression finds.
#[derive(Clone, Debug)]
pub struct FieldPart {
    name: String,
    part: Option<Regex>,
}

impl FieldPart {
    /// Reads `name` or `name: expression`; the expression's first group is the part.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<FieldPart, String> {
        let (name, expression) = match text.split_once(':') {
            Some((name, expression)) => (name, Some(expression.trim_start())),
            None => (text, None),
        };
        let expression = expression.filter(|expression| !expression.is_empty());
        let part =
            expression.map(|part| pattern::compile(part.as_bytes(), true, REGEX_OCTETS_MAX)).transpose()?;
        Ok(FieldPart { name: name.trim().to_owned(), part })
    }

    fn text(&self, message: &Message) -> Option<String> {
        let mut fields = message.named(&self.name);
        match &self.part {
            None => fields.next().map(|field| field.text().to_owned()),
            Some(part) => fields.find_map(|field| {
                let captures = part.captures(field.text().as_bytes())?;
                Some(String::from_utf8_lossy(captures.get(1)?.as_bytes()).into_owned())
            }),
        }
    }

    fn number(&self, message: &Message) -> Option<f64> {
        number(&self.text(message)?)
    }
}

/// A decimal number and nothing else.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit() || b"+-.".contains(&octet));
    text.parse().ok().filter(|_| is_number)
}

impl StatusRule {
    /// A rule.
    #[must_use]
    pub fn new(source: FieldPart, kind: StatusKind) -> StatusRule {
        StatusRule { source, kind }
    }

    /// What the message's header says about spam.
    pub(crate) fn score(&self, message: &Message) -> Score {
        match &self.kind {
            StatusKind::Texts(_) => match self.value(message) {
                None | Some(0) => Score::Untested,
                Some(value) => Score::Part((f64::from(value) - 1.0) / 9.0 + 1e-9),
            },
            StatusKind::Score(_) | StatusKind::Length(_) => {
                self.part(message).map_or(Score::Untested, Score::Part)
            }
        }
    }

    /// What it says about viruses: 1 for none up to 5.
    pub(crate) fn verdict(&self, message: &Message) -> Option<u8> {
        match &self.kind {
            StatusKind::Texts(_) => self.value(message),
            // A part between 0 and 1 gives 1 to 5.
            StatusKind::Score(_) | StatusKind::Length(_) => {
                self.part(message).map(|part| 1 + (part * 4.0) as u8)
            }
        }
    }

    fn value(&self, message: &Message) -> Option<u8> {
        let StatusKind::Texts(texts) = &self.kind else { return None };
        let text = self.source.text(message)?;
        texts.iter().find(|(_, known)| *known == text).map(|(value, _)| *value)
    }

    fn part(&self, message: &Message) -> Option<f64> {
        let (points, max) = match &self.kind {
            StatusKind::Score(max) => (self.source.number(message)?, max),
            StatusKind::Length(max) => (self.source.text(message)?.trim().chars().count() as f64, max),
            StatusKind::Texts(_) => return None,
        };
        let max = match max {
            StatusMax::Value(max) => *max,
            StatusMax::Field(field) => field.number(message)?,
        };
        (max > 0.0).then(|| (points / max).clamp(0.0, 1.0))
    }
}
