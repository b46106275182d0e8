//! The checkpointer: makes indexes durable now and then and moves the log's mark, so that little has to be replayed
//! after a crash.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use mail_types::AccountId;
use parking_lot::Mutex;
use storage::{StorageError, WalCheckpoint};

use crate::accounts::Accounts;
use crate::engine::log_index_failure;
use crate::error::StoreError;
use crate::index::SqliteIndex;
use crate::replay::index_path;

/// How often the log's growth is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often an index is tried whose readers hold old pages back, before the mark stays where it is for now.
const ATTEMPTS_MAX: usize = 3;

/// Makes checkpoints in the background until dropped.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(checkpoints: Arc<Checkpoints>) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || run(&checkpoints, &stopped))
            .map_err(|error| StoreError::io("no thread for the checkpointer", error))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the checkpointer panicked");
        }
    }
}

fn run(checkpoints: &Checkpoints, stopped: &mpsc::Receiver<()>) {
    let settings = &checkpoints.accounts.engine.settings;
    let clock = checkpoints.accounts.engine.clock.clone();
    let (mut octets, mut time) = (0, clock.monotonic());
    while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        checkpoints.accounts.close_idle();
        let written = checkpoints.accounts.engine.packs.statistics().octets;
        let is_due = written.saturating_sub(octets) >= settings.checkpoint_octets
            || written > octets && clock.monotonic().since(time) >= settings.checkpoint_interval;
        if is_due {
            if let Err(error) = checkpoints.make() {
                tracing::warn!(%error, "a checkpoint has to wait");
            }
            (octets, time) = (written, clock.monotonic());
        }
    }
}

/// Makes checkpoints, one at a time.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    accounts: Arc<Accounts>,
    known_path: PathBuf,
    turn: Mutex<()>,
}

impl Checkpoints {
    pub(crate) fn new(accounts: Arc<Accounts>, known_path: PathBuf) -> Self {
        Self { accounts, known_path, turn: Mutex::new(()) }
    }

    /// Makes everything durable that is applied, then moves the mark. Blocking.
    ///
    /// The order is the point: first it is noted how far the log was handed to the appliers, then waited until they
    /// have applied that, then every index that changed is synced, then the mark moves, as far as noted.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock();
        let engine = &self.accounts.engine;
        self.help_behind();
        let Some(mut upto) = engine.dispatched() else { return Ok(()) };
        engine.wait_applied();
        let mut failed = None;
        for account in engine.take_dirty() {
            if let Err(error) = self.sync(account) {
                engine.mark_dirty(account);
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        engine.tenants.checkpoint(upto)?;
        // An index that could not follow needs the log from where it stopped.
        if let Some(behind) = engine.furthest_behind() {
            upto = upto.min(behind);
        }
        let written = self.accounts.known.lock().write(&self.known_path);
        written.map_err(|error| StoreError::io("cannot write the list of accounts", error))?;
        Ok(engine.packs.checkpoint(upto)?)
    }

    /// Opens accounts whose index could not follow, which lets it catch up: else the mark would wait for their owners.
    fn help_behind(&self) {
        for account in self.accounts.engine.accounts_behind() {
            if let Err(error) = self.accounts.open_here(account) {
                tracing::warn!(%account, %error, "an index that fell behind cannot catch up yet");
            }
        }
    }

    fn sync(&self, account: AccountId) -> Result<(), StoreError> {
        let path = index_path(&self.accounts.directory, account);
        if !path.exists() {
            // Removed with its account, or lost and to be made anew when it is opened.
            return Ok(());
        }
        for _ in 0..ATTEMPTS_MAX {
            match checkpoint_file(&path) {
                Ok(WalCheckpoint::Complete) => return Ok(()),
                Ok(WalCheckpoint::Partial) => {}
                Err(error) => {
                    log_index_failure(account, &error);
                    return Err(error.into());
                }
            }
        }
        Err(StoreError::Busy)
    }
}

/// Through a connection of its own: the account may be closed, and if it is open its writer goes on.
fn checkpoint_file(path: &std::path::Path) -> Result<WalCheckpoint, StorageError> {
    SqliteIndex::open(path)?.checkpoint()
}
