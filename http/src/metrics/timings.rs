//! How long things take on executors and in tasks.
//!
//! Executors are summed over the shards, so that the number of series does not grow with the CPUs, and tasks over all jobs
//! that the node has run, so that it does not grow with the jobs: `/egret/timings` tells them apart.

use std::sync::Arc;

use egret_runtime::shard::{ExecutorTime, Side};
use egret_runtime::task::TaskTime;

use super::Live;
use super::family::{Table, histogram};
use super::items::Items;
use super::text::Samples;
use crate::node::Node;

/// Bounds of the buckets for executors, as they are written and in nanoseconds.
const EXECUTOR_BOUNDS: [(&str, u64); 12] = [
    ("1e-6", 1_000),
    ("1e-5", 10_000),
    ("5e-5", 50_000),
    ("0.0001", 100_000),
    ("0.00025", 250_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.1", 100_000_000),
    ("1.0", 1_000_000_000),
];

/// Bounds of the buckets for tasks, as they are written and in nanoseconds.
const TASK_BOUNDS: [(&str, u64); 12] = [
    ("0.0001", 100_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("0.5", 500_000_000),
    ("1.0", 1_000_000_000),
    ("5.0", 5_000_000_000),
    ("10.0", 10_000_000_000),
    ("60.0", 60_000_000_000),
];

const EXECUTORS_OF: &str = "buckets of the executors of that side";
const TASKS_OF: &str = "buckets of the shards, into which tasks are folded";

/// The executors of a side, all together.
pub(super) struct Executors {
    node: Arc<Node>,
    side: Side,
}

impl Executors {
    fn write(&self, of: ExecutorTime, out: &mut Samples<'_>) {
        let bounds = EXECUTOR_BOUNDS.map(|(_, bound)| bound);
        let (mut counts, mut sum) = ([0; EXECUTOR_BOUNDS.len() + 1], 0u64);
        for executor in self.node.shards.times().filter(|executor| executor.side == self.side) {
            let times = executor.times.of(of);
            times.count_up_to(&bounds, &mut counts);
            sum = sum.saturating_add(times.sum());
        }
        out.histogram(&EXECUTOR_BOUNDS, &counts, sum);
    }
}

pub(super) static EXECUTORS: Table<Executors> = Table {
    title: "Times of executors",
    intro: "`side` is `front` or `work`; the executors of all shards are taken together.",
    labels: &["side"],
    parts: &[],
    families: &[
        histogram(
            "egret_executor_wake_up_seconds",
            "From a wake by another thread until the executor runs.",
            EXECUTORS_OF,
            |executors, out| executors.write(ExecutorTime::WakeUp, out),
        ),
        histogram(
            "egret_executor_tick_delay_seconds",
            "From the due time of a sleeping executor's tick until it runs.",
            EXECUTORS_OF,
            |executors, out| executors.write(ExecutorTime::Tick, out),
        ),
        histogram("egret_executor_slice_seconds", "Slices: polls of tasks.", EXECUTORS_OF, |executors, out| {
            executors.write(ExecutorTime::Slice, out);
        }),
        histogram("egret_executor_turn_seconds", "Reactor turns between slices.", EXECUTORS_OF, |executors, out| {
            executors.write(ExecutorTime::Turn, out);
        }),
        histogram(
            "egret_executor_token_wait_seconds",
            "From the moment at which a task is ready until it is polled.",
            EXECUTORS_OF,
            |executors, out| executors.write(ExecutorTime::TokenWait, out),
        ),
        histogram(
            "egret_executor_mailbox_delay_seconds",
            "From the sending of a message until it is taken.",
            EXECUTORS_OF,
            |executors, out| executors.write(ExecutorTime::Mailbox, out),
        ),
    ],
};

/// Both sides.
pub(super) fn executors(live: &Live) -> Items<Executors> {
    let mut items = Items::new(&EXECUTORS);
    for (side, name) in [(Side::Front, "front"), (Side::Work, "work")] {
        items.push(&[name], Executors { node: live.node.clone(), side });
    }
    items
}

pub(super) static TASKS: Table<Live> = Table {
    title: "Times of tasks",
    intro: "Tasks of all jobs that the node has run are taken together.",
    labels: &[],
    parts: &[],
    families: &[
        histogram(
            "egret_task_batch_seconds",
            "Batches of rows, each through its chain.",
            TASKS_OF,
            |live: &Live, out| task(live, TaskTime::Batch, out),
        ),
        histogram(
            "egret_task_checkpoint_seconds",
            "Sealing of checkpoints, each in one task.",
            TASKS_OF,
            |live: &Live, out| task(live, TaskTime::Checkpoint, out),
        ),
        histogram(
            "egret_task_commit_seconds",
            "Publishing of what a pipeline has sealed.",
            TASKS_OF,
            |live: &Live, out| task(live, TaskTime::Commit, out),
        ),
    ],
};

fn task(live: &Live, of: TaskTime, out: &mut Samples<'_>) {
    let bounds = TASK_BOUNDS.map(|(_, bound)| bound);
    let (mut counts, mut sum) = ([0; TASK_BOUNDS.len() + 1], 0u64);
    for times in live.jobs.times().shards().iter().filter_map(|shard| shard.of(of)) {
        times.count_up_to(&bounds, &mut counts);
        sum = sum.saturating_add(times.sum());
    }
    out.histogram(&TASK_BOUNDS, &counts, sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_they_are_and_rise() {
        for bounds in [EXECUTOR_BOUNDS, TASK_BOUNDS] {
            for (text, nanos) in bounds {
                assert_eq!(text.parse::<f64>(), Ok(nanos as f64 / 1e9));
            }
            assert!(bounds.windows(2).all(|pair| pair[0].1 < pair[1].1));
        }
    }
}
