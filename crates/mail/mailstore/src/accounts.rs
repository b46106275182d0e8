//! Which accounts are open: opened when first asked for, closed when others need the room and nobody holds them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mail_types::{AccountId, MailboxName, SpecialUse};
use parking_lot::{Mutex, MutexGuard};
use storage::StorageError;
use tokio::sync::oneshot;

use crate::engine::{Behind, Done, Engine, Entry, Share, Then, Turn, log_index_failure, received};
use crate::error::StoreError;
use crate::index::{AccountIndex, SqliteIndex, is_damage};
use crate::known::Known;
use crate::note::{Record, Subscription};
use crate::open_account::OpenAccount;
use crate::replay::{self, IsRemoved};
use crate::state::AccountState;
use crate::tenant::TENANTS_FROM;

/// Locks under which accounts are opened, so that two callers open one account once.
const OPENING_LOCKS: u32 = 64;

/// How long a thread waits for such a lock: opening takes milliseconds, a new account a sync of the disk.
const OPENING_WAIT: Duration = Duration::from_secs(2);

/// How long between two looks whether a closing account's last changes have come through the log.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);

/// The accounts of a store.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) engine: Arc<Engine>,
    /// `DATA/accounts`.
    pub(crate) directory: PathBuf,
    open: Mutex<Open>,
    pub(crate) known: Mutex<Known>,
    opening: Vec<Mutex<()>>,
}

#[derive(Debug, Default)]
struct Open {
    accounts: HashMap<AccountId, Slot>,
    /// Counts uses, to tell which is longest ago.
    uses: u64,
    /// Accounts that are being worked on as files.
    barred: HashSet<AccountId>,
}

#[derive(Debug)]
struct Slot {
    core: Arc<OpenAccount>,
    used: u64,
}

impl Accounts {
    pub(crate) fn new(engine: Arc<Engine>, directory: PathBuf, known: Known) -> Self {
        Self {
            engine,
            directory,
            open: Mutex::default(),
            known: Mutex::new(known),
            opening: (0..OPENING_LOCKS).map(|_| Mutex::new(())).collect(),
        }
    }

    /// The account, opened if it is not.
    pub(crate) async fn account(self: &Arc<Self>, id: AccountId) -> Result<Arc<OpenAccount>, StoreError> {
        if let Some(core) = self.if_open(id) {
            return Ok(core);
        }
        // Its notes would be taken for a tenant's after a crash.
        if id.0 >= TENANTS_FROM {
            return Err(StoreError::NoSuchAccount);
        }
        let accounts = Arc::clone(self);
        self.engine.readers.run(move || accounts.open_here(id)).await?
    }

    /// The account if it is open and sound.
    fn if_open(&self, id: AccountId) -> Option<Arc<OpenAccount>> {
        let mut open = self.open.lock();
        open.uses += 1;
        let uses = open.uses;
        let slot = open.accounts.get_mut(&id)?;
        slot.used = uses;
        slot.core.check().is_ok().then(|| Arc::clone(&slot.core))
    }

    /// How many are open.
    pub(crate) fn open_count(&self) -> usize {
        self.open.lock().accounts.len()
    }

    /// Opens the account on this thread.
    pub(crate) fn open_here(self: &Arc<Self>, id: AccountId) -> Result<Arc<OpenAccount>, StoreError> {
        let _opening = self.opening_lock(id)?;
        if let Some(core) = self.if_open(id) {
            return Ok(core);
        }
        if self.open.lock().barred.contains(&id) {
            return Err(StoreError::Busy);
        }
        self.let_go(id)?;
        let status = self.known.lock().status(id);
        if status == Some(IsRemoved::Yes) {
            return Err(StoreError::NoSuchAccount);
        }
        let core = Arc::new(self.open_index(id, status)?);
        if core.state().is_new() {
            found(&core)?;
        }
        self.known.lock().learn(id, IsRemoved::No);
        let mut open = self.open.lock();
        let used = open.uses;
        open.accounts.insert(id, Slot { core: Arc::clone(&core), used });
        drop(open);
        self.close_idle();
        Ok(core)
    }

    /// Takes a failed account out, once nothing of it is under way: what comes later from the log would meet an
    /// index opened anew that gives the same numbers again.
    fn let_go(&self, id: AccountId) -> Result<(), StoreError> {
        let mut open = self.open.lock();
        if let Some(slot) = open.accounts.get(&id) {
            if slot.core.in_flight.load(Ordering::Acquire) > 0 {
                return Err(StoreError::Busy);
            }
            let gone = open.accounts.remove(&id);
            drop(open);
            drop(gone);
        }
        Ok(())
    }

    fn open_index(&self, id: AccountId, status: Option<IsRemoved>) -> Result<OpenAccount, StoreError> {
        let path = replay::index_path(&self.directory, id);
        let behind = self.engine.behind(id);
        let is_lost = status.is_some() && !path.exists();
        let (index, state) = match behind {
            Some(Behind { is_damaged: true, .. }) => self.rebuilt(id, &path)?,
            _ if is_lost => self.rebuilt(id, &path)?,
            _ => match self.opened(id, &path, behind) {
                Err(error) if is_damage(&error) => {
                    log_index_failure(id, &error);
                    self.rebuilt(id, &path)?
                }
                // A file without anything in it, of an account that has something.
                Ok((_, state)) if state.is_new() && status.is_some() => self.rebuilt(id, &path)?,
                opened => opened?,
            },
        };
        self.engine.caught_up(id);
        Ok(OpenAccount::new(id, Arc::clone(&self.engine), path, state, index))
    }

    fn opened(
        &self,
        id: AccountId,
        path: &Path,
        behind: Option<Behind>,
    ) -> Result<(SqliteIndex, AccountState), StorageError> {
        let mut index = SqliteIndex::open(path)?;
        if behind.is_some() {
            self.engine.mark_dirty(id);
            replay::catch_up(&self.engine.packs, id, &mut index)?;
        }
        let state = load(&index)?;
        Ok((index, state))
    }

    fn rebuilt(&self, id: AccountId, path: &Path) -> Result<(SqliteIndex, AccountState), StoreError> {
        replay::rebuild(&self.engine.packs, &self.directory, &[id])?;
        self.engine.mark_dirty(id);
        let index = SqliteIndex::open(path)?;
        let state = load(&index)?;
        Ok((index, state))
    }

    /// Closes accounts that nobody holds, those not used for longest first, until few enough are open.
    pub(crate) fn close_idle(&self) {
        let mut closed = Vec::new();
        let mut open = self.open.lock();
        while open.accounts.len() > self.engine.settings.accounts_open_max {
            let idle = open.accounts.iter().filter(|(_, slot)| Arc::strong_count(&slot.core) == 1);
            let Some(id) = idle.min_by_key(|(_, slot)| slot.used).map(|(id, _)| *id) else { break };
            closed.extend(open.accounts.remove(&id));
        }
        drop(open);
        // Files are closed after the lock is given back.
        drop(closed);
    }

    /// Closes an account: who still holds it is told why. Waits until nothing of it is under way.
    fn shut(&self, id: AccountId, reason: StoreError) {
        let slot = self.open.lock().accounts.remove(&id);
        if let Some(slot) = slot {
            // No change begins after this one's lock: what was submitted before is waited for.
            let state = slot.core.state();
            slot.core.fail(reason);
            drop(state);
            while slot.core.in_flight.load(Ordering::Acquire) > 0 {
                self.engine.appliers.wait();
                std::thread::sleep(DRAIN_PAUSE);
            }
        }
    }

    /// Runs `work` while these accounts are closed and cannot be opened. Blocking.
    pub(crate) fn while_shut<T>(
        &self,
        ids: &[AccountId],
        reason: &StoreError,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _barred = Barred { accounts: self, ids };
        for id in ids {
            // Whoever is just opening it comes to an end first.
            let _opening = self.opening_lock(*id)?;
            self.open.lock().barred.insert(*id);
        }
        ids.iter().for_each(|id| self.shut(*id, reason.clone()));
        work()
    }

    /// One of the locks, shared by many accounts: a long rebuild behind it must not keep reading threads waiting.
    fn opening_lock(&self, id: AccountId) -> Result<MutexGuard<'_, ()>, StoreError> {
        let lock = self.opening.get((id.0 % OPENING_LOCKS) as usize);
        lock.and_then(|lock| lock.try_lock_for(OPENING_WAIT)).ok_or(StoreError::Busy)
    }

    /// Lets every account go. Who still holds one keeps it.
    pub(crate) fn close_all(&self) {
        let closed = std::mem::take(&mut self.open.lock().accounts);
        drop(closed);
    }
}

/// Lets accounts be opened again.
struct Barred<'a> {
    accounts: &'a Accounts,
    ids: &'a [AccountId],
}

impl Drop for Barred<'_> {
    fn drop(&mut self) {
        let mut open = self.accounts.open.lock();
        open.barred.retain(|id| !self.ids.contains(id));
    }
}

fn load(index: &SqliteIndex) -> Result<AccountState, StorageError> {
    let (mailboxes, subscriptions) = (index.mailboxes()?, index.subscriptions()?);
    Ok(AccountState::new(
        index.account()?,
        mailboxes,
        subscriptions,
        (index.scripts()?, index.annotations()?),
    ))
}

/// A new account gets its INBOX and a mailbox for each special use, all subscribed (RFC 6154 §2).
fn found(core: &Arc<OpenAccount>) -> Result<(), StoreError> {
    let (sender, receiver) = oneshot::channel();
    {
        let mut state = core.state();
        let now = core.engine.clock.now();
        let mut records = Vec::new();
        let uses =
            SpecialUse::ALL.into_iter().map(|special_use| (special_use.default_name(), Some(special_use)));
        for (name, special_use) in [("INBOX", None)].into_iter().chain(uses) {
            let name =
                MailboxName::parse(name).map_err(|_| StoreError::NotAllowed("a default mailbox's name"))?;
            records.push(Record::Mailbox(state.next_mailbox(&name, special_use, now)?));
            let modseq = state.next_modseq()?;
            records.push(Record::Subscription(Subscription { name, modseq, is_subscribed: true }));
        }
        let share = Share { core: Arc::clone(core), records, reservations: Vec::new() };
        let entry = Entry { blob: None, digest: None, shares: vec![share], note: None };
        core.engine.submit(vec![entry], None, Then::Applied(Done { sender, turn: Turn::none() }));
    }
    received(receiver.blocking_recv()).map(drop)
}
