//! Step 8 of a message's way, before anything is filed: what each account's Sieve scripts make of it, and what has to be
//! written and sent for that (RFC 5228, docs/internals/sieve.md).
//!
//! `scripts.rs` has the compiled scripts at hand, `run.rs` runs them on a thread of its own in the world of `world.rs`,
//! `plan.rs` makes of what they decide one durable write, `letters.rs` the mail that answers and tells, `memory.rs`
//! remembers who was answered. `event.rs` does the same for what clients do to messages that are there (RFC 6785).

mod act;
mod envelope;
mod event;
mod letters;
mod lists;
mod memory;
mod notice;
mod operator;
mod plan;
mod programs;
mod redirect;
mod refusal;
mod run;
mod scripts;
mod trial;
mod turns;
mod world;
mod written;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use platform::metrics::Metrics;
use platform::workers::{Workers, WorkersSettings};
use storage::StorageError;

use memory::Memory;
use scripts::Shelf;
use turns::Turns;

pub use lists::{list_annotation, list_entries, list_of_annotation};
pub(crate) use operator::Junk;
pub use operator::{FilterFileError, FilterFiles, FilterSettings, SEED_RULE};
pub(crate) use plan::{Answers, Known, RecipientPlan, is_needed, plan};
pub use programs::ProgramBounds;
pub use trial::{Trial, TrialAction, TrialMessage, TrialRooms};

/// Threads on which scripts run: they wait for the disk now and then, and for programs.
const THREADS: usize = 4;
/// Messages that may wait for one of them; beyond, their senders are told to come again.
const WAITING_MAX: usize = 512;
/// Messages of which is remembered what was done, while they wait for their answers: more than there are connections.
const REMEMBERED_MAX: usize = 16_384;

/// The room where scripts are at home. Clones share it.
#[derive(Clone)]
pub struct Filters(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: ArcSwap<FilterSettings>,
    pub(crate) shelf: Shelf,
    pub(crate) memory: Arc<Memory>,
    pub(crate) workers: Workers,
    /// Whose scripts they run.
    turns: Turns,
    /// Remembers what was done.
    scribe: Workers,
}

/// Why filters cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Their memory is not readable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gives no thread.
    #[error("no threads for filters")]
    Threads(#[source] std::io::Error),
}

impl Filters {
    /// Opens the memory at `path` (made if missing). Blocking.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn open(path: &Path, settings: FilterSettings, metrics: &Metrics) -> Result<Self, FilterError> {
        let workers = WorkersSettings { threads: THREADS, queue_max: WAITING_MAX };
        let workers = Workers::start("filters", workers, metrics).map_err(FilterError::Threads)?;
        let scribe = WorkersSettings { threads: 1, queue_max: REMEMBERED_MAX };
        let scribe = Workers::start("filters' memory", scribe, metrics).map_err(FilterError::Threads)?;
        Ok(Self(Arc::new(Inner {
            settings: ArcSwap::from_pointee(settings),
            shelf: Shelf::default(),
            memory: Arc::new(Memory::open(path)?),
            workers,
            turns: Turns::default(),
            scribe,
        })))
    }

    /// Takes new settings, for messages that come from now on.
    pub fn reconfigure(&self, settings: FilterSettings) {
        self.0.settings.store(Arc::new(settings));
        // What was compiled may be no script any more.
        self.0.shelf.clear();
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Arc<FilterSettings> {
        self.0.settings.load_full()
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filters")
    }
}
