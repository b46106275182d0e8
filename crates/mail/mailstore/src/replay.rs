//! Bringing indexes up to the log: after a crash, after an index failed, and when one has to be made anew.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_types::{AccountId, ModSeq};
use storage::{BlobRef, LogEntry, LogPosition, Note, PackKind, PackStore, StorageError, WalCheckpoint};

use crate::digest::Digest;
use crate::engine::{Behind, log_index_failure};
use crate::error::StoreError;
use crate::index::{AccountIndex, AccountRow, Order, Phase, SqliteIndex, ToApply, is_damage};
use crate::known::Known;
use crate::note::{self, Record};
use crate::tenant::{TENANTS_FROM, Tenant, TenantEntry};
use crate::tenants;

/// Entries gathered before they are applied account by account: what a replay holds in memory, with the digests
/// below.
const GATHERED_ENTRIES_MAX: usize = 4_096;
/// Octets of digests and scripts gathered, likewise.
const GATHERED_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// The file of an account's index.
pub(crate) fn index_path(accounts: &Path, account: AccountId) -> PathBuf {
    directory_of(accounts, account).join("index.db")
}

/// The directory of an account.
pub(crate) fn directory_of(accounts: &Path, account: AccountId) -> PathBuf {
    accounts.join(account.to_string())
}

/// An entry of the log as one account sees it, kept until it is applied.
struct Gathered {
    position: LogPosition,
    blob: Option<BlobRef>,
    records: Vec<Record>,
    digest: Option<Digest>,
}

/// Entries of many accounts, gathered so that each index is opened and changed in few transactions.
pub(crate) struct Replayer<'a> {
    packs: &'a PackStore,
    accounts: &'a Path,
    /// Accounts that have an index by now; if it is not there, what comes behind the mark is not all of it.
    known: &'a Known,
    gathered: HashMap<AccountId, Vec<Gathered>>,
    entries: usize,
    octets: usize,
    tenants: TenantsReplay<'a>,
    /// What could not be brought up to the log.
    pub(crate) behind: HashMap<AccountId, Behind>,
    /// Every account that was spoken of, and whether it was removed.
    pub(crate) seen: HashMap<AccountId, IsRemoved>,
}

/// Whether the log says that an account is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IsRemoved {
    No,
    Yes,
}

impl<'a> Replayer<'a> {
    pub(crate) fn new(
        packs: &'a PackStore,
        accounts: &'a Path,
        known: &'a Known,
        tenants: &'a [Arc<dyn Tenant>],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            packs,
            accounts,
            known,
            gathered: HashMap::new(),
            entries: 0,
            octets: 0,
            tenants: TenantsReplay::new(packs, tenants)?,
            behind: HashMap::new(),
            seen: HashMap::new(),
        })
    }

    /// Takes the next entry of the log.
    pub(crate) fn entry(&mut self, entry: &LogEntry) -> Result<(), StoreError> {
        for note in &entry.notes {
            if note.owner >= TENANTS_FROM {
                self.entries += self.tenants.gather(entry, note);
                continue;
            }
            let account = AccountId(note.owner);
            let Ok(records) = note::decode(&note.octets) else {
                tracing::error!(%account, position = %entry.position, "a note in the log cannot be read");
                continue;
            };
            let is_removed = records.contains(&Record::AccountRemoved);
            let seen = self.seen.entry(account).or_insert(IsRemoved::No);
            if is_removed {
                *seen = IsRemoved::Yes;
            }
            self.gather(account, entry, records)?;
        }
        if self.entries >= GATHERED_ENTRIES_MAX || self.octets >= GATHERED_OCTETS_MAX {
            self.apply()?;
        }
        Ok(())
    }

    fn gather(
        &mut self,
        account: AccountId,
        entry: &LogEntry,
        records: Vec<Record>,
    ) -> Result<(), StoreError> {
        let blob = entry.blob.map(|blob| blob.at);
        let digest = digest_for(self.packs, blob, &records, Digests::Scan)?;
        self.entries += 1;
        self.octets += digest.as_ref().map_or(0, Digest::octets) + text_octets(&records);
        self.gathered.entry(account).or_default().push(Gathered {
            position: entry.position,
            blob,
            records,
            digest,
        });
        Ok(())
    }

    /// Applies what was gathered.
    pub(crate) fn apply(&mut self) -> Result<(), StoreError> {
        (self.entries, self.octets) = (0, 0);
        self.tenants.apply()?;
        for (account, gathered) in std::mem::take(&mut self.gathered) {
            let removed = [self.known.status(account), self.seen.get(&account).copied()];
            if self.behind.contains_key(&account) || removed.contains(&Some(IsRemoved::Yes)) {
                continue;
            }
            let path = index_path(self.accounts, account);
            let is_known = self.known.status(account).is_some();
            match apply_gathered(&path, is_known, &gathered) {
                Ok(()) => {}
                // Made anew when the account is opened: one damaged file must not keep the others waiting.
                Err(error) if is_damage(&error) => {
                    log_index_failure(account, &error);
                    let behind = Behind { applied: self.packs.mark(), is_damaged: true };
                    self.behind.insert(account, behind);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The tenants' part of a replay.
struct TenantsReplay<'a> {
    packs: &'a PackStore,
    tenants: &'a [Arc<dyn Tenant>],
    gathered: Vec<GatheredNote>,
}

/// An entry of the log as a tenant sees it, kept until it is applied.
struct GatheredNote {
    owner: u32,
    position: LogPosition,
    blob: Option<BlobRef>,
    note: Vec<u8>,
}

impl GatheredNote {
    fn entry(&self) -> TenantEntry<'_> {
        TenantEntry { position: self.position, blob: self.blob, note: &self.note }
    }
}

impl<'a> TenantsReplay<'a> {
    /// Tenants that cannot go on from the mark are made anew first: what lies before it may have been purged.
    fn new(packs: &'a PackStore, tenants: &'a [Arc<dyn Tenant>]) -> Result<Self, StoreError> {
        let mark = packs.mark();
        for tenant in tenants {
            let is_whole =
                mark == LogPosition::START || tenant.applied()?.is_some_and(|applied| applied >= mark);
            if !is_whole {
                tenants::rebuild(tenant.as_ref(), packs)?;
            }
        }
        Ok(Self { packs, tenants, gathered: Vec::new() })
    }

    fn gather(&mut self, entry: &LogEntry, note: &Note) -> usize {
        let owner = note.owner;
        let is_ours = self.tenants.iter().any(|tenant| tenant.owner() == owner);
        if is_ours {
            let (blob, note) = (entry.blob.map(|blob| blob.at), note.octets.clone());
            self.gathered.push(GatheredNote { owner, position: entry.position, blob, note });
        }
        usize::from(is_ours)
    }

    fn apply(&mut self) -> Result<(), StorageError> {
        for tenant in self.tenants {
            let own = self.gathered.iter().filter(|note| note.owner == tenant.owner());
            let entries: Vec<TenantEntry<'_>> = own.map(GatheredNote::entry).collect();
            tenants::apply(tenant.as_ref(), self.packs, &entries)?;
        }
        self.gathered.clear();
        Ok(())
    }
}

fn apply_gathered(path: &Path, is_known: bool, gathered: &[Gathered]) -> Result<(), StorageError> {
    let mut index = SqliteIndex::open(path)?;
    if is_known && index.account()? == AccountRow::NEW {
        let (place, what) = (path.display().to_string(), "the index is lost".to_owned());
        return Err(StorageError::Corrupt { place, what });
    }
    index.apply(Order::Log, &to_apply(gathered))?;
    Ok(())
}

fn to_apply(gathered: &[Gathered]) -> Vec<ToApply<'_>> {
    let mut entries = Vec::with_capacity(gathered.len());
    for Gathered { position, blob, records, digest } in gathered {
        entries.push(ToApply { position: *position, blob: *blob, records, digest: digest.as_ref() });
    }
    entries
}

/// Where the digests of messages come from when the log is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Digests {
    /// The octets are scanned again.
    Scan,
    /// Empty ones will do: the index is only to be compared.
    Empty,
    /// No emails are added, so none are needed.
    None,
}

/// Octets of the scripts and annotations that records bring along; the rest of a record is small.
fn text_octets(records: &[Record]) -> usize {
    let text = |record: &Record| match record {
        Record::Script(script) => script.octets(),
        Record::Annotation(annotation) => annotation.octets(),
        _ => 0,
    };
    records.iter().map(text).sum()
}

/// Scans the entry's octets again, if the records need it.
fn digest_for(
    packs: &PackStore,
    blob: Option<BlobRef>,
    records: &[Record],
    digests: Digests,
) -> Result<Option<Digest>, StorageError> {
    let is_stored = records.iter().any(|record| matches!(record, Record::Stored(_)));
    let Some(blob) = blob.filter(|_| is_stored) else { return Ok(None) };
    match digests {
        Digests::Scan => {}
        Digests::Empty => return Ok(Some(Digest::default())),
        Digests::None => return Ok(None),
    }
    match scan(packs, blob) {
        Ok(digest) => Ok(Some(digest)),
        // Octets that a purge removed are those of a message that nobody has any more; damaged ones are told by
        // the log itself. Either way the others go on.
        Err(error @ (StorageError::Gone(_) | StorageError::Corrupt { .. })) => {
            tracing::warn!(%blob, %error, "a message in the log cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn scan(packs: &PackStore, blob: BlobRef) -> Result<Digest, StorageError> {
    let reader = packs.read(blob)?;
    let mut scanner = message::Scanner::new(message::Limits::default());
    for chunk in reader.chunks() {
        scanner.feed(&chunk?);
    }
    Ok(Digest::of(&scanner.finish()))
}

/// Brings one index from what it has applied up to the log's end. Nothing of the account is under way.
pub(crate) fn catch_up(
    packs: &PackStore,
    account: AccountId,
    index: &mut SqliteIndex,
) -> Result<(), StorageError> {
    let after = index.account()?.applied;
    read_log(packs, &mut [Target { account, index, after, until: None }], Order::Log, Digests::Scan)
}

/// Makes accounts' indexes anew from all packs, beside the old ones, and puts them in their places. Nothing of these
/// accounts is under way.
pub(crate) fn rebuild(packs: &PackStore, accounts: &Path, which: &[AccountId]) -> Result<(), StoreError> {
    for some in which.chunks(BUILT_TOGETHER_MAX) {
        let mut fresh = Vec::with_capacity(some.len());
        for account in some {
            let path = index_path(accounts, *account).with_file_name("index.new.db");
            remove_database(&path)?;
            fresh.push(Built { account: *account, index: SqliteIndex::open(&path)?, path, until: None });
        }
        build(packs, &mut fresh, Digests::Scan)?;
        for Built { account, index, path: fresh, .. } in fresh {
            if index.checkpoint()? == WalCheckpoint::Partial {
                return Err(StoreError::Busy);
            }
            drop(index);
            let path = index_path(accounts, account);
            remove_database(&path)?;
            let renamed = fs::rename(&fresh, &path)
                .and_then(|()| platform::durable::sync_directory(&directory_of(accounts, account)));
            renamed.map_err(|error| StoreError::io("cannot put a rebuilt index in place", error))?;
            remove_database(&fresh)?;
            tracing::info!(%account, "an account's index was made anew from the log");
        }
    }
    Ok(())
}

/// Indexes made anew in one reading of the log.
pub(crate) const BUILT_TOGETHER_MAX: usize = 64;

/// An index being made anew.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) account: AccountId,
    pub(crate) index: SqliteIndex,
    pub(crate) path: PathBuf,
    /// Only what changed up to here: what an index has that last gave this mod-sequence, wherever in the log a purge
    /// has moved it.
    pub(crate) until: Option<ModSeq>,
}

/// Fills empty indexes from the log, phase by phase.
pub(crate) fn build(packs: &PackStore, built: &mut [Built], digests: Digests) -> Result<(), StorageError> {
    let phases =
        [(Phase::Mailboxes, digests), (Phase::Messages, Digests::None), (Phase::Changes, Digests::None)];
    for (phase, digests) in phases {
        let mut targets: Vec<Target<'_>> = built.iter_mut().map(Built::target).collect();
        read_log(packs, &mut targets, Order::Rebuild(phase), digests)?;
    }
    built.iter_mut().try_for_each(|built| built.index.finish_rebuild())
}

impl Built {
    fn target(&mut self) -> Target<'_> {
        let after = LogPosition::START;
        Target { account: self.account, index: &mut self.index, after, until: self.until }
    }
}

/// An index that takes its account's entries from the log.
struct Target<'a> {
    account: AccountId,
    index: &'a mut SqliteIndex,
    after: LogPosition,
    until: Option<ModSeq>,
}

/// Reads the log once and gives every target its entries, some at a time.
fn read_log(
    packs: &PackStore,
    targets: &mut [Target<'_>],
    order: Order,
    digests: Digests,
) -> Result<(), StorageError> {
    let numbers: HashMap<u32, usize> =
        targets.iter().enumerate().map(|(number, target)| (target.account.0, number)).collect();
    let first = targets.iter().map(|target| target.after.pack).min();
    let mut gathered = GatheredByTarget { entries: Vec::new(), count: 0, octets: 0 };
    gathered.entries.resize_with(targets.len(), Vec::new);
    for pack in packs.packs()?.iter().filter(|pack| pack.kind == PackKind::Log && Some(pack.id) >= first) {
        for entry in packs.entries(pack.id)? {
            let entry = match entry {
                // The log itself tells where it is damaged; what can be read counts.
                Err(error @ StorageError::Corrupt { .. }) => {
                    tracing::error!(%error, "a part of the log is damaged");
                    continue;
                }
                entry => entry?,
            };
            for note in &entry.notes {
                let Some(number) = numbers.get(&note.owner) else { continue };
                if let Some(target) = targets.get(*number).filter(|target| entry.position > target.after) {
                    gathered.take(packs, (*number, target.until), &entry, note, digests)?;
                }
            }
            if gathered.count >= GATHERED_ENTRIES_MAX || gathered.octets >= GATHERED_OCTETS_MAX {
                gathered.give(targets, order)?;
            }
        }
    }
    // Once more for each, so that an index without entries knows that as well.
    gathered.give(targets, order)
}

/// Entries gathered for several targets.
struct GatheredByTarget {
    entries: Vec<Vec<Gathered>>,
    count: usize,
    octets: usize,
}

impl GatheredByTarget {
    fn take(
        &mut self,
        packs: &PackStore,
        (number, until): (usize, Option<ModSeq>),
        entry: &LogEntry,
        note: &Note,
        digests: Digests,
    ) -> Result<(), StorageError> {
        let Ok(mut records) = note::decode(&note.octets) else {
            tracing::error!(account = note.owner, position = %entry.position, "a note in the log cannot be read");
            return Ok(());
        };
        records.retain(|record| until.is_none_or(|until| record.modseq() <= until));
        let blob = entry.blob.map(|blob| blob.at);
        let digest = digest_for(packs, blob, &records, digests)?;
        self.count += 1;
        self.octets += digest.as_ref().map_or(0, Digest::octets) + text_octets(&records);
        if let Some(entries) = self.entries.get_mut(number) {
            entries.push(Gathered { position: entry.position, blob, records, digest });
        }
        Ok(())
    }

    fn give(&mut self, targets: &mut [Target<'_>], order: Order) -> Result<(), StorageError> {
        (self.count, self.octets) = (0, 0);
        for (target, entries) in targets.iter_mut().zip(&mut self.entries) {
            target.index.apply(order, &to_apply(entries))?;
            entries.clear();
        }
        Ok(())
    }
}

/// Removes a database and what SQLite keeps beside it.
pub(crate) fn remove_database(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        platform::durable::remove(Path::new(&file))
            .map_err(|error| StoreError::io("cannot remove an index", error))?;
    }
    Ok(())
}
