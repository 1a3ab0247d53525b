//! How long things take on executors and in tasks.
//!
//! Executors are summed over the shards, so that the number of series does not grow with the CPUs, and tasks over all jobs
//! that the node has run, so that it does not grow with the jobs: `/egret/timings` tells them apart.

use egret_runtime::shard::{ExecutorTime, Side};
use egret_runtime::task::TaskTime;

use super::Live;
use super::family::{Table, histogram};
use super::text::{Bounds, Samples};

/// Bounds of the buckets for executors, in nanoseconds.
static EXECUTOR_BOUNDS: Bounds<12> = Bounds::new([
    1_000,
    10_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
]);

/// Bounds of the buckets for tasks, in nanoseconds.
static TASK_BOUNDS: Bounds<12> = Bounds::new([
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
    60_000_000_000,
]);

const EXECUTORS_OF: &str = "buckets of the executors of that side";
const TASKS_OF: &str = "buckets of the shards, in which all tasks count";

pub(super) static EXECUTORS: Table<Live> = Table {
    title: "Times of executors",
    intro: "`side` is `front` or `work`; the executors of all shards are taken together.",
    labels: &[],
    parts: &[],
    families: &[
        histogram(
            "egret_executor_wake_up_seconds",
            "From a wake by another thread until the executor runs.",
            EXECUTORS_OF,
            |live: &Live, out| by_side(live, ExecutorTime::WakeUp, out),
        )
        .by(&["side"]),
        histogram(
            "egret_executor_tick_delay_seconds",
            "From the due time of a sleeping executor's tick until it runs.",
            EXECUTORS_OF,
            |live: &Live, out| by_side(live, ExecutorTime::Tick, out),
        )
        .by(&["side"]),
        histogram("egret_executor_slice_seconds", "Slices: polls of tasks.", EXECUTORS_OF, |live: &Live, out| {
            by_side(live, ExecutorTime::Slice, out);
        })
        .by(&["side"]),
        histogram("egret_executor_turn_seconds", "Reactor turns between slices.", EXECUTORS_OF, |live: &Live, out| {
            by_side(live, ExecutorTime::Turn, out);
        })
        .by(&["side"]),
        histogram(
            "egret_executor_token_wait_seconds",
            "From the moment at which a task is ready until it is polled.",
            EXECUTORS_OF,
            |live: &Live, out| by_side(live, ExecutorTime::TokenWait, out),
        )
        .by(&["side"]),
        histogram(
            "egret_executor_mailbox_delay_seconds",
            "From the sending of a message until it is taken.",
            EXECUTORS_OF,
            |live: &Live, out| by_side(live, ExecutorTime::Mailbox, out),
        )
        .by(&["side"]),
    ],
};

fn by_side(live: &Live, of: ExecutorTime, out: &mut Samples<'_>) {
    for (side, name) in [(Side::Front, "front"), (Side::Work, "work")] {
        let executors = live.node.shards.times().filter(|executor| executor.side == side);
        out.histogram(&[name], &EXECUTOR_BOUNDS, executors.map(|executor| executor.times.of(of)));
    }
}

pub(super) static TASKS: Table<Live> = Table {
    title: "Times of tasks",
    intro: "Tasks of all jobs that the node has run are taken together.",
    labels: &[],
    parts: &[],
    families: &[
        histogram("egret_task_batch_seconds", "Batches of rows, each through its chain.", TASKS_OF, |live, out| {
            task(live, TaskTime::Batch, out)
        }),
        histogram(
            "egret_task_checkpoint_seconds",
            "Sealing of checkpoints, each in one task.",
            TASKS_OF,
            |live, out| task(live, TaskTime::Checkpoint, out),
        ),
        histogram("egret_task_commit_seconds", "Publishing of what a pipeline has sealed.", TASKS_OF, |live, out| {
            task(live, TaskTime::Commit, out)
        }),
    ],
};

fn task(live: &Live, of: TaskTime, out: &mut Samples<'_>) {
    out.histogram(&[], &TASK_BOUNDS, live.jobs.times().shards().iter().filter_map(|shard| shard.of(of)));
}
