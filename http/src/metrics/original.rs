//! The families of the original under their names (contract F.1), for its dashboards.

use std::time::{SystemTime, UNIX_EPOCH};

use egret_collectors::Part;
use egret_runtime::shard::{ExecutorStats, Side};

use super::Live;
use super::family::Kind::{Counter, Gauge};
use super::family::{Family, Table, original};
use super::text::Samples;
use crate::jobs::JobState;
use crate::node::Node;

/// States under the names of F.1, which has other words for some; the last three are of later releases.
const STATES: [(&str, JobState); 11] = [
    ("canceled", JobState::Canceled),
    ("cancelling", JobState::Canceling),
    ("created", JobState::Created),
    ("failed", JobState::Failed),
    ("failing", JobState::Failing),
    ("finished", JobState::Finished),
    ("running", JobState::Running),
    ("scheduled", JobState::Scheduled),
    ("pending", JobState::Pending),
    ("doing_savepoint", JobState::DoingSavepoint),
    ("savepoint_done", JobState::SavepointDone),
];

/// Executors of the original; this program has none of them.
const EXECUTORS: [&str; 8] =
    ["async", "client", "clientBlocking", "clientQuery", "io", "offloadable", "scheduled", "system"];

const JOBS: &str = "states of the jobs";
const WORK: &str = "work executors";
const CONSTANT: &str = "constant";
const NO_JVM: &str = "always 0: there is no such machine";
const STAT: &str = "`/proc/self/stat`";

pub(super) static CLUSTER: Table<Live> = Table {
    title: "Of the original: cluster, jobs, threads for jobs",
    intro: "The names of these families are the original's. The threads for jobs are the work executors.",
    labels: &[],
    parts: &[],
    families: &[
        original(Gauge, "job_count", &["type"], "Jobs that are known, by state.", JOBS, |live, out| {
            STATES.into_iter().for_each(|(name, state)| out.labelled(&[name], live.tally.in_state(state)));
        }),
        original(
            Gauge,
            "cluster_info",
            &["hazelcastVersion", "master"],
            "The cluster, always 1.",
            CONSTANT,
            |live, out| {
                out.labelled(&[Node::VERSION, &live.address], 1u64);
            },
        ),
        original(
            Gauge,
            "cluster_time",
            &["hazelcastVersion"],
            "Clock of the cluster in milliseconds since 1970.",
            "clock of the machine",
            |_, out| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                out.labelled(&[Node::VERSION], now.as_millis() as f64);
            },
        ),
        original(Gauge, "node_count", &[], "Nodes of the cluster.", CONSTANT, |_, out| out.value(1u64)),
        original(Gauge, "node_state", &["address"], "Whether the node lives, always 1.", CONSTANT, |live, out| {
            out.labelled(&[&live.address], 1u64);
        }),
        pool(Gauge, "job_thread_pool_activeCount", "Tasks of jobs.", |live, out| {
            of_works(live, out, "activeCount", |executor| executor.tasks);
        }),
        pool(Counter, "job_thread_pool_completedTask_total", "Tasks of jobs that have ended.", |live, out| {
            of_works(live, out, "completedTask", |executor| executor.started.saturating_sub(executor.tasks));
        }),
        pool(Gauge, "job_thread_pool_corePoolSize", "Threads for tasks of jobs.", |live, out| {
            of_works(live, out, "corePoolSize", |_| 1);
        }),
        pool(Gauge, "job_thread_pool_maximumPoolSize", "Threads for tasks of jobs at most.", |live, out| {
            of_works(live, out, "maximumPoolSize", |_| 1);
        }),
        pool(Gauge, "job_thread_pool_poolSize", "Threads for tasks of jobs now.", |live, out| {
            of_works(live, out, "poolSize", |_| 1);
        }),
        pool(Gauge, "job_thread_pool_queueTaskCount", "Messages that wait for such a thread.", |live, out| {
            of_works(live, out, "queueTaskCount", |executor| executor.mailbox_depth as u64);
        }),
        pool(
            Counter,
            "job_thread_pool_rejection_total",
            "Messages refused because a thread had too many.",
            |live, out| of_works(live, out, "rejectionCount", |executor| executor.mailbox_refused),
        ),
        pool(Counter, "job_thread_pool_task_total", "Tasks of jobs that were started.", |live, out| {
            of_works(live, out, "task", |executor| executor.started);
        }),
    ],
};

const fn pool(
    kind: super::family::Kind,
    name: &'static str,
    help: &'static str,
    write: fn(&Live, &mut Samples<'_>),
) -> Family<Live> {
    original(kind, name, &["address", "type"], help, WORK, write)
}

fn of_works(live: &Live, out: &mut Samples<'_>, name: &str, value: fn(&ExecutorStats) -> u64) {
    let works = live.executors().iter().filter(|executor| executor.side == Side::Work);
    out.labelled(&[&live.address, name], works.map(value).sum::<u64>());
}

pub(super) static PLATFORM: Table<Live> = Table {
    title: "Of the original: its platform",
    intro: "What has no counterpart in this program is 0, so that dashboards find it.",
    labels: &[],
    parts: &[Part::Vitals],
    families: &[
        executor("hazelcast_executor_executedCount"),
        executor("hazelcast_executor_isShutdown"),
        executor("hazelcast_executor_isTerminated"),
        executor("hazelcast_executor_maxPoolSize"),
        executor("hazelcast_executor_poolSize"),
        executor("hazelcast_executor_queueRemainingCapacity"),
        executor("hazelcast_executor_queueSize"),
        partition("hazelcast_partition_partitionCount", |live, out| out.labelled(&[&live.address], 0u64)),
        partition("hazelcast_partition_activePartition", |live, out| out.labelled(&[&live.address], 0u64)),
        partition("hazelcast_partition_isClusterSafe", |live, out| out.labelled(&[&live.address], 1u64)),
        partition("hazelcast_partition_isLocalMemberSafe", |live, out| out.labelled(&[&live.address], 1u64)),
        original(
            Gauge,
            "jvm_info",
            &["runtime", "vendor", "version"],
            "There is no such machine here, always 1.",
            CONSTANT,
            |_, out| out.labelled(&["native", "egret", Node::VERSION], 1u64),
        ),
        memory("jvm_memory_bytes_used", "Allocated memory.", "jemalloc", |live, out| {
            out.labelled(&["heap"], live.vitals.heap.map_or(0, |heap| heap.allocated));
        }),
        memory("jvm_memory_bytes_committed", "Memory of the heap in RAM.", "jemalloc", |live, out| {
            out.labelled(&["heap"], live.vitals.heap.map_or(0, |heap| heap.resident));
        }),
        memory("jvm_memory_bytes_max", "Memory that there may be.", "`/proc/meminfo`, control groups", |live, out| {
            out.labelled(&["heap"], live.vitals.machine.memory_total.unwrap_or_default());
        }),
        original(Gauge, "jvm_memory_pool_bytes_used", &["pool"], "There are no pools here.", NO_JVM, none),
        original(Gauge, "jvm_buffer_pool_used_bytes", &["pool"], "There are no pools here.", NO_JVM, none),
        original(Gauge, "jvm_classes_currently_loaded", &[], "There are no classes here.", NO_JVM, |_, out| {
            out.value(0u64);
        }),
        original(Gauge, "jvm_threads_current", &[], "Threads.", STAT, |live, out| {
            out.value(live.vitals.process.threads.unwrap_or_default());
        }),
        original(Gauge, "jvm_threads_peak", &[], "Most threads that a reading has found.", STAT, |live, out| {
            out.value(live.vitals.process.threads_peak.unwrap_or_default());
        }),
        original(Gauge, "jvm_gc_collection_seconds_count", &["gc"], "Nothing is collected here.", NO_JVM, none),
        original(Gauge, "jvm_gc_collection_seconds_sum", &["gc"], "Nothing is collected here.", NO_JVM, none),
    ],
};

const fn executor(name: &'static str) -> Family<Live> {
    original(
        Gauge,
        name,
        &["address", "type"],
        "There is no such executor here.",
        "always 0: there is no such executor",
        |live, out| EXECUTORS.into_iter().for_each(|name| out.labelled(&[&live.address, name], 0u64)),
    )
}

const fn partition(name: &'static str, write: fn(&Live, &mut Samples<'_>)) -> Family<Live> {
    original(Gauge, name, &["address"], "There are no partitions here; nothing is being moved.", CONSTANT, write)
}

const fn memory(
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&Live, &mut Samples<'_>),
) -> Family<Live> {
    original(Gauge, name, &["area"], help, from, write)
}

fn none(_: &Live, out: &mut Samples<'_>) {
    out.labelled(&["none"], 0u64);
}

pub(super) static PROCESS: Table<Live> = Table {
    title: "Of the original: the process",
    intro: "The names that programs of all kinds have for these.",
    labels: &[],
    parts: &[Part::Vitals, Part::Details],
    families: &[
        original(
            Counter,
            "process_cpu_seconds_total",
            &[],
            "Time on CPUs.",
            "clock of the process' CPU time",
            |live, out| out.value(live.vitals.process.cpu_time),
        ),
        original(
            Gauge,
            "process_start_time_seconds",
            &[],
            "When the process was started, since 1970.",
            "`/proc/stat`, `/proc/self/stat`",
            |live, out| out.known(live.vitals.process.started),
        ),
        original(Gauge, "process_open_fds", &[], "Open files.", "`/proc/self/fd`", |live, out| {
            out.known(live.details.files);
        }),
        original(Gauge, "process_max_fds", &[], "Files that may be open.", "`/proc/self/limits`", |live, out| {
            out.known(live.details.files_max);
        }),
        original(Gauge, "process_virtual_memory_bytes", &[], "Addresses in use.", STAT, |live, out| {
            out.known(live.vitals.process.memory_virtual);
        }),
        original(Gauge, "process_resident_memory_bytes", &[], "Memory in RAM.", STAT, |live, out| {
            out.known(live.vitals.process.memory_resident);
        }),
    ],
};
