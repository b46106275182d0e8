//! From a message and what is known of it to a verdict.

use crate::catalogue::Catalogue;
use crate::facts::Facts;
use crate::judgement::{Judgement, Signal};
use crate::letter::Letter;
use crate::rules;
use crate::verdict::Verdict;

/// What is thought of a message in the end. `content` is what the models say ([`crate::Model::explain`]).
pub fn weigh(
    message: &[u8],
    content: Option<(Judgement, &[Signal])>,
    facts: &Facts<'_>,
    catalogue: &Catalogue,
) -> Verdict {
    let mut hits = Vec::new();
    hits.extend(content.map(|(judgement, signals)| catalogue.model(judgement, signals)));
    hits.extend_from_slice(facts.raised);
    hits.append(&mut rules::judge(&Letter::read(message), facts, catalogue));
    Verdict::new(content.map(|(judgement, _)| judgement), hits)
}
