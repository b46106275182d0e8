//! The built-in rules that are judged from a message itself, a file for each family.

mod author;
mod header;
mod language;
mod letters;
mod likeness;
mod links;
mod markup;
mod parts;
mod services;
mod text;

use std::borrow::Cow;

use mail_types::DomainName;

use crate::catalogue::{Catalogue, rule};
use crate::facts::Facts;
use crate::hit::Hit;
use crate::letter::Letter;

pub use language::Language;
pub(crate) use likeness::skeleton;
pub use text::language;

/// All built-in rules that fire for a message.
pub(crate) fn judge(letter: &Letter<'_>, facts: &Facts<'_>, catalogue: &Catalogue) -> Vec<Hit> {
    let mut found = Found { catalogue, hits: Vec::new() };
    header::judge(letter, facts, &mut found);
    author::judge(letter, facts, &mut found);
    letters::judge(letter, &mut found);
    parts::judge(letter, &mut found);
    links::judge(letter, facts, &mut found);
    markup::judge(letter, &mut found);
    text::judge(letter, facts, &mut found);
    found.hits
}

/// What has fired so far.
struct Found<'c> {
    catalogue: &'c Catalogue,
    hits: Vec<Hit>,
}

impl Found<'_> {
    /// A rule fires if what it looks for is there.
    fn when(&mut self, fires: bool, name: &'static str) {
        if fires {
            self.hit(name, "");
        }
    }

    /// A rule fires for something that can be shown. Once is enough, and what weighs nothing is silent.
    fn hit(&mut self, name: &'static str, detail: &str) {
        let points = self.catalogue.points(name).unwrap_or_default();
        if points == 0.0 || self.hits.iter().any(|hit| hit.name() == name) {
            return;
        }
        let meaning = rule(name).map_or("", |rule| rule.meaning);
        let words = if detail.is_empty() { meaning.to_owned() } else { format!("{meaning}: {detail}") };
        self.hits.push(Hit::of_catalogue(name, points, &words));
    }
}

/// A domain as people read it: names in foreign letters as those letters.
fn domain_text(domain: &str) -> Cow<'_, str> {
    if !domain.contains("xn--") {
        return Cow::Borrowed(domain);
    }
    DomainName::parse(domain).map_or(Cow::Borrowed(domain), |name| Cow::Owned(name.to_unicode()))
}

#[cfg(test)]
mod tests;
