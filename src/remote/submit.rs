//! `egret submit` and `egret restore`.

use std::path::Path;

use egret_runtime::config::{Secrets, read_tree, render_json};
use serde_json::json;

use super::api::{Api, ApiError};
use super::arguments::{NodeArguments, Restore, Submit, WaitArguments};
use super::job::JobView;
use super::{interrupted, pretty, show, wait_for_end, watch};
use crate::cli::{self, ConfigArguments};
use crate::{statistics, stdout};

/// Submits a job.
pub fn submit(arguments: &Submit) -> Result<u8, ApiError> {
    let mut query = Vec::new();
    query.extend(arguments.job_id.map(|id| ("jobId", id.to_string())));
    query.extend(arguments.name.clone().map(|name| ("jobName", name)));
    send(&arguments.config, query, &arguments.waiting, &arguments.node)
}

/// Submits a job that goes on from its savepoint.
pub fn restore(arguments: &Restore) -> Result<u8, ApiError> {
    let query = vec![("jobId", arguments.id.to_string()), ("isStartWithSavePoint", "true".to_owned())];
    send(&arguments.config, query, &arguments.waiting, &arguments.node)
}

fn send(
    config: &ConfigArguments,
    mut query: Vec<(&'static str, String)>,
    waiting: &WaitArguments,
    node: &NodeArguments,
) -> Result<u8, ApiError> {
    let api = Api::new(node)?;
    let (format, body) = body(config)?;
    query.push(("format", format.to_owned()));
    let watch = watch()?;
    let path = config.path().display().to_string();
    let (id, name) = api.submit(&query, body.as_bytes()).map_err(|error| in_file(error, &path))?;
    if waiting.background {
        let text = if waiting.json {
            pretty(&json!({ "jobId": id.to_string(), "jobName": name }))
        } else {
            format!("job {id} ({}) is submitted\n", show::plain(&name))
        };
        return Ok(stdout::print(text, 0));
    }
    if !waiting.json {
        tell!("job {id} ({}) is submitted", show::plain(&name));
    }
    match wait_for_end(&api, id, &watch)? {
        Some(job) => Ok(ended(&job, waiting)),
        None => {
            tell!("the job goes on; egret stop {id} --url {} stops it", api.url());
            Ok(interrupted(&watch))
        }
    }
}

/// Prints how the job ended; gives the exit status.
fn ended(job: &JobView, waiting: &WaitArguments) -> u8 {
    let exit = u8::from(job.state() != "FINISHED");
    let text = if waiting.json {
        pretty(&job.0)
    } else {
        statistics::render(job.text("createTime"), job.time_of_end(), job.read().rows, job.written().rows)
    };
    let exit = stdout::print(text, exit);
    if job.state() != "FINISHED" {
        let cause = job.error().unwrap_or("no reason given");
        tell!("error: job '{}' ended as {}: {cause}", show::plain(job.name()), job.state());
    }
    exit
}

/// What the node is sent: the text as it is, so that it can name lines; or, where variables or other files are to be
/// filled in, which a node does not do, the whole as JSON.
fn body(config: &ConfigArguments) -> Result<(&'static str, String), ApiError> {
    let path = config.path();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ApiError::Here(format!("cannot read the config {}: {error}", path.display())))?;
    let is_whole = !["include", "${"].iter().any(|mark| text.contains(mark));
    if config.variables.is_empty() && is_whole {
        return Ok((if is_json(path) { "json" } else { "hocon" }, text));
    }
    let mut read = cli::read_options(path, &config.variables);
    // The node decodes them.
    read.secrets = Secrets::Keep;
    match read_tree(&text, &path.display().to_string(), &read) {
        Ok((tree, problems)) if !problems.has_errors() => Ok(("json", render_json(&tree, false))),
        Ok((_, problems)) | Err(problems) => Err(ApiError::Here(format!(
            "the config is wrong and was not sent\n{}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ))),
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

/// Positions in a request's body are positions in the file that it came from.
fn in_file(error: ApiError, path: &str) -> ApiError {
    match error {
        ApiError::Refused { status, message } => {
            ApiError::Refused { status, message: message.replace("<request body>", path) }
        }
        other => other,
    }
}
