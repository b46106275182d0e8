//! Step 7 of a message's way: each recipient is local, elsewhere or refused. Asked at RCPT, so that nothing is taken that
//! cannot be kept or passed on (RFC 5321 §6.1).
//!
//! A sub-address (`ann+news@`) goes to the same INBOX as the address itself; filters can tell them apart.

use directory::{LocalTarget, Recipients, Resolution};
use mail_types::{AccountId, Address, ForwardPath, ReversePath};
use mailstore::{QuotaLimit, QuotaUsage};
use queue::Destination;
use sender_auth::srs;
use smtp::Reply;

use super::queued::Place;
use crate::Rooms;
use crate::receive::replies;
use crate::settings::Settings;

/// Where one recipient's mail goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// To all of these.
    Deliver(Targets),
    /// Nowhere, as the directory says.
    Discard(Discarded),
}

/// Whom a recipient stands for: one at least.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// Accounts here: to their INBOX.
    pub(crate) local: Vec<LocalTarget>,
    /// Addresses elsewhere: to the queue.
    pub(crate) remote: Vec<RemoteTarget>,
}

/// One address elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct RemoteTarget {
    pub(crate) address: Address,
    pub(crate) destination: Destination,
    /// The address of ours that the sender named, where an alias leads on.
    pub(crate) expanded_from: Option<Address>,
}

impl Route {
    /// How many copies it leads to.
    pub(crate) fn targets(&self) -> usize {
        self.local().len() + self.remote().len()
    }

    /// Whether it is an alias of several who are not all here: what becomes of them is not one thing.
    pub(crate) fn is_expanded(&self) -> bool {
        self.targets() > 1 && !self.remote().is_empty()
    }

    /// The accounts here.
    pub(crate) fn local(&self) -> &[LocalTarget] {
        match self {
            Self::Deliver(targets) => &targets.local,
            Self::Discard(_) => &[],
        }
    }

    /// The addresses elsewhere that get a message which is filed at this place here.
    pub(crate) fn remote_of(&self, place: Place) -> impl Iterator<Item = &RemoteTarget> {
        self.remote().iter().filter(move |target| place == Place::Inbox || target.takes_junk())
    }

    /// Whether junk for this recipient has somewhere to go.
    pub(crate) fn takes_junk(&self) -> bool {
        match self {
            Self::Deliver(targets) => {
                !targets.local.is_empty() || targets.remote.iter().any(RemoteTarget::takes_junk)
            }
            Self::Discard(_) => true,
        }
    }

    /// The addresses elsewhere.
    pub(crate) fn remote(&self) -> &[RemoteTarget] {
        match self {
            Self::Deliver(targets) => &targets.remote,
            Self::Discard(_) => &[],
        }
    }
}

impl RemoteTarget {
    /// Whether junk goes there: to a server that we take mail for, which has its own junk mailboxes, and back to whoever
    /// sent what we passed on. What an alias leads on to others would be our junk in their eyes.
    fn takes_junk(&self) -> bool {
        self.expanded_from.as_ref().is_none_or(srs::is_rewritten)
    }
}

/// Proof that somebody wants mail thrown away: the directory or an order by [`find`], the scripts of whom it is for, or the
/// operator by a trap or another filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discarded(());

impl Discarded {
    /// All scripts have been run, and none kept anything.
    pub(crate) fn by_script() -> Self {
        Self(())
    }

    /// The recipient is a trap.
    pub(crate) fn by_trap() -> Self {
        Self(())
    }

    /// An engine of others, which the operator has set up, has it so.
    pub(crate) fn by_engine() -> Self {
        Self(())
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asking {
    /// Somebody who has not logged in.
    Stranger,
    /// Somebody of ours, or a host whose network may send anywhere.
    Ours,
}

/// What a route is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) reverse_path: &'a ReversePath,
    pub(crate) forward_path: &'a ForwardPath,
    pub(crate) asking: Asking,
    /// SIZE of MAIL; zero where it was not given.
    pub(crate) announced_octets: u64,
}

/// Where mail for a forward-path goes, or what its sender is told.
pub(crate) async fn find(rooms: &Rooms, settings: &Settings, question: Question<'_>) -> Result<Route, Reply> {
    if let Some(route) = returned(rooms, settings, question) {
        return route;
    }
    // What is asked for is released when the message has come; nobody wants the message itself.
    if rooms.content.order(question.forward_path).is_some() {
        return Ok(Route::Discard(Discarded(())));
    }
    match rooms.directory.resolve(question.forward_path) {
        Resolution::Deliver(recipients) => resolved(rooms, settings, question, recipients).await,
        Resolution::Discard => Ok(Route::Discard(Discarded(()))),
        Resolution::Unknown => Err(replies::UNKNOWN_USER),
        Resolution::NotLocal => elsewhere(rooms, settings, question),
        Resolution::Disabled => Err(replies::MAILBOX_DISABLED),
        Resolution::Loop => Err(replies::ALIAS_LOOP),
    }
}

/// A recipient of ours: accounts, and addresses elsewhere that aliases lead to.
async fn resolved(
    rooms: &Rooms,
    settings: &Settings,
    question: Question<'_>,
    Recipients { local, remote }: Recipients,
) -> Result<Route, Reply> {
    // Keeping the local copies and losing the others would be losing mail.
    if !remote.is_empty() && rooms.queue.is_none() {
        return Err(replies::NO_QUEUE);
    }
    for target in &local {
        check_quota(rooms, settings, target.account, question.announced_octets).await?;
    }
    let named = match question.forward_path {
        ForwardPath::Address(address) => Some(address),
        ForwardPath::Postmaster => None,
    };
    let remote = remote.into_iter().map(|address| RemoteTarget {
        destination: settings.routing.destination(question.reverse_path, &address),
        expanded_from: named.cloned(),
        address,
    });
    Ok(Route::Deliver(Targets { local, remote: remote.collect() }))
}

/// The way of a report on mail that we passed on, back to who sent it; none if the recipient is no such address.
fn returned(rooms: &Rooms, settings: &Settings, question: Question<'_>) -> Option<Result<Route, Reply>> {
    let ForwardPath::Address(address) = question.forward_path else { return None };
    if !address.domain_name().is_some_and(|domain| rooms.directory.is_local_domain(domain)) {
        return None;
    }
    let sender = settings.routing.returned_to(address, rooms.clock.now())?;
    // RFC 5321 §4.5.5: reports have no sender. Anything else would be somebody's way around our refusal to relay.
    if *question.reverse_path != ReversePath::Null {
        return Some(Err(replies::REPORTS_ALONE));
    }
    if rooms.queue.is_none() {
        return Some(Err(replies::NO_QUEUE));
    }
    let target = RemoteTarget {
        destination: settings.routing.destination(question.reverse_path, &sender),
        address: sender,
        expanded_from: Some(address.clone()),
    };
    Some(Ok(Route::Deliver(Targets { local: Vec::new(), remote: vec![target] })))
}

/// A recipient that is not ours.
fn elsewhere(rooms: &Rooms, settings: &Settings, question: Question<'_>) -> Result<Route, Reply> {
    let ForwardPath::Address(address) = question.forward_path else { return Err(replies::UNKNOWN_USER) };
    let is_allowed = question.asking == Asking::Ours || settings.routing.is_backup_for(address);
    if !is_allowed {
        return Err(replies::RELAY_DENIED);
    }
    if rooms.queue.is_none() {
        return Err(replies::NO_QUEUE);
    }
    let target = RemoteTarget {
        destination: settings.routing.destination(question.reverse_path, address),
        address: address.clone(),
        expanded_from: None,
    };
    Ok(Route::Deliver(Targets { local: Vec::new(), remote: vec![target] }))
}

/// Refuses a recipient whose mailbox is full. This is the only gate: a message whose recipients were accepted is filed
/// for all of them, even if it then crosses the line, because one reply cannot refuse some of them.
pub(crate) async fn check_quota(
    rooms: &Rooms,
    settings: &Settings,
    account: AccountId,
    announced_octets: u64,
) -> Result<(), Reply> {
    let limit = quota_limit(rooms, settings, account);
    if limit == QuotaLimit::NONE {
        return Ok(());
    }
    let usage = match rooms.store.account(account).await {
        Ok(account) => account.quota_usage(),
        Err(error) => {
            tracing::warn!(%account, %error, "quota not checked");
            return Err(replies::store_error(&error));
        }
    };
    let after = QuotaUsage {
        octets: usage.octets.saturating_add(announced_octets.max(1)),
        messages: usage.messages.saturating_add(1),
    };
    if after.is_within(limit) { Ok(()) } else { Err(replies::MAILBOX_FULL) }
}

fn quota_limit(rooms: &Rooms, settings: &Settings, account: AccountId) -> QuotaLimit {
    let own = rooms.directory.account(account).map(|account| account.quota).unwrap_or_default();
    let default = settings.quota_default;
    QuotaLimit { octets: own.octets_max.or(default.octets), messages: own.messages_max.or(default.messages) }
}
