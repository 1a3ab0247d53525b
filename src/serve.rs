//! `egret serve`: a node with listeners.

use std::time::Duration;

use egret_http::{NodeSettings, Server, ServerConfig, StartError};
use egret_runtime::job::{JobScheduleStrategy, SubmitRequest};
use egret_runtime::logs::{JobLogSlot, JobLogs};
use egret_runtime::net::ClaimError;
use egret_runtime::shard::{register_membarrier, signals};

use crate::cli::{self, ShardArguments};
use crate::node;
use crate::settings::{Read, Settings};

/// How long the last lines of jobs get to reach their logs.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Runs the node until it is told to stop; gives the exit status.
pub fn serve(arguments: &cli::Serve, slot: &JobLogSlot) -> u8 {
    let read = match Settings::read(&arguments.node.config, &arguments.node.settings) {
        Ok(read) => read,
        Err(error) => {
            tell!("{error}");
            return 1;
        }
    };
    let Read { settings, remarks, .. } = &read;
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    // Before the logs' thread: with a second thread it takes most of the time of a start.
    register_membarrier();
    let logs = match open_logs(settings) {
        Ok(logs) => logs,
        Err(message) => {
            tell!("egret: {message}");
            return 1;
        }
    };
    slot.fill(logs.clone());
    let shards = ShardArguments { cores: settings.cores.clone(), work_nice: settings.work_nice };
    let node = match node::start(&shards, settings.jobs.clone(), settings.watch()) {
        Ok(node) => node,
        Err(exit) => return exit,
    };
    let jobs = node.jobs.clone();
    logs.spare_running(move |id| jobs.job(id).is_some_and(|job| !job.state().is_final()));
    let exit = serve_on(&node, arguments, settings, &logs);
    let stopped = node.shards.stop(settings.stop_timeout);
    if !logs.flush(LAST_LINES) {
        tracing::warn!("the last lines of jobs did not reach their logs within {LAST_LINES:?}");
    }
    if let Err(error) = stopped {
        tracing::error!("{error}");
        return 1;
    }
    exit
}

fn open_logs(settings: &Settings) -> Result<JobLogs, String> {
    JobLogs::open(settings.logs()?).map_err(|error| format!("{error} (log_folder, --log-folder)"))
}

fn serve_on(node: &node::Node, arguments: &cli::Serve, settings: &Settings, logs: &JobLogs) -> u8 {
    let config = ServerConfig {
        listeners: settings.listeners(),
        limits: settings.http.clone(),
        seatunnel: settings.seatunnel.clone(),
        auth: settings.auth.settings(),
        node: NodeSettings { logs: Some(logs.clone()), stacks: Some(node.stacks.clone()), ..settings.node.clone() },
    };
    let server = match Server::start(&node.shards, &config, &node.jobs) {
        Ok(server) => server,
        Err(error) => {
            tell!("egret: {error}{}", without_second_port(&error, settings));
            return 1;
        }
    };
    for file in &arguments.files {
        if let Err(message) = submit(node, file, &arguments.variables) {
            tell!("{message}");
            server.stop(Duration::ZERO);
            node.jobs.stop_all(settings.stop_timeout);
            return 1;
        }
    }
    for address in server.local_addrs() {
        tracing::info!("listening on http://{address}");
    }
    if settings.jobs.slots.dynamic && settings.jobs.slots.strategy == JobScheduleStrategy::Wait {
        tracing::warn!("job_schedule_strategy: WAIT has no effect: slots are made on demand (dynamic_slot)");
    }
    tracing::info!("logs of jobs are in {}", logs.folder().display());
    if !settings.host.is_loopback() {
        tracing::warn!("other machines can reach this node{}", openness(settings));
    }
    // This thread has read the settings and made the node; from here on it sleeps.
    egret_collectors::trim_heap();
    let cause = match signals::wait_for_stop() {
        Ok(cause) => cause,
        Err(error) => {
            tell!("egret: cannot wait for signals: {error}");
            return 1;
        }
    };
    let timeout = settings.stop_timeout;
    tracing::info!("{cause}: no more requests are taken; jobs are being stopped");
    let open = server.stop(timeout);
    if open > 0 {
        tracing::warn!("{open} connections were still open after {timeout:?}");
    }
    match node.jobs.stop_all(timeout) {
        0 => 0,
        left => {
            tracing::error!("{left} jobs did not end within {timeout:?}");
            1
        }
    }
}

/// Why that is worth a thought.
fn openness(settings: &Settings) -> &'static str {
    if settings.auth.settings().is_on() {
        "; its connections are not encrypted, so that others on the way can read passwords and tokens: let a proxy in \
         front of it speak TLS"
    } else {
        ", and nobody is asked for a password (auth.enabled)"
    }
}

/// The other cure where it is the second port that cannot be had.
fn without_second_port(error: &StartError, settings: &Settings) -> &'static str {
    match error {
        StartError::Claim(ClaimError::InUse { address }) if Some(address.port()) == settings.second_port => {
            "; --second-port off does without this one"
        }
        _ => "",
    }
}

fn submit(node: &node::Node, file: &std::path::Path, variables: &[cli::Variable]) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| format!("error: cannot read {}: {error}", file.display()))?;
    let submitted = node.submit(SubmitRequest {
        config_text: text.into(),
        source_name: file.display().to_string(),
        read: cli::read_options(file, variables),
        job_id: None,
        job_name: None,
        start_with_savepoint: false,
    });
    match submitted {
        Ok(submitted) => {
            tracing::info!(job = submitted.job_id, name = %submitted.job_name, file = %file.display(), "submitted");
            Ok(())
        }
        Err(error) => Err(format!("error: {}: {error}", file.display())),
    }
}
