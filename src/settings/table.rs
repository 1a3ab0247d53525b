//! Every setting: its key in the file, its flag, what it takes, what it means, and where it goes. This table has those
//! of the machine, of logs and of jobs; the other tables are beside it.

mod auth;
mod http;
mod listen;
mod slots;
mod watch;

use std::time::Duration;

use egret_runtime::job::JobSettings;
use egret_runtime::logs::JobLogSettings;
use egret_runtime::shard::CpuList;

use super::Settings;
use super::values::*;

/// Reads a value into the settings; the error says what was expected.
type Set = fn(&mut Settings, &str) -> Result<(), String>;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file; a point parts a section from a key in it.
    pub key: &'static str,
    /// Its flag, without the dashes; empty where it has none.
    pub flag: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// One or two sentences.
    pub meaning: &'static str,
    pub set: Set,
    /// The value as one would write it.
    pub show: fn(&Settings) -> String,
    /// What means the same in the original's files. The first is the setting's counterpart; further ones change it.
    pub originals: &'static [Original],
}

/// All settings, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Setting> + Clone {
    listen::LISTEN.iter().chain(auth::AUTH).chain(TABLE).chain(watch::WATCH).chain(slots::SLOTS).chain(http::HTTP)
}

/// The setting of this key.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

/// A key of the original's files (contract B.10).
#[derive(Debug)]
pub struct Original {
    /// The whole path.
    pub path: &'static str,
    /// Reads it, in the original's unit.
    pub set: Set,
}

/// What a flag without a value means: `true`.
pub const BOOLEAN: &str = "true or false";
const COUNT: &str = "a whole number";
const BYTES: &str = "bytes, like 64KiB";
const TIME: &str = "a time, like 10s or 5m";

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Settings of the machine, of logs and of jobs.
static TABLE: &[Setting] = &[
    Setting {
        key: "cores",
        flag: "cores",
        takes: "CPUs, like 0-3,6, or all",
        meaning: "CPUs to run on, a shard each.",
        set: |s, text| {
            put(
                &mut s.cores,
                match text.trim() {
                    "all" => Ok(None),
                    list => list.parse::<CpuList>().map(Some).map_err(|error| format!("'{list}': {error}")),
                },
            )
        },
        show: |s| s.cores.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
        originals: &[],
    },
    Setting {
        key: "work_nice",
        flag: "work-nice",
        takes: "0 to 19",
        meaning: "Nice value of the threads that do the jobs' work; requests go first.",
        set: |s, text| {
            let nice: i32 = parsed(text, "a whole number from 0 to 19")?;
            if (0..=19).contains(&nice) {
                s.work_nice = nice;
                return Ok(());
            }
            Err(format!("expected a whole number from 0 to 19, found '{nice}'"))
        },
        show: |s| s.work_nice.to_string(),
        originals: &[],
    },
    Setting {
        key: "stop_timeout",
        flag: "stop-timeout",
        takes: TIME,
        meaning: "Time that requests, and then jobs, get to end after a stop signal.",
        set: |s, text| put(&mut s.stop_timeout, duration(text)),
        show: |s| show_duration(s.stop_timeout),
        originals: &[],
    },
    Setting {
        key: "state_folder",
        flag: "state-folder",
        takes: "a folder",
        meaning: "Where the node keeps what outlives it. By default $STATE_DIRECTORY (set by systemd), else \
                  $XDG_STATE_HOME/egret, else ~/.local/state/egret.",
        set: |s, text| put(&mut s.state_folder, path(text, "a folder")),
        show: |s| s.state_folder.as_ref().map_or_else(String::new, |folder| folder.display().to_string()),
        originals: &[],
    },
    Setting {
        key: "log_folder",
        flag: "log-folder",
        takes: "a folder",
        meaning: "Where the logs of jobs are. By default the folder logs in the state folder. One node at a time uses it.",
        set: |s, text| put(&mut s.log_folder, path(text, "a folder")),
        show: |s| s.log_folder.as_ref().map_or_else(String::new, |folder| folder.display().to_string()),
        originals: &[],
    },
    Setting {
        key: "log_bytes_max",
        flag: "log-bytes-max",
        takes: BYTES,
        meaning: "Size of one job's log, at least 64KiB; the newest lines stay.",
        set: |s, text| put(&mut s.logs.log_bytes_max, bytes_at_least(text, JobLogSettings::LOG_BYTES_MIN)),
        show: |s| show_bytes(s.logs.log_bytes_max),
        originals: &[],
    },
    Setting {
        key: "logs_max",
        flag: "logs-max",
        takes: COUNT,
        meaning: "Jobs whose logs are kept: those written last, and those of running jobs before those of ended ones.",
        set: |s, text| put(&mut s.logs.logs_max, count(text, 1)),
        show: |s| s.logs.logs_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "logs_bytes_max",
        flag: "logs-bytes-max",
        takes: BYTES,
        meaning: "Size of all logs together, at least that of one; chosen as with logs_max.",
        set: |s, text| put(&mut s.logs.logs_bytes_max, bytes(text)),
        show: |s| show_bytes(s.logs.logs_bytes_max),
        originals: &[],
    },
    Setting {
        key: "log_expire",
        flag: "log-expire",
        takes: TIME,
        meaning: "How long the log of an ended job is kept after its last line.",
        set: |s, text| put(&mut s.logs.log_expire, duration(text)),
        show: |s| show_duration(s.logs.log_expire),
        originals: &[],
    },
    Setting {
        key: "log_queue_bytes_max",
        flag: "log-queue-bytes-max",
        takes: BYTES,
        meaning: "Lines that wait to be written to logs, at least 16KiB; further ones are dropped and counted, so that jobs never wait \
                  for a disk.",
        set: |s, text| put(&mut s.logs.queue_bytes_max, bytes_usize_at_least(text, JobLogSettings::QUEUE_BYTES_MIN)),
        show: |s| show_bytes(s.logs.queue_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "jobs_running_max",
        flag: "jobs-running-max",
        takes: COUNT,
        meaning: "Jobs that run or wait at a time; further ones are refused.",
        set: |s, text| put(&mut s.jobs.jobs_running_max, count(text, 1)),
        show: |s| s.jobs.jobs_running_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "history_jobs_max",
        flag: "history-jobs-max",
        takes: COUNT,
        meaning: "Ended jobs that are remembered.",
        set: |s, text| put(&mut s.jobs.history_jobs_max, count(text, 0)),
        show: |s| s.jobs.history_jobs_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "history_expire",
        flag: "history-expire",
        takes: TIME,
        meaning: "How long ended jobs are remembered.",
        set: |s, text| put(&mut s.jobs.history_expire, duration(text)),
        show: |s| show_duration(s.jobs.history_expire),
        originals: &[Original {
            path: "seatunnel.engine.history-job-expire-minutes",
            set: |s, text| put(&mut s.jobs.history_expire, duration_in(text, MINUTE)),
        }],
    },
    Setting {
        key: "task_stop_timeout",
        flag: "task-stop-timeout",
        takes: TIME,
        meaning: "How long tasks that were told to stop may take before they are dropped where they stand.",
        set: |s, text| put(&mut s.jobs.stop_timeout, duration(text)),
        show: |s| show_duration(s.jobs.stop_timeout),
        originals: &[],
    },
    Setting {
        key: "queue_bytes_max",
        flag: "queue-bytes-max",
        takes: BYTES,
        meaning: "Size of a queue between two tasks.",
        set: |s, text| put(&mut s.jobs.queue_bytes_max, bytes_usize_at_least(text, 1)),
        show: |s| show_bytes(s.jobs.queue_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "retry_times",
        flag: "retry-times",
        takes: COUNT,
        meaning: "Restarts of a pipeline whose job does not say (`job.retry.times`).",
        set: |s, text| put(&mut s.jobs.retry_times, parsed(text, "a whole number")),
        show: |s| s.jobs.retry_times.to_string(),
        originals: &[],
    },
    Setting {
        key: "retry_interval",
        flag: "retry-interval",
        takes: TIME,
        meaning: "Wait before a restart where the job does not say (`job.retry.interval.seconds`).",
        set: |s, text| put(&mut s.jobs.retry_interval, duration(text)),
        show: |s| show_duration(s.jobs.retry_interval),
        originals: &[],
    },
    Setting {
        key: "checkpoint_interval",
        flag: "checkpoint-interval",
        takes: TIME,
        meaning: "Time between two checkpoints of a streaming job that does not say (`checkpoint.interval`), at least \
                  10ms.",
        set: |s, text| put(&mut s.jobs.checkpoint_interval, duration(text).and_then(|it| at_least(it, CHECKPOINT_MIN))),
        show: |s| show_duration(s.jobs.checkpoint_interval),
        originals: &[Original {
            path: "seatunnel.engine.checkpoint.interval",
            set: |s, text| {
                let interval = duration_in(text, MILLISECOND).and_then(|it| at_least(it, CHECKPOINT_MIN));
                put(&mut s.jobs.checkpoint_interval, interval)
            },
        }],
    },
    Setting {
        key: "checkpoint_timeout",
        flag: "checkpoint-timeout",
        takes: TIME,
        meaning: "How long a checkpoint, or a savepoint, may take where the job does not say (`checkpoint.timeout`), at least 10ms.",
        set: |s, text| put(&mut s.jobs.checkpoint_timeout, duration(text).and_then(|it| at_least(it, CHECKPOINT_MIN))),
        show: |s| show_duration(s.jobs.checkpoint_timeout),
        originals: &[Original {
            path: "seatunnel.engine.checkpoint.timeout",
            set: |s, text| {
                let timeout = duration_in(text, MILLISECOND).and_then(|it| at_least(it, CHECKPOINT_MIN));
                put(&mut s.jobs.checkpoint_timeout, timeout)
            },
        }],
    },
    Setting {
        key: "metrics_jobs_max",
        flag: "metrics-jobs-max",
        takes: COUNT,
        meaning: "Jobs that have metrics of their own: running ones before ended ones, of each the newest.",
        set: |s, text| put(&mut s.node.metrics.jobs_max, count(text, 0)),
        show: |s| s.node.metrics.jobs_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "metrics_vertices_max",
        flag: "metrics-vertices-max",
        takes: COUNT,
        meaning: "Vertices of these jobs that have metrics of their own while the job runs.",
        set: |s, text| put(&mut s.node.metrics.vertices_max, count(text, 0)),
        show: |s| s.node.metrics.vertices_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "sample_age_max",
        flag: "sample-age-max",
        takes: TIME,
        meaning: "How old what is known of machine and process may be before it is read again for a request.",
        set: |s, text| put(&mut s.node.sampler.age_max, duration(text)),
        show: |s| show_duration(s.node.sampler.age_max),
        originals: &[],
    },
    Setting {
        key: "sample_wait_max",
        flag: "sample-wait-max",
        takes: TIME,
        meaning: "How long a request waits for such a reading, at most 10s; then it is answered with the last one.",
        set: |s, text| put(&mut s.node.sampler.wait_max, duration(text)),
        show: |s| show_duration(s.node.sampler.wait_max),
        originals: &[],
    },
    Setting {
        key: "sample_waiters_max",
        flag: "sample-waiters-max",
        takes: COUNT,
        meaning: "Requests that wait for such a reading at a time; further ones are answered with the last one.",
        set: |s, text| put(&mut s.node.sampler.waiters_max, count(text, 1)),
        show: |s| s.node.sampler.waiters_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "load_window",
        flag: "load-window",
        takes: TIME,
        meaning: "What the loads of machine and process are measured over, 100ms to 1h.",
        set: |s, text| put(&mut s.node.sampler.load_window, duration(text)),
        show: |s| show_duration(s.node.sampler.load_window),
        originals: &[],
    },
    Setting {
        key: "heap_profile_bytes_max",
        flag: "heap-profile-bytes-max",
        takes: BYTES,
        meaning: "Size of the text from which a heap profile is made.",
        set: |s, text| put(&mut s.node.heap_profile_bytes_max, bytes(text)),
        show: |s| show_bytes(s.node.heap_profile_bytes_max),
        originals: &[],
    },
    Setting {
        key: "timelines_bytes_max",
        flag: "timelines-bytes-max",
        takes: BYTES,
        meaning: "Memory of the timelines of node and jobs, at least 128KiB; without room the finest ones are given up \
                  first.",
        set: |s, text| put(&mut s.jobs.timelines_bytes_max, bytes_at_least(text, JobSettings::TIMELINES_BYTES_MIN)),
        show: |s| show_bytes(s.jobs.timelines_bytes_max),
        originals: &[],
    },
];

/// The least that a job may say for its checkpoints, too (contract B.7).
const CHECKPOINT_MIN: Duration = Duration::from_millis(10);
