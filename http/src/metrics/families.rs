//! The families: those of the original under their names, and what only this program has under `egret_`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use egret_collectors::{Details, Part, Vitals};
use egret_runtime::metrics::{Buckets, Counter};
use egret_runtime::shard::{ExecutorStats, Side, give_way};

use super::text::{Exposition, Kind};
use crate::ShardStats;
use crate::jobs::{JobCounts, JobEntry, JobMetrics, JobService, JobState, JobTally};
use crate::node::Node;
use crate::route::{RouteName, Verb, routes};

/// Running jobs that have series of their own. More would make the answer too large for a scraper; the number of those
/// left out is `egret_jobs_without_series`.
const JOBS_MAX: usize = 1000;
/// Jobs summed up between two looks at the rest of the executor's work.
const JOBS_PER_TURN: usize = 16;

/// Upper bounds of the histograms' buckets, in seconds.
const BOUNDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

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

/// What there is to tell at a moment.
pub(super) struct Live<'n> {
    pub(super) node: &'n Node,
    pub(super) vitals: &'n Vitals,
    pub(super) details: &'n Details,
    pub(super) tally: JobTally,
    pub(super) counts: JobCounts,
    pub(super) executors: Vec<ExecutorStats>,
}

impl Live<'_> {
    /// The cluster of one node, and its jobs by state.
    pub(super) fn cluster(&self, text: &mut Exposition) {
        text.family(Kind::Gauge, "job_count", "Jobs that are known, by state.");
        for (name, state) in STATES {
            text.sample(&[("type", name)], self.tally.in_state(state) as f64);
        }
        let ended = &self.counts;
        text.family(Kind::Counter, "egret_jobs_ended", "Jobs that have ended since the node was started.");
        for (name, count) in [("finished", ended.finished), ("failed", ended.failed), ("canceled", ended.canceled)] {
            text.sample(&[("state", name)], count as f64);
        }
        let (address, version) = (self.node.address(), Node::VERSION);
        let info = [("hazelcastVersion", version), ("master", &*address)];
        text.family(Kind::Gauge, "cluster_info", "The cluster, always 1.").sample(&info, 1.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64);
        text.family(Kind::Gauge, "cluster_time", "Clock of the cluster in milliseconds since 1970.")
            .sample(&info[..1], now);
        text.family(Kind::Gauge, "node_count", "Nodes of the cluster.").sample(&[], 1.0);
        text.family(Kind::Gauge, "node_state", "Whether the node lives, always 1.")
            .sample(&[("address", &address)], 1.0);
        text.family(Kind::Gauge, "egret_build_info", "The program, always 1.")
            .sample(&[("version", version), ("commit", Node::COMMIT)], 1.0);
    }

    /// The work executors, which are to this program what the pool of job threads is to the original.
    pub(super) fn pool(&self, text: &mut Exposition) {
        let works: Vec<_> = self.executors.iter().filter(|executor| executor.side == Side::Work).collect();
        let sum = |value: fn(&ExecutorStats) -> u64| works.iter().map(|executor| value(executor)).sum::<u64>() as f64;
        let threads = works.len() as f64;
        let address = self.node.address();
        let mut one = |kind, family, name, help, value| {
            text.family(kind, family, help).sample(&[("address", &address), ("type", name)], value);
        };
        let gauges = [
            ("job_thread_pool_activeCount", "activeCount", "Tasks of jobs.", sum(|executor| executor.tasks)),
            ("job_thread_pool_corePoolSize", "corePoolSize", "Threads for tasks of jobs.", threads),
            ("job_thread_pool_maximumPoolSize", "maximumPoolSize", "Threads for tasks of jobs at most.", threads),
            ("job_thread_pool_poolSize", "poolSize", "Threads for tasks of jobs now.", threads),
            (
                "job_thread_pool_queueTaskCount",
                "queueTaskCount",
                "Messages that wait for such a thread.",
                sum(|executor| executor.mailbox_depth as u64),
            ),
        ];
        gauges.into_iter().for_each(|(family, name, help, value)| one(Kind::Gauge, family, name, help, value));
        let started = sum(|executor| executor.started);
        let counters = [
            (
                "job_thread_pool_completedTask",
                "completedTask",
                "Tasks of jobs that have ended.",
                started - sum(|executor| executor.tasks.min(executor.started)),
            ),
            ("job_thread_pool_task", "task", "Tasks of jobs that were started.", started),
            (
                "job_thread_pool_rejection",
                "rejectionCount",
                "Messages refused because a thread had too many.",
                sum(|executor| executor.mailbox_refused),
            ),
        ];
        counters.into_iter().for_each(|(family, name, help, value)| one(Kind::Counter, family, name, help, value));
    }

    /// Families of the original's platform: what has no counterpart here is 0, so that its dashboards find them.
    pub(super) fn original(&self, text: &mut Exposition) {
        let address = self.node.address();
        let executor = [
            "hazelcast_executor_executedCount",
            "hazelcast_executor_isShutdown",
            "hazelcast_executor_isTerminated",
            "hazelcast_executor_maxPoolSize",
            "hazelcast_executor_poolSize",
            "hazelcast_executor_queueRemainingCapacity",
            "hazelcast_executor_queueSize",
        ];
        for family in executor {
            text.family(Kind::Gauge, family, "There is no such executor here.");
            for name in EXECUTORS {
                text.sample(&[("address", &address), ("type", name)], 0.0);
            }
        }
        let partitions = [
            ("hazelcast_partition_partitionCount", 0.0),
            ("hazelcast_partition_activePartition", 0.0),
            ("hazelcast_partition_isClusterSafe", 1.0),
            ("hazelcast_partition_isLocalMemberSafe", 1.0),
        ];
        for (family, value) in partitions {
            text.family(Kind::Gauge, family, "There are no partitions here; nothing is being moved.")
                .sample(&[("address", &address)], value);
        }
        text.family(Kind::Gauge, "jvm_info", "There is no such machine here, always 1.")
            .sample(&[("runtime", "native"), ("vendor", "egret"), ("version", Node::VERSION)], 1.0);
        let mut one = |family, help, labels: &[(&str, &str)], value| {
            _ = text.family(Kind::Gauge, family, help).sample(labels, value)
        };
        let area = [("area", "heap")];
        let (process, heap) = (&self.vitals.process, self.vitals.heap.as_ref());
        let number = |value: Option<u64>| value.unwrap_or_default() as f64;
        one("jvm_memory_bytes_used", "Allocated memory.", &area, number(heap.map(|heap| heap.allocated)));
        one("jvm_memory_bytes_committed", "Memory of the heap in RAM.", &area, number(heap.map(|heap| heap.resident)));
        one("jvm_memory_bytes_max", "Memory that there may be.", &area, number(self.vitals.machine.memory_total));
        one("jvm_memory_pool_bytes_used", "There are no pools here.", &[("pool", "none")], 0.0);
        one("jvm_buffer_pool_used_bytes", "There are no pools here.", &[("pool", "none")], 0.0);
        one("jvm_classes_currently_loaded", "There are no classes here.", &[], 0.0);
        one("jvm_threads_current", "Threads.", &[], number(process.threads));
        one("jvm_threads_peak", "Most threads that a reading has found.", &[], number(process.threads_peak));
        one("jvm_gc_collection_seconds_count", "Nothing is collected here.", &[("gc", "none")], 0.0);
        one("jvm_gc_collection_seconds_sum", "Nothing is collected here.", &[("gc", "none")], 0.0);
    }

    /// The process and the machine.
    pub(super) fn process(&self, text: &mut Exposition) {
        let Vitals { machine, process, loads, .. } = self.vitals;
        let cpu_seconds = process.cpu_time.as_secs_f64();
        text.family(Kind::Counter, "process_cpu_seconds", "Time on CPUs.").sample(&[], cpu_seconds);
        let number = |value: Option<u64>| value.map(|value| value as f64);
        let average = machine.load_averages.map(|averages| averages[0]);
        let gauges = [
            ("process_start_time_seconds", "When the process was started, since 1970.", process.started),
            ("process_open_fds", "Open files.", number(self.details.files)),
            ("process_max_fds", "Files that may be open.", number(self.details.files_max)),
            ("process_virtual_memory_bytes", "Addresses in use.", number(process.memory_virtual)),
            ("process_resident_memory_bytes", "Memory in RAM.", number(process.memory_resident)),
            ("egret_node_load_process", "Share of the CPUs it may use that the process uses.", loads.process),
            ("egret_node_load_system", "Share of these CPUs that is used.", loads.system),
            ("egret_node_load_average", "Tasks that run or want to, over a minute.", average),
            ("egret_node_memory_total_bytes", "Memory of the machine, or its limit.", number(machine.memory_total)),
            ("egret_node_memory_free_bytes", "Memory of it that nobody uses.", number(machine.memory_free)),
            ("egret_slots_assigned", "Slots that jobs have.", Some(self.tally.slots_assigned as f64)),
        ];
        for (family, help, value) in gauges {
            // What the kernel does not tell is not there.
            if let Some(value) = value {
                text.family(Kind::Gauge, family, help).sample(&[], value);
            }
        }
    }

    /// The samples of machine and process, and what they cost.
    pub(super) fn sampler(&self, text: &mut Exposition) {
        let (sampler, stats) = (&self.node.sampler, self.node.sampler.stats());
        text.family(Kind::Gauge, "egret_sample_age_seconds", "How old the newest sample is.");
        for part in Part::ALL {
            if let Some(age) = sampler.age(part) {
                text.sample(&[("part", part.as_str())], age.as_secs_f64());
            }
        }
        text.family(Kind::Counter, "egret_samples", "Samples taken.");
        for part in Part::ALL {
            text.sample(&[("part", part.as_str())], stats.samples[part as usize] as f64);
        }
        let counters = [
            ("egret_sampler_cpu_seconds", "CPU time of the sampler's thread.", stats.cpu_time.as_secs_f64()),
            ("egret_sampler_panics", "Readings that panicked.", stats.panics as f64),
            ("egret_sampler_late", "Requests for which a new sample came too late.", stats.late as f64),
            ("egret_sampler_refused", "Requests that took an old sample, too many waiting.", stats.refused as f64),
        ];
        for (family, help, value) in counters {
            text.family(Kind::Counter, family, help).sample(&[], value);
        }
        text.family(Kind::Gauge, "egret_sampler_waiting", "Requests that wait for a new sample, or have given up.")
            .sample(&[], stats.waiting as f64);
    }

    /// Ended jobs that are remembered, and the logs of jobs.
    pub(super) fn kept(&self, text: &mut Exposition) {
        let all: u64 = self.tally.by_state.iter().sum();
        text.family(Kind::Gauge, "egret_history_jobs", "Ended jobs that are remembered.")
            .sample(&[], all.saturating_sub(self.tally.unfinished()) as f64);
        let Some(logs) = self.node.settings.logs.as_ref().map(|logs| logs.stats()) else { return };
        text.family(Kind::Gauge, "egret_logs", "Jobs with a log.").sample(&[], logs.logs as f64);
        text.family(Kind::Gauge, "egret_logs_bytes", "Size of all logs.").sample(&[], logs.bytes as f64);
        text.family(Kind::Gauge, "egret_log_queue_bytes", "Lines that wait to be written to logs.")
            .sample(&[], logs.queued_bytes as f64);
        text.family(Kind::Counter, "egret_log_lines_lost", "Lines that are in no log, by what kept them out.")
            .sample(&[("limit", "log_queue_bytes_max")], logs.dropped as f64)
            .sample(&[("limit", "disk")], logs.lost as f64);
    }

    /// Each executor of each shard.
    pub(super) fn executors(&self, text: &mut Exposition) {
        type Value = fn(&ExecutorStats) -> f64;
        let families: [(Kind, &'static str, &str, Value); 7] = [
            (Kind::Gauge, "egret_executor_tasks", "Tasks that exist.", |executor| executor.tasks as f64),
            (Kind::Gauge, "egret_executor_ready", "Tasks that are ready to run.", |executor| executor.ready as f64),
            (Kind::Gauge, "egret_executor_mailbox_depth", "Messages that wait.", |executor| {
                executor.mailbox_depth as f64
            }),
            (Kind::Counter, "egret_executor_mailbox_refused", "Messages refused by a full mailbox.", |executor| {
                executor.mailbox_refused as f64
            }),
            (Kind::Counter, "egret_executor_slices", "Slices of tasks.", |executor| executor.slices as f64),
            (Kind::Counter, "egret_executor_busy_seconds", "Time in tasks.", |executor| executor.busy_ns as f64 / 1e9),
            (Kind::Counter, "egret_executor_panics", "Tasks that panicked.", |executor| executor.panicked as f64),
        ];
        for (kind, family, help, value) in families {
            text.family(kind, family, help);
            for executor in &self.executors {
                text.sample(&[("executor", &executor.name)], value(executor));
            }
        }
    }

    /// The HTTP layer: connections, refusals, and each route that was used.
    pub(super) async fn requests(&self, text: &mut Exposition) {
        let stats = &self.node.stats;
        let sum = |value: fn(&ShardStats) -> &Counter| stats.iter().map(|shard| value(shard).get()).sum::<u64>() as f64;
        text.family(Kind::Gauge, "egret_http_connections", "Open connections.").sample(&[], sum(|shard| &shard.open));
        let body_bytes = sum(|shard| &shard.body_bytes);
        text.family(Kind::Gauge, "egret_http_body_bytes", "Bytes of request bodies that are held.")
            .sample(&[], body_bytes);
        type Value = fn(&ShardStats) -> &Counter;
        let counters: [(&'static str, &str, Value); 3] = [
            ("egret_http_connections_accepted", "Connections accepted.", |shard| &shard.accepted),
            ("egret_http_received_bytes", "Bytes from clients.", |shard| &shard.bytes_in),
            ("egret_http_sent_bytes", "Bytes to clients.", |shard| &shard.bytes_out),
        ];
        for (family, help, value) in counters {
            text.family(Kind::Counter, family, help).sample(&[], sum(value));
        }
        let refusals: [(&str, Value); 15] = [
            ("connections_max", |shard| &shard.refused),
            ("accept", |shard| &shard.accept_errors),
            ("malformed", |shard| &shard.malformed),
            ("header_bytes_max", |shard| &shard.heads_too_large),
            ("auth", |shard| &shard.unauthorized),
            ("uri_bytes_max", |shard| &shard.uris_too_long),
            ("body_bytes_max", |shard| &shard.bodies_too_large),
            ("bodies_bytes_max", |shard| &shard.bodies_without_room),
            ("header_timeout", |shard| &shard.header_timeouts),
            ("body_timeout", |shard| &shard.body_timeouts),
            ("idle_timeout", |shard| &shard.idle_timeouts),
            ("handler_timeout", |shard| &shard.handler_timeouts),
            ("write_timeout", |shard| &shard.write_timeouts),
            ("stop_timeout", |shard| &shard.cut),
            ("panic", |shard| &shard.panics),
        ];
        text.family(Kind::Counter, "egret_http_refused", "What was refused or cut, by the limit that did it.");
        for (limit, value) in refusals {
            text.sample(&[("limit", limit)], sum(value));
        }
        self.routes(text).await;
    }

    async fn routes(&self, text: &mut Exposition) {
        let used = |position: usize| self.node.stats.iter().any(|shard| shard.routes[position].time().is_some());
        let used: Vec<(usize, RouteName)> = routes().enumerate().filter(|(position, _)| used(*position)).collect();
        text.family(Kind::Counter, "egret_http_answers", "Answers, by route and class of status.");
        for (position, route) in &used {
            for (class, name) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
                let count: u64 = self.node.stats.iter().map(|shard| shard.routes[*position].by_class()[class]).sum();
                if count > 0 {
                    let [api, path, method] = labels(route);
                    text.sample(&[api, path, method, ("class", name)], count as f64);
                }
            }
        }
        text.family(Kind::Histogram, "egret_http_request_seconds", "From the end of a head to the answer.");
        for (position, route) in &used {
            let (mut histogram, mut nanos) = (Buckets::histogram(), 0);
            for times in self.node.stats.iter().filter_map(|shard| shard.routes[*position].time()) {
                times.pour(&mut histogram);
                nanos += times.sum();
            }
            let mut counts = [0u64; BOUNDS.len() + 1];
            for value in histogram.iter_recorded() {
                let seconds = value.value_iterated_to() as f64 / 1e9;
                let first = BOUNDS.partition_point(|bound| *bound < seconds);
                counts[first..].iter_mut().for_each(|count| *count += value.count_since_last_iteration());
            }
            text.histogram(&labels(route), &BOUNDS, &counts, nanos as f64 / 1e9);
            give_way().await;
        }
    }
}

fn labels(route: &RouteName) -> [(&'static str, &'static str); 3] {
    let method = match route.verb {
        Verb::Get => "GET",
        Verb::Post => "POST",
    };
    [("api", route.api), ("path", route.path), ("method", method)]
}

/// What running jobs have read and written.
pub(super) async fn jobs(jobs: &JobService, text: &mut Exposition) {
    let running = jobs.running();
    let mut shown: Vec<(Arc<JobEntry>, String, JobMetrics)> = Vec::with_capacity(running.len().min(JOBS_MAX));
    for (index, job) in running.iter().take(JOBS_MAX).enumerate() {
        if index % JOBS_PER_TURN == JOBS_PER_TURN - 1 {
            give_way().await;
        }
        shown.push((job.clone(), job.id().to_string(), job.metrics()));
    }
    text.family(Kind::Gauge, "egret_jobs_without_series", "Running jobs beyond those that have series of their own.")
        .sample(&[], (running.len() - shown.len()) as f64);
    type Value = fn(&JobMetrics) -> u64;
    let families: [(&'static str, &str, Value); 5] = [
        ("egret_job_source_rows", "Rows that the job's sources handed out.", |metrics| metrics.source.rows),
        ("egret_job_source_bytes", "Bytes that the job's sources handed out.", |metrics| metrics.source.bytes),
        ("egret_job_sink_rows", "Rows that the job's sinks were given.", |metrics| metrics.sink.rows),
        ("egret_job_sink_bytes", "Bytes that the job's sinks were given.", |metrics| metrics.sink.bytes),
        ("egret_job_warnings", "Warnings about the job's data.", |metrics| metrics.warnings),
    ];
    for (family, help, value) in families {
        text.family(Kind::Counter, family, help);
        for (job, id, metrics) in &shown {
            text.sample(&[("job_id", id), ("job_name", job.name())], value(metrics) as f64);
        }
    }
}
