//! Times of one job: those of tasks that run, and of tasks that have ended folded together.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::metrics::{Folded, Times};
use crate::task::{TaskTime, TaskTimes};

/// How long a job's batches, checkpoints and commits took. The job's coordinator changes it, any core reads it.
///
/// A reader takes both parts at once, so that what a task recorded is found once, before and after its end.
#[derive(Debug, Default)]
pub struct JobTimes {
    parts: ArcSwap<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    folded: [Folded; TaskTime::ALL.len()],
    live: Vec<Arc<TaskTimes>>,
}

/// The counters of an `Arc`.
const ARC_BYTES: usize = 2 * size_of::<usize>();

impl JobTimes {
    /// Bytes that a job's times take at most once it has ended. A job that runs takes as many for tasks that have ended,
    /// and beside them what its tasks take, with its coordinator for commits: [`TaskTimes::TASK_BYTES_MAX`] each.
    pub const ENDED_BYTES_MAX: usize =
        Self::EMPTY_BYTES + TaskTime::ALL.len() * (Folded::BYTES_MAX - size_of::<Folded>());

    const EMPTY_BYTES: usize = size_of::<Self>() + ARC_BYTES + size_of::<Parts>();

    /// Adds what was recorded so far.
    pub fn pour(&self, of: TaskTime, into: &mut Times) {
        self.parts.load().pour(of, into);
    }

    /// Bytes that it takes now, itself included.
    pub fn bytes(&self) -> usize {
        let parts = self.parts.load();
        let folded: usize = parts.folded.iter().map(|folded| folded.bytes() - size_of::<Folded>()).sum();
        let live: usize = parts.live.iter().map(|times| size_of_val(times) + ARC_BYTES + times.bytes()).sum();
        Self::EMPTY_BYTES + folded + live
    }

    /// Takes in the times of tasks that have been started.
    pub(crate) fn join(&self, times: impl IntoIterator<Item = Arc<TaskTimes>>) {
        let parts = self.parts.load();
        let live = parts.live.iter().cloned().chain(times).collect();
        self.parts.store(Arc::new(Parts { folded: parts.folded.clone(), live }));
    }

    /// Folds the times of tasks that have ended, and gives their buckets back.
    pub(crate) fn fold_ended(&self) {
        self.fold(|times| times.has_ended());
    }

    /// Folds all that there is: the job has ended. A task that was dropped and still runs is not heard any more.
    pub(crate) fn fold_all(&self) {
        self.fold(|_| true);
    }

    fn fold(&self, is_over: impl Fn(&TaskTimes) -> bool) {
        let parts = self.parts.load();
        // A task may end in between: each is asked once.
        let (over, live): (Vec<_>, Vec<_>) = parts.live.iter().cloned().partition(|times| is_over(times));
        if over.is_empty() {
            return;
        }
        let mut scratch = Times::default();
        let folded = TaskTime::ALL.map(|of| {
            scratch.clear();
            scratch.add_folded(&parts.folded[of as usize]);
            over.iter().filter_map(|times| times.of(of)).for_each(|buckets| scratch.add(buckets));
            scratch.fold()
        });
        self.parts.store(Arc::new(Parts { folded, live }));
    }
}

impl Parts {
    fn pour(&self, of: TaskTime, into: &mut Times) {
        into.add_folded(&self.folded[of as usize]);
        self.live.iter().filter_map(|times| times.of(of)).for_each(|buckets| into.add(buckets));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn task(job: &JobTimes, batches: u64) -> Arc<TaskTimes> {
        let times = Arc::new(TaskTimes::default());
        job.join([Arc::clone(&times)]);
        (0..batches).for_each(|batch| times.record(TaskTime::Batch, 10_000 + batch * 1_000));
        times
    }

    fn count(job: &JobTimes, of: TaskTime) -> u64 {
        let mut times = Times::default();
        job.pour(of, &mut times);
        times.count()
    }

    #[test]
    fn times_of_a_task_outlive_it_in_a_few_bytes() {
        let job = JobTimes::default();
        let (first, second) = (task(&job, 30), task(&job, 50));
        first.record(TaskTime::Checkpoint, 5_000_000);
        let with_both = job.bytes();
        first.end();
        job.fold_ended();
        assert_eq!((count(&job, TaskTime::Batch), count(&job, TaskTime::Checkpoint)), (80, 1));
        assert!(job.bytes() < with_both - 1_000, "{} after {with_both}", job.bytes());
        assert_eq!(Arc::strong_count(&first), 1, "the job has given its buckets back");
        second.record(TaskTime::Batch, 1);
        assert_eq!(count(&job, TaskTime::Batch), 81, "the other one still counts");
        job.fold_all();
        assert_eq!((count(&job, TaskTime::Batch), count(&job, TaskTime::Commit)), (81, 0));
        assert!(job.bytes() < 600, "{}", job.bytes());
    }

    /// From 10 us to 10 ms, all powers of two alike.
    fn record(times: &TaskTimes, of: TaskTime, count: usize, random: &mut fastrand::Rng) {
        (0..count).for_each(|_| times.record(of, (10_000.0 * 1_000f64.powf(random.f64())) as u64));
    }

    #[test]
    fn ten_thousand_jobs_keep_to_the_stated_bytes() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut running, mut ended) = (0, 0);
        let jobs: Vec<JobTimes> = (0..10_000).map(|_| JobTimes::default()).collect();
        for job in &jobs {
            let [coordinator, tasks @ ..] = [(); 3].map(|()| Arc::new(TaskTimes::default()));
            job.join([&coordinator].into_iter().chain(&tasks).cloned());
            for task in &tasks {
                record(task, TaskTime::Batch, 100, &mut random);
                record(task, TaskTime::Checkpoint, 5, &mut random);
                assert!(task.bytes() <= TaskTimes::TASK_BYTES_MAX / 2, "{}", task.bytes());
            }
            record(&coordinator, TaskTime::Commit, 5, &mut random);
            running += job.bytes();
            drop((coordinator, tasks));
            job.fold_all();
            assert!(job.bytes() <= JobTimes::ENDED_BYTES_MAX / 50, "{}", job.bytes());
            ended += job.bytes();
        }
        let (running, ended) = (running / jobs.len(), ended / jobs.len());
        assert!(running < 24_000 && ended < 700, "a job has {running} bytes while it runs and {ended} afterwards");
    }

    #[test]
    fn the_worst_of_jobs_keeps_to_the_stated_bound() {
        let job = JobTimes::default();
        let times = task(&job, 0);
        // Many durations in each bucket.
        let everywhere = |of| {
            (0..41).flat_map(|power| (0..64).map(move |sub| (1u64 << power) + ((sub << power) >> 6))).for_each(
                |nanos| {
                    (0..200).for_each(|_| times.record(of, nanos));
                },
            );
        };
        everywhere(TaskTime::Batch);
        everywhere(TaskTime::Checkpoint);
        assert_eq!(times.bytes(), TaskTimes::TASK_BYTES_MAX);
        let before = job.bytes();
        job.fold_all();
        assert!(job.bytes() < before / 2 && job.bytes() < JobTimes::ENDED_BYTES_MAX, "{} of {before}", job.bytes());
    }

    #[test]
    fn a_reader_finds_each_duration_once_while_tasks_end() {
        let job = JobTimes::default();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !over.load(Ordering::Acquire) {
                    let now = count(&job, TaskTime::Batch);
                    assert!(now >= seen && now.is_multiple_of(3), "{now} after {seen}");
                    seen = now;
                }
            });
            for _ in 0..500 {
                let times = Arc::new(TaskTimes::default());
                (0..3).for_each(|_| times.record(TaskTime::Batch, 1_000));
                job.join([Arc::clone(&times)]);
                times.end();
                job.fold_ended();
            }
            over.store(true, Ordering::Release);
            reader.join().expect("the reader saw nothing odd");
        });
        assert_eq!(count(&job, TaskTime::Batch), 1_500);
    }
}
