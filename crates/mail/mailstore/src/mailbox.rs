//! The list of an account's mailboxes, as LIST and STATUS tell it (RFC 9051 §6.3.9, §6.3.11).
//!
//! Only mailboxes that exist are listed. A name that has mailboxes under it but is none itself (its mailbox was
//! deleted) is what clients see as `\NonExistent`/`\Noselect`: [`MailboxList::superiors_without_mailbox`].

use std::collections::BTreeSet;

use mail_types::{MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidValidity};

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
