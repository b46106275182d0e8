//! Delivery: one message, filed for all its recipients with one durable write.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail_types::{AccountId, EmailId, Flags, MailboxId, MailboxName, SpecialUse, TransactionId, Uid};
use parking_lot::MutexGuard;
use platform::clock::Timestamp;
use storage::BlobRef;
use tokio::sync::oneshot;

use crate::append::{Filed, Place};
use crate::engine::{Entry, Share, Then, received};
use crate::error::StoreError;
use crate::fetch::MessageReader;
use crate::flags::FlagNames;
use crate::intake::Arriving;
use crate::keywords::known_flags;
use crate::note::{Expunged, Record, Stored};
use crate::open_account::{OpenAccount, Reservation};
use crate::quota::{QuotaLimit, QuotaUsage};
use crate::state::AccountState;
use crate::store::Store;
use crate::tenant::NewNote;

/// Where a delivery goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilingTarget {
    /// This mailbox; [`StoreError::NoSuchMailbox`] if it is gone.
    Id(MailboxId),
    /// The mailbox with this name, made if missing.
    Name(MailboxName),
    /// The mailbox for this use, made with its default name if there is none.
    SpecialUse(SpecialUse),
}

/// One recipient's share of a delivery.
#[derive(Clone, Debug)]
pub struct Filing {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: FilingTarget,
    /// With which flags.
    pub flags: FlagNames,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// What the account may hold.
    pub quota: QuotaLimit,
    /// The message's way through this server.
    pub way: TransactionId,
}

/// One entry on its way into the log.
#[derive(Debug)]
pub struct WritingEntry {
    /// Its octets, if it has any; filings need them.
    pub message: Option<Arriving>,
    /// Where they are filed.
    pub filings: Vec<Filing>,
    /// What a tenant notes about them, or about anything.
    pub note: Option<NewNote>,
}

impl WritingEntry {
    /// What it takes of the memory between log and indexes.
    fn backlog_octets(&self) -> usize {
        let digest = self.message.as_ref().map_or(0, |message| message.digest.octets());
        digest + self.note.as_ref().map_or(0, |note| note.octets.len())
    }
}

/// Entries that were submitted together.
#[derive(Debug)]
pub struct Writing {
    answers: Vec<Vec<Result<Filed, StoreError>>>,
    receiver: Option<oneshot::Receiver<Result<(), StoreError>>>,
}

impl Writing {
    /// Whether the disk has answered, or there was nothing to write.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| !receiver.is_empty() || receiver.is_terminated())
    }

    /// Waits for the disk; gives an answer for each filing of each entry, as [`Store::deliver`] does.
    ///
    /// # Errors
    /// Nothing of it was written: [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn durable(self) -> Result<Vec<Vec<Result<Filed, StoreError>>>, StoreError> {
        if let Some(receiver) = self.receiver {
            received(receiver.await)?;
        }
        Ok(self.answers)
    }
}

/// How often a filing is prepared anew when its mailbox goes away meanwhile.
const PREPARATIONS_MAX: usize = 3;

/// A filing whose account is open and whose mailbox is there.
pub(crate) struct Prepared {
    pub(crate) core: Arc<OpenAccount>,
    mailbox: MailboxId,
    flags: Flags,
}

impl Store {
    /// Files one message for all its recipients with one durable write. Answers when it is on disk (readers see
    /// it a moment later), one answer for each of `filings`, in their order. Filings into the same mailbox become
    /// one message there. An inner error refuses one filing ([`StoreError::OverQuota`],
    /// [`StoreError::NoSuchMailbox`], [`StoreError::NoSuchAccount`], [`StoreError::Limit`], or what keeps its
    /// account from being opened) and leaves the others.
    ///
    /// # Errors
    /// An outer error means that nothing was filed: [`StoreError::Full`], [`StoreError::Busy`], or what the disk
    /// says.
    pub async fn deliver(
        &self,
        message: Arriving,
        filings: Vec<Filing>,
    ) -> Result<Vec<Result<Filed, StoreError>>, StoreError> {
        let entry = WritingEntry { message: Some(message), filings, note: None };
        let mut answers = self.write(vec![entry]).await?.durable().await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Submits entries that become durable all together or not at all, and does not wait for the disk: see
    /// [`Writing::durable`]. An entry of which nothing is left (no filing succeeds, and there is no note) is not
    /// written. Nothing is submitted if this is cancelled.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the store is closing.
    pub async fn write(&self, entries: Vec<WritingEntry>) -> Result<Writing, StoreError> {
        let engine = Arc::clone(&self.shared().accounts.engine);
        let mut prepared = Vec::with_capacity(entries.len());
        // Copies: what a note calls back cannot be looked at from two threads, so no reference may outlive a wait.
        let filings: Vec<Filing> = entries.iter().flat_map(|entry| &entry.filings).cloned().collect();
        for filing in &filings {
            prepared.push(self.prepare(filing).await);
        }
        let room = engine.room_for(entries.iter().map(WritingEntry::backlog_octets).sum()).await?;
        let mut delivery =
            Delivery::lock(prepared.iter().flatten().map(|prepared| &prepared.core), engine.clock.now());
        let mut answers = Vec::with_capacity(entries.len());
        let mut submitted = Vec::with_capacity(entries.len());
        let mut rest = prepared.as_slice();
        for WritingEntry { message, filings, note } in entries {
            let (own, others) = rest.split_at_checked(filings.len()).unwrap_or_default();
            rest = others;
            let Some(Arriving { blob, digest, .. }) = message else {
                answers.push(filings.iter().map(|_| Err(StoreError::NoSuchMessage)).collect());
                submitted.push(Entry { blob: None, digest: None, shares: Vec::new(), note });
                continue;
            };
            answers.push(delivery.decide(blob.octets(), &filings, own));
            let shares = delivery.shares();
            if !shares.is_empty() || note.is_some() {
                submitted.push(Entry { blob: Some(blob), digest: Some(digest), shares, note });
            }
        }
        if submitted.is_empty() {
            return Ok(Writing { answers, receiver: None });
        }
        let (sender, receiver) = oneshot::channel();
        // The locks are held until the log has its place in the queue.
        engine.submit(submitted, Some(room), Then::Durable(sender));
        drop(delivery);
        Ok(Writing { answers, receiver: Some(receiver) })
    }

    /// Submits a tenant's note without octets. Never waits.
    pub fn write_note(&self, note: NewNote) -> Writing {
        let entry = Entry { blob: None, digest: None, shares: Vec::new(), note: Some(note) };
        let (sender, receiver) = oneshot::channel();
        self.shared().accounts.engine.submit(vec![entry], None, Then::Durable(sender));
        Writing { answers: Vec::new(), receiver: Some(receiver) }
    }

    /// Opens octets that a tenant has a note about. Octets that a purge has moved are
    /// [`StoreError::NoSuchMessage`]: the tenant knows where to.
    ///
    /// # Errors
    /// That, [`StoreError::Busy`], or what the disk says.
    pub async fn read_blob(&self, blob: BlobRef) -> Result<MessageReader, StoreError> {
        let engine = &self.shared().accounts.engine;
        let (packs, readers) = (engine.packs.clone(), engine.readers.clone());
        let opened = readers.run(move || packs.read(blob)).await??;
        Ok(MessageReader::new(opened, readers))
    }

    /// Opens a message that has come and is filed nowhere yet: for those who decide what becomes of it.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn read_arriving(&self, message: &Arriving) -> Result<MessageReader, StoreError> {
        let engine = &self.shared().accounts.engine;
        // Unpacking a small one is a matter of microseconds; a large one is opened, not read.
        let opened = engine.packs.read_prepared(&message.blob)?;
        Ok(MessageReader::new(opened, engine.readers.clone()))
    }

    /// Opens the account, makes a missing mailbox, makes unknown keywords known.
    pub(crate) async fn prepare(&self, filing: &Filing) -> Result<Prepared, StoreError> {
        let core = self.shared().accounts.account(filing.account).await?;
        for _ in 0..PREPARATIONS_MAX {
            let found = find(&core.state(), &filing.mailbox);
            let Some(mailbox) = found? else {
                make(&core, &filing.mailbox).await?;
                continue;
            };
            return match core.flags_for(mailbox, &[&filing.flags]).await {
                Ok(flags) => {
                    let flags = flags.first().copied().unwrap_or_default();
                    Ok(Prepared { core, mailbox, flags })
                }
                // Mail counts more than a keyword for which the mailbox has no room.
                Err(StoreError::Limit(_)) => {
                    let flags = room_for_some(&core.state(), mailbox, &filing.flags)?;
                    Ok(Prepared { core, mailbox, flags })
                }
                Err(StoreError::NoSuchMailbox) => continue,
                Err(error) => Err(error),
            };
        }
        Err(StoreError::NoSuchMailbox)
    }
}

/// The mailbox, if it is there; an error if it cannot be made.
fn find(state: &AccountState, target: &FilingTarget) -> Result<Option<MailboxId>, StoreError> {
    let found = match target {
        FilingTarget::Id(id) => return state.mailbox(*id).map(|mailbox| Some(mailbox.row.state.id)),
        FilingTarget::Name(name) => state.by_name(name),
        FilingTarget::SpecialUse(special_use) => {
            // Somebody may have made a mailbox of that name without saying what for.
            let name = MailboxName::parse(special_use.default_name()).ok();
            state.by_special_use(*special_use).or_else(|| state.by_name(name.as_ref()?))
        }
    };
    Ok(found.map(|mailbox| mailbox.row.state.id))
}

async fn make(core: &Arc<OpenAccount>, target: &FilingTarget) -> Result<(), StoreError> {
    let (name, special_use) = match target {
        FilingTarget::Id(_) => return Err(StoreError::NoSuchMailbox),
        FilingTarget::Name(name) => (name.clone(), None),
        FilingTarget::SpecialUse(special_use) => {
            let name = MailboxName::parse(special_use.default_name());
            (name.map_err(|_| StoreError::NotAllowed("a default mailbox's name"))?, Some(*special_use))
        }
    };
    match core.create_mailbox(&name, special_use).await {
        Ok(_) | Err(StoreError::MailboxExists) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The flags without the keywords that the mailbox does not know.
fn room_for_some(state: &AccountState, mailbox: MailboxId, names: &FlagNames) -> Result<Flags, StoreError> {
    let keywords = &state.mailbox(mailbox)?.keywords;
    let known = names.keywords.iter().filter(|keyword| keywords.contains(keyword)).cloned().collect();
    let names = FlagNames { system: names.system, keywords: known };
    Ok(known_flags(&names, keywords).unwrap_or_default())
}

/// A delivery while its accounts are locked, in the order of their numbers.
pub(crate) struct Delivery<'a> {
    accounts: BTreeMap<AccountId, Receiving<'a>>,
    /// Of the message that is being filed.
    octets: u64,
    now: Timestamp,
}

/// One account that receives.
struct Receiving<'a> {
    core: &'a Arc<OpenAccount>,
    state: MutexGuard<'a, AccountState>,
    email: Option<EmailId>,
    records: Vec<Record>,
    reservations: Vec<Reservation>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn lock(cores: impl Iterator<Item = &'a Arc<OpenAccount>>, now: Timestamp) -> Self {
        let cores: BTreeMap<AccountId, &Arc<OpenAccount>> = cores.map(|core| (core.id, core)).collect();
        let receive = |(id, core): (AccountId, &'a Arc<OpenAccount>)| {
            let state = core.state();
            (id, Receiving { core, state, email: None, records: Vec::new(), reservations: Vec::new() })
        };
        Self { accounts: cores.into_iter().map(receive).collect(), octets: 0, now }
    }

    /// Gives every filing its place, those into the same mailbox one together, with the flags of all.
    pub(crate) fn decide(
        &mut self,
        octets: u64,
        filings: &[Filing],
        prepared: &[Result<Prepared, StoreError>],
    ) -> Vec<Result<Filed, StoreError>> {
        self.octets = octets;
        let mut flags: BTreeMap<(AccountId, MailboxId), Flags> = BTreeMap::new();
        for prepared in prepared.iter().flatten() {
            let together = flags.entry((prepared.core.id, prepared.mailbox)).or_default();
            *together = together.union(prepared.flags);
        }
        let mut filed: BTreeMap<(AccountId, MailboxId), Result<Filed, StoreError>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(filings.len());
        for (filing, prepared) in filings.iter().zip(prepared) {
            let answer = prepared.as_ref().map_err(Clone::clone).and_then(|prepared| {
                let key = (prepared.core.id, prepared.mailbox);
                let flags = flags.get(&key).copied().unwrap_or_default();
                filed.entry(key).or_insert_with(|| self.file(key, flags, filing)).clone()
            });
            answers.push(answer);
        }
        answers
    }

    fn file(
        &mut self,
        (account, mailbox): (AccountId, MailboxId),
        flags: Flags,
        filing: &Filing,
    ) -> Result<Filed, StoreError> {
        let octets = self.octets;
        let receiving = self.accounts.get_mut(&account).ok_or(StoreError::NoSuchAccount)?;
        receiving.core.check()?;
        receiving.state.mailbox(mailbox)?;
        let added = QuotaUsage { octets, messages: 1 };
        let reservation = receiving.core.reserve(&receiving.state, added, filing.quota)?;
        let email = match receiving.email {
            Some(email) => email,
            None => EmailId(receiving.state.next_modseq()?.0),
        };
        let place =
            Place { mailbox, email, octets, flags, internal_date: filing.internal_date, way: filing.way };
        let (record, filed) = place.file(account, &mut receiving.state, self.now)?;
        if receiving.email.is_none() {
            receiving.email = Some(email);
            receiving.records.push(Record::Stored(Stored { email, octets, thread: None }));
        }
        receiving.records.push(record);
        receiving.reservations.push(reservation);
        Ok(filed)
    }

    /// Takes a message out of a mailbox of one of the accounts.
    pub(crate) fn expunge(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<(), StoreError> {
        let leaving = self.accounts.get_mut(&account).ok_or(StoreError::NoSuchAccount)?;
        leaving.core.check()?;
        leaving.state.mailbox(mailbox)?;
        let modseq = leaving.state.next_modseq()?;
        let uids = [uid].into_iter().collect();
        leaving.records.push(Record::Expunged(Expunged { mailbox, modseq, uids, at: self.now }));
        Ok(())
    }

    /// What the log is to remember of one message for each account.
    pub(crate) fn shares(&mut self) -> Vec<Share> {
        self.accounts.values_mut().for_each(|receiving| receiving.email = None);
        let receiving = self.accounts.values_mut().filter(|receiving| !receiving.records.is_empty());
        receiving
            .map(|receiving| Share {
                core: Arc::clone(receiving.core),
                records: std::mem::take(&mut receiving.records),
                reservations: std::mem::take(&mut receiving.reservations),
            })
            .collect()
    }
}
