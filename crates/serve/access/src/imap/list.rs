//! LIST and LSUB: which mailboxes there are (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258, 5819, 6154).

use std::collections::{BTreeMap, BTreeSet};

use imap::command::{List, ListSelection, Lsub};
use imap::response::{self, ListAttributes, ListEntry};
use imap::{Dialect, ListPattern};
use mail_types::MailboxName;
use mailstore::{MailboxInfo, MailboxList};
use platform::lines::Wire;
use tokio::time::Instant;

use super::person::Person;
use super::replies::{Done, Refusal, Stop};
use super::{enable, metadata, status};

/// Names held against the patterns before others get the thread: ten thousand names of the longest, against as many
/// patterns as one LIST may have, would take it for minutes.
const NAMES_AT_A_TIME: u32 = 8;

/// LIST.
pub(crate) async fn list(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: List,
) -> Result<Done, Stop> {
    if arguments.patterns.is_empty() {
        response::write_list_root(wire.output(), dialect);
        return Ok(Done::plain("LIST completed"));
    }
    let mailboxes = person.account.mailboxes().await?;
    if arguments.returns.status.is_some_and(|items| items.highest_mod_seq) {
        enable::imply_condstore(wire.output(), person);
    }
    let matcher = Matcher::new(&arguments.patterns, person);
    let mut longest = 0;
    for found in find(&mailboxes, &arguments, matcher).await? {
        let attributes = ListAttributes {
            // Clients that know nothing of LIST-EXTENDED know this word (RFC 5258 §3.4).
            no_select: found.mailbox.is_none() && !person.enabled.rev2,
            non_existent: found.mailbox.is_none(),
            subscribed: found.tells_subscription && mailboxes.subscriptions.contains(&found.name),
            has_children: Some(found.has_children),
            special_use: found.mailbox.and_then(|mailbox| mailbox.special_use),
        };
        let entry =
            ListEntry { attributes, has_subscribed_below: found.has_subscribed_below, ..entry(&found.name) };
        response::write_list(wire.output(), &entry, dialect);
        if let (Some(items), Some(mailbox)) = (arguments.returns.status, found.mailbox) {
            let values = status::values(person, mailbox, items).await?;
            response::write_status(wire.output(), &mailbox.name, &values, dialect);
        }
        if let (Some(question), Some(mailbox)) = (&arguments.metadata, found.mailbox) {
            metadata::tell(wire, dialect, person, Some(mailbox), question, &mut longest).await?;
        }
        wire.relieve().await?;
    }
    Ok(metadata::done(longest, "LIST completed"))
}

/// LSUB: subscribed names; where a pattern ends in `%`, also the superior names of those it does not reach, as
/// `\Noselect` (RFC 3501 §6.3.9).
pub(crate) async fn lsub(
    wire: &mut Wire,
    dialect: Dialect,
    person: &Person,
    arguments: Lsub,
) -> Result<Done, Stop> {
    let Some(pattern) = arguments.pattern else {
        response::write_list_root(wire.output(), dialect);
        return Ok(Done::plain("LSUB completed"));
    };
    let mailboxes = person.account.mailboxes().await?;
    let matcher = Matcher::new(std::slice::from_ref(&pattern), person);
    for (name, is_subscribed) in subscribed_for_lsub(&mailboxes.subscriptions, matcher).await? {
        let attributes = ListAttributes { no_select: !is_subscribed, ..ListAttributes::default() };
        response::write_lsub(wire.output(), &name, &attributes, dialect);
        wire.relieve().await?;
    }
    Ok(Done::plain("LSUB completed"))
}

/// An entry that tells the name alone.
pub(crate) fn entry(name: &MailboxName) -> ListEntry<'_> {
    ListEntry { name, attributes: ListAttributes::default(), has_subscribed_below: false, old_name: None }
}

/// One name to be listed.
#[derive(Debug)]
struct Found<'a> {
    name: MailboxName,
    /// `None` for names that are no mailbox.
    mailbox: Option<&'a MailboxInfo>,
    has_children: bool,
    tells_subscription: bool,
    has_subscribed_below: bool,
}

/// Holds names against patterns, and stops when it takes too long.
struct Matcher<'a> {
    patterns: &'a [ListPattern],
    looked_at: u32,
    deadline: Instant,
}

impl<'a> Matcher<'a> {
    fn new(patterns: &'a [ListPattern], person: &Person) -> Self {
        Self { patterns, looked_at: 0, deadline: Instant::now() + person.settings.search_time_max }
    }

    async fn matches(&mut self, name: &MailboxName) -> Result<bool, Stop> {
        self.looked_at = self.looked_at.wrapping_add(1);
        if self.looked_at.is_multiple_of(NAMES_AT_A_TIME) {
            tokio::task::yield_now().await;
            if Instant::now() > self.deadline {
                return Err(Refusal::SearchTooCostly.into());
            }
        }
        Ok(self.patterns.iter().any(|pattern| pattern.matches(name)))
    }
}

/// What LIST finds, ascending by name.
async fn find<'a>(
    mailboxes: &'a MailboxList,
    arguments: &List,
    matcher: Matcher<'_>,
) -> Result<Vec<Found<'a>>, Stop> {
    let selection = arguments.selection;
    let names = matching(mailboxes, selection, matcher).await?;
    let found = names.into_iter().map(|(name, has_subscribed_below)| Found {
        mailbox: mailboxes.by_name(&name),
        has_children: has_children(mailboxes, &name),
        tells_subscription: selection.subscribed || arguments.returns.subscribed,
        has_subscribed_below,
        name,
    });
    let is_wanted = |found: &Found<'_>| {
        !selection.special_use || found.mailbox.is_some_and(|mailbox| mailbox.special_use.is_some())
    };
    Ok(found.filter(is_wanted).collect())
}

/// The names that match, and whether something subscribed below is why they are told.
async fn matching(
    mailboxes: &MailboxList,
    selection: ListSelection,
    mut matcher: Matcher<'_>,
) -> Result<BTreeMap<MailboxName, bool>, Stop> {
    let mut names = BTreeMap::new();
    if selection.subscribed {
        for name in &mailboxes.subscriptions {
            if matcher.matches(name).await? {
                names.insert(name.clone(), false);
            }
        }
    } else {
        for mailbox in &mailboxes.mailboxes {
            if matcher.matches(&mailbox.name).await? {
                names.insert(mailbox.name.clone(), false);
            }
        }
        for name in mailboxes.superiors_without_mailbox() {
            if matcher.matches(&name).await? {
                names.insert(name, false);
            }
        }
    }
    if selection.recursive_match {
        mark_superiors(&mut names, &mailboxes.subscriptions, &mut matcher).await?;
    }
    Ok(names)
}

/// Adds or marks the superior names that match and have something subscribed below them. A name that is here for
/// nothing else is added only for what is not listed itself (RFC 5258 §3.5: no redundant CHILDINFO).
async fn mark_superiors(
    names: &mut BTreeMap<MailboxName, bool>,
    subscriptions: &BTreeSet<MailboxName>,
    matcher: &mut Matcher<'_>,
) -> Result<(), Stop> {
    for subscribed in subscriptions {
        let is_listed = matcher.matches(subscribed).await?;
        let mut superior = subscribed.parent();
        while let Some(name) = superior {
            superior = name.parent();
            if let Some(has_subscribed_below) = names.get_mut(&name) {
                *has_subscribed_below = true;
            } else if !is_listed && matcher.matches(&name).await? {
                names.insert(name, true);
            }
        }
    }
    Ok(())
}

/// Whether any mailbox lies below the name: the first name behind `name/` tells.
fn has_children(mailboxes: &MailboxList, name: &MailboxName) -> bool {
    let below = format!("{}/", name.as_str());
    let at = mailboxes.mailboxes.partition_point(|mailbox| mailbox.name.as_str() < below.as_str());
    mailboxes.mailboxes.get(at).is_some_and(|mailbox| mailbox.name.is_under(name))
}

/// The names that LSUB tells, and whether each is subscribed itself.
async fn subscribed_for_lsub(
    subscriptions: &BTreeSet<MailboxName>,
    mut matcher: Matcher<'_>,
) -> Result<BTreeMap<MailboxName, bool>, Stop> {
    let mut names = BTreeMap::new();
    for subscribed in subscriptions {
        if matcher.matches(subscribed).await? {
            names.insert(subscribed.clone(), true);
            continue;
        }
        let mut superior = subscribed.parent();
        while let Some(name) = superior {
            superior = name.parent();
            if matcher.matches(&name).await? {
                names.entry(name).or_insert(false);
            }
        }
    }
    Ok(names)
}
