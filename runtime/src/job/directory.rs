//! All jobs of the node, readable from every core without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_skiplist::SkipMap;

use super::{JobEntry, JobState, JobTally};

/// Jobs by id, running ones by submission, ended ones by the time of their end.
///
/// A job is in the directory before its submission is acknowledged, and among the ended ones before
/// [`JobEntry::ended`] is raised.
#[derive(Debug, Default)]
pub(super) struct Directory {
    jobs: SkipMap<i64, Arc<JobEntry>>,
    running: SkipMap<u64, Arc<JobEntry>>,
    finished: SkipMap<(i64, u64), Arc<JobEntry>>,
    sequence: AtomicU64,
    version: AtomicU64,
    ended_by_state: [AtomicU64; JobState::ALL.len()],
    remembered_by_state: [AtomicU64; JobState::ALL.len()],
}

impl Directory {
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a job unless its id is taken; gives the job that has the id.
    pub fn insert(&self, job: Arc<JobEntry>) -> Result<(), Arc<JobEntry>> {
        let known = self.jobs.get_or_insert(job.id(), Arc::clone(&job));
        if !Arc::ptr_eq(known.value(), &job) {
            return Err(Arc::clone(known.value()));
        }
        self.running.insert(job.sequence(), job);
        self.changed();
        Ok(())
    }

    /// Takes a job back whose coordinator could not be started.
    pub fn remove(&self, job: &JobEntry) {
        self.running.remove(&job.sequence());
        self.jobs.remove(&job.id());
        self.changed();
    }

    pub fn get(&self, id: i64) -> Option<Arc<JobEntry>> {
        self.jobs.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    pub fn running(&self) -> Vec<Arc<JobEntry>> {
        self.running.iter().map(|entry| Arc::clone(entry.value())).filter(|job| !job.state().is_final()).collect()
    }

    pub fn running_len(&self) -> usize {
        self.running.len()
    }

    pub fn finished(&self, state: Option<JobState>) -> Vec<Arc<JobEntry>> {
        self.finished
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .filter(|job| state.is_none_or(|state| job.state() == state))
            .collect()
    }

    pub fn finished_len(&self) -> usize {
        self.finished.len()
    }

    /// Jobs that have ended in this state since the node was started.
    pub fn ended_count(&self, state: JobState) -> u64 {
        self.ended_by_state[state as usize].load(Ordering::Relaxed)
    }

    /// All jobs that are known, by state, and the slots of those that have some.
    pub fn tally(&self) -> JobTally {
        let mut tally = JobTally::default();
        for (count, remembered) in tally.by_state.iter_mut().zip(&self.remembered_by_state) {
            *count = remembered.load(Ordering::Relaxed);
        }
        for entry in self.running.iter() {
            let state = entry.value().state();
            if !state.is_final() {
                tally.by_state[state as usize] += 1;
            }
            if state.holds_slots() {
                tally.slots_assigned += u64::from(entry.value().slots());
            }
        }
        tally
    }

    /// Moves a job that is in its final state to the ended ones, and tells whoever waits.
    pub fn ended(&self, job: &Arc<JobEntry>) {
        self.ended_by_state[job.state() as usize].fetch_add(1, Ordering::Relaxed);
        self.remembered_by_state[job.state() as usize].fetch_add(1, Ordering::Relaxed);
        self.finished.insert((job.finished_at().unwrap_or_default(), job.sequence()), Arc::clone(job));
        self.running.remove(&job.sequence());
        self.changed();
        job.ended().set();
    }

    /// Forgets ended jobs beyond a number and an age.
    pub fn trim(&self, jobs_max: usize, older_than_ms: i64) {
        while let Some(oldest) = self.finished.front() {
            if self.finished.len() <= jobs_max && oldest.key().0 >= older_than_ms {
                return;
            }
            // Two coordinators may trim at once; each job is removed once.
            if oldest.remove() {
                self.remembered_by_state[oldest.value().state() as usize].fetch_sub(1, Ordering::Relaxed);
                self.jobs.remove(&oldest.value().id());
                self.changed();
            }
        }
    }

    pub fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
