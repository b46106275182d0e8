//! Somebody who has logged in: the account, what was enabled, and the mailbox that is selected.

use std::sync::Arc;

use directory::Authenticated;
use imap::command::Opening;
use imap::{Numbering, SequenceSet};
use mail_types::{MailboxId, MailboxName, ModSeq, Uid, UidSet};
use mailstore::{Account, Annotations, CopyOutcome, EventCause, MailboxEvent, MailboxInfo, QuotaLimit, View};
use platform::metrics::GaugeHold;
use tokio::sync::watch;

use super::replies::Refusal;
use super::{Door, replies, updates};
use crate::sessions::SessionPlace;
use crate::settings::Settings;

/// Somebody who has logged in.
pub(crate) struct Person {
    pub(crate) door: Arc<Door>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) who: Authenticated,
    pub(crate) account: Account,
    pub(crate) enabled: Enabled,
    pub(crate) selected: Option<Box<Selected>>,
    /// The annotations that the client has heard of, if it wants to hear of changes.
    pub(crate) annotations_told: Option<Arc<Annotations>>,
    pub(crate) _counted: GaugeHold,
    pub(crate) _place: SessionPlace,
}

/// What ENABLE, or a command that implies it, has switched on (RFC 5161, RFC 7162 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Enabled {
    pub(crate) condstore: bool,
    pub(crate) qresync: bool,
    pub(crate) rev2: bool,
    pub(crate) utf8: bool,
}

impl Enabled {
    /// Whether FETCH responses that tell changes name the message's UID (RFC 7162 §3.2.4, RFC 9051 §7.5.2).
    pub(crate) const fn tells_uids(self) -> bool {
        self.condstore || self.rev2
    }
}

/// The selected mailbox, as the client knows it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) mailbox: MailboxId,
    pub(crate) opening: Opening,
    /// What the client has been told: its sequence numbers are this view's.
    pub(crate) view: Arc<View>,
    /// The result that SEARCH saved, for `$` (RFC 5182).
    pub(crate) saved: UidSet,
    /// Wakes when anything in the account changes.
    pub(crate) changes: watch::Receiver<u64>,
    /// How many of the mailbox's keywords the client has heard of; they never become fewer while it is open.
    pub(crate) keywords_told: usize,
    /// While messages are gone that the client still counts: the mod-sequence up to which it has heard of everything.
    pub(crate) owes_expunges: Option<ModSeq>,
}

/// Messages that a command names, found in the view that the client knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Named {
    /// Their sequence numbers as ascending ranges.
    pub(crate) numbers: Vec<(u32, u32)>,
}

impl Person {
    /// The selected mailbox.
    pub(crate) fn selected(&self) -> Result<&Selected, Refusal> {
        self.selected.as_deref().ok_or(Refusal::WrongState("No mailbox is selected"))
    }

    /// The selected mailbox, to change what the client knows of it.
    pub(crate) fn selected_mut(&mut self) -> Result<&mut Selected, Refusal> {
        self.selected.as_deref_mut().ok_or(Refusal::WrongState("No mailbox is selected"))
    }

    /// The selected mailbox, if its messages may be changed.
    pub(crate) fn selected_for_changes(&self) -> Result<&Selected, Refusal> {
        let selected = self.selected()?;
        match selected.opening {
            Opening::ReadWrite => Ok(selected),
            Opening::ReadOnly => Err(Refusal::ReadOnly),
        }
    }

    /// The mailbox with this name.
    pub(crate) async fn mailbox(&self, name: &MailboxName) -> Result<MailboxInfo, replies::Stop> {
        let list = self.account.mailboxes().await?;
        Ok(list.by_name(name).cloned().ok_or(Refusal::NoSuchMailbox)?)
    }

    /// The mailbox that messages are to go to.
    pub(crate) async fn target(&self, name: &MailboxName) -> Result<MailboxId, replies::Stop> {
        let list = self.account.mailboxes().await?;
        Ok(list.by_name(name).map(|mailbox| mailbox.id).ok_or(Refusal::TryCreate)?)
    }

    /// Tells who waits for it that messages were copied or moved.
    pub(crate) fn copied(&self, from: MailboxId, mailbox: MailboxId, outcome: &CopyOutcome) {
        let (account, uids) = (self.account.clone(), outcome.to.clone());
        (self.door.rooms.events)(MailboxEvent { account, mailbox, uids, cause: EventCause::Copy { from } });
    }

    /// What the account may hold.
    pub(crate) fn quota(&self) -> QuotaLimit {
        let account = self.door.rooms.directory.account(self.who.account());
        let default = self.settings.quota_default;
        account.map_or(default, |account| QuotaLimit {
            octets: account.quota.octets_max.or(default.octets),
            messages: account.quota.messages_max.or(default.messages),
        })
    }
}

impl Selected {
    /// The messages that a sequence set names.
    ///
    /// # Errors
    /// A sequence number that no message has.
    pub(crate) fn named(&self, set: &SequenceSet, numbering: Numbering) -> Result<Named, Refusal> {
        match numbering {
            Numbering::Sequence => match set.sequence_numbers(self.view.messages()) {
                None => Ok(self.numbers_of(&self.saved)),
                Some(Ok(numbers)) => Ok(Named { numbers: numbers.ranges().to_vec() }),
                Some(Err(_)) => Err(Refusal::NoSuchNumber),
            },
            Numbering::Uid => Ok(match set.uids(self.last_uid()) {
                None => self.numbers_of(&self.saved),
                Some(uids) => self.numbers_of(&uids),
            }),
        }
    }

    /// The greatest identifier that the client knows.
    pub(crate) fn last_uid(&self) -> Option<Uid> {
        self.view.entry(self.view.messages()).map(|entry| entry.uid)
    }

    /// The identifiers of the messages named.
    pub(crate) fn uids(&self, named: &Named) -> UidSet {
        let mut uids = UidSet::new();
        for &(first, last) in &named.numbers {
            for (_, entry) in self.view.range(first, last) {
                uids.push(entry.uid);
            }
        }
        uids
    }

    /// The sequence numbers, as ranges, of those identifiers that are here: costs as much as there are ranges.
    pub(crate) fn numbers_of(&self, uids: &UidSet) -> Named {
        let messages = self.view.messages();
        let mut numbers: Vec<(u32, u32)> = Vec::new();
        for &(first, last) in uids.ranges() {
            let start = self.view.sequence_from(Uid(first));
            let end = last.checked_add(1).map_or(messages, |after| self.view.sequence_from(Uid(after)) - 1);
            if start > end {
                continue;
            }
            match numbers.last_mut() {
                Some(range) if range.1 + 1 == start => range.1 = end,
                _ => numbers.push((start, end)),
            }
        }
        Named { numbers }
    }

    /// Tells the flags of the mailbox again when it has a keyword that the client has not heard of
    /// (RFC 9051 §7.3.5), before a FETCH response names it.
    pub(crate) fn tell_keywords(&mut self, out: &mut Vec<u8>, view: &View) {
        if view.keywords().len() > self.keywords_told {
            self.keywords_told = view.keywords().len();
            updates::write_keywords(out, view, self.opening);
        }
    }
}
