//! COPY and MOVE within an account (RFC 9051 §6.4.7, §6.4.8): new places for the same octets.

use std::sync::Arc;

use mail_types::{AccountId, Flags, Keyword, MailboxId, TransactionId, Uid, UidSet, UidValidity};
use platform::clock::Timestamp;

use crate::account::Account;
use crate::append::Place;
use crate::engine::{Entry, Share, Turn, received};
use crate::error::StoreError;
use crate::fetch::{Row, Want};
use crate::index::AccountIndex;
use crate::keywords::KeywordTable;
use crate::note::{Expunged, Record};
use crate::open_account::{Decided, OpenAccount};
use crate::quota::{QuotaLimit, QuotaUsage};
use crate::state::AccountState;

/// What COPYUID tells (RFC 9051 §7.1): `from` and `to` correspond in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyOutcome {
    /// The target's UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The messages that existed.
    pub from: UidSet,
    /// Their new identifiers.
    pub to: UidSet,
}

/// Messages that one COPY takes. Their records stand in one piece of the log, so that a crash leaves all or none;
/// this many take 10 MiB there, within what its queue holds.
const COPIED_MAX: usize = 250_000;

/// Messages that one step of a MOVE takes. Each moves or stays by itself (RFC 6851 §3.3), so steps may be small.
const MOVED_MAX: usize = 20_000;

/// Records of copies in one entry of the log.
const RECORDS_PER_ENTRY: usize = 50_000;

impl Account {
    /// Copies those of `uids` that exist, all or none; keeps flags and internal dates.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`], [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn copy(
        &self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
        quota: QuotaLimit,
    ) -> Result<CopyOutcome, StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        let copies = Copies::read(core, from, uids, to).await?;
        if copies.messages.len() > COPIED_MAX {
            return Err(StoreError::Limit("messages of one COPY"));
        }
        let (receiver, outcome) = {
            let mut state = core.state();
            core.check()?;
            let reservation = core.reserve(&state, copies.usage(), quota)?;
            let (records, outcome) = copies.records(&mut state, core.engine.clock.now())?;
            if records.is_empty() {
                return Ok(outcome);
            }
            let mut entries = entries_of(core, records);
            if let Some(share) = entries.first_mut().and_then(|entry| entry.shares.first_mut()) {
                share.reservations.push(reservation);
            }
            (core.submit_applied(entries, None, turn), outcome)
        };
        received(receiver.await)?;
        Ok(outcome)
    }

    /// Moves those of `uids` that exist. Needs no quota: nothing is added.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn move_messages(
        &self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<CopyOutcome, StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        core.move_messages(turn, from, uids, to).await.map(|(outcome, _)| outcome)
    }
}

impl OpenAccount {
    pub(crate) async fn move_messages(
        self: &Arc<Self>,
        mut turn: Turn,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<(CopyOutcome, Turn), StoreError> {
        let view = self.open_mailbox(from).await?;
        let present: Vec<Uid> = view.select(uids).map(|(_, entry)| entry.uid).collect();
        drop(view);
        let mut whole = CopyOutcome::none(self.state().mailbox(to)?.row.state.uid_validity);
        for step in present.chunks(MOVED_MAX) {
            let copies = Copies::read(self, from, &step.iter().copied().collect(), to).await?;
            let now = self.engine.clock.now();
            let (outcome, next) = self.change(turn, |state| copies.moved(state, now)).await?;
            turn = next;
            outcome.from.iter().for_each(|uid| whole.from.push(uid));
            outcome.to.iter().for_each(|uid| whole.to.push(uid));
        }
        Ok((whole, turn))
    }
}

/// Messages about to get another place.
struct Copies {
    account: AccountId,
    from: MailboxId,
    to: MailboxId,
    messages: Vec<(Row, Flags)>,
    /// The source's keywords, which the flags' numbers mean.
    keywords: Arc<[Keyword]>,
}

impl Copies {
    async fn read(
        core: &Arc<OpenAccount>,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Self, StoreError> {
        core.state().mailbox(to)?;
        let view = core.open_mailbox(from).await?;
        let uids = uids.clone();
        let rows = core.read(move |index| index.rows(from, &uids, Want::Facts)).await?;
        // Only who has the turn takes messages away, so the view has every row but those that just came.
        let flags = |row: Row| view.find(row.uid).map(|(_, entry)| (row, entry.flags));
        let messages = rows.into_iter().filter_map(flags).collect();
        Ok(Self { account: core.id, from, to, messages, keywords: Arc::clone(view.keywords()) })
    }

    fn usage(&self) -> QuotaUsage {
        let octets = self.messages.iter().map(|(row, _)| row.octets).sum();
        QuotaUsage { octets, messages: self.messages.len() as u64 }
    }

    fn records(
        &self,
        state: &mut AccountState,
        now: Timestamp,
    ) -> Result<(Vec<Record>, CopyOutcome), StoreError> {
        let target = state.mailbox(self.to)?;
        let mut outcome = CopyOutcome::none(target.row.state.uid_validity);
        let mut table = KeywordTable::new(&target.keywords);
        let mut flags = Vec::with_capacity(self.messages.len());
        for (_, theirs) in &self.messages {
            flags.push(table.translated(*theirs, &self.keywords)?);
        }
        let mut records: Vec<Record> = state.with_keywords(self.to, table)?.into_iter().collect();
        for ((row, _), flags) in self.messages.iter().zip(flags) {
            let place = Place {
                mailbox: self.to,
                email: row.email,
                octets: row.octets,
                flags,
                internal_date: row.internal_date,
                way: TransactionId(0),
            };
            let (record, filed) = place.file(self.account, state, now)?;
            records.push(record);
            outcome.from.push(row.uid);
            outcome.to.push(filed.uid);
        }
        Ok((records, outcome))
    }

    fn moved(&self, state: &mut AccountState, now: Timestamp) -> Result<Decided<CopyOutcome>, StoreError> {
        let (mut records, outcome) = self.records(state, now)?;
        if !outcome.from.is_empty() {
            let modseq = state.next_modseq()?;
            let uids = outcome.from.clone();
            records.push(Record::Expunged(Expunged { mailbox: self.from, modseq, uids, at: now }));
        }
        Ok(Decided::new(records, outcome))
    }
}

impl CopyOutcome {
    fn none(uid_validity: UidValidity) -> Self {
        Self { uid_validity, from: UidSet::new(), to: UidSet::new() }
    }
}

/// Records in as many entries as they need; the log takes them all or none.
fn entries_of(core: &Arc<OpenAccount>, records: Vec<Record>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut records = records.into_iter();
    loop {
        let some: Vec<Record> = records.by_ref().take(RECORDS_PER_ENTRY).collect();
        if some.is_empty() {
            return entries;
        }
        let share = Share { core: Arc::clone(core), records: some, reservations: Vec::new() };
        entries.push(Entry { blob: None, digest: None, shares: vec![share], note: None });
    }
}
