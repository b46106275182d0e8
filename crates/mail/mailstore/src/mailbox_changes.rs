//! Making, removing, renaming mailboxes, and subscribing to names (RFC 9051 §6.3.4–6.3.8).

use std::sync::Arc;

use mail_types::{MailboxId, MailboxName, SpecialUse, UidSet};
use platform::clock::Timestamp;

use crate::account::Account;
use crate::error::StoreError;
use crate::mailbox::MailboxList;
use crate::note::{MailboxDeleted, MailboxState, Record, Subscription};
use crate::open_account::{Decided, OpenAccount};
use crate::state::AccountState;

/// Mailboxes of one account, far beyond what people make and few enough for a list in memory.
pub(crate) const MAILBOXES_MAX: usize = 10_000;
/// Subscribed names of one account, likewise.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 10_000;

impl Account {
    /// All mailboxes now, with everything in them that was durable when this was called.
    ///
    /// # Errors
    /// What the disk said, if the account's index failed.
    pub async fn mailboxes(&self) -> Result<Arc<MailboxList>, StoreError> {
        self.core().settle().await;
        self.core().check()?;
        Ok(self.core().state().list())
    }

    /// Makes a mailbox and the superior ones that are missing (RFC 9051 §6.3.4).
    ///
    /// # Errors
    /// [`StoreError::MailboxExists`]; [`StoreError::NotAllowed`] when another mailbox has that special use;
    /// [`StoreError::Limit`].
    pub async fn create_mailbox(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError> {
        self.core().create_mailbox(name, special_use).await
    }

    /// Removes a mailbox and its messages; mailboxes under its name stay (RFC 9051 §6.3.5).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`]; [`StoreError::NotAllowed`] for INBOX.
    pub async fn delete_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        if name.is_inbox() {
            return Err(StoreError::NotAllowed("INBOX stays"));
        }
        let core = self.core();
        let turn = core.turn().await?;
        let at = core.engine.clock.now();
        let mut leaving = None;
        let delete = |state: &mut AccountState| {
            let modseq = state.next_modseq()?;
            let mailbox = state.by_name(name).ok_or(StoreError::NoSuchMailbox)?;
            // From here on nothing is filed there: behind this record in the log it would be lost.
            leaving = Some(mailbox.leave());
            let MailboxState { id, uid_validity, .. } = mailbox.row.state;
            Ok(Decided::new(
                vec![Record::MailboxDeleted(MailboxDeleted { id, modseq, uid_validity, at })],
                (),
            ))
        };
        match core.change(turn, delete).await {
            Ok(((), _)) => Ok(()),
            Err(error) => {
                if let Some(leaving) = leaving {
                    leaving.take_back();
                }
                Err(error)
            }
        }
    }

    /// Renames a mailbox and those under it. Renaming INBOX moves its messages into a new mailbox and leaves it
    /// and those under it (RFC 9051 §6.3.6). Subscriptions are to names, so they stay where they are.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::MailboxExists`], [`StoreError::NotAllowed`],
    /// [`StoreError::Limit`].
    pub async fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let core = self.core();
        if from.is_inbox() {
            return core.empty_inbox_into(to).await;
        }
        let turn = core.turn().await?;
        let now = core.engine.clock.now();
        core.change(turn, |state| Ok(Decided::new(renamed(state, from, to, now)?, ()))).await.map(drop)
    }

    /// Subscribes to a name, whether or not it has a mailbox (RFC 9051 §6.3.7).
    ///
    /// # Errors
    /// [`StoreError::Limit`], or what the disk says.
    pub async fn subscribe(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.core().set_subscribed(name, true).await
    }

    /// Takes a subscription back; none is no error.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn unsubscribe(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.core().set_subscribed(name, false).await
    }
}

impl OpenAccount {
    pub(crate) async fn create_mailbox(
        self: &Arc<Self>,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError> {
        let turn = self.turn().await?;
        let now = self.engine.clock.now();
        let create = |state: &mut AccountState| {
            let (records, id) = created(state, name, special_use, now)?;
            Ok(Decided::new(records, id))
        };
        self.change(turn, create).await.map(|(id, _)| id)
    }

    async fn empty_inbox_into(self: &Arc<Self>, to: &MailboxName) -> Result<(), StoreError> {
        let turn = self.turn().await?;
        let now = self.engine.clock.now();
        let create = |state: &mut AccountState| {
            let inbox = state.by_name(&MailboxName::inbox()).ok_or(StoreError::NoSuchMailbox)?.row.state.id;
            let (records, id) = created(state, to, None, now)?;
            Ok(Decided::new(records, (inbox, id)))
        };
        let ((inbox, target), turn) = self.change(turn, create).await?;
        let all = UidSet::from_ranges([(1, u32::MAX)]);
        self.move_messages(turn, inbox, &all, target).await.map(drop)
    }

    async fn set_subscribed(
        self: &Arc<Self>,
        name: &MailboxName,
        is_subscribed: bool,
    ) -> Result<(), StoreError> {
        let turn = self.turn().await?;
        let subscribe = |state: &mut AccountState| {
            if state.subscriptions().contains(name) == is_subscribed {
                return Ok(Decided::new(Vec::new(), ()));
            }
            if is_subscribed && state.subscriptions().len() >= SUBSCRIPTIONS_MAX {
                return Err(StoreError::Limit("subscriptions of an account"));
            }
            let modseq = state.next_modseq()?;
            let subscription = Subscription { name: name.clone(), modseq, is_subscribed };
            Ok(Decided::new(vec![Record::Subscription(subscription)], ()))
        };
        self.change(turn, subscribe).await.map(drop)
    }
}

/// The records of a new mailbox and of the superior ones that are missing, and the new one's id.
fn created(
    state: &mut AccountState,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
    now: Timestamp,
) -> Result<(Vec<Record>, MailboxId), StoreError> {
    if state.by_name(name).is_some() {
        return Err(StoreError::MailboxExists);
    }
    if special_use.is_some_and(|special_use| state.by_special_use(special_use).is_some()) {
        return Err(StoreError::NotAllowed("another mailbox has that special use"));
    }
    let mut records = missing_superiors(state, name, now)?;
    let mailbox = state.next_mailbox(name, special_use, now)?;
    let id = mailbox.id;
    records.push(Record::Mailbox(mailbox));
    check_count(state, records.len())?;
    Ok((records, id))
}

fn missing_superiors(
    state: &mut AccountState,
    name: &MailboxName,
    now: Timestamp,
) -> Result<Vec<Record>, StoreError> {
    let superiors = std::iter::successors(name.parent(), MailboxName::parent);
    let mut missing: Vec<MailboxName> = superiors.filter(|name| state.by_name(name).is_none()).collect();
    missing.reverse();
    missing.iter().map(|name| Ok(Record::Mailbox(state.next_mailbox(name, None, now)?))).collect()
}

fn check_count(state: &AccountState, added: usize) -> Result<(), StoreError> {
    let is_too_many = state.mailboxes().count() + added > MAILBOXES_MAX;
    if is_too_many { Err(StoreError::Limit("mailboxes of an account")) } else { Ok(()) }
}

/// The records that rename a mailbox and all under it.
fn renamed(
    state: &mut AccountState,
    from: &MailboxName,
    to: &MailboxName,
    now: Timestamp,
) -> Result<Vec<Record>, StoreError> {
    if state.by_name(to).is_some() {
        return Err(StoreError::MailboxExists);
    }
    if to == from || to.is_under(from) {
        return Err(StoreError::NotAllowed("a mailbox cannot go under itself"));
    }
    let is_going = |name: &MailboxName| name == from || name.is_under(from);
    let going: Vec<MailboxState> = state
        .mailboxes()
        .map(|mailbox| &mailbox.row.state)
        .filter(|mailbox| is_going(&mailbox.name))
        .cloned()
        .collect();
    if going.is_empty() {
        return Err(StoreError::NoSuchMailbox);
    }
    let mut records = missing_superiors(state, to, now)?;
    check_count(state, records.len())?;
    for mailbox in going {
        let below = mailbox.name.as_str().strip_prefix(from.as_str()).unwrap_or_default();
        let name = MailboxName::parse(&format!("{to}{below}"))
            .map_err(|_| StoreError::NotAllowed("a name under it would become too long"))?;
        if state.by_name(&name).is_some_and(|there| !is_going(&there.row.state.name)) {
            return Err(StoreError::MailboxExists);
        }
        records.push(Record::Mailbox(MailboxState { name, modseq: state.next_modseq()?, ..mailbox }));
    }
    Ok(records)
}
