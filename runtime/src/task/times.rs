//! How long the batches, checkpoints and commits of tasks take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::metrics::Buckets;
use crate::shard;

/// What a job's tasks are timed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskTime {
    /// A batch, from the head of its chain to its end, waits for room behind it included.
    Batch = 0,
    /// A checkpoint in one task: from the barrier's coming in (on its last input, where it has several) until the task
    /// has sealed what it holds. The end of the input is sealed in the same way.
    Checkpoint = 1,
    /// The publishing of what the tasks of a pipeline have sealed, from the coordinator's order on. A checkpoint with
    /// nothing to publish has none.
    Commit = 2,
}

impl TaskTime {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Batch, Self::Checkpoint, Self::Commit];

    /// Its name for clients.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Checkpoint => "checkpoint",
            Self::Commit => "commit",
        }
    }
}

/// Times of a task, of a job's coordinator, or of all tasks of a shard. For each [`TaskTime`] one thread records, the
/// same one each time; any thread reads.
#[derive(Debug, Default)]
pub struct TaskTimes {
    /// Allocated when the first duration is recorded.
    buckets: [OnceLock<Box<Buckets>>; TaskTime::ALL.len()],
    ended: AtomicBool,
}

impl TaskTimes {
    /// Bytes that the times of a task take at most: a task has batches and checkpoints.
    pub const TASK_BYTES_MAX: usize = size_of::<Self>() + 2 * Buckets::BYTES_MAX;

    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn record(&self, of: TaskTime, nanos: u64) {
        self.buckets[of as usize].get_or_init(Box::default).record(nanos);
    }

    /// What was recorded; `None` before the first time.
    pub fn of(&self, of: TaskTime) -> Option<&Buckets> {
        self.buckets[of as usize].get().map(|buckets| &**buckets)
    }

    /// Bytes that it takes now, itself included.
    pub fn bytes(&self) -> usize {
        let buckets = TaskTime::ALL.iter().filter_map(|of| self.of(*of));
        size_of::<Self>() + buckets.map(Buckets::bytes).sum::<usize>()
    }

    /// Nothing is recorded any more. To be called before anybody is told of the end.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether everything that will be recorded can be read now.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Times of all tasks that a node has run, by the shard that ran them: they never go down, also when jobs are forgotten.
#[derive(Clone, Debug)]
pub struct NodeTimes(Arc<[TaskTimes]>);

impl NodeTimes {
    /// For so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| TaskTimes::default()).collect())
    }

    /// Those of each shard.
    pub fn shards(&self) -> &[TaskTimes] {
        &self.0
    }

    /// Counts a duration for the shard whose executor calls this, and for the task or coordinator that took it. Batches
    /// and checkpoints are those of work executors, commits those of front executors, so each has one writer.
    pub(crate) fn record(&self, own: &TaskTimes, of: TaskTime, nanos: u64) {
        own.record(of, nanos);
        if let Some(shard) = shard::current_shard().and_then(|shard| self.0.get(usize::from(shard.0))) {
            shard.record(of, nanos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_when_something_is_recorded() {
        let times = TaskTimes::default();
        assert!(times.bytes() < 100 && times.of(TaskTime::Batch).is_none(), "{}", times.bytes());
        times.record(TaskTime::Batch, 50_000);
        assert_eq!(times.of(TaskTime::Batch).map(Buckets::sum), Some(50_000));
        assert!(times.of(TaskTime::Checkpoint).is_none());
        assert_eq!(times.bytes(), size_of::<TaskTimes>() + size_of::<Buckets>() + 512);
    }
}
