//! The account index in plain maps, written as simply as can be: what the real one is compared with in tests.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use mail_types::{
    AnnotationName, EmailId, Flags, MailboxId, MailboxName, ModSeq, ScriptName, SystemFlag, ThreadId, Uid,
    UidSet,
};
use platform::clock::Timestamp;
use storage::{BlobRef, PackId, StorageError};

use super::places::LINKS_PER_EMAIL_MAX;
use super::sqlite::shared_keywords;
use super::{
    AccountIndex, AccountRow, Applied, EmailPlace, MailboxRow, Move, Order, StoredEmail, ToApply, Vanished,
    VisitHeader,
};
use crate::annotations::{AnnotationInfo, Annotations, Place, Value};
use crate::digest::{self, Digest};
use crate::fetch::{Row, Want};
use crate::note::{ActiveScript, FiledRecord, FlagsSet, MailboxState, Record, Subscription};
use crate::scripts::{Script, ScriptList, ScriptRow};
use crate::search::HeaderField;
use crate::view::{Draft, Entry, Snapshot};

/// An account's index in memory.
#[derive(Clone, Debug)]
pub(crate) struct ModelIndex {
    account: AccountRow,
    mailboxes: BTreeMap<MailboxId, ModelMailbox>,
    expunged: BTreeMap<(MailboxId, Uid), (FiledRecord, Timestamp)>,
    emails: BTreeMap<EmailId, (EmailPlace, u64, Digest)>,
    links: BTreeMap<u64, ThreadId>,
    subscriptions: BTreeMap<MailboxName, Subscription>,
    scripts: BTreeMap<ScriptName, Script>,
    active: Option<ActiveScript>,
    annotations: BTreeMap<(Place, AnnotationName), (ModSeq, Value)>,
}

#[derive(Clone, Debug)]
struct ModelMailbox {
    state: MailboxState,
    uid_next: Uid,
    highest_modseq: ModSeq,
    deleted_at: Option<Timestamp>,
    messages: BTreeMap<Uid, FiledRecord>,
    vanished: Vec<(ModSeq, UidSet)>,
}

impl ModelMailbox {
    fn row(&self) -> MailboxRow {
        let count = |counts: &dyn Fn(&FiledRecord) -> bool| {
            self.messages.values().filter(|message| counts(message)).count() as u64
        };
        MailboxRow {
            state: self.state.clone(),
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            messages: self.messages.len() as u64,
            unseen: count(&|message| !message.flags.has(SystemFlag::Seen)),
            deleted: count(&|message| message.flags.has(SystemFlag::Deleted)),
            octets: self.messages.values().map(|message| message.octets).sum(),
            deleted_at: self.deleted_at,
        }
    }
}

impl ModelIndex {
    pub(crate) fn new() -> Self {
        Self {
            account: AccountRow::NEW,
            mailboxes: BTreeMap::new(),
            expunged: BTreeMap::new(),
            emails: BTreeMap::new(),
            links: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            scripts: BTreeMap::new(),
            active: None,
            annotations: BTreeMap::new(),
        }
    }

    fn record(&mut self, record: &Record, entry: &ToApply<'_>) {
        self.account.modseq_last = self.account.modseq_last.max(record.modseq());
        match record {
            Record::Stored(stored) => {
                let (Some(blob), Some(digest)) = (entry.blob, entry.digest) else { return };
                let known = digest.links.iter().find_map(|link| self.links.get(link)).copied();
                let thread = stored.thread.or(known).unwrap_or(ThreadId(stored.email.0));
                for link in &digest.links {
                    self.links.entry(*link).or_insert(thread);
                }
                let in_log = entry.position.offset - blob.offset;
                let place = EmailPlace { blob, octets: stored.octets, thread };
                self.emails.insert(stored.email, (place, in_log, digest.clone()));
            }
            Record::Filed(filed) => self.filed(filed),
            Record::Mailbox(state) => {
                self.account.mailbox_last = self.account.mailbox_last.max(state.id);
                self.account.uid_validity_last = self.account.uid_validity_last.max(state.uid_validity.0);
                let mailbox = self.mailboxes.entry(state.id).or_insert_with(|| ModelMailbox {
                    state: state.clone(),
                    uid_next: Uid(1),
                    highest_modseq: state.modseq,
                    deleted_at: None,
                    messages: BTreeMap::new(),
                    vanished: Vec::new(),
                });
                mailbox.highest_modseq = mailbox.highest_modseq.max(state.modseq);
                mailbox.state = state.clone();
            }
            Record::Subscription(subscription) => {
                if subscription.is_subscribed {
                    self.subscriptions.insert(subscription.name.clone(), subscription.clone());
                } else {
                    self.subscriptions.remove(&subscription.name);
                }
            }
            Record::Script(script) => match &script.text {
                Some(text) => {
                    let text = Script { modseq: script.modseq, text: text.clone() };
                    self.scripts.insert(script.name.clone(), text);
                }
                None => drop(self.scripts.remove(&script.name)),
            },
            Record::ActiveScript(active) => self.active = Some(active.clone()),
            Record::Annotation(annotation) => {
                let key = (annotation.mailbox, annotation.name.clone());
                match &annotation.value {
                    Some(value) if self.is_place(annotation.mailbox) => {
                        self.annotations.insert(key, (annotation.modseq, value.clone()));
                    }
                    _ => drop(self.annotations.remove(&key)),
                }
            }
            Record::FlagsSet(set) => {
                let Some(mailbox) = self.mailboxes.get_mut(&set.mailbox) else { return };
                mailbox.highest_modseq = mailbox.highest_modseq.max(set.modseq);
                for (flags, uids) in set.groups() {
                    for message in mailbox.messages.values_mut().filter(|message| uids.contains(message.uid))
                    {
                        (message.flags, message.modseq) = (*flags, set.modseq);
                    }
                }
            }
            Record::Expunged(expunged) => {
                let Some(mailbox) = self.mailboxes.get_mut(&expunged.mailbox) else { return };
                mailbox.highest_modseq = mailbox.highest_modseq.max(expunged.modseq);
                let after = expunged.uids.last().map_or(1, |last| last.0 + 1);
                mailbox.uid_next = mailbox.uid_next.max(Uid(after));
                mailbox.vanished.push((expunged.modseq, expunged.uids.clone()));
                self.expunge(expunged.mailbox, &expunged.uids, expunged.at);
            }
            Record::MailboxDeleted(deleted) => {
                self.expunge(deleted.id, &UidSet::from_ranges([(1, u32::MAX)]), deleted.at);
                self.annotations.retain(|(place, _), _| *place != Some(deleted.id));
                if let Some(mailbox) = self.mailboxes.get_mut(&deleted.id) {
                    mailbox.deleted_at = Some(deleted.at);
                    mailbox.highest_modseq = mailbox.highest_modseq.max(deleted.modseq);
                }
            }
            Record::AccountRemoved => {
                *self = Self { account: AccountRow { is_removed: true, ..self.account }, ..Self::new() };
            }
        }
    }

    fn is_place(&self, place: Place) -> bool {
        let mailbox = place.map(|id| self.mailboxes.get(&id));
        mailbox.is_none_or(|mailbox| mailbox.is_some_and(|mailbox| mailbox.deleted_at.is_none()))
    }

    fn filed(&mut self, filed: &FiledRecord) {
        let Some(mailbox) = self.mailboxes.get_mut(&filed.mailbox) else { return };
        mailbox.highest_modseq = mailbox.highest_modseq.max(filed.modseq);
        if filed.uid >= mailbox.uid_next {
            mailbox.uid_next = Uid(filed.uid.0 + 1);
            mailbox.messages.insert(filed.uid, filed.clone());
        }
    }

    fn expunge(&mut self, id: MailboxId, uids: &UidSet, at: Timestamp) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let gone: Vec<Uid> = mailbox.messages.keys().copied().filter(|uid| uids.contains(*uid)).collect();
        for uid in gone {
            if let Some(message) = mailbox.messages.remove(&uid) {
                self.expunged.insert((id, uid), (message, at));
            }
        }
    }
}

impl AccountIndex for ModelIndex {
    fn apply(&mut self, order: Order, entries: &[ToApply<'_>]) -> Result<Applied, StorageError> {
        assert_eq!(order, Order::Log, "the model knows no rebuild: it is the original");
        let before: BTreeMap<MailboxId, MailboxRow> =
            self.mailboxes.iter().map(|(id, mailbox)| (*id, mailbox.row())).collect();
        for entry in entries {
            if entry.position > self.account.applied {
                self.account.applied = entry.position;
                entry.records.iter().for_each(|record| self.record(record, entry));
            }
        }
        let rows = self.mailboxes.values().map(ModelMailbox::row);
        let mailboxes = rows.filter(|row| before.get(&row.state.id) != Some(row)).collect();
        Ok(Applied { account: self.account, mailboxes })
    }

    fn account(&self) -> Result<AccountRow, StorageError> {
        Ok(self.account)
    }

    fn mailboxes(&self) -> Result<Vec<MailboxRow>, StorageError> {
        Ok(self.mailboxes.values().map(ModelMailbox::row).collect())
    }

    fn subscriptions(&self) -> Result<Vec<MailboxName>, StorageError> {
        Ok(self.subscriptions.keys().cloned().collect())
    }

    fn scripts(&self) -> Result<ScriptList, StorageError> {
        let row = |script: &Script| ScriptRow { modseq: script.modseq, octets: script.text.len() as u64 };
        let scripts = self.scripts.iter().map(|(name, script)| (name.clone(), row(script))).collect();
        let active = self.active.as_ref().and_then(|active| active.name.clone());
        Ok(ScriptList { scripts, active })
    }

    fn script(&self, name: &ScriptName) -> Result<Option<Script>, StorageError> {
        Ok(self.scripts.get(name).cloned())
    }

    fn annotations(&self) -> Result<Annotations, StorageError> {
        let info = |(modseq, value): &(ModSeq, Value)| AnnotationInfo {
            modseq: *modseq,
            octets: value.len() as u64,
        };
        let rows = self.annotations.iter().map(|(key, row)| (key.clone(), info(row))).collect();
        Ok(Annotations { rows })
    }

    fn annotation(&self, place: Place, name: &AnnotationName) -> Result<Option<Value>, StorageError> {
        Ok(self.annotations.get(&(place, name.clone())).map(|(_, value)| value.clone()))
    }

    fn snapshot(&self, mailbox: MailboxId) -> Result<Option<Snapshot>, StorageError> {
        let there = self.mailboxes.get(&mailbox).filter(|mailbox| mailbox.deleted_at.is_none());
        let Some(there) = there else { return Ok(None) };
        let keywords = shared_keywords(&there.state.keywords);
        let mut draft =
            Draft::new(mailbox, there.state.uid_validity, there.uid_next, there.highest_modseq, keywords);
        for message in there.messages.values() {
            draft.push(Entry { uid: message.uid, flags: message.flags, modseq: message.modseq });
        }
        Ok(Some(draft.finish()))
    }

    fn rows(&self, mailbox: MailboxId, uids: &UidSet, want: Want) -> Result<Vec<Row>, StorageError> {
        let messages = self.mailboxes.get(&mailbox).map(|mailbox| mailbox.messages.values());
        let row = |message: &FiledRecord| {
            let (place, _, digest) = self.emails.get(&message.email)?;
            Some(Row {
                uid: message.uid,
                internal_date: message.internal_date,
                save_date: message.save_date,
                octets: message.octets,
                email: message.email,
                thread: place.thread,
                summary: (want == Want::Summaries).then(|| digest.summary.clone().into()),
            })
        };
        Ok(messages
            .into_iter()
            .flatten()
            .filter(|message| uids.contains(message.uid))
            .filter_map(row)
            .collect())
    }

    fn email(&self, email: EmailId) -> Result<Option<EmailPlace>, StorageError> {
        Ok(self.emails.get(&email).map(|(place, _, _)| *place))
    }

    fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StorageError> {
        let there = self.mailboxes.get(&mailbox).filter(|mailbox| mailbox.deleted_at.is_none());
        let sets = there.map(|mailbox| mailbox.vanished.iter().filter(|(modseq, _)| *modseq > since));
        let ranges = sets.into_iter().flatten().flat_map(|(_, uids)| uids.ranges().iter().copied());
        Ok(Vanished::Exactly(UidSet::from_ranges(ranges)))
    }

    fn headers(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        field: HeaderField,
        visit: VisitHeader<'_>,
    ) -> Result<(), StorageError> {
        let messages = self.mailboxes.get(&mailbox).map(|mailbox| mailbox.messages.values());
        for message in messages.into_iter().flatten().filter(|message| uids.contains(message.uid)) {
            let Some((_, _, digest)) = self.emails.get(&message.email) else { continue };
            if visit(message.uid, digest::header(&digest.headers, field)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn forget_expunged(&mut self, before: Timestamp) -> Result<u64, StorageError> {
        let count = self.expunged.len();
        self.expunged.retain(|_, (_, at)| *at >= before);
        let messages = self.mailboxes.values().flat_map(|mailbox| mailbox.messages.values());
        let needed: Vec<EmailId> = messages
            .chain(self.expunged.values().map(|(message, _)| message))
            .map(|message| message.email)
            .collect();
        self.emails.retain(|email, _| needed.contains(email));
        if self.links.len() > LINKS_PER_EMAIL_MAX * self.emails.len() {
            let alive: Vec<ThreadId> = self.emails.values().map(|(place, _, _)| place.thread).collect();
            self.links.retain(|_, thread| alive.contains(thread));
        }
        let expunged = &self.expunged;
        self.mailboxes.retain(|id, mailbox| {
            mailbox.deleted_at.is_none() || expunged.keys().any(|(mailbox, _)| mailbox == id)
        });
        Ok((count - self.expunged.len()) as u64)
    }

    fn still_needed(&self, record: &Record, blob: Option<BlobRef>) -> Result<Option<Record>, StorageError> {
        let message = |mailbox: MailboxId, uid: Uid| {
            let here = self.mailboxes.get(&mailbox).and_then(|mailbox| mailbox.messages.get(&uid));
            here.or_else(|| self.expunged.get(&(mailbox, uid)).map(|(message, _)| message))
        };
        let subscribed = |name: &MailboxName| self.subscriptions.get(name).map(|known| known.modseq);
        let is_kept = match record {
            Record::Stored(stored) => {
                let place = self.emails.get(&stored.email).filter(|(place, _, _)| Some(place.blob) == blob);
                return Ok(place.map(|(place, _, _)| {
                    Record::Stored(crate::note::Stored { thread: Some(place.thread), ..stored.clone() })
                }));
            }
            Record::FlagsSet(set) => {
                let is_by_this = |uid: &Uid| {
                    message(set.mailbox, *uid).is_some_and(|message| message.modseq == set.modseq)
                };
                let still =
                    |(flags, uids): &(Flags, UidSet)| (*flags, uids.iter().filter(is_by_this).collect());
                let groups = set.groups().iter().map(still).collect();
                return Ok(FlagsSet::new(set.mailbox, set.modseq, groups).map(Record::FlagsSet));
            }
            Record::Filed(filed) => message(filed.mailbox, filed.uid).is_some(),
            Record::Expunged(expunged) => self.mailboxes.contains_key(&expunged.mailbox),
            Record::Mailbox(state) => {
                self.mailboxes.get(&state.id).is_some_and(|mailbox| mailbox.state.modseq == state.modseq)
            }
            Record::Subscription(subscription) => match subscription.is_subscribed {
                true => subscribed(&subscription.name) == Some(subscription.modseq),
                false => subscribed(&subscription.name).is_none_or(|modseq| modseq < subscription.modseq),
            },
            Record::Script(script) => {
                let known = self.scripts.get(&script.name).map(|known| known.modseq);
                match script.text {
                    Some(_) => known == Some(script.modseq),
                    None => known.is_none_or(|modseq| modseq < script.modseq),
                }
            }
            Record::ActiveScript(active) => self.active.as_ref() == Some(active),
            Record::Annotation(annotation) => {
                let key = (annotation.mailbox, annotation.name.clone());
                let known = self.annotations.get(&key).map(|(modseq, _)| *modseq);
                self.is_place(annotation.mailbox)
                    && match annotation.value {
                        Some(_) => known == Some(annotation.modseq),
                        None => known.is_none_or(|modseq| modseq < annotation.modseq),
                    }
            }
            Record::MailboxDeleted(_) | Record::AccountRemoved => true,
        };
        Ok(is_kept.then(|| record.clone()))
    }

    fn emails_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<StoredEmail>, StorageError> {
        let emails = self.emails.values().filter(|(place, _, _)| packs.contains(&place.blob.pack));
        let mut emails: Vec<StoredEmail> =
            emails.map(|(place, in_log, _)| StoredEmail { blob: place.blob, in_log: *in_log }).collect();
        emails.sort_unstable();
        Ok(emails)
    }

    fn move_emails(&mut self, moves: &[Move]) -> Result<(), StorageError> {
        for Move { email, from, to } in moves {
            if let Some((place, _, _)) =
                self.emails.get_mut(email).filter(|(place, _, _)| place.blob == *from)
            {
                place.blob = *to;
            }
        }
        Ok(())
    }
}
