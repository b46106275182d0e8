//! The whole store: one log for all accounts, opened once by the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mail_types::AccountId;
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::workers::{Workers, WorkersSettings};
use storage::{LogPosition, PackId, PackStore};

use crate::account::Account;
use crate::accounts::Accounts;
use crate::apply::Appliers;
use crate::checkpoint::{Checkpointer, Checkpoints};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::holding::Holding;
use crate::intake::Intake;
use crate::known::Known;
use crate::note::Record;
use crate::replay::{self, IsRemoved, Replayer};
use crate::settings::Settings;
use crate::tenant::{TENANTS_FROM, Tenant};
use crate::tenants::Tenants;

/// Threads for reading: two keep a disk and a processor busy; more would only share them.
const READING_THREADS: usize = 2;
/// Threads for messages that arrive.
const WRITING_THREADS: usize = 2;
/// Requests that may wait for one of them. Beyond, clients are told to come back.
const WAITING_MAX: usize = 1_024;

/// The store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    checkpointer: Mutex<Option<Checkpointer>>,
    /// Held by the one purge there is at a time.
    pub(crate) purging: Mutex<()>,
    /// Packs below this one were there when the store was opened.
    pub(crate) first_pack: PackId,
}

impl Store {
    /// Opens the store under `data` (made if missing) and brings every index up to the log's end. Blocking; the
    /// caller holds the data directory's lock.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(data: &Path, settings: Settings, clock: Clock) -> Result<Self, StoreError> {
        Self::open_measured(data, settings, clock, &Metrics::default())
    }

    /// [`Self::open`], with the store's threads in the program's metrics.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open_measured(
        data: &Path,
        settings: Settings,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        Self::open_with(data, settings, clock, metrics, Vec::new())
    }

    /// [`Self::open_measured`], with tenants of the log beside the accounts. Notes of tenants that are not among
    /// them are kept as they are.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open_with(
        data: &Path,
        settings: Settings,
        clock: Clock,
        metrics: &Metrics,
        tenants: Vec<Arc<dyn Tenant>>,
    ) -> Result<Self, StoreError> {
        let (packs, entries) = PackStore::open(&data.join("packs"), settings.packs.clone())?;
        let directory = data.join("accounts");
        let known_path = data.join("accounts.list");
        let known = Known::read(&known_path)
            .map_err(|error| StoreError::io("cannot read the list of accounts", error))?;
        let mut known = match known {
            Some(known) => known,
            None => spoken_of(&packs)?,
        };
        let mut replayer = Replayer::new(&packs, &directory, &known, &tenants)?;
        for entry in entries {
            replayer.entry(&entry?)?;
        }
        replayer.apply()?;
        let (seen, behind) = (replayer.seen, replayer.behind);
        let tenants = Tenants::start(tenants, &packs)?;
        let newest = packs.packs()?.iter().map(|pack| pack.id.0).max();
        let first_pack = PackId(newest.map_or(0, |newest| newest.saturating_add(1)));
        let start = |name, threads| {
            Workers::start(name, WorkersSettings { threads, queue_max: WAITING_MAX }, metrics)
                .map_err(|error| StoreError::io("no threads for the store", error))
        };
        let workers = (start("store-read", READING_THREADS)?, start("store-write", WRITING_THREADS)?);
        let engine = Arc::new(Engine::new(packs, clock, settings, workers, Appliers::start()?, tenants));
        engine.begin_at(engine.packs.durable());
        for (account, removed) in seen {
            known.learn(account, removed);
            engine.mark_dirty(account);
        }
        for (account, behind) in behind {
            engine.mark_behind(account, behind);
        }
        remove_leftovers(&directory, &known)?;
        let accounts = Arc::new(Accounts::new(engine, directory, known));
        let checkpoints = Arc::new(Checkpoints::new(Arc::clone(&accounts), known_path));
        let checkpointer = Mutex::new(Some(Checkpointer::start(Arc::clone(&checkpoints))?));
        let purging = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { accounts, checkpoints, checkpointer, purging, first_pack }) })
    }

    /// Begins to take a message.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is short.
    pub fn intake(&self) -> Result<Intake, StoreError> {
        let engine = &self.shared.accounts.engine;
        let places = Arc::clone(&engine.large_intakes);
        Ok(Intake::new(engine.packs.new_blob()?, engine.writers.clone(), places))
    }

    /// Begins to take a message in front of which something will be put when it has come whole.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is short.
    pub fn holding(&self) -> Result<Holding, StoreError> {
        let engine = &self.shared.accounts.engine;
        let places = Arc::clone(&engine.large_intakes);
        Holding::new(engine.packs.clone(), engine.writers.clone(), places)
    }

    /// Opens an account; one seen for the first time gets INBOX and the mailboxes for special use.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] for a removed one; [`StoreError::Busy`], or what the disk says.
    pub async fn account(&self, account: AccountId) -> Result<Account, StoreError> {
        Ok(Account::new(self.shared.accounts.account(account).await?))
    }

    /// Removes an account's mail for good. Its id is never used again.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn remove_account(&self, account: AccountId) -> Result<(), StoreError> {
        let core = match self.shared.accounts.account(account).await {
            Err(StoreError::NoSuchAccount) => return Ok(()),
            core => core?,
        };
        let turn = core.turn().await?;
        let remove = |_: &mut crate::state::AccountState| {
            Ok(crate::open_account::Decided::new(vec![Record::AccountRemoved], ()))
        };
        // The turn is kept: nothing else begins on what is going.
        let ((), _turn) = core.change(turn, remove).await?;
        drop(core);
        let accounts = Arc::clone(&self.shared.accounts);
        let work = move || {
            accounts.known.lock().learn(account, IsRemoved::Yes);
            accounts.while_shut(&[account], &StoreError::NoSuchAccount, || {
                remove_directory(&replay::directory_of(&accounts.directory, account))
            })
        };
        self.shared.accounts.engine.writers.run(work).await?
    }

    /// Makes every index durable and lets go of the accounts. Handles that are still held answer
    /// [`StoreError::Busy`] to changes.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn close(self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let close = move || {
            drop(shared.checkpointer.lock().take());
            shared.accounts.engine.packs.close();
            let made = shared.checkpoints.make();
            shared.accounts.close_all();
            made
        };
        self.shared.accounts.engine.writers.run(close).await?
    }

    /// Makes a checkpoint now: everything in the log so far need not be replayed after a crash.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let checkpoints = Arc::clone(&self.shared.checkpoints);
        self.shared.accounts.engine.writers.run(move || checkpoints.make()).await?
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// The accounts that all packs speak of: the list of them is lost, or never was.
fn spoken_of(packs: &PackStore) -> Result<Known, StoreError> {
    let mut known = Known::default();
    if packs.mark() == LogPosition::START {
        return Ok(known);
    }
    let mut owners: BTreeMap<AccountId, IsRemoved> = BTreeMap::new();
    for pack in packs.packs()? {
        for entry in packs.entries(pack.id)?.flatten() {
            for note in entry.notes.iter().filter(|note| note.owner < TENANTS_FROM) {
                let records = crate::note::decode(&note.octets).unwrap_or_default();
                let removed = owners.entry(AccountId(note.owner)).or_insert(IsRemoved::No);
                if records.contains(&Record::AccountRemoved) {
                    *removed = IsRemoved::Yes;
                }
            }
        }
    }
    owners.into_iter().for_each(|(account, removed)| known.learn(account, removed));
    Ok(known)
}

/// What a crash left of removed accounts.
fn remove_leftovers(directory: &Path, known: &Known) -> Result<(), StoreError> {
    known.removed().try_for_each(|account| remove_directory(&replay::directory_of(directory, account)))
}

fn remove_directory(directory: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("cannot remove an account's directory", error))
        }
        _ => Ok(()),
    }
}
