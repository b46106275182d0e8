//! The bounded queue before the committer: entries wait here while the sync before them runs.

use super::record::{HEAD_OCTETS, NOTES_OCTETS_MAX, notes_octets};
use crate::entry::{Committed, NewEntry};
use crate::error::StorageError;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fmt;

/// Most entries that wait. Sixty times what a fast disk takes in one group.
pub(super) const WAITING_ENTRIES_MAX: usize = 16_384;

/// Most octets written and synced as one group: some 30 ms of an ordinary disk.
pub(super) const GROUP_OCTETS_MAX: u64 = 8 << 20;

/// Whom to tell, for one entry or for a batch.
pub(super) type Done = Box<dyn FnOnce(Result<Vec<Committed>, StorageError>) + Send>;

/// Which entries with octets may use the last free space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// New mail: leaves free what the settings say.
    Ordinary,
    /// A purge copies in order to free more.
    Freeing,
}

/// Entries that become durable all together.
pub(super) struct Job {
    pub(super) entries: Vec<NewEntry>,
    pub(super) room: Room,
    pub(super) done: Done,
}

impl Job {
    /// Whether it brings octets of mail, not notes alone.
    pub(super) fn has_blob(&self) -> bool {
        self.entries.iter().any(|entry| entry.blob.is_some())
    }

    pub(super) fn octets(&self) -> u64 {
        self.entries.iter().map(record_octets_estimate).sum()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("entries", &self.entries.len())
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// What an entry weighs in the queue: what it will take in the log.
pub(super) fn record_octets_estimate(entry: &NewEntry) -> u64 {
    let notes = entry.notes.iter().map(|note| note.octets.len() as u64 + 8).sum::<u64>();
    HEAD_OCTETS as u64 + notes + entry.blob.as_ref().map_or(0, |blob| blob.log_octets())
}

/// First in, first out; bounded by entries and by octets.
#[derive(Debug)]
pub(super) struct Queue {
    octets_max: u64,
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    entries: usize,
    octets: u64,
    is_closed: bool,
}

#[derive(Clone, Copy)]
enum WhenFull {
    Refuse,
    Wait,
}

impl State {
    /// An empty queue takes any one job, so that a large batch is not refused for ever.
    fn has_room(&self, job: &Job, octets: u64, octets_max: u64) -> bool {
        let fits = self.octets.saturating_add(octets) <= octets_max
            && self.entries + job.entries.len() <= WAITING_ENTRIES_MAX;
        fits || self.jobs.is_empty()
    }
}

impl Queue {
    pub(super) fn new(octets_max: u64) -> Queue {
        Queue { octets_max, state: Mutex::default(), filled: Condvar::new(), drained: Condvar::new() }
    }

    /// Queues a job, or answers it at once with the reason why not.
    pub(super) fn push(&self, job: Job) {
        if let Err((job, error)) = self.try_push(job, WhenFull::Refuse) {
            (job.done)(Err(error));
        }
    }

    /// Queues a job, waiting while the queue is full: for work in the background.
    pub(super) fn push_patiently(&self, job: Job) {
        if let Err((job, error)) = self.try_push(job, WhenFull::Wait) {
            (job.done)(Err(error));
        }
    }

    fn try_push(&self, job: Job, when_full: WhenFull) -> Result<(), (Job, StorageError)> {
        if let Some(octets) = job.entries.iter().find_map(notes_too_long) {
            let error = StorageError::TooLarge { what: "notes", octets, octets_max: NOTES_OCTETS_MAX.into() };
            return Err((job, error));
        }
        let octets = job.octets();
        let mut state = self.state.lock();
        while !state.is_closed && !state.has_room(&job, octets, self.octets_max) {
            match when_full {
                WhenFull::Refuse => return Err((job, StorageError::Busy)),
                WhenFull::Wait => self.drained.wait(&mut state),
            }
        }
        if state.is_closed {
            return Err((job, StorageError::Closed));
        }
        state.octets += octets;
        state.entries += job.entries.len();
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for jobs and takes a group of them in order. `None` once the queue is closed and empty.
    pub(super) fn take_group(&self) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.is_closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
        let mut group = Vec::new();
        let mut group_octets = 0;
        while let Some(octets) = state.jobs.front().map(Job::octets) {
            if !group.is_empty() && group_octets + octets > GROUP_OCTETS_MAX {
                break;
            }
            group_octets += octets;
            state.octets = state.octets.saturating_sub(octets);
            if let Some(job) = state.jobs.pop_front() {
                state.entries = state.entries.saturating_sub(job.entries.len());
                group.push(job);
            }
        }
        drop(state);
        self.drained.notify_all();
        Some(group)
    }

    /// Takes no more; what waits is still written.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Entries and octets that wait.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.entries as u64, state.octets)
    }
}

fn notes_too_long(entry: &NewEntry) -> Option<u64> {
    match notes_octets(&entry.notes) {
        Some(_) => None,
        None => Some(entry.notes.iter().map(|note| note.octets.len() as u64).sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Note;
    use std::sync::mpsc;

    fn job(octets: usize, answers: &mpsc::Sender<&'static str>) -> Job {
        let answers = answers.clone();
        Job {
            entries: vec![NewEntry { blob: None, notes: vec![Note { owner: 1, octets: vec![0; octets] }] }],
            room: Room::Ordinary,
            done: Box::new(move |result| {
                let answer = match result {
                    Ok(_) => "ok",
                    Err(StorageError::Busy) => "busy",
                    Err(StorageError::Closed) => "closed",
                    Err(StorageError::TooLarge { .. }) => "too large",
                    Err(_) => "other",
                };
                answers.send(answer).unwrap();
            }),
        }
    }

    #[test]
    fn the_octets_that_wait_are_bounded() {
        let (answers, answered) = mpsc::channel();
        let queue = Queue::new(3 * 128 + 3);
        for _ in 0..3 {
            queue.push(job(1, &answers));
        }
        assert_eq!(queue.waiting(), (3, 3 * 129));
        assert!(answered.try_recv().is_err());
        queue.push(job(0, &answers));
        assert_eq!(answered.try_recv(), Ok("busy"));
        assert_eq!(queue.take_group().unwrap().len(), 3);
        assert_eq!(queue.waiting(), (0, 0));
        queue.push(job(1000, &answers));
        assert_eq!(queue.waiting().0, 1, "an empty queue takes any one job");
    }

    #[test]
    fn the_entries_that_wait_are_bounded() {
        let (answers, answered) = mpsc::channel();
        let queue = Queue::new(u64::MAX);
        for _ in 0..WAITING_ENTRIES_MAX {
            queue.push(job(0, &answers));
        }
        assert!(answered.try_recv().is_err());
        queue.push(job(0, &answers));
        assert_eq!(answered.try_recv(), Ok("busy"));
    }

    #[test]
    fn groups_are_bounded_and_never_empty() {
        let (answers, _answered) = mpsc::channel();
        let queue = Queue::new(u64::MAX);
        let half = (GROUP_OCTETS_MAX / 2) as usize - 128;
        for octets in [half, half, half, half + 1, 2 * GROUP_OCTETS_MAX as usize - 1000] {
            queue.push(job(octets, &answers));
        }
        let sizes: Vec<_> = (0..4).map(|_| queue.take_group().unwrap().len()).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has() {
        let (answers, answered) = mpsc::channel();
        let queue = Queue::new(u64::MAX);
        queue.push(job(1, &answers));
        queue.close();
        queue.push(job(1, &answers));
        assert_eq!(answered.try_recv(), Ok("closed"));
        assert_eq!(queue.take_group().unwrap().len(), 1);
        assert!(queue.take_group().is_none());
    }

    #[test]
    fn notes_beyond_their_bound_are_refused_at_once() {
        let (answers, answered) = mpsc::channel();
        let queue = Queue::new(u64::MAX);
        queue.push(job(NOTES_OCTETS_MAX as usize - 8, &answers));
        assert!(answered.try_recv().is_err());
        queue.push(job(NOTES_OCTETS_MAX as usize - 7, &answers));
        assert_eq!(answered.try_recv(), Ok("too large"));
    }
}
