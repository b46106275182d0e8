//! What is known of an open account without asking its index: the numbers that are given next, the mailboxes as
//! readers see them, and the snapshots of those that somebody has open.
//!
//! It lives under one short lock. Numbers are given and changes submitted in one hold of it, which makes the log's
//! order theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use mail_types::{Keyword, MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidValidity};
use platform::clock::Timestamp;
use storage::LogPosition;

use crate::annotations::Annotations;
use crate::error::StoreError;
use crate::index::{AccountRow, Applied, MailboxRow, shared_keywords};
use crate::keywords::KeywordTable;
use crate::mailbox::{MailboxInfo, MailboxList};
use crate::note::{MailboxState, Record};
use crate::open_mailbox::OpenMailbox;
use crate::quota::QuotaUsage;
use crate::scripts::ScriptList;
use crate::view::{Draft, Entry, Snapshot};

/// Records kept for a snapshot that is being read; beyond them the reading begins again.
const PENDING_RECORDS_MAX: usize = 100_000;

/// An open account.
#[derive(Debug)]
pub(crate) struct AccountState {
    account: AccountRow,
    modseq_last: ModSeq,
    mailbox_last: MailboxId,
    uid_validity_last: u32,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    names: BTreeMap<MailboxName, MailboxId>,
    subscriptions: BTreeSet<MailboxName>,
    scripts: ScriptList,
    annotations: Arc<Annotations>,
    /// The sum over all mailboxes.
    usage: QuotaUsage,
    list: Option<Arc<MailboxList>>,
}

/// One mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// As readers see it.
    pub(crate) row: MailboxRow,
    pub(crate) keywords: Arc<[Keyword]>,
    /// What the next message gets: ahead of the row while filings are under way.
    uid_next: Uid,
    /// Its deletion is submitted: nothing may be filed behind it in the log.
    is_leaving: Arc<AtomicBool>,
    /// Kept current while somebody has the mailbox open.
    snapshot: Option<Arc<Snapshot>>,
    open: Weak<OpenMailbox>,
    /// While the snapshot is read from the index: what is applied meanwhile.
    pending: Option<Vec<Record>>,
}

impl AccountState {
    pub(crate) fn new(
        account: AccountRow,
        rows: Vec<MailboxRow>,
        subscriptions: Vec<MailboxName>,
        (scripts, annotations): (ScriptList, Annotations),
    ) -> Self {
        let mut state = Self {
            account,
            modseq_last: account.modseq_last,
            mailbox_last: account.mailbox_last,
            uid_validity_last: account.uid_validity_last,
            mailboxes: BTreeMap::new(),
            names: BTreeMap::new(),
            subscriptions: subscriptions.into_iter().collect(),
            scripts,
            annotations: Arc::new(annotations),
            usage: QuotaUsage::default(),
            list: None,
        };
        state.take_rows(rows);
        state
    }

    pub(crate) fn applied(&self) -> LogPosition {
        self.account.applied
    }

    pub(crate) fn is_new(&self) -> bool {
        self.modseq_last == ModSeq(0)
    }

    /// The mod-sequence of the next change.
    pub(crate) fn next_modseq(&mut self) -> Result<ModSeq, StoreError> {
        if self.modseq_last >= ModSeq::MAX {
            return Err(StoreError::Limit("mod-sequences"));
        }
        self.modseq_last = ModSeq(self.modseq_last.0 + 1);
        Ok(self.modseq_last)
    }

    /// A new mailbox's identity.
    pub(crate) fn next_mailbox(
        &mut self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxState, StoreError> {
        let id = self.mailbox_last.0.checked_add(1).ok_or(StoreError::Limit("mailboxes"))?;
        // Seconds, as clients that show it expect, and always more than any before (RFC 9051 §2.3.1.1).
        let seconds = u32::try_from(now.unix_seconds()).unwrap_or(1);
        let least = self.uid_validity_last.checked_add(1).ok_or(StoreError::Limit("mailboxes"))?;
        self.mailbox_last = MailboxId(id);
        self.uid_validity_last = least.max(seconds);
        Ok(MailboxState {
            id: self.mailbox_last,
            modseq: self.next_modseq()?,
            name: name.clone(),
            uid_validity: UidValidity(self.uid_validity_last),
            special_use,
            keywords: Vec::new(),
        })
    }

    /// A mailbox that exists.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Result<&Mailbox, StoreError> {
        self.mailboxes.get(&id).filter(|mailbox| mailbox.is_here()).ok_or(StoreError::NoSuchMailbox)
    }

    pub(crate) fn mailbox_mut(&mut self, id: MailboxId) -> Result<&mut Mailbox, StoreError> {
        self.mailboxes.get_mut(&id).filter(|mailbox| mailbox.is_here()).ok_or(StoreError::NoSuchMailbox)
    }

    pub(crate) fn by_name(&self, name: &MailboxName) -> Option<&Mailbox> {
        self.names.get(name).and_then(|id| self.mailbox(*id).ok())
    }

    pub(crate) fn by_special_use(&self, special_use: SpecialUse) -> Option<&Mailbox> {
        self.mailboxes().find(|mailbox| mailbox.row.state.special_use == Some(special_use))
    }

    /// All mailboxes by name.
    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = &Mailbox> {
        self.names.values().filter_map(|id| self.mailbox(*id).ok())
    }

    /// The record by which a mailbox gets the keywords that a change brings, if it brings any.
    pub(crate) fn with_keywords(
        &mut self,
        mailbox: MailboxId,
        table: KeywordTable,
    ) -> Result<Option<Record>, StoreError> {
        let Some(keywords) = table.changed() else { return Ok(None) };
        let modseq = self.next_modseq()?;
        let state = self.mailbox(mailbox)?.row.state.clone();
        Ok(Some(Record::Mailbox(MailboxState { modseq, keywords, ..state })))
    }

    pub(crate) fn subscriptions(&self) -> &BTreeSet<MailboxName> {
        &self.subscriptions
    }

    pub(crate) fn scripts(&self) -> &ScriptList {
        &self.scripts
    }

    pub(crate) fn annotations(&self) -> Arc<Annotations> {
        Arc::clone(&self.annotations)
    }

    pub(crate) fn usage(&self) -> QuotaUsage {
        self.usage
    }

    pub(crate) fn list(&mut self) -> Arc<MailboxList> {
        if let Some(list) = &self.list {
            return Arc::clone(list);
        }
        let list = Arc::new(MailboxList {
            mailboxes: self.mailboxes().map(|mailbox| self.info(&mailbox.row)).collect(),
            subscriptions: self.subscriptions.clone(),
        });
        self.list = Some(Arc::clone(&list));
        list
    }

    fn info(&self, row: &MailboxRow) -> MailboxInfo {
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        MailboxInfo {
            id: row.state.id,
            name: row.state.name.clone(),
            uid_validity: row.state.uid_validity,
            uid_next: row.uid_next,
            highest_modseq: row.highest_modseq,
            messages: count(row.messages),
            unseen: count(row.unseen),
            deleted: count(row.deleted),
            octets: row.octets,
            special_use: row.state.special_use,
            is_subscribed: self.subscriptions.contains(&row.state.name),
        }
    }

    /// Lets readers see what was applied.
    pub(crate) fn publish<'a>(
        &mut self,
        applied: &Applied,
        records: impl Iterator<Item = &'a Record> + Clone,
    ) {
        self.account = applied.account;
        self.modseq_last = self.modseq_last.max(applied.account.modseq_last);
        self.mailbox_last = self.mailbox_last.max(applied.account.mailbox_last);
        self.uid_validity_last = self.uid_validity_last.max(applied.account.uid_validity_last);
        self.list = None;
        self.publish_snapshots(records.clone());
        self.take_rows(applied.mailboxes.clone());
        for record in records {
            self.scripts.take(record);
            if matches!(record, Record::Annotation(_) | Record::MailboxDeleted(_)) {
                Arc::make_mut(&mut self.annotations).take(record);
            }
            if let Record::Subscription(subscription) = record {
                if subscription.is_subscribed {
                    self.subscriptions.insert(subscription.name.clone());
                } else {
                    self.subscriptions.remove(&subscription.name);
                }
            }
        }
    }

    fn take_rows(&mut self, rows: Vec<MailboxRow>) {
        // All old names go before the new ones come: a rename may hand a name from one mailbox to another.
        for row in &rows {
            if let Some(known) = self.mailboxes.get(&row.state.id) {
                self.usage.octets = self.usage.octets.saturating_sub(known.row.octets);
                self.usage.messages = self.usage.messages.saturating_sub(known.row.messages);
                let name = &known.row.state.name;
                if self.names.get(name) == Some(&row.state.id) {
                    self.names.remove(name);
                }
            }
        }
        for row in rows {
            let id = row.state.id;
            if row.deleted_at.is_some() {
                self.mailboxes.remove(&id);
                continue;
            }
            self.names.insert(row.state.name.clone(), id);
            self.usage.octets = self.usage.octets.saturating_add(row.octets);
            self.usage.messages = self.usage.messages.saturating_add(row.messages);
            match self.mailboxes.get_mut(&id) {
                Some(known) => known.take_row(row),
                None => drop(self.mailboxes.insert(id, Mailbox::new(row))),
            }
        }
    }

    fn publish_snapshots<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        let mut drafts: BTreeMap<MailboxId, Draft> = BTreeMap::new();
        for record in records {
            let Some(id) = mailbox_of(record) else { continue };
            let Some(mailbox) = self.mailboxes.get_mut(&id) else { continue };
            mailbox.keep_pending(record);
            if let Some(snapshot) = &mailbox.snapshot {
                change(drafts.entry(id).or_insert_with(|| snapshot.draft()), record);
            }
        }
        for (id, draft) in drafts {
            if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                mailbox.snapshot = Some(Arc::new(draft.finish()));
            }
        }
    }
}

impl Mailbox {
    fn new(row: MailboxRow) -> Self {
        Self {
            keywords: shared_keywords(&row.state.keywords),
            uid_next: row.uid_next,
            is_leaving: Arc::default(),
            snapshot: None,
            open: Weak::new(),
            pending: None,
            row,
        }
    }

    fn take_row(&mut self, row: MailboxRow) {
        if self.row.state.keywords != row.state.keywords {
            self.keywords = shared_keywords(&row.state.keywords);
        }
        self.uid_next = self.uid_next.max(row.uid_next);
        self.row = row;
    }

    fn is_here(&self) -> bool {
        !self.is_leaving.load(Ordering::Acquire)
    }

    /// The mailbox is about to be deleted. The answer takes that back, should the log fail.
    pub(crate) fn leave(&self) -> Leaving {
        self.is_leaving.store(true, Ordering::Release);
        Leaving(Arc::clone(&self.is_leaving))
    }

    /// The identifier of the next message.
    pub(crate) fn next_uid(&mut self) -> Result<Uid, StoreError> {
        let uid = self.uid_next;
        // The greatest number stays unused, so that UIDNEXT always is one (RFC 9051 §2.3.1.1).
        self.uid_next = uid.next().ok_or(StoreError::Limit("unique identifiers"))?;
        Ok(uid)
    }

    /// The snapshot, if the mailbox is open, and what keeps it so.
    pub(crate) fn opened(
        &mut self,
        make: impl FnOnce() -> OpenMailbox,
    ) -> Option<(Arc<Snapshot>, Arc<OpenMailbox>)> {
        let snapshot = Arc::clone(self.snapshot.as_ref()?);
        let open = self.open.upgrade().unwrap_or_else(|| {
            let open = Arc::new(make());
            self.open = Arc::downgrade(&open);
            open
        });
        Some((snapshot, open))
    }

    /// The last view is gone; unless another came in the meantime.
    pub(crate) fn close(&mut self) {
        if self.open.strong_count() == 0 {
            self.snapshot = None;
        }
    }

    /// From now on, what is applied is kept for the snapshot that is being read.
    pub(crate) fn begin_reading(&mut self) {
        self.pending = Some(Vec::new());
    }

    pub(crate) fn stop_reading(&mut self) {
        self.pending = None;
    }

    /// The snapshot is read: catches up with what was applied meanwhile. False when that was too much.
    pub(crate) fn finish_reading(&mut self, snapshot: Snapshot) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        let mut draft = snapshot.draft();
        pending.iter().for_each(|record| change(&mut draft, record));
        self.snapshot = Some(Arc::new(draft.finish()));
        true
    }

    fn keep_pending(&mut self, record: &Record) {
        if let Some(pending) = &mut self.pending {
            pending.push(record.clone());
        }
        if self.pending.as_ref().is_some_and(|pending| pending.len() > PENDING_RECORDS_MAX) {
            self.pending = None;
        }
    }
}

/// A mailbox whose deletion is under way.
#[derive(Debug)]
pub(crate) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// It stays after all.
    pub(crate) fn take_back(&self) {
        self.0.store(false, Ordering::Release);
    }
}

fn mailbox_of(record: &Record) -> Option<MailboxId> {
    match record {
        Record::Filed(filed) => Some(filed.mailbox),
        Record::FlagsSet(set) => Some(set.mailbox),
        Record::Expunged(expunged) => Some(expunged.mailbox),
        Record::Mailbox(state) => Some(state.id),
        Record::MailboxDeleted(_)
        | Record::Stored(_)
        | Record::Subscription(_)
        | Record::Script(_)
        | Record::ActiveScript(_)
        | Record::Annotation(_)
        | Record::AccountRemoved => None,
    }
}

fn change(draft: &mut Draft, record: &Record) {
    match record {
        Record::Filed(filed) => {
            draft.file(Entry { uid: filed.uid, flags: filed.flags, modseq: filed.modseq });
        }
        Record::FlagsSet(set) => {
            set.groups().iter().for_each(|(flags, uids)| draft.set_flags(uids, *flags, set.modseq));
        }
        Record::Expunged(expunged) => draft.expunge(&expunged.uids, expunged.modseq),
        Record::Mailbox(state) => {
            draft.stamp(state.modseq);
            draft.set_keywords(&shared_keywords(&state.keywords));
        }
        Record::MailboxDeleted(_)
        | Record::Stored(_)
        | Record::Subscription(_)
        | Record::Script(_)
        | Record::ActiveScript(_)
        | Record::Annotation(_)
        | Record::AccountRemoved => {}
    }
}
