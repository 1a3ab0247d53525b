//! Every setting: its key in the file, its flag, what it takes, what it means, and where it goes.

use std::net::IpAddr;
use std::time::Duration;

use egret_http::seatunnel::IdForm;
use egret_runtime::shard::CpuList;

use super::Settings;
use super::values::{
    boolean, bytes, bytes_usize, count, duration, duration_in, parsed, put, show_bytes, show_duration,
};

/// Reads a value into the settings; the error says what was expected.
type Set = fn(&mut Settings, &str) -> Result<(), String>;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file; a point parts a section from a key in it.
    pub key: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// One or two sentences.
    pub meaning: &'static str,
    pub set: Set,
    /// The value as one would write it.
    pub show: fn(&Settings) -> String,
    /// What means the same in the original's files.
    pub originals: &'static [Original],
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

/// All settings, in the order of the documentation.
pub static TABLE: &[Setting] = &[
    Setting {
        key: "host",
        flag: "host",
        takes: "an address",
        meaning: "Address to listen on. 127.0.0.1 can be reached from this machine alone, 0.0.0.0 from everywhere: put \
                  something in front that asks who is there.",
        set: |s, text| put(&mut s.host, parsed::<IpAddr>(text, "an IP address like 127.0.0.1 or 0.0.0.0")),
        show: |s| s.host.to_string(),
        originals: &[],
    },
    Setting {
        key: "port",
        flag: "port",
        takes: "a port",
        meaning: "The first port. It answers both generations of the API. 0 takes a free one.",
        set: |s, text| put(&mut s.port, parsed(text, "a port from 0 to 65535")),
        show: |s| s.port.to_string(),
        originals: &[Original {
            path: "hazelcast.network.port.port",
            set: |s, text| put(&mut s.port, parsed(text, "a port from 0 to 65535")),
        }],
    },
    Setting {
        key: "second_port",
        flag: "second-port",
        takes: "a port, or off",
        meaning: "The second port, where clients of the second generation of the API look. It answers both, too. `off` \
                  does without it.",
        set: |s, text| put(&mut s.second_port, port_or_off(text)),
        show: |s| s.second_port.map_or_else(|| "off".to_owned(), |port| port.to_string()),
        originals: &[
            Original { path: "seatunnel.engine.http.port", set: |s, text| put(&mut s.second_port, port_or_off(text)) },
            Original {
                path: "seatunnel.engine.http.enable-http",
                set: |s, text| {
                    if !boolean(text)? {
                        s.second_port = None;
                    }
                    Ok(())
                },
            },
        ],
    },
    Setting {
        key: "context_path",
        flag: "context-path",
        takes: "a path",
        meaning: "What paths of the second generation of the API begin with, like /seatunnel.",
        set: |s, text| put(&mut s.seatunnel.context_path, context_path(text)),
        show: |s| s.seatunnel.context_path.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.context-path",
            set: |s, text| put(&mut s.seatunnel.context_path, context_path(text)),
        }],
    },
    Setting {
        key: "v1_ids",
        flag: "v1-ids",
        takes: "number or string",
        meaning: "How submit-job and stop-job of the first generation answer ids: as numbers, as its documentation has \
                  it, or as strings, as releases from 2.3.6 on do.",
        set: |s, text| put(&mut s.seatunnel.v1_ids, id_form(text)),
        show: |s| match s.seatunnel.v1_ids {
            IdForm::Number => "number".to_owned(),
            IdForm::Text => "string".to_owned(),
        },
        originals: &[],
    },
    Setting {
        key: "newest_first",
        flag: "newest-first",
        takes: BOOLEAN,
        meaning: "Whether finished-jobs begins with the job that ended last, as releases from 2.3.9 on do.",
        set: |s, text| put(&mut s.seatunnel.newest_first, boolean(text)),
        show: |s| s.seatunnel.newest_first.to_string(),
        originals: &[],
    },
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
        set: |s, text| put(&mut s.state_folder, folder(text)),
        show: |s| s.state_folder.as_ref().map_or_else(String::new, |folder| folder.display().to_string()),
        originals: &[],
    },
    Setting {
        key: "log_folder",
        flag: "log-folder",
        takes: "a folder",
        meaning: "Where the logs of jobs are. By default the folder logs in the state folder. One node at a time uses it.",
        set: |s, text| put(&mut s.log_folder, folder(text)),
        show: |s| s.log_folder.as_ref().map_or_else(String::new, |folder| folder.display().to_string()),
        originals: &[],
    },
    Setting {
        key: "log_bytes_max",
        flag: "log-bytes-max",
        takes: BYTES,
        meaning: "Size of one job's log, at least 64KiB; the newest lines stay.",
        set: |s, text| put(&mut s.logs.log_bytes_max, bytes(text)),
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
        meaning: "Size of all logs together; chosen as with logs_max.",
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
        meaning: "Lines that wait to be written to logs; further ones are dropped and counted, so that jobs never wait \
                  for a disk.",
        set: |s, text| put(&mut s.logs.queue_bytes_max, bytes_usize(text)),
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
        set: |s, text| put(&mut s.jobs.queue_bytes_max, bytes_usize(text).and_then(|bytes| at_least(bytes, 1))),
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
        meaning: "How long a checkpoint may take where the job does not say (`checkpoint.timeout`), at least 10ms.",
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
        key: "http.connections_max",
        flag: "http-connections-max",
        takes: COUNT,
        meaning: "Open connections per shard. One more is answered with 503 and closed.",
        set: |s, text| put(&mut s.http.connections_max, count(text, 1)),
        show: |s| s.http.connections_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "http.backlog",
        flag: "http-backlog",
        takes: "1 to 65535",
        meaning: "Connections that wait to be accepted, per shard and port.",
        set: |s, text| {
            let backlog: u16 = parsed(text, "a whole number from 1 to 65535")?;
            put(&mut s.http.backlog, at_least(backlog, 1))
        },
        show: |s| s.http.backlog.to_string(),
        originals: &[],
    },
    Setting {
        key: "http.header_bytes_max",
        flag: "http-header-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's head, at least 8KiB. More is 431.",
        set: |s, text| put(&mut s.http.header_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.header_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.uri_bytes_max",
        flag: "http-uri-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's path and query. More is 414.",
        set: |s, text| put(&mut s.http.uri_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.uri_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.body_bytes_max",
        flag: "http-body-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's body. More is 413.",
        set: |s, text| put(&mut s.http.body_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.body_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.bodies_bytes_max",
        flag: "http-bodies-bytes-max",
        takes: BYTES,
        meaning: "Size of all request bodies that a shard holds at a time, at least that of one. More is 503.",
        set: |s, text| put(&mut s.http.bodies_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.bodies_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.header_timeout",
        flag: "http-header-timeout",
        takes: TIME,
        meaning: "From the first byte of a head to its last, and from accepting a connection to its first byte. Then 408.",
        set: |s, text| put(&mut s.http.header_timeout, duration(text)),
        show: |s| show_duration(s.http.header_timeout),
        originals: &[],
    },
    Setting {
        key: "http.body_timeout",
        flag: "http-body-timeout",
        takes: TIME,
        meaning: "From the end of a head to the last byte of the body. Then 408.",
        set: |s, text| put(&mut s.http.body_timeout, duration(text)),
        show: |s| show_duration(s.http.body_timeout),
        originals: &[],
    },
    Setting {
        key: "http.idle_timeout",
        flag: "http-idle-timeout",
        takes: TIME,
        meaning: "Between two requests on a connection. Then it is closed.",
        set: |s, text| put(&mut s.http.idle_timeout, duration(text)),
        show: |s| show_duration(s.http.idle_timeout),
        originals: &[],
    },
    Setting {
        key: "http.handler_timeout",
        flag: "http-handler-timeout",
        takes: TIME,
        meaning: "For the program's own work on a request. Then 503.",
        set: |s, text| put(&mut s.http.handler_timeout, duration(text)),
        show: |s| show_duration(s.http.handler_timeout),
        originals: &[],
    },
    Setting {
        key: "http.write_timeout",
        flag: "http-write-timeout",
        takes: TIME,
        meaning: "Without a byte of an answer taken by the client. Then the connection is cut.",
        set: |s, text| put(&mut s.http.write_timeout, duration(text)),
        show: |s| show_duration(s.http.write_timeout),
        originals: &[],
    },
    Setting {
        key: "http.linger_timeout",
        flag: "http-linger-timeout",
        takes: TIME,
        meaning: "For a refused client to read its answer before the connection is cut.",
        set: |s, text| put(&mut s.http.linger_timeout, duration(text)),
        show: |s| show_duration(s.http.linger_timeout),
        originals: &[],
    },
];

/// The least that a job may say for its checkpoints, too (contract B.7).
const CHECKPOINT_MIN: Duration = Duration::from_millis(10);

fn at_least<T: PartialOrd + std::fmt::Debug>(value: T, min: T) -> Result<T, String> {
    if value >= min { Ok(value) } else { Err(format!("expected at least {min:?}, found {value:?}")) }
}

fn port_or_off(text: &str) -> Result<Option<u16>, String> {
    // YAML of old reads a bare `off` as false.
    match text.trim().to_ascii_lowercase().as_str() {
        "off" | "false" => Ok(None),
        port => parsed(port, "a port from 0 to 65535, or off").map(Some),
    }
}

fn context_path(text: &str) -> Result<std::sync::Arc<str>, String> {
    let path = text.trim().trim_end_matches('/');
    let is_path = |path: &str| path.starts_with('/') && !path.contains(['?', '#', ' ', '%']) && !path.contains("//");
    match path {
        "" => Ok("".into()),
        path if is_path(path) => Ok(path.into()),
        path => Err(format!("expected a path that begins with /, like /seatunnel, found '{path}'")),
    }
}

fn id_form(text: &str) -> Result<IdForm, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "number" => Ok(IdForm::Number),
        "string" | "text" => Ok(IdForm::Text),
        _ => Err(format!("expected number or string, found '{text}'")),
    }
}

fn folder(text: &str) -> Result<Option<std::path::PathBuf>, String> {
    if text.is_empty() { Err("expected a folder, found nothing".to_owned()) } else { Ok(Some(text.into())) }
}
