//! All jobs of the node, readable from every core without a lock.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_skiplist::SkipMap;

use super::timelines::Flows;
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
    /// Changes with every job that comes to or leaves `running`.
    membership: AtomicU64,
    /// `running` as it was last walked through: a thousand jobs in a row are read many times faster than in a map.
    walked: ArcSwap<Walked>,
    /// What ended jobs have read and written of which no task was looked at for timelines.
    unseen: Flows,
    /// What [`Directory::tally`] last gave, and for which version.
    tallied: ArcSwap<(u64, JobTally)>,
}

/// The running jobs at some time, in the order of their submission.
#[derive(Debug, Default)]
pub(super) struct Walked {
    membership: u64,
    pub(super) jobs: Vec<Arc<JobEntry>>,
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
        self.membership_changed();
        Ok(())
    }

    /// Adds a job that goes on from where one of the same id has ended, which leaves the history. Gives the job that has
    /// the id when that one runs.
    pub fn replace(&self, job: Arc<JobEntry>) -> Result<(), Arc<JobEntry>> {
        let before = self.get(job.id()).filter(|before| before.state().is_final());
        let known = self.jobs.compare_insert(job.id(), Arc::clone(&job), |known| known.state().is_final());
        if !Arc::ptr_eq(known.value(), &job) {
            return Err(Arc::clone(known.value()));
        }
        if let Some(before) = before {
            self.forget(&before);
        }
        self.running.insert(job.sequence(), job);
        self.membership_changed();
        Ok(())
    }

    /// Takes a job back whose coordinator could not be started.
    pub fn remove(&self, job: &JobEntry) {
        self.running.remove(&job.sequence());
        self.jobs.remove(&job.id());
        self.membership_changed();
    }

    /// Takes an ended job out of the history; false when somebody else has done it.
    fn forget(&self, job: &JobEntry) -> bool {
        let forgotten = self.finished.remove(&(job.finished_at().unwrap_or_default(), job.sequence())).is_some();
        if forgotten {
            self.remembered_by_state[job.state() as usize].fetch_sub(1, Ordering::Relaxed);
        }
        forgotten
    }

    pub fn get(&self, id: i64) -> Option<Arc<JobEntry>> {
        self.jobs.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    pub fn running(&self) -> Vec<Arc<JobEntry>> {
        self.walk().jobs.iter().filter(|job| !job.state().is_final()).cloned().collect()
    }

    /// The running jobs, some of which may just have ended. Kept until one comes or goes.
    pub(super) fn walk(&self) -> Arc<Walked> {
        // Before the walk: what comes or goes meanwhile has the next caller walk again.
        let membership = self.membership.load(Ordering::Acquire);
        let known = self.walked.load();
        if known.membership == membership {
            return Arc::clone(&known);
        }
        let jobs = self.running.iter().map(|entry| Arc::clone(entry.value())).collect();
        let walked = Arc::new(Walked { membership, jobs });
        self.walked.store(Arc::clone(&walked));
        walked
    }

    /// The running jobs that were submitted last, the newest first. Some may just have ended.
    pub fn newest_running(&self, jobs_max: usize) -> Vec<Arc<JobEntry>> {
        self.walk().jobs.iter().rev().take(jobs_max).cloned().collect()
    }

    /// Jobs that ended before one that has ended, or the last ones of all: the one that ended last first.
    pub fn ended_before(&self, job: Option<&JobEntry>, jobs_max: usize) -> Vec<Arc<JobEntry>> {
        let end = match job {
            Some(job) => Bound::Excluded((job.finished_at().unwrap_or_default(), job.sequence())),
            None => Bound::Unbounded,
        };
        let before = self.finished.range((Bound::Unbounded, end)).rev();
        before.filter(|entry| has_ended(entry.value())).take(jobs_max).map(|entry| Arc::clone(entry.value())).collect()
    }

    pub fn running_len(&self) -> usize {
        self.running.len()
    }

    pub fn finished(&self, state: Option<JobState>) -> Vec<Arc<JobEntry>> {
        self.finished
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .filter(|job| has_ended(job) && state.is_none_or(|state| job.state() == state))
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
        let version = self.version();
        let known = self.tallied.load();
        if known.0 == version && version > 0 {
            return known.1;
        }
        let tally = self.count();
        self.tallied.store(Arc::new((version, tally)));
        tally
    }

    fn count(&self) -> JobTally {
        let mut tally = JobTally::default();
        for (count, remembered) in tally.by_state.iter_mut().zip(&self.remembered_by_state) {
            *count = remembered.load(Ordering::Relaxed);
        }
        for job in &self.walk().jobs {
            let state = job.state();
            if !state.is_final() {
                tally.by_state[state as usize] += 1;
            }
            if state.holds_slots() {
                tally.slots_assigned += u64::from(job.slots());
            }
        }
        tally
    }

    /// What ended jobs have read and written of which no task was looked at for timelines.
    pub fn unseen(&self) -> &Flows {
        &self.unseen
    }

    /// Puts a job into its final state and among the ended ones, and tells whoever waits. It stands in their list before it
    /// has that state and is passed over there until then: whoever has seen the state finds the job.
    pub fn end(&self, job: &Arc<JobEntry>, state: JobState, error: Option<String>, finished_ms: i64) {
        job.finish(error, finished_ms);
        if job.timelines().claim_ended() {
            self.unseen.add(&job.metrics());
        }
        self.finished.insert((finished_ms, job.sequence()), Arc::clone(job));
        self.ended_by_state[state as usize].fetch_add(1, Ordering::Relaxed);
        self.remembered_by_state[state as usize].fetch_add(1, Ordering::Relaxed);
        // What was counted before is of no use to who sees the state.
        self.changed();
        job.enter(state);
        self.running.remove(&job.sequence());
        self.membership_changed();
        job.ended().set();
    }

    /// Forgets ended jobs beyond a number and an age.
    pub fn trim(&self, jobs_max: usize, older_than_ms: i64) {
        while let Some(oldest) = self.finished.front() {
            let job = oldest.value();
            // One that has not ended yet is forgotten by its own end.
            if !has_ended(job) || (self.finished.len() <= jobs_max && oldest.key().0 >= older_than_ms) {
                return;
            }
            // Two coordinators may trim at once; each job is removed once. One that goes on has its id again.
            if self.forget(job) && self.get(job.id()).is_some_and(|known| Arc::ptr_eq(&known, job)) {
                self.jobs.remove(&job.id());
            }
            self.changed();
        }
    }

    fn membership_changed(&self) {
        self.membership.fetch_add(1, Ordering::AcqRel);
        if self.running.is_empty() {
            // Otherwise the last ones that ran would be kept until somebody asks.
            self.walked.store(Arc::default());
        }
        self.changed();
    }

    /// To be called after every change of a job's state: lists and sums are kept until then.
    pub fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// Whether a job among the ended ones has its final state by now.
fn has_ended(job: &JobEntry) -> bool {
    job.state().is_final()
}

#[cfg(test)]
mod tests {
    use super::super::entry::NewJob;
    use super::*;
    use crate::plan::JobGraph;
    use crate::shard::ShardId;

    fn job(directory: &Directory, id: i64) -> Arc<JobEntry> {
        let job = Arc::new(JobEntry::new(NewJob {
            id,
            name: "job".into(),
            owner: ShardId(0),
            created_ms: 0,
            sequence: directory.next_sequence(),
            env_options: Vec::new(),
            graph: Arc::new(JobGraph { vertices: Vec::new(), edges: Vec::new() }),
            slots: 1,
            tag_filter: Vec::new(),
            start_with_savepoint: false,
        }));
        directory.insert(Arc::clone(&job)).expect("a new id");
        job
    }

    fn end(directory: &Directory, job: &Arc<JobEntry>, finished_ms: i64) {
        directory.end(job, JobState::Finished, None, finished_ms);
    }

    fn ids(jobs: &[Arc<JobEntry>]) -> Vec<i64> {
        jobs.iter().map(|job| job.id()).collect()
    }

    #[test]
    fn ended_jobs_are_forgotten_beyond_a_number_and_an_age() {
        let directory = Directory::default();
        let jobs = [1, 2, 3, 4, 5].map(|id| job(&directory, id));
        jobs.iter().zip(1..).for_each(|(job, at)| end(&directory, job, at * 100));
        directory.trim(3, 0);
        assert_eq!(ids(&directory.finished(None)), [3, 4, 5]);
        directory.trim(3, 401);
        assert_eq!(ids(&directory.finished(None)), [5]);
        assert!(directory.get(4).is_none() && directory.get(5).is_some());
        assert_eq!((directory.tally().in_state(JobState::Finished), directory.ended_count(JobState::Finished)), (1, 5));
        directory.trim(0, 0);
        assert_eq!((directory.finished_len(), directory.tally()), (0, JobTally::default()));
    }

    #[test]
    fn a_job_that_came_or_went_is_seen_at_once_although_lists_are_kept() {
        let directory = Directory::default();
        assert!(directory.running().is_empty());
        let jobs = [1, 2, 3].map(|id| job(&directory, id));
        assert_eq!(ids(&directory.running()), [1, 2, 3]);
        end(&directory, &jobs[1], 100);
        assert_eq!(ids(&directory.running()), [1, 3]);
        job(&directory, 4);
        assert_eq!(ids(&directory.running()), [1, 3, 4]);
        // A job in its final state is no running one, although it has not moved yet.
        jobs[0].finish(None, 200);
        jobs[0].enter(JobState::Failed);
        assert_eq!(ids(&directory.running()), [3, 4]);
    }

    #[test]
    fn whoever_sees_a_final_state_finds_the_job_among_the_ended_ones() {
        let directory = Directory::default();
        for round in 0..200 {
            let job = job(&directory, round);
            std::thread::scope(|scope| {
                scope.spawn(|| end(&directory, &job, round));
                while !job.state().is_final() {
                    std::hint::spin_loop();
                }
                assert!(ids(&directory.finished(Some(JobState::Finished))).contains(&round));
                let first = directory.ended_before(None, 1);
                assert_eq!(ids(&first), [round]);
                assert!(!ids(&directory.running()).contains(&round));
            });
        }
    }

    #[test]
    fn the_newest_jobs_come_first_page_by_page() {
        let directory = Directory::default();
        let jobs = [1, 2, 3, 4, 5, 6, 7].map(|id| job(&directory, id));
        assert_eq!(ids(&directory.newest_running(3)), [7, 6, 5]);
        // Two end within one millisecond.
        for (job, at) in [(3, 100), (1, 200), (2, 200), (0, 300)] {
            end(&directory, &jobs[job], at);
        }
        assert_eq!(ids(&directory.newest_running(9)), [7, 6, 5]);
        let first = directory.ended_before(None, 2);
        assert_eq!(ids(&first), [1, 3]);
        let second = directory.ended_before(first.last().map(|job| &**job), 9);
        assert_eq!(ids(&second), [2, 4]);
        assert!(directory.ended_before(second.last().map(|job| &**job), 9).is_empty());
    }

    #[test]
    fn the_last_running_job_is_not_kept_by_the_list_that_showed_it() {
        let directory = Directory::default();
        let only = job(&directory, 1);
        assert_eq!(directory.running().len(), 1);
        end(&directory, &only, 100);
        directory.trim(0, 0);
        assert!(directory.walked.load().jobs.is_empty());
    }

    #[test]
    fn jobs_are_counted_anew_after_each_change_of_a_state() {
        let directory = Directory::default();
        let running = job(&directory, 1);
        assert_eq!(directory.tally().in_state(JobState::Created), 1);
        running.enter(JobState::Running);
        directory.changed();
        assert_eq!((directory.tally().in_state(JobState::Running), directory.tally().unfinished()), (1, 1));
        end(&directory, &running, 100);
        assert_eq!((directory.tally().in_state(JobState::Finished), directory.tally().unfinished()), (1, 0));
    }
}
