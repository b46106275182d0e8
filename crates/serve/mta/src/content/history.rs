//! What earlier mail says of a message: what its author's mail was worth so far, whether our people have written to them, and
//! whether it answers a message of ours.

use mail_types::{AccountId, Address, DomainName};
use message::fields;
use spam::{Catalogue, Hit};

use crate::screen::{Reputation, Sender, Senders, Standing};

/// Messages from which on a reputation speaks.
const MESSAGES_MIN: f32 = 5.0;
/// How much of it has to be unwanted to be bad, and how little to be good.
const BAD_SHARE: f32 = 0.8;
const GOOD_SHARE: f32 = 0.1;
/// Accounts for whom it is looked whether they have written to an author.
const ACCOUNTS_MAX: usize = 100;
/// Message-IDs that are looked up.
const IDS_MAX: usize = 20;

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) hits: Vec<Hit>,
    /// Accounts that have written to the author.
    pub(crate) correspondents: Vec<AccountId>,
    pub(crate) is_answer: bool,
}

/// Asks for it. `proven` is the author's domain, where it is proven: anybody can write a name.
pub(crate) async fn history(
    senders: &Senders,
    catalogue: &Catalogue,
    whom: &Sender,
    author: Option<&Address>,
    header: &[u8],
    accounts: &[AccountId],
) -> History {
    let mut history = History::default();
    let name = reputation_rule(&senders.reputation(whom).await);
    history.hits.extend(name.map(|name| catalogue.raise(name, "")));
    let ids = answered(header);
    if senders.is_ours(ids.iter().map(String::as_str)).await {
        history.is_answer = true;
        history.hits.push(catalogue.raise("REPLY_TO_OURS", ""));
    }
    let proven = author.filter(|author| is_of(author, whom.domain.as_ref()));
    if let Some(author) = proven {
        let accounts = accounts.get(..ACCOUNTS_MAX).unwrap_or(accounts);
        history.correspondents = senders.correspondents(accounts, author).await;
    }
    history
}

fn is_of(author: &Address, proven: Option<&DomainName>) -> bool {
    let domain = author.domain_name().zip(proven);
    domain.is_some_and(|(domain, proven)| super::taste::is_within(domain, proven))
}

fn reputation_rule(known: &Reputation) -> Option<&'static str> {
    let speaks = |standing: &Standing| standing.messages() >= MESSAGES_MIN;
    let rule = |standing: Standing| match standing.unwanted_share() {
        share if share >= BAD_SHARE => Some("REPUTATION_BAD"),
        share if share <= GOOD_SHARE => Some("REPUTATION_GOOD"),
        _ => None,
    };
    // What is proven to be the author's goes before whoever brought it.
    [known.domain, known.address].into_iter().find(speaks).and_then(rule)
}

/// The messages that one says to answer.
fn answered(header: &[u8]) -> Vec<String> {
    let named = |name: &str| fields(header).find(|field| field.is_named(name)).map(|field| field.unfolded());
    let mut ids = Vec::new();
    for field in [named("In-Reply-To"), named("References")].into_iter().flatten() {
        let text = String::from_utf8_lossy(&field).into_owned();
        // The newest stand last.
        ids.extend(text.split_whitespace().rev().take(IDS_MAX / 2).map(str::to_owned));
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reputation_speaks_when_it_has_seen_enough() {
        let standing = |wanted, unwanted| Standing { wanted, unwanted };
        for (domain, address, rule) in [
            (standing(0.0, 4.9), standing(0.0, 0.0), None),
            (standing(0.0, 5.0), standing(9.0, 0.0), Some("REPUTATION_BAD")),
            (standing(9.0, 0.0), standing(0.0, 9.0), Some("REPUTATION_GOOD")),
            (standing(0.0, 0.0), standing(0.0, 9.0), Some("REPUTATION_BAD")),
            (standing(5.0, 5.0), standing(0.0, 9.0), None),
        ] {
            let known = Reputation { domain, address, ..Reputation::default() };
            assert_eq!(reputation_rule(&known), rule, "{domain:?} {address:?}");
        }
    }

    #[test]
    fn the_newest_of_many_references_are_looked_up() {
        let many: Vec<String> = (0..30).map(|number| format!("<{number}@a>")).collect();
        let header = format!("In-Reply-To: <x@b>\r\nReferences: {}\r\n\r\n", many.join("\r\n "));
        let ids = answered(header.as_bytes());
        assert_eq!((ids.len(), ids[0].as_str(), ids[1].as_str()), (11, "<x@b>", "<29@a>"));
    }
}
