//! From a message and what is known of it to a verdict.

use crate::catalogue::Catalogue;
use crate::facts::Facts;
use crate::hit::Hit;
use crate::judgement::{Judgement, Signal};
use crate::letter::Letter;
use crate::link::domains;
use crate::rules;
use crate::verdict::Verdict;

/// What is thought of a message in the end. `content` is what the models say ([`crate::Model::explain`]).
pub fn weigh(
    message: &[u8],
    content: Option<(Judgement, &[Signal])>,
    facts: &Facts<'_>,
    catalogue: &Catalogue,
) -> Verdict {
    let letter = Letter::read(message);
    let judgement = content.map(|(judgement, _)| judgement);
    let mut hits: Vec<Hit> = facts.raised.to_vec();
    hits.extend(content.map(|(judgement, signals)| catalogue.model(judgement, signals)));
    hits.append(&mut rules::judge(&letter, facts, catalogue));
    let files = catalogue.files();
    let mut own = files.run(&letter, facts, judgement, &hits, catalogue);
    hits.retain(|hit| !files.defines(hit.name()));
    own.append(&mut hits);
    Verdict::new(judgement, own).leading_to(domains(&letter.links))
}
