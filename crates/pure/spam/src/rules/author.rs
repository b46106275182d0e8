//! Authors who want to be taken for somebody else: by the name that is shown, or by a domain that looks like another.

use super::likeness::{claimed, imitated, is_one_edit_apart};
use super::{Found, domain_text, skeleton};
use crate::domains::registrable;
use crate::facts::{Facts, Ours};
use crate::letter::{Letter, Person};
use crate::signs::mixes_scripts;

/// Letters of an own domain's first label below which one changed letter is chance.
const NEAR_LETTERS_MIN: usize = 6;

pub(super) fn judge(letter: &Letter<'_>, facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(author) = letter.people("from").into_iter().next() else { return };
    if mixes_scripts(&author.name) {
        found.hit("NAME_MIXED_SCRIPTS", &author.name);
    }
    let is_ours = facts.ours.is_some_and(|ours| ours.has_domain(&author.domain));
    if is_ours || author.domain.is_empty() {
        return;
    }
    if let Some(brand) = imitated(&author.domain) {
        found.hit("LOOKALIKE_BRAND", &format!("{} like {brand}", author.domain));
    }
    if let Some(ours) = facts.ours
        && let Some(own) = alike(&author.domain, ours)
    {
        found.hit("LOOKALIKE_OURS", &format!("{} like {own}", author.domain));
    }
    // Lists that write in their own name show the author's in front.
    if !letter.is_of_list() {
        name(&author, facts, found);
    }
}

fn name(author: &Person, facts: &Facts<'_>, found: &mut Found<'_>) {
    let shown = author.name.to_lowercase();
    let is_mark = |c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '@' | '_' | '+');
    for word in shown.split(is_mark).filter(|word| word.contains('.')).take(8) {
        let (local, domain) = word.split_once('@').unwrap_or(("", word));
        let domain = domain.trim_matches('.');
        if !domain.contains('.') || registrable(domain) == registrable(&author.domain) {
            continue;
        }
        if facts.ours.is_some_and(|ours| ours.has_domain(domain)) {
            found.hit("NAME_SHOWS_OURS", &author.name);
        } else if !local.is_empty() {
            found.hit("NAME_SHOWS_ADDRESS", &format!("{} for {}", author.name, author.domain));
        }
    }
    if facts.ours.is_some_and(|ours| ours.has_name(&author.name)) {
        found.hit("NAME_OF_OURS", &format!("{} <{}@{}>", author.name, author.local, author.domain));
    }
    if claimed(&author.name, &author.domain).is_some() {
        found.hit("NAME_OF_BRAND", &format!("{} for {}", author.name, author.domain));
    }
}

/// The own domain that a host's registrable domain looks like and is not.
pub(super) fn alike<'o>(host: &str, ours: &'o Ours) -> Option<&'o str> {
    if ours.has_domain(host) {
        return None;
    }
    let domain = domain_text(registrable(host));
    let looks = skeleton(&domain);
    if let Some(own) = ours.domain_like(&looks) {
        return Some(own);
    }
    let is_near = |own: &str| {
        let label = own.split('.').next().unwrap_or_default();
        label.len() >= NEAR_LETTERS_MIN && is_one_edit_apart(&domain, own)
    };
    ours.domains().filter(|own| own.len().abs_diff(domain.len()) <= 1).find(|own| is_near(own))
}
