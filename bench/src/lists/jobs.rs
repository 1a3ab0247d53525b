//! The jobs that run beside the requests.

use std::error::Error;

use serde_json::{Value, json};

use crate::fake::fake_job;
use crate::node::Node;
use crate::running_jobs::jobs::{ENDLESS, rows};

/// A job takes more bytes of a list than this.
pub const JOB_BYTES_LEAST: usize = 500;
/// Rows that a job reads before it stands still.
const ROWS: u64 = 10;

/// Starts jobs of three vertices that read a few rows and then wait for ever; gives their ids once all wait.
pub fn start_idle(node: &Node, jobs: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let ids = (0..jobs).map(|number| node.submit(&idle_job(number))).collect::<Result<Vec<_>, _>>()?;
    node.wait_for_jobs("jobs that stand still", |jobs| {
        jobs.len() == ids.len() && jobs.iter().all(|job| job["jobStatus"] == "RUNNING" && rows(job) == ROWS)
    })?;
    Ok(ids)
}

fn idle_job(number: u32) -> Value {
    let mut job = fake_job(&format!("idle-{number}"), ROWS, 1);
    job["env"]["job.mode"] = json!("STREAMING");
    job["transform"] = json!([{
        "plugin_name": "FieldMapper",
        "plugin_input": "fake",
        "plugin_output": "mapped",
        "field_mapper": {"number": "number", "text": "name"}
    }]);
    job["sink"][0]["plugin_input"] = json!("mapped");
    job
}

/// Starts as many jobs as there are CPUs, each with a task on every CPU that never waits.
pub fn start_spinning(node: &Node, cpus: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let job = |number| node.submit(&fake_job(&format!("spinning-{number}"), ENDLESS, cpus));
    let ids = (0..cpus).map(job).collect::<Result<Vec<_>, _>>()?;
    let spins = |job: &Value| ids.iter().any(|id| job["jobId"] == **id) && rows(job) > 0;
    node.wait_for_jobs("jobs that spin", |jobs| jobs.iter().filter(|job| spins(job)).count() == ids.len())?;
    Ok(ids)
}

/// Stops jobs and waits until so many are left.
pub fn stop(node: &Node, ids: &[String], left: usize) -> Result<(), Box<dyn Error>> {
    ids.iter().try_for_each(|id| node.stop_job(id))?;
    node.wait_for_jobs("jobs that were stopped", |jobs| jobs.len() == left).map(drop)
}

/// Makes sure that the list holds so many jobs of three vertices, or two for those that spin, and that all run.
pub fn check(node: &Node, jobs: usize) -> Result<(), Box<dyn Error>> {
    let listed = node.running_jobs()?;
    let runs = |job: &&Value| {
        let vertices = job["jobDag"]["vertexInfoMap"].as_array().map_or(0, Vec::len);
        job["jobStatus"] == "RUNNING" && (2..=3).contains(&vertices) && rows(job) >= ROWS
    };
    match listed.iter().filter(runs).count() {
        found if found == jobs && listed.len() == jobs => Ok(()),
        found => Err(format!("{jobs} jobs should run, the list has {}, {found} of them run", listed.len()).into()),
    }
}
