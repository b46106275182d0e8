//! Step 7 of a message's way: each recipient is local or refused. Asked at RCPT, so that nothing is taken that cannot be
//! kept (RFC 5321 §6.1).
//!
//! A sub-address (`ann+news@`) goes to the same INBOX as the address itself; filters will tell them apart.

use directory::{LocalTarget, Recipients, Resolution};
use mail_types::{AccountId, ForwardPath};
use mailstore::{QuotaLimit, QuotaUsage};
use smtp::Reply;

use crate::Rooms;
use crate::receive::replies;
use crate::settings::Settings;

/// Where one recipient's mail goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// To these accounts' INBOX.
    Local(Vec<LocalTarget>),
    /// Nowhere, as the directory says.
    Discard(Discarded),
}

impl Route {
    /// How many accounts it leads to.
    pub(crate) fn targets(&self) -> usize {
        match self {
            Self::Local(targets) => targets.len(),
            Self::Discard(_) => 0,
        }
    }
}

/// Proof that the directory wants mail thrown away: only [`find`] makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discarded(());

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asking {
    /// Somebody who has not logged in.
    Stranger,
    /// Somebody of ours.
    Ours,
}

/// Where mail for a forward-path goes, or what its sender is told. `announced_octets` is the SIZE of MAIL, zero where it
/// was not given.
pub(crate) async fn find(
    rooms: &Rooms,
    settings: &Settings,
    path: &ForwardPath,
    asking: Asking,
    announced_octets: u64,
) -> Result<Route, Reply> {
    match rooms.directory.resolve(path) {
        Resolution::Deliver(Recipients { local, remote }) if remote.is_empty() => {
            for target in &local {
                check_quota(rooms, settings, target.account, announced_octets).await?;
            }
            Ok(Route::Local(local))
        }
        // Keeping the local copies and losing the others would be losing mail.
        Resolution::Deliver(_) => Err(replies::NO_QUEUE_YET),
        Resolution::Discard => Ok(Route::Discard(Discarded(()))),
        Resolution::Unknown => Err(replies::UNKNOWN_USER),
        Resolution::NotLocal => Err(match asking {
            Asking::Ours => replies::NO_QUEUE_YET,
            Asking::Stranger => replies::RELAY_DENIED,
        }),
        Resolution::Disabled => Err(replies::MAILBOX_DISABLED),
        Resolution::Loop => Err(replies::ALIAS_LOOP),
    }
}

/// Refuses a recipient whose mailbox is full. This is the only gate: a message whose recipients were accepted is filed
/// for all of them, even if it then crosses the line, because one reply cannot refuse some of them.
async fn check_quota(
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
