//! What earlier mail says of a message: what its author's mail was worth so far, whether our people have written to them, and
//! whether it answers a message of ours.

use mail_types::{AccountId, Address, DomainName};
use message::fields;
use spam::{Catalogue, Hit};

use crate::breaker::Breaker;
use crate::screen::{AnswerTo, Reputation, Sender, Senders};

/// Messages from which on a reputation speaks.
const MESSAGES_MIN: f32 = 5.0;
/// The same of a whole network, in which there are others.
const NETWORK_MESSAGES_MIN: f32 = 20.0;
/// How much of what came from a network has to be unwanted before one of its addresses is bad: a large provider sends by one
/// address what nobody wants, and much else by the next.
const NETWORK_BAD_SHARE: f32 = 0.5;
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
    /// Whether it answers a message of ours, and somebody to whom that was sent is proven to have written it.
    pub(crate) is_answer: bool,
}

/// Asks for it. `proven` is the author's domain, where it is proven: anybody can write a name.
pub(crate) async fn history(
    (senders, breaker): (&Senders, &Breaker),
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
    let name = match senders.answers(ids.iter().map(String::as_str), whom.domain.as_ref()).await {
        AnswerTo::OursByRecipient => Some("REPLY_TO_OURS"),
        // Anybody may have read its Message-ID, in the archive of a list.
        AnswerTo::Ours => Some("REPLY_UNPROVEN"),
        AnswerTo::Nothing => None,
    };
    history.is_answer = name == Some("REPLY_TO_OURS");
    history.hits.extend(name.map(|name| catalogue.raise(name, "")));
    let proven = author.filter(|author| is_of(author, whom.domain.as_ref()));
    if let Some(author) = proven {
        let accounts = accounts.get(..ACCOUNTS_MAX).unwrap_or(accounts);
        history.correspondents = breaker.correspondents(accounts, author).await;
    }
    history
}

fn is_of(author: &Address, proven: Option<&DomainName>) -> bool {
    let domain = author.domain_name().zip(proven);
    domain.is_some_and(|(domain, proven)| super::taste::is_within(domain, proven))
}

fn reputation_rule(known: &Reputation) -> Option<&'static str> {
    // What is proven to be the author's goes before whoever brought it.
    if known.domain.messages() >= MESSAGES_MIN {
        return match known.domain.unwanted_share() {
            share if share >= BAD_SHARE => Some("REPUTATION_BAD"),
            share if share <= GOOD_SHARE => Some("REPUTATION_GOOD"),
            _ => None,
        };
    }
    let (address, network) = (known.address.unwanted_share(), known.network.unwanted_share());
    let is_address_known = known.address.messages() >= MESSAGES_MIN;
    if is_address_known && address <= GOOD_SHARE {
        return Some("REPUTATION_CLIENT_GOOD");
    }
    let is_address_bad = is_address_known && address >= BAD_SHARE && network >= NETWORK_BAD_SHARE;
    let is_network_bad = known.network.messages() >= NETWORK_MESSAGES_MIN && network >= BAD_SHARE;
    // One that is known itself is not judged by its neighbours.
    (is_address_bad || (is_network_bad && !is_address_known)).then_some("REPUTATION_CLIENT_BAD")
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
    use crate::screen::Standing;

    #[test]
    fn a_reputation_speaks_when_it_has_seen_enough() {
        let standing = |(wanted, unwanted)| Standing { wanted, unwanted };
        let (bad, good) = (Some("REPUTATION_BAD"), Some("REPUTATION_GOOD"));
        let (client_bad, client_good) = (Some("REPUTATION_CLIENT_BAD"), Some("REPUTATION_CLIENT_GOOD"));
        for (domain, address, network, rule) in [
            ((0.0, 4.9), (0.0, 0.0), (0.0, 0.0), None),
            ((0.0, 5.0), (9.0, 0.0), (9.0, 0.0), bad),
            ((9.0, 0.0), (0.0, 9.0), (0.0, 9.0), good),
            ((5.0, 5.0), (0.0, 9.0), (0.0, 9.0), None),
            ((0.0, 0.0), (0.0, 4.9), (0.0, 4.9), None),
            ((0.0, 0.0), (0.0, 5.0), (0.0, 5.0), client_bad),
            ((0.0, 0.0), (9.0, 0.0), (9.0, 0.0), client_good),
            // One address of a large provider.
            ((0.0, 0.0), (0.0, 9.0), (30.0, 9.0), None),
            // A network of nothing but spammers, a neighbour who is known, and one who is good.
            ((0.0, 0.0), (0.0, 0.0), (0.0, 19.9), None),
            ((0.0, 0.0), (0.0, 0.0), (0.0, 20.0), client_bad),
            ((0.0, 0.0), (3.0, 3.0), (3.0, 40.0), None),
            ((0.0, 0.0), (9.0, 0.0), (9.0, 60.0), client_good),
        ] {
            let (domain, address, network) = (standing(domain), standing(address), standing(network));
            let known = Reputation { domain, address, network, ..Reputation::default() };
            assert_eq!(reputation_rule(&known), rule, "{domain:?} {address:?} {network:?}");
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
