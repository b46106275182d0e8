//! The directory's front: how it is opened, and every question the rest of the house has.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mail_types::{AccountId, Address, DomainName, ForwardPath, Secret};
use parking_lot::{Mutex, RwLock};
use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::workers::{Workers, WorkersSettings};
use tokio::sync::watch;

use crate::account::{Account, AccountState};
use crate::alias::{Alias, AliasSource};
use crate::database::DirectoryDatabase;
use crate::domain::Domain;
use crate::error::DirectoryError;
use crate::login::Authenticated;
use crate::password::{StoredHash, VerifiedPasswords, random};
use crate::resolve::{Resolution, Resolver};
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// Who is who on this server. Clones share one directory. Look-ups read memory; changes block on the disk, so async
/// callers make them on a blocking thread.
#[derive(Clone)]
pub struct Directory {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share. Locks are taken in the order of the fields.
pub(crate) struct Inner {
    pub(crate) clock: Clock,
    settings: RwLock<Arc<Settings>>,
    /// Held through each change, so that database and snapshot change in the same order.
    pub(crate) database: Mutex<DirectoryDatabase>,
    snapshot: RwLock<Arc<Snapshot>>,
    changes: watch::Sender<u64>,
    /// Verifies passwords: as many at once as memory allows.
    pub(crate) workers: Workers,
    pub(crate) verified: Mutex<VerifiedPasswords>,
    /// Held while a hash is verified whose memory another server chose, so that it does not add up.
    pub(crate) much_memory: Mutex<()>,
    /// What a user who does not exist is verified against, so that it takes as long.
    pub(crate) nobody_hash: StoredHash,
    pub(crate) nobody_secret: [u8; 32],
}

impl Directory {
    /// Opens `directory.db`, making it if it is not there. Only one process may have it open: who holds `DATA/lock`.
    ///
    /// # Errors
    /// Storage trouble, a newer schema, a damaged database, or no threads.
    pub fn open(
        path: &Path,
        settings: Settings,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, DirectoryError> {
        let mut database = DirectoryDatabase::open(path)?;
        let nobody_secret = database.nobody_secret()?;
        let snapshot = database.load()?;
        let nobody_hash = StoredHash::make(&Secret::new(random::<16>()?.to_vec()), settings.password_cost)?;
        let verified = VerifiedPasswords::new(random()?, settings.verified_lifetime, settings.verified_max);
        let inner = Inner {
            clock,
            database: Mutex::new(database),
            snapshot: RwLock::new(Arc::new(snapshot)),
            changes: watch::channel(0).0,
            workers: start_workers(&settings, metrics).map_err(DirectoryError::Threads)?,
            verified: Mutex::new(verified),
            much_memory: Mutex::new(()),
            nobody_hash,
            nobody_secret,
            settings: RwLock::new(Arc::new(settings)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes new settings. Those of the verification's threads, queue and memory hold at the next start.
    pub fn set_settings(&self, settings: Settings) {
        *self.inner.settings.write() = Arc::new(settings);
    }

    /// All domains by name.
    #[must_use]
    pub fn domains(&self) -> Vec<Domain> {
        self.snapshot().domains().collect()
    }

    /// Whether mail for this domain is ours.
    #[must_use]
    pub fn is_local_domain(&self, name: &DomainName) -> bool {
        self.snapshot().domain(name).is_some()
    }

    /// All accounts by domain and address.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.snapshot().accounts()
    }

    /// The account of this number.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.snapshot().account(id).cloned()
    }

    /// The account of exactly this address, in any case; aliases and sub-addresses are [`Self::resolve`]'s.
    #[must_use]
    pub fn account_by_address(&self, address: &Address) -> Option<Arc<Account>> {
        self.snapshot().entry_by_address(address).map(|entry| Arc::clone(&entry.account))
    }

    /// Whether an account or an alias has exactly this address, in any case: neither a sub-address nor a catch-all's counts.
    #[must_use]
    pub fn is_taken(&self, address: &Address) -> bool {
        let snapshot = self.snapshot();
        let alias = AliasSource::Address(address.to_canonical());
        snapshot.entry_by_address(address).is_some() || snapshot.alias(&alias).is_some()
    }

    /// All aliases by domain and source.
    #[must_use]
    pub fn aliases(&self) -> Vec<Alias> {
        self.snapshot().aliases()
    }

    /// Whose mail it is.
    #[must_use]
    pub fn resolve(&self, path: &ForwardPath) -> Resolution {
        let (snapshot, settings) = (self.snapshot(), self.settings());
        Resolver { snapshot: &snapshot, settings: &settings, pending: None }.resolve(path)
    }

    /// Whether the account may use this address as sender: its own, a sub-address of it, or one whose mail it gets,
    /// by aliases or a catch-all.
    #[must_use]
    pub fn may_send_as(&self, account: AccountId, address: &Address) -> bool {
        let (snapshot, settings) = (self.snapshot(), self.settings());
        Resolver { snapshot: &snapshot, settings: &settings, pending: None }.may_send_as(account, address)
    }

    /// Tells of every change; the value is the directory's generation. Doors ask [`Self::is_current`] then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Whether a session may go on: the account is still there and enabled, and its password is unchanged since.
    #[must_use]
    pub fn is_current(&self, session: &Authenticated) -> bool {
        self.snapshot().entry(session.account()).is_some_and(|entry| {
            entry.account.state == AccountState::Enabled
                && entry.credential.generation == session.generation()
        })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.inner.snapshot.read())
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.inner.settings.read())
    }

    /// Makes a committed change in memory. Who still reads the former snapshot keeps it; nobody does, mostly, and then
    /// nothing is copied.
    pub(crate) fn change_snapshot(&self, change: impl FnOnce(&mut Snapshot)) {
        change(Arc::make_mut(&mut *self.inner.snapshot.write()));
    }

    pub(crate) fn announce(&self) {
        self.inner.changes.send_modify(|generation| *generation += 1);
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Directory")
    }
}

fn start_workers(settings: &Settings, metrics: &Metrics) -> io::Result<Workers> {
    let workers = WorkersSettings {
        threads: settings.verification_threads,
        queue_max: settings.verification_queue_max,
    };
    Workers::start("passwords", workers, metrics)
}
