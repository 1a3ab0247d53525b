//! A task's counters: written by the task, read by anyone.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::metrics::Counter;

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Made, not yet run.
    Starting = 0,
    /// Waiting for its source or its input queues.
    Reading = 1,
    /// At work in vertex [`TaskStats::activity`] names.
    Processing = 2,
    /// Ready, waiting for the work token.
    WaitingForToken = 3,
    /// Waiting for room in the queue to the vertex named.
    BackPressured = 4,
    /// Sealing a checkpoint in the vertex named.
    InCheckpoint = 5,
    /// Sleeping because its source asked for it.
    Idle = 6,
    /// Done.
    Ended = 7,
}

impl Activity {
    const ALL: [Self; 8] = [
        Self::Starting,
        Self::Reading,
        Self::Processing,
        Self::WaitingForToken,
        Self::BackPressured,
        Self::InCheckpoint,
        Self::Idle,
        Self::Ended,
    ];
}

/// Rows and bytes (contract A.6) of one table at one vertex of a task.
#[derive(Debug, Default)]
pub struct TableStats {
    /// Rows taken in.
    pub rows_in: Counter,
    /// Bytes taken in.
    pub bytes_in: Counter,
    /// Rows passed on, or written by a sink.
    pub rows_out: Counter,
    /// Bytes passed on, or written by a sink.
    pub bytes_out: Counter,
}

/// One vertex of the plan within a task.
#[derive(Debug)]
pub struct VertexStats {
    /// Id of the vertex in the job's plan.
    pub vertex: u32,
    /// Counters for each of the vertex' tables, in the order of the plan.
    pub tables: Box<[TableStats]>,
}

/// What is known of a running or ended task. The task writes; any core reads.
#[derive(Debug)]
pub struct TaskStats {
    /// The vertices that the task runs, in the order of the flow.
    pub vertices: Box<[VertexStats]>,
    /// Which of the parallel instances of its chain it is, from 0.
    pub index: usize,
    /// Batches processed.
    pub batches: Counter,
    /// Nanoseconds at work.
    pub busy_ns: Counter,
    /// Nanoseconds without input.
    pub idle_ns: Counter,
    /// Nanoseconds waiting for room behind it.
    pub back_pressured_ns: Counter,
    /// Warnings about data (digits cut off and the like).
    pub warnings: Counter,
    activity: AtomicU64,
    since_ns: AtomicU64,
    started: Instant,
}

impl TaskStats {
    /// Counters for a task that runs these vertices (id, number of tables).
    pub fn new(vertices: impl IntoIterator<Item = (u32, usize)>) -> Self {
        Self {
            vertices: vertices
                .into_iter()
                .map(|(vertex, tables)| VertexStats {
                    vertex,
                    tables: (0..tables).map(|_| TableStats::default()).collect(),
                })
                .collect(),
            index: 0,
            batches: Counter::default(),
            busy_ns: Counter::default(),
            idle_ns: Counter::default(),
            back_pressured_ns: Counter::default(),
            warnings: Counter::default(),
            activity: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// The same for one of several parallel instances.
    #[must_use]
    pub fn of_instance(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// What the task is doing, at which vertex (0 where none is named), and for how many nanoseconds.
    pub fn activity(&self) -> (Activity, u32, u64) {
        let packed = self.activity.load(Ordering::Acquire);
        let since = self.since_ns.load(Ordering::Relaxed);
        let activity = Activity::ALL[(packed & 7) as usize];
        (activity, (packed >> 8) as u32, self.age_ns().saturating_sub(since))
    }

    /// For how many nanoseconds the task has been waiting for room behind it; 0 when it is not. Asks no clock then.
    pub(super) fn waits_for_room_ns(&self) -> u64 {
        let is_waiting = self.activity.load(Ordering::Relaxed) & 7 == Activity::BackPressured as u64;
        if !is_waiting {
            return 0;
        }
        match self.activity() {
            (Activity::BackPressured, _, since_ns) => since_ns,
            _ => 0,
        }
    }

    /// When the task was made.
    pub fn started(&self) -> Instant {
        self.started
    }

    fn age_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The task's own handle to its [`TaskStats`]: the one writer.
#[derive(Debug)]
pub struct TaskProbe {
    stats: Arc<TaskStats>,
    current: Cell<u64>,
}

impl TaskProbe {
    /// The writer of these counters; there must be only one.
    pub fn new(stats: Arc<TaskStats>) -> Self {
        Self { stats, current: Cell::new(0) }
    }

    /// The counters.
    pub fn stats(&self) -> &Arc<TaskStats> {
        &self.stats
    }

    /// Tells what the task does from now on, at a vertex (0 for none).
    pub fn enter(&self, activity: Activity, vertex: u32) {
        let packed = activity as u64 | (u64::from(vertex) << 8);
        if self.current.replace(packed) != packed {
            self.stats.since_ns.store(self.stats.age_ns(), Ordering::Relaxed);
            // Who sees it sees since when, too.
            self.stats.activity.store(packed, Ordering::Release);
        }
    }

    /// Counts warnings about data, so that a job that loses digits says so without a log line for each row.
    pub fn warn(&self, count: u64) {
        self.stats.warnings.add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_tells_what_it_does_and_where() {
        let probe = TaskProbe::new(Arc::new(TaskStats::new([(1, 1), (2, 3)])));
        assert_eq!(probe.stats().activity().0, Activity::Starting);
        probe.enter(Activity::BackPressured, 2);
        let (activity, vertex, _) = probe.stats().activity();
        assert_eq!((activity, vertex), (Activity::BackPressured, 2));
        assert_eq!(probe.stats().vertices[1].tables.len(), 3);
    }
}
