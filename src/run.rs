//! `egret run`: one job in this process.

use std::io::Write as _;
use std::time::Duration;

use egret_runtime::config::Problems;
use egret_runtime::job::{JobEntry, JobSettings, JobState, SubmitError, SubmitRequest};
use egret_runtime::shard::signals;
use futures_lite::future::{block_on, or};

use crate::{cli, node, progress, statistics};

/// How long the executors get to end after the job has.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// How long a job gets to stop after Ctrl-C before the process ends without it.
const STOP: Duration = Duration::from_secs(30);

/// Runs the job; gives the exit status.
pub fn run(arguments: &cli::Run) -> u8 {
    let path = arguments.config.path();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            tell!("error: cannot read the config {}: {error}", path.display());
            return 1;
        }
    };
    let node = match node::start(&arguments.shards, JobSettings::default(), node::Watch::default()) {
        Ok(node) => node,
        Err(exit) => return exit,
    };
    let exit = run_on(&node, arguments, text.into());
    if let Err(error) = node.shards.stop(SHUTDOWN) {
        tell!("warning: {error}");
    }
    exit
}

fn run_on(node: &node::Node, arguments: &cli::Run, config_text: bytes::Bytes) -> u8 {
    let path = arguments.config.path();
    let stop = match signals::watch() {
        Ok(stop) => stop,
        Err(error) => {
            tell!("error: cannot watch for signals: {error}");
            return 1;
        }
    };
    let submitted = node.submit(SubmitRequest {
        config_text,
        source_name: path.display().to_string(),
        read: cli::read_options(path, &arguments.config.variables),
        job_id: arguments.job_id,
        job_name: arguments.name.clone(),
        start_with_savepoint: false,
    });
    let job = match submitted {
        Ok(submitted) => {
            submitted.warnings.iter().for_each(|warning| tell!("{warning}"));
            submitted.job
        }
        Err(error) => {
            refuse(path, &error);
            return 1;
        }
    };
    let progress = if arguments.no_progress { None } else { progress::show(&job) };
    let ended = async {
        job.ended().wait().await;
        false
    };
    let stopped = async {
        stop.signal.wait().await;
        true
    };
    let interrupted = block_on(or(ended, stopped));
    if interrupted {
        tell!("stopping; once more to end at once");
        node.jobs.stop_all(STOP);
    }
    if let Some(progress) = progress {
        let _ = progress.join();
    }
    let cause = if interrupted { stop.cause() } else { None };
    finish(&job, cause)
}

/// Tells why a config was not accepted.
fn refuse(path: &std::path::Path, error: &SubmitError) {
    match error {
        SubmitError::Invalid(problems) => {
            tell!("{problems}");
            tell!("{}", summary(path, problems));
        }
        error => tell!("error: {error}"),
    }
}

/// `error: job.conf: 5 errors, 1 warning; nothing was run`
fn summary(path: &std::path::Path, problems: &Problems) -> String {
    let errors = problems.errors().count();
    let warnings = problems.len() - errors;
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let warned = if warnings == 0 { String::new() } else { format!(", {}", plural(warnings, "warning")) };
    format!("error: {}: {}{warned}; nothing was run", path.display(), plural(errors, "error"))
}

/// Prints how the job ended; gives the exit status.
fn finish(job: &JobEntry, stopped_by: Option<signals::StopCause>) -> u8 {
    let warnings = job.metrics().warnings;
    if warnings > 0 {
        tell!("warning: {warnings} values lost digits on the way");
    }
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(statistics::block(job).as_bytes()).and_then(|()| stdout.flush()).is_err() {
        tell!("warning: the statistics could not be written to stdout");
    }
    match (job.state(), stopped_by) {
        (JobState::Finished, _) => 0,
        (JobState::Canceled, Some(cause)) => {
            tell!("stopped by {cause}");
            u8::try_from(cause.exit_code()).unwrap_or(1)
        }
        (state, _) => {
            tell!("error: job '{}' ended as {state}: {}", job.name(), job.error().unwrap_or("no reason given"));
            1
        }
    }
}
