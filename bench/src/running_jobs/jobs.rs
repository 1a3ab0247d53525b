//! The jobs beside the requests.

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Beside, csv};
use crate::fake::fake_job;
use crate::node::Node;

/// Rows of each reader of a spinning job: a million years' worth.
pub const ENDLESS: u64 = i64::MAX as u64 / 1024;
/// Rows of the csv file.
const CSV_ROWS: u64 = 500_000;
/// Names under which a job finds the csv file, all the same one: minutes of work in a few megabytes.
const CSV_NAMES: usize = 400;

/// What the jobs need.
pub struct Jobs {
    cpus: usize,
    files: Option<TempDir>,
}

/// Jobs that run.
pub struct Started(Vec<String>);

impl Jobs {
    /// Makes the csv file, if one is needed.
    pub fn prepare(cpus: usize, with_csv: bool) -> Result<Self, Box<dyn Error>> {
        let files = if with_csv {
            let folder = tempfile::tempdir()?;
            csv::write(&folder.path().join("in"), CSV_ROWS, CSV_NAMES)?;
            Some(folder)
        } else {
            None
        };
        Ok(Self { cpus, files })
    }

    /// Starts as many jobs as there are CPUs, each with a task on every CPU, and waits until all run and read.
    pub fn start(&self, node: &Node, beside: Beside) -> Result<Started, Box<dyn Error>> {
        let jobs = if beside == Beside::None { 0 } else { self.cpus };
        let mut ids = Vec::new();
        for number in 0..jobs {
            ids.push(node.submit(&self.config(beside, number)?)?);
        }
        let all_read = |jobs: &[Value]| jobs.len() == ids.len() && jobs.iter().all(|job| rows(job) > 0);
        node.wait_for_jobs("jobs that read rows", all_read)?;
        Ok(Started(ids))
    }

    fn config(&self, beside: Beside, number: usize) -> Result<Value, Box<dyn Error>> {
        let name = format!("bench-{number}");
        Ok(match beside {
            Beside::None | Beside::Spinning => fake_job(&name, ENDLESS, self.cpus),
            Beside::Waiting => {
                let mut job = fake_job(&name, 10, self.cpus);
                job["env"]["job.mode"] = json!("STREAMING");
                job
            }
            Beside::Csv => {
                let folder = self.files.as_ref().ok_or("there is no csv file")?.path();
                csv_job(&name, folder, number, self.cpus)
            }
        })
    }
}

fn csv_job(name: &str, folder: &Path, number: usize, parallelism: usize) -> Value {
    json!({
        "env": {"job.name": name, "job.mode": "BATCH", "parallelism": parallelism},
        "source": [{
            "plugin_name": "LocalFile",
            "plugin_output": "rows",
            "path": folder.join("in"),
            "file_format_type": "csv",
            "schema": {"fields": csv::fields()}
        }],
        "transform": [],
        "sink": [{
            "plugin_name": "LocalFile",
            "plugin_input": "rows",
            "path": folder.join(format!("out-{number}")),
            "file_format_type": "parquet"
        }]
    })
}

impl Started {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Stops the jobs and waits until none is left.
    pub fn stop(self, node: &Node) -> Result<(), Box<dyn Error>> {
        self.0.iter().try_for_each(|id| node.stop_job(id))?;
        node.wait_for_jobs("jobs that were stopped", <[Value]>::is_empty).map(drop)
    }
}

/// Rows that all running jobs have read so far.
pub fn rows_read(node: &Node) -> Result<u64, Box<dyn Error>> {
    Ok(node.running_jobs()?.iter().map(rows).sum())
}

/// Rows that a job has read so far, as the list tells them.
pub fn rows(job: &Value) -> u64 {
    let count = &job["metrics"]["SourceReceivedCount"];
    count.as_str().and_then(|text| text.parse().ok()).or_else(|| count.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_text_and_as_numbers() {
        assert_eq!(rows(&json!({"metrics": {"SourceReceivedCount": "12"}})), 12);
        assert_eq!(rows(&json!({"metrics": {"SourceReceivedCount": 12}})), 12);
        assert_eq!(rows(&json!({})), 0);
    }
}
