//! The committer: one thread that writes whatever waits as one group, syncs once, and tells everyone in log
//! order. While a sync runs, the next group gathers; so a lone writer waits for one sync and no timer, and
//! many share it.

use super::Shared;
use super::file_header::FileHeader;
use super::log_file::{Ahead, LogFile, WriteFault};
use super::queue::{Job, Room};
use super::record::{self, Batch, Codec, Place, RecordHead};
use super::scan::{encode_elsewhere, section_checks};
use super::{PackKind, PackStatistics};
use crate::blob_writer::Content;
use crate::entry::{Committed, NewEntry};
use crate::error::StorageError;
use crate::position::{BlobRef, LogPosition, PackId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What the committer's buffers keep between groups; larger ones are given back.
const BUFFER_OCTETS_KEPT: usize = 2 << 20;

/// The committer's own state.
#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    /// The pack being written; founded when it is first needed.
    log: Option<LogFile>,
    /// The log pack before it, and how many of its octets count.
    previous: (PackId, u64),
    group: Vec<u8>,
    notes: Vec<u8>,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, log: Option<LogFile>, previous: (PackId, u64)) -> Committer {
        Committer { shared, log, previous, group: Vec::new(), notes: Vec::new() }
    }

    /// Writes groups until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(jobs) = self.shared.queue.take_group() {
            self.commit_group(jobs);
        }
        if let Some(log) = &mut self.log
            && let Err(error) = log.cut_back()
        {
            tracing::warn!(%error, "cannot cut the zeros off the last pack; the next start will");
        }
    }

    fn commit_group(&mut self, jobs: Vec<Job>) {
        let jobs = self.refuse_if_short(jobs);
        match self.write(&jobs) {
            Ok(committed) => {
                self.succeed(jobs, committed);
                self.shared.space.restore_reserve();
            }
            Err(StorageError::Full) => self.commit_notes_alone(jobs),
            Err(error) => self.fail(jobs, &error),
        }
    }

    /// Refuses new mail while the disk is short; what takes no room or frees some goes on.
    fn refuse_if_short(&self, jobs: Vec<Job>) -> Vec<Job> {
        let is_new_mail = |job: &Job| job.room == Room::Ordinary && job.has_blob();
        if !jobs.iter().any(is_new_mail) || self.shared.space.check().is_ok() {
            return jobs;
        }
        let (refused, admitted) = jobs.into_iter().partition(is_new_mail);
        refuse(refused, &StorageError::Full);
        admitted
    }

    /// The disk is full: give up the reserve and write what has no octets of mail, so that deleting works.
    fn commit_notes_alone(&mut self, jobs: Vec<Job>) {
        let (refused, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::has_blob);
        self.shared.count(|statistics| statistics.failures += 1);
        refuse(refused, &StorageError::Full);
        if jobs.is_empty() {
            return;
        }
        self.shared.space.release_reserve();
        match self.write(&jobs) {
            Ok(committed) => self.succeed(jobs, committed),
            Err(error) => self.fail(jobs, &error),
        }
    }

    /// Makes the jobs durable, in order. Nothing of them counts after an error.
    fn write(&mut self, jobs: &[Job]) -> Result<Vec<Vec<Committed>>, StorageError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        self.seal_if_full(jobs);
        let ahead = if self.shared.space.is_plenty() { Ahead::Allowed } else { Ahead::No };
        let Committer { shared, log, previous, group, notes } = self;
        let log = match log {
            Some(log) => log,
            None => log.insert(found_pack(shared, *previous)?),
        };
        group.clear();
        let mut encoder = Encoder { shared, pack: log.pack, group_start: log.durable, group, notes };
        let committed = jobs.iter().map(|job| encoder.encode_job(job)).collect();
        let written = log.commit(group, ahead);
        group.shrink_to(BUFFER_OCTETS_KEPT);
        notes.shrink_to(BUFFER_OCTETS_KEPT);
        let path = log.path.clone();
        match written {
            Ok(()) => Ok(committed),
            Err(WriteFault::CutBack(error)) => Err(StorageError::io("write", &path, error)),
            Err(WriteFault::Unknown(error)) => {
                tracing::error!(path = %path.display(), %error, "a pack cannot be written on; a new one is begun");
                self.seal();
                Err(StorageError::io("sync", &path, error))
            }
        }
    }

    fn seal_if_full(&mut self, jobs: &[Job]) {
        let octets = jobs.iter().map(Job::octets).sum::<u64>();
        let is_full = self.log.as_ref().is_some_and(|log| {
            log.durable + octets > self.shared.settings.pack_octets && log.durable > super::FIRST_RECORD_AT
        });
        if is_full {
            self.seal();
        }
    }

    /// Leaves the present pack. Its exact length goes into the next one's header.
    fn seal(&mut self) {
        if let Some(mut log) = self.log.take() {
            if let Err(error) = log.cut_back() {
                tracing::warn!(path = %log.path.display(), %error, "cannot cut a sealed pack to its length");
            }
            self.previous = (log.pack, log.durable);
        }
    }

    fn succeed(&mut self, jobs: Vec<Job>, committed: Vec<Vec<Committed>>) {
        let Some(log) = &self.log else { return };
        if jobs.is_empty() {
            return;
        }
        self.shared.set_durable(LogPosition { pack: log.pack, offset: log.durable });
        let (entries, octets) = (jobs.iter().map(|job| job.entries.len()).sum::<usize>(), self.group.len());
        self.shared.count(|statistics| {
            statistics.groups += 1;
            statistics.entries += entries as u64;
            statistics.octets += octets as u64;
        });
        for (mut job, committed) in jobs.into_iter().zip(committed) {
            keep_blobs(&mut job);
            answer(job, Ok(committed));
        }
    }

    fn fail(&self, mut jobs: Vec<Job>, error: &StorageError) {
        self.shared.count(|statistics: &mut PackStatistics| statistics.failures += 1);
        // Should the failed group show up again after a crash, its blobs must be there.
        jobs.iter_mut().for_each(keep_blobs);
        refuse(jobs, error);
    }
}

fn found_pack(shared: &Shared, previous: (PackId, u64)) -> Result<LogFile, StorageError> {
    let pack = shared.spend_pack_number()?;
    let (previous, previous_octets) = previous;
    let header = FileHeader { kind: PackKind::Log, pack, previous, previous_octets, key: shared.key };
    let log = LogFile::create(&shared.files, &header)?;
    shared.begin_pack(pack);
    Ok(log)
}

fn keep_blobs(job: &mut Job) {
    job.entries.iter_mut().filter_map(|entry| entry.blob.as_mut()).for_each(|blob| blob.keep());
}

fn refuse(jobs: Vec<Job>, error: &StorageError) {
    for job in jobs {
        answer(job, Err(error.clone()));
    }
}

/// Tells the waiter. One that panics must not take the committer along.
fn answer(job: Job, result: Result<Vec<Committed>, StorageError>) {
    let Job { entries, done, .. } = job;
    drop(entries);
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a completion panicked on the committer thread");
    }
}

/// Writes jobs as records into the group's buffer.
struct Encoder<'a> {
    shared: &'a Shared,
    pack: PackId,
    group_start: u64,
    group: &'a mut Vec<u8>,
    notes: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn encode_job(&mut self, job: &Job) -> Vec<Committed> {
        let last = job.entries.len().saturating_sub(1);
        let batch_at = |number| if number == last { Batch::Ends } else { Batch::GoesOn };
        job.entries.iter().enumerate().map(|(number, entry)| self.encode(entry, batch_at(number))).collect()
    }

    fn encode(&mut self, entry: &NewEntry, batch: Batch) -> Committed {
        let group_distance = self.group.len();
        let offset = self.group_start + group_distance as u64;
        let here = BlobRef { pack: self.pack, offset };
        self.notes.clear();
        record::encode_notes(&entry.notes, self.notes);

        let elsewhere;
        let (codec, body, blob) = match entry.blob.as_ref().map(|blob| &blob.content) {
            None => (Codec::None, &[] as &[u8], None),
            Some(Content::Inline { codec, stored }) => (*codec, stored.as_slice(), Some(here)),
            Some(Content::Own { at, .. }) => {
                elsewhere = encode_elsewhere(*at);
                (Codec::Elsewhere, elsewhere.as_slice(), Some(*at))
            }
        };
        let place = Place { key: &self.shared.key, pack: self.pack, offset };
        let (notes_check, body_check) = section_checks(place, self.notes, body);
        let head = RecordHead {
            codec,
            batch,
            original_octets: entry.blob.as_ref().map_or(0, |blob| blob.octets()),
            stored_octets: body.len() as u64,
            // Bounded when the entry was queued, as is the group.
            notes_octets: self.notes.len() as u32,
            frame_octets: 0,
            group_distance: group_distance as u32,
            hash: entry.blob.as_ref().map_or([0; 32], |blob| *blob.hash().as_bytes()),
            notes_check,
            body_check,
        };
        self.group.extend_from_slice(&head.encode(place));
        self.group.extend_from_slice(self.notes);
        self.group.extend_from_slice(body);
        let end = self.group_start + self.group.len() as u64;
        Committed { position: LogPosition { pack: self.pack, offset: end }, blob }
    }
}
