//! Purge: forgets expunged messages that are recoverable no longer, and rewrites packs that are mostly dead.
//!
//! What still lives of a pack is copied to the log's end, then the indexes point to the copies, then a checkpoint
//! makes that durable, then the pack goes. A crash between any two of these leaves octets twice, never nowhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use mail_types::{AccountId, EmailId};
use storage::{
    BlobRef, Keep, LogEntry, LogPosition, Note, PackId, PackInfo, PackKind, PackStore, Rewritten,
    StorageError,
};

use crate::accounts::Accounts;
use crate::error::StoreError;
use crate::index::{AccountIndex, Move, SqliteIndex, StoredEmail};
use crate::note::{self, Record};
use crate::replay::{IsRemoved, index_path};
use crate::store::{Shared, Store};
use crate::tenant::{Kept, TENANTS_FROM, Tenant, TenantBlob, TenantEntry, TenantMove};
use crate::tenants;

/// Packs judged in one round through all indexes: of each live email there, 24 octets are in memory.
const PACKS_PER_ROUND: usize = 32;

/// Indexes kept open while packs are gone through.
const INDEXES_OPEN_MAX: usize = 64;

/// What a purge did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PurgeOutcome {
    /// Expunged messages that are no longer recoverable.
    pub messages: u64,
    /// Packs rewritten or removed.
    pub packs: u64,
    /// Octets of the packs that went.
    pub octets: u64,
}

impl Store {
    /// Forgets expunged messages that are recoverable no longer, and rewrites packs with much dead weight. Mail may
    /// come and go meanwhile.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn purge(&self) -> Result<PurgeOutcome, StoreError> {
        let shared = Arc::clone(self.shared());
        self.shared().accounts.engine.writers.run(move || Purge::new(&shared).run()).await?
    }
}

/// A purge under way.
struct Purge<'a> {
    shared: &'a Shared,
    /// How far the log was, and which large messages it had named, before the indexes were brought up to it: an
    /// index that has not seen all of a pack must not judge it.
    seen: Option<LogPosition>,
    named: HashSet<PackId>,
}

/// What lives in each pack.
type Live = BTreeMap<PackId, BTreeSet<StoredEmail>>;

impl<'a> Purge<'a> {
    fn new(shared: &'a Shared) -> Self {
        let engine = &shared.accounts.engine;
        Self { shared, seen: engine.dispatched(), named: engine.named_blob_packs() }
    }

    fn run(&self) -> Result<PurgeOutcome, StoreError> {
        let _turn = self.shared.purging.lock();
        let mut outcome = PurgeOutcome { messages: self.forget()?, ..PurgeOutcome::default() };
        let engine = &self.accounts().engine;
        engine.wait_applied();
        if engine.furthest_behind().is_some() {
            return Ok(outcome);
        }
        let is_seen = |pack: &PackInfo| match pack.kind {
            PackKind::Log => pack.sealed && self.seen.is_some_and(|seen| pack.id < seen.pack),
            // Others of this run of the program belong to mail that is still on its way.
            PackKind::Blob => pack.id < self.shared.first_pack || self.named.contains(&pack.id),
        };
        let packs: Vec<PackInfo> = engine.packs.packs()?.into_iter().filter(is_seen).collect();
        for some in packs.chunks(PACKS_PER_ROUND) {
            self.round(some, &mut outcome)?;
        }
        Ok(outcome)
    }

    fn accounts(&self) -> &Arc<Accounts> {
        &self.shared.accounts
    }

    /// Forgets what was expunged long enough ago.
    fn forget(&self) -> Result<u64, StoreError> {
        let accounts = self.accounts();
        let before = accounts.engine.clock.now().saturating_sub(accounts.engine.settings.recoverable);
        let which: Vec<AccountId> = accounts.known.lock().present().collect();
        let mut messages = 0;
        for account in which {
            let core = accounts.open_here(account)?;
            accounts.engine.mark_dirty(account);
            messages += core.writer.lock().forget_expunged(before)?;
        }
        Ok(messages)
    }

    fn round(&self, packs: &[PackInfo], outcome: &mut PurgeOutcome) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (packs.first(), packs.last()) else { return Ok(()) };
        let live = self.live(first.id..=last.id)?;
        let mut gone = Vec::new();
        for pack in packs {
            let emails = live.get(&pack.id);
            let is_going = match pack.kind {
                PackKind::Blob => emails.is_none(),
                PackKind::Log => self.is_mostly_dead(pack, emails) && self.rewrite(pack)?,
            };
            if is_going {
                gone.push(*pack);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // The indexes must not point into a pack that is gone, not after a crash either.
        self.shared.checkpoints.make()?;
        for pack in gone {
            if self.live(pack.id..=pack.id)?.is_empty() && self.accounts().engine.furthest_behind().is_none()
            {
                self.accounts().engine.packs.remove(pack.id)?;
                self.accounts().engine.forget_blob_pack(pack.id);
                outcome.packs += 1;
                outcome.octets += pack.octets;
            }
        }
        Ok(())
    }

    /// The emails that some account still has in a run of packs.
    fn live(&self, packs: RangeInclusive<PackId>) -> Result<Live, StoreError> {
        let accounts = self.accounts();
        let mut live = Live::new();
        let which: Vec<AccountId> = accounts.known.lock().present().collect();
        for account in which {
            let index = SqliteIndex::open_reader(&index_path(&accounts.directory, account))?;
            for email in index.emails_in(packs.clone())? {
                live.entry(email.blob.pack).or_default().insert(email);
            }
        }
        for tenant in accounts.engine.tenants.all() {
            for TenantBlob { at, in_log } in tenant.blobs_in(packs.clone())? {
                live.entry(at.pack).or_default().insert(StoredEmail { blob: at, in_log });
            }
        }
        Ok(live)
    }

    /// A first, cheap judgement: what live mail takes of a pack.
    fn is_mostly_dead(&self, pack: &PackInfo, emails: Option<&BTreeSet<StoredEmail>>) -> bool {
        let live: u64 = emails.map_or(0, |emails| emails.iter().map(|email| email.in_log).sum());
        is_dead_enough(pack.octets.saturating_sub(live), pack.octets, self.dead_percent())
    }

    fn dead_percent(&self) -> u8 {
        self.accounts().engine.settings.purge_dead_percent
    }

    /// Copies what lives; whether the pack can go.
    fn rewrite(&self, pack: &PackInfo) -> Result<bool, StoreError> {
        let packs = &self.accounts().engine.packs;
        let log_packs =
            packs.packs()?.iter().filter(|pack| pack.kind == PackKind::Log).map(|pack| pack.id).collect();
        let mut judge = Judge::new(self.accounts(), log_packs);
        // Records that must stay count as well: judged exactly before anything is written.
        let (mut kept, mut all) = (0, 0);
        for entry in packs.entries(pack.id)? {
            let Ok(entry) = entry else { return Ok(false) };
            all += entry.stored_octets;
            kept += judge.kept_octets(&entry);
        }
        if judge.failure.is_none() && !is_dead_enough(all.saturating_sub(kept), all, self.dead_percent()) {
            return Ok(false);
        }
        let mut moves: HashMap<AccountId, Vec<Move>> = HashMap::new();
        let mut copies = Vec::new();
        let summary = packs.rewrite(
            pack.id,
            |entry| judge.keep(entry),
            |copied| {
                note_moves(&copied, &mut moves);
                if copied.from.notes.iter().any(|note| note.owner >= TENANTS_FROM) {
                    copies.push(copied);
                }
            },
        )?;
        if let Some(error) = judge.failure {
            return Err(error);
        }
        for (account, moves) in moves {
            let core = self.accounts().open_here(account)?;
            core.engine.mark_dirty(account);
            core.writer.lock().move_emails(&moves)?;
        }
        for tenant in self.accounts().engine.tenants.all() {
            tell_moves(tenant.as_ref(), packs, &copies)?;
        }
        Ok(summary.damaged == 0)
    }
}

/// Lets a tenant know of its entries that were copied.
fn tell_moves(tenant: &dyn Tenant, packs: &PackStore, copies: &[Rewritten]) -> Result<(), StorageError> {
    let moves = copies.iter().flat_map(|copied| {
        let own = copied.from.notes.iter().filter(|note| note.owner == tenant.owner());
        own.map(|note| TenantMove {
            note: &note.octets,
            from: copied.from.blob.map(|blob| blob.at),
            to: copied.to.blob,
            pack: copied.to.position.pack,
        })
    });
    let moves: Vec<TenantMove<'_>> = moves.collect();
    if moves.is_empty() {
        return Ok(());
    }
    tenant.moved(&moves, &|note| tenants::write(packs, tenant.owner(), note))
}

fn is_dead_enough(dead: u64, all: u64, percent: u8) -> bool {
    dead > 0 && dead.saturating_mul(100) >= all.saturating_mul(percent.into())
}

/// Remembers that the octets of a copied entry are elsewhere now.
fn note_moves(copied: &Rewritten, moves: &mut HashMap<AccountId, Vec<Move>>) {
    let (Some(from), Some(to)) = (copied.from.blob, copied.to.blob) else { return };
    for note in copied.from.notes.iter().filter(|note| note.owner < TENANTS_FROM) {
        for record in note::decode(&note.octets).unwrap_or_default() {
            if let Record::Stored(stored) = record {
                let email: EmailId = stored.email;
                moves.entry(AccountId(note.owner)).or_default().push(Move { email, from: from.at, to });
            }
        }
    }
}

/// Decides what of an entry is kept, by asking the indexes of those it speaks of.
struct Judge<'a> {
    accounts: &'a Accounts,
    indexes: HashMap<AccountId, SqliteIndex>,
    /// The packs of the log that are there.
    log_packs: BTreeSet<PackId>,
    /// What kept an index from being asked. Until then everything is kept, and the pack stays.
    failure: Option<StoreError>,
}

impl<'a> Judge<'a> {
    fn new(accounts: &'a Accounts, log_packs: BTreeSet<PackId>) -> Self {
        Self { accounts, indexes: HashMap::new(), log_packs, failure: None }
    }

    fn keep(&mut self, entry: &LogEntry) -> Keep {
        let blob = entry.blob.map(|blob| blob.at);
        let mut notes = Vec::new();
        let mut is_blob_kept = false;
        for note in &entry.notes {
            let kept = if note.owner >= TENANTS_FROM {
                self.tenants_note(note, entry, blob)
            } else {
                self.accounts_note(note, blob)
            };
            match kept {
                Ok(Kept::Nothing) => {}
                Ok(Kept::Note(octets)) => notes.push(Note { owner: note.owner, octets }),
                Ok(Kept::NoteAndBlob(octets)) => {
                    is_blob_kept = true;
                    notes.push(Note { owner: note.owner, octets });
                }
                Err(error) => {
                    self.failure.get_or_insert(error);
                    is_blob_kept = true;
                    notes.push(note.clone());
                }
            }
        }
        match (is_blob_kept, notes.is_empty()) {
            (true, _) => Keep::Blob(notes),
            (false, false) => Keep::Notes(notes),
            (false, true) => Keep::Nothing,
        }
    }

    fn accounts_note(&mut self, note: &Note, blob: Option<BlobRef>) -> Result<Kept, StoreError> {
        let records = self.records(note, blob)?;
        if records.is_empty() {
            return Ok(Kept::Nothing);
        }
        let octets = note::encode(&records);
        let is_blob_kept = records.iter().any(|record| matches!(record, Record::Stored(_)));
        Ok(if is_blob_kept { Kept::NoteAndBlob(octets) } else { Kept::Note(octets) })
    }

    fn tenants_note(&self, note: &Note, entry: &LogEntry, blob: Option<BlobRef>) -> Result<Kept, StoreError> {
        let Some(tenant) = self.accounts.engine.tenants.of(note.owner) else {
            // Whoever it is will want to find everything.
            return Ok(Kept::NoteAndBlob(note.octets.clone()));
        };
        let entry = TenantEntry { position: entry.position, blob, note: &note.octets };
        let has_pack = |packs| self.log_packs.range(packs).next().is_some();
        Ok(tenant.still_needed(&entry, &has_pack)?)
    }

    fn records(&mut self, note: &Note, blob: Option<BlobRef>) -> Result<Vec<Record>, StoreError> {
        let account = AccountId(note.owner);
        let records = note::decode(&note.octets)
            .map_err(|_| StoreError::Corrupt(format!("a note of account {account} cannot be read")))?;
        if self.accounts.known.lock().status(account) == Some(IsRemoved::Yes) {
            return Ok(records.into_iter().filter(|record| *record == Record::AccountRemoved).collect());
        }
        let index = self.index(account)?;
        let mut kept = Vec::with_capacity(records.len());
        for record in &records {
            kept.extend(index.still_needed(record, blob)?);
        }
        Ok(kept)
    }

    fn index(&mut self, account: AccountId) -> Result<&SqliteIndex, StorageError> {
        if !self.indexes.contains_key(&account) && self.indexes.len() >= INDEXES_OPEN_MAX {
            self.indexes.clear();
        }
        match self.indexes.entry(account) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let path = index_path(&self.accounts.directory, account);
                Ok(entry.insert(SqliteIndex::open_reader(&path)?))
            }
        }
    }

    /// How much of an entry would be kept, about.
    fn kept_octets(&mut self, entry: &LogEntry) -> u64 {
        let before: usize = entry.notes.iter().map(|note| note.octets.len()).sum();
        let octets = |notes: &[Note]| notes.iter().map(|note| note.octets.len()).sum::<usize>() as u64;
        match self.keep(entry) {
            Keep::Nothing => 0,
            Keep::Notes(notes) => octets(&notes),
            Keep::Blob(notes) => entry.stored_octets.saturating_sub(before as u64) + octets(&notes),
        }
    }
}
