//! The commands that talk to a node over its REST API: submit, list, info, stop, savepoint, restore, logs, heap,
//! top.

mod api;
mod arguments;
mod heap;
mod job;
mod lately;
mod login;
mod logs;
mod show;
mod submit;
mod terminal;
mod top;

pub use arguments::Remote;

use std::time::{Duration, Instant};

use api::{Api, ApiError};
use arguments::{Info, List, Stop};
use egret_runtime::shard::signals::StopWatch;
use serde_json::{Value, json};

use crate::cli::ConfigArguments;
use crate::stdout;
use job::JobView;

/// Runs one of the commands; gives the exit status.
pub fn run(command: &Remote) -> u8 {
    let done = match command {
        Remote::Submit(arguments) => needed(&arguments.config, || submit::submit(arguments)),
        Remote::Restore(arguments) => needed(&arguments.config, || submit::restore(arguments)),
        Remote::List(arguments) => list(arguments),
        Remote::Info(arguments) => info(arguments),
        Remote::Stop(arguments) => stop(arguments, arguments.savepoint),
        Remote::Savepoint(arguments) => stop(arguments, true),
        Remote::Logs(arguments) => logs::logs(arguments),
        Remote::Heap(command) => heap::heap(command),
        Remote::Top(arguments) => top::top(arguments),
    };
    done.unwrap_or_else(|error| {
        tell!("error: {error}");
        1
    })
}

impl Remote {
    /// Whether the command has something to do at Ctrl-C; the others just end.
    pub fn minds_signals(&self) -> bool {
        matches!(self, Self::Submit(_) | Self::Restore(_) | Self::Stop(_) | Self::Savepoint(_) | Self::Top(_))
    }
}

/// Goes on if a config is given; otherwise says that one is needed.
fn needed(config: &ConfigArguments, go_on: impl FnOnce() -> Result<u8, ApiError>) -> Result<u8, ApiError> {
    let mut done = None;
    let exit = config.needed(|| {
        done = Some(go_on());
        0
    });
    done.unwrap_or(Ok(exit))
}

/// Whether a job of this state has ended.
fn is_final(state: &str) -> bool {
    matches!(state, "FINISHED" | "FAILED" | "CANCELED" | "SAVEPOINT_DONE" | "UNKNOWABLE")
}

fn list(arguments: &List) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let state = arguments.state.as_deref().map(str::to_ascii_uppercase);
    let wants = |ended: bool| state.as_deref().is_none_or(|state| is_final(state) == ended);
    let mut jobs = Vec::new();
    if wants(false) {
        jobs.extend(api.running_jobs()?);
    }
    if wants(true) {
        let mut ended = api.finished_jobs(state.as_deref())?;
        ended.sort_by(|one, other| other.text("finishTime").cmp(one.text("finishTime")));
        jobs.extend(ended);
    }
    jobs.retain(|job| state.as_deref().is_none_or(|state| job.state() == state));
    let left_out = jobs.len().saturating_sub(arguments.limit);
    jobs.truncate(arguments.limit);
    let text = if arguments.json {
        let row = |job: &JobView| {
            json!({
                "jobId": job.id(), "jobName": job.name(), "jobStatus": job.state(),
                "submitTime": job.text("createTime"), "finishTime": job.time_of_end(),
            })
        };
        pretty(&Value::Array(jobs.iter().map(row).collect()))
    } else {
        show::list(&jobs)
    };
    let exit = stdout::print(text, 0);
    if left_out > 0 {
        tell!("{left_out} more jobs; --limit shows more of them, --state those of one state");
    }
    Ok(exit)
}

fn info(arguments: &Info) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let job = api.known_job(arguments.id)?;
    Ok(stdout::print(if arguments.json { pretty(&job.0) } else { show::info(&job) }, 0))
}

fn stop(arguments: &Stop, savepoint: bool) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let watch = watch()?;
    let job = api.known_job(arguments.id)?;
    if is_final(job.state()) {
        tell!("job {} has ended already, as {}", job.id(), job.state());
        return Ok(report(arguments, &job));
    }
    api.stop(arguments.id, savepoint)?;
    if arguments.background {
        return Ok(report(arguments, &api.known_job(arguments.id)?));
    }
    match wait_for_end(&api, arguments.id, &watch)? {
        Some(job) if savepoint && job.state() != "SAVEPOINT_DONE" => {
            report(arguments, &job);
            tell!("error: there is no savepoint: {}", job.error().unwrap_or("the job ended before it was made"));
            Ok(1)
        }
        Some(job) => Ok(report(arguments, &job)),
        None => {
            tell!("the job is still being stopped; egret info {} tells how far it is", arguments.id);
            Ok(interrupted(&watch))
        }
    }
}

fn report(arguments: &Stop, job: &JobView) -> u8 {
    let text = if arguments.json {
        pretty(&json!({ "jobId": job.id(), "jobStatus": job.state() }))
    } else {
        format!("job {} ({}): {}\n", job.id(), show::plain(job.name()), job.state())
    };
    stdout::print(text, 0)
}

/// JSON on several lines.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn watch() -> Result<StopWatch, ApiError> {
    egret_runtime::shard::signals::watch().map_err(|error| ApiError::Here(format!("cannot watch for signals: {error}")))
}

fn interrupted(watch: &StopWatch) -> u8 {
    watch.cause().and_then(|cause| u8::try_from(cause.exit_code()).ok()).unwrap_or(1)
}

/// The pauses between two questions for a job's state: short at first, for short jobs.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_LAST: Duration = Duration::from_secs(1);

/// Asks for a job until it has ended; `None` when a signal came first. The API has no events to wait for.
fn wait_for_end(api: &Api, id: i64, watch: &StopWatch) -> Result<Option<JobView>, ApiError> {
    let mut pause = ASK_FIRST;
    loop {
        let job = api.known_job(id)?;
        if is_final(job.state()) {
            return Ok(Some(job));
        }
        if !rest(pause, watch) {
            return Ok(None);
        }
        pause = (pause * 3 / 2).min(ASK_LAST);
    }
}

/// Waits; false when a signal comes first.
fn rest(pause: Duration, watch: &StopWatch) -> bool {
    const STEP: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + pause;
    while !watch.signal.is_set() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(STEP));
    }
    false
}
